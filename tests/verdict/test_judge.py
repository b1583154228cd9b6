"""What the judge says of traffic whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from onejob.model.deployment import Strategy
from onejob.model.evidence import JudgeSettings, SignalHistory
from onejob.model.verdict import Reason, SignalResult, State
from onejob.verdict.judge import Judge
from onejob.verdict.recompute import recompute, refold
from verdict.traffic import START, Scenario, a_cell, a_deployment, judged, looks, router_counts

pytestmark = pytest.mark.untraced


def n_plus_one(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    return seconds + np.where(rng.random(len(seconds)) < 0.4, 0.045, 0.0)


def half_of_a_quarter_fails(rng: np.random.Generator, failed: np.ndarray) -> np.ndarray:
    return failed | (rng.random(len(failed)) < 0.125)


def test_a_slow_query_for_two_of_five_requests_is_worse_within_a_minute() -> None:
    verdict = judged(Scenario(slower=n_plus_one, seconds=56))
    assert verdict.state is State.WORSE
    lead = verdict.signals[0]
    assert (lead.operation, lead.state) == ("POST /orders", State.WORSE)
    assert lead.signal.startswith("latency_p")
    assert "POST /orders p" in verdict.sentence
    assert verdict.decided_at is not None
    assert verdict.first_visible_at is not None
    assert START < verdict.first_visible_at.timestamp() <= verdict.decided_at.timestamp()


def test_failures_of_one_payment_method_are_worse_within_a_minute() -> None:
    verdict = judged(Scenario(failing=half_of_a_quarter_fails, seconds=56))
    assert verdict.state is State.WORSE
    assert [(s.operation, s.signal) for s in verdict.signals if s.state is State.WORSE] == [("POST /orders", "errors")]
    assert "errors rose from" in verdict.sentence


def test_a_removed_slow_query_is_better() -> None:
    verdict = judged(Scenario(slower=lambda _, seconds: seconds / 2))
    assert verdict.state is State.BETTER
    assert "fell" in verdict.sentence


@pytest.mark.slow
def test_identical_versions_are_never_worse_or_better() -> None:
    """However often one looks: after every second of each of three runs."""
    states = {judged(Scenario(), seed, bins=1).state for seed in range(3)}
    assert states == {State.UNDECIDED}


@pytest.mark.slow
def test_identical_versions_that_fail_a_lot_are_never_worse() -> None:
    states = {judged(Scenario(base_errors=0.2), seed).state for seed in range(4)}
    assert State.WORSE not in states


@pytest.mark.slow
def test_a_rollout_while_base_errors_rise_is_not_blamed() -> None:
    """Merging bins of different share would blame it in one of six runs."""

    def run(seed: int) -> State:
        judge, batches = Judge(a_deployment()), []
        for batch, errors in zip(Scenario().batches(seed), np.linspace(0.005, 0.15, 100), strict=True):
            rng = np.random.default_rng(seed * 1000 + batch.seq)
            cells = tuple(replace(c, errors=int(rng.binomial(c.count, errors))) for c in batch.cells)
            batches.append(replace(batch, cells=cells))
        return [judge.consume(batch) for batch in looks(batches)][-1].state

    assert State.WORSE not in {run(seed) for seed in range(5)}


@pytest.mark.slow
def test_harmless_traffic_in_plenty_ends_no_worse() -> None:
    """Nine against nine instances, so that instances' own differences do not hide a tolerance of 30 %."""
    settings = JudgeSettings(tolerance_errors=0.02, tolerance_p50=1.3, tolerance_tail=1.6)
    scenario = Scenario(
        rates={"POST /orders": 900.0},
        share=lambda _: 0.5,
        control_instances=9,
        treatment_instances=3,
        seconds=60,
        baseline_s=10,
    )
    judge = Judge(a_deployment())
    verdict = [judge.consume(batch) for batch in scenario.batches(4, settings)][-1]
    assert verdict.state is State.NO_WORSE
    assert "no worse" in verdict.sentence
    assert all(s.missing is None for s in verdict.signals)


def test_a_canary_that_nobody_answers_for_is_worse_by_the_routers_counts() -> None:
    silent = Scenario(
        is_answering=False,
        seconds=30,
        router=lambda t, control, treatment: router_counts(t, (control, 0), (treatment, treatment)),
    )
    verdict = judged(silent)
    assert verdict.state is State.WORSE
    assert {s.signal for s in verdict.signals if s.state is State.WORSE} & {"shortfall", "errors"}


def test_a_canary_that_crashes_on_a_fifth_of_its_requests_is_worse() -> None:
    crashing = Scenario(
        seconds=50, router=lambda t, control, treatment: router_counts(t, (control, 0), (treatment, treatment // 5))
    )
    assert judged(crashing).state is State.WORSE


def test_a_router_that_fails_nobody_changes_nothing() -> None:
    calm = Scenario(router=lambda t, control, treatment: router_counts(t, (control, 0), (treatment, 0)))
    verdict = judged(calm)
    assert verdict.state is State.UNDECIDED
    assert {"shortfall"} <= {s.signal for s in verdict.signals}


def test_a_sample_of_one_arm_alone_says_nothing() -> None:
    lone = Scenario(seconds=30, router=lambda t, _, n: router_counts(t, (0, 0), (n, n))[1:])
    assert judged(lone).state is State.UNDECIDED


def test_treatment_that_falls_silent_without_a_router_is_a_shortfall() -> None:
    scenario = Scenario(declared_share=True, share=lambda _: 0.5, seconds=60)
    judge = Judge(a_deployment())
    for batch in scenario.batches(2):
        is_dead = batch.bins_from >= START + 10
        cells = tuple(c for c in batch.cells if not (is_dead and c.version == "2"))
        verdict = judge.consume(replace(batch, cells=cells))
    assert verdict.state is State.WORSE
    assert "got no answer" in verdict.sentence


def a_shortfall(seconds: int, answers_every_s: int = 1) -> SignalResult:
    """The row of a version declared to get half of the requests, which answers in some seconds only."""
    judge = Judge(a_deployment())
    for batch in Scenario(declared_share=True, share=lambda _: 0.5, seconds=seconds).batches(2):
        is_silent = batch.seq % answers_every_s > 0
        cells = tuple(c for c in batch.cells if not (is_silent and c.version == "2"))
        verdict = judge.consume(replace(batch, cells=cells))
    return next(s for s in verdict.signals if s.signal == "shortfall")


def test_a_shortfall_without_a_router_has_an_interval_and_says_what_it_lacks() -> None:
    early, late = a_shortfall(12), a_shortfall(120)
    assert early.low < early.effect < early.high
    assert late.low < late.effect < late.high
    assert late.high - late.low < early.high - early.low
    assert early.missing.largest_excluded == early.high
    assert early.missing.requests > 0
    assert early.missing.seconds_p90 >= early.missing.seconds_p50 > 0


def test_a_shortfall_beyond_its_tolerance_is_not_promised_to_go_away() -> None:
    row = a_shortfall(12, answers_every_s=2)
    assert row.low < 1 / 3 < row.high
    assert row.state is State.UNDECIDED
    assert row.missing.requests is None


def test_far_more_answers_than_the_declared_share_are_not_comparable() -> None:
    scenario = Scenario(share=lambda _: 0.5, seconds=40)
    judge = Judge(a_deployment())
    for batch in scenario.batches(2):
        verdict = judge.consume(replace(batch, share=0.1))
    assert (verdict.state, verdict.reason) == (State.UNDECIDED, Reason.NOT_COMPARABLE)
    assert "not comparable" in verdict.sentence


def test_once_worse_is_worse_for_good() -> None:
    judge = Judge(a_deployment())
    worse = list(Scenario(slower=n_plus_one, seconds=60).batches(1))
    calm = list(Scenario(seconds=60).batches(2))
    for batch in worse:
        verdict = judge.consume(batch)
    for batch in calm[20:]:
        shift = {"seq": batch.seq + 60, "bins_from": batch.bins_from + 60, "bins_to": batch.bins_to + 60}
        cells = tuple(replace(c, bin_start=c.bin_start + 60) for c in batch.cells)
        verdict = judge.consume(replace(batch, cells=cells, **shift))
    assert verdict.state is State.WORSE
    assert any(s.state is State.WORSE for s in verdict.signals)


@pytest.mark.parametrize(
    ("strategy", "cells_of", "reason", "words"),
    [
        (Strategy.ALL_AT_ONCE, "none", Reason.NO_CONTROL, "all at once"),
        (Strategy.CANARY, "none", Reason.NO_DATA, "no request"),
        (Strategy.CANARY, "treatment", Reason.NO_CONTROL, "no old version"),
        (Strategy.CANARY, "both", Reason.TOO_EARLY, ""),
    ],
)
def test_each_kind_of_nothing_has_its_name(strategy: Strategy, cells_of: str, reason: Reason, words: str) -> None:
    wanted = {"none": (), "treatment": ("2",), "both": ("1", "2")}[cells_of]
    judge = Judge(a_deployment(strategy=strategy))
    for batch in Scenario(seconds=5).batches(1):
        verdict = judge.consume(replace(batch, cells=tuple(c for c in batch.cells if c.version in wanted)))
    assert (verdict.state, verdict.reason) == (State.UNDECIDED, reason)
    assert words in verdict.sentence


def test_the_same_batches_give_the_same_document() -> None:
    batches = list(Scenario(slower=n_plus_one, seconds=50).batches(3))
    judge = Judge(a_deployment())
    live = [judge.consume(batch) for batch in batches][-1]
    assert recompute(a_deployment(), batches) == live
    assert recompute(a_deployment(), []) is None


def test_resuming_from_stored_batches_equals_never_having_stopped() -> None:
    batches = list(Scenario(failing=half_of_a_quarter_fails, seconds=40).batches(3))
    uninterrupted, _ = refold(a_deployment(), batches)
    resumed, _ = refold(a_deployment(), batches[:37])
    for batch in batches[37:-1]:
        resumed.consume(batch)
    last = batches[-1]
    final = replace(last, seq=last.seq + 1, bins_from=last.bins_to, bins_to=last.bins_to + 1, cells=())
    assert resumed.consume(last) is not None
    assert resumed.consume(final) == uninterrupted.consume(final)


def told(settings: JudgeSettings) -> dict[str, SignalResult]:
    """The rows of POST /orders after twenty seconds of a harmless canary."""
    verdict = [
        judge.consume(b) for judge in (Judge(a_deployment()),) for b in Scenario(seconds=20).batches(1, settings)
    ]
    return {s.signal: s for s in verdict[-1].signals if s.operation == "POST /orders"}


def test_what_placebo_deployments_needed_makes_every_design_effect_larger() -> None:
    plain, careful = told(JudgeSettings()), told(JudgeSettings(phi_factor=2.0))
    assert {s: row.phi for s, row in careful.items()} == {s: 2 * row.phi for s, row in plain.items()}


def test_what_history_says_of_a_signals_noise_stands_in_for_the_cold_start() -> None:
    noisy = SignalHistory(signal="errors", phi=8.0, blocks=5_000, s_b=0.4, instances=40)
    plain, learned = told(JudgeSettings()), told(JudgeSettings(history=(noisy,)))
    assert learned["errors"].phi > 7
    assert learned["errors"].theta_0 > plain["errors"].theta_0 > 1
    assert (learned["latency_p50"].phi, learned["latency_p50"].theta_0) == (
        plain["latency_p50"].phi,
        plain["latency_p50"].theta_0,
    )


def test_a_batch_out_of_order_is_refused() -> None:
    first, second, *_ = Scenario(seconds=2).batches(1)
    judge = Judge(a_deployment())
    with pytest.raises(ValueError, match="where 0 is next"):
        judge.consume(second)
    judge.consume(first)
    with pytest.raises(ValueError, match="where 1 is next"):
        judge.consume(first)


def test_the_order_of_cells_within_a_batch_does_not_matter() -> None:
    batches = list(Scenario(slower=n_plus_one, seconds=30).batches(5))
    turned = [replace(b, cells=tuple(reversed(b.cells))) for b in batches]
    first, second = (recompute(a_deployment(), some) for some in (batches, turned))
    assert first is not None
    assert second is not None
    assert first.log_evidence == pytest.approx(second.log_evidence)
    assert first.state is second.state


def test_bins_in_one_batch_count_as_bins_one_by_one() -> None:
    """Catching up after an outage: the same evidence; only the operations' weights are fixed a little later."""
    batches = list(Scenario(slower=n_plus_one, seconds=40).batches(6))
    merged = replace(batches[0], bins_to=batches[-1].bins_to, cells=tuple(c for b in batches for c in b.cells))
    apart, together = recompute(a_deployment(), batches), recompute(a_deployment(), [merged])
    assert apart is not None
    assert together is not None
    assert together.log_evidence == pytest.approx(apart.log_evidence, rel=0.01)
    assert together.state is apart.state is State.WORSE


def test_a_cold_instance_is_left_out_of_latency_but_not_of_errors() -> None:
    cold = [replace(b, warmed=()) for b in Scenario(slower=n_plus_one, seconds=60).batches(1)]
    verdict = recompute(a_deployment(), cold)
    assert verdict is not None
    assert not [s for s in verdict.signals if s.signal.startswith("latency")]
    assert [s for s in verdict.signals if s.signal == "errors"]
    assert "start-up time" in " ".join(verdict.left_out)


def test_after_its_start_up_time_an_instance_is_timed() -> None:
    settings = JudgeSettings(warm_up_s=10)
    cold = [replace(b, warmed=()) for b in Scenario(slower=n_plus_one, seconds=70).batches(1, settings)]
    verdict = recompute(a_deployment(), cold)
    assert verdict is not None
    assert verdict.state is State.WORSE


def test_versions_beside_the_two_arms_are_named_and_left_out() -> None:
    judge = Judge(a_deployment())
    for batch in Scenario(seconds=5).batches(1):
        extra = a_cell(np.array([0.1]), np.array([True]), version="0.9", bin_start=batch.bins_from)
        verdict = judge.consume(replace(batch, cells=(*batch.cells, extra)))
    assert "0.9" in " ".join(verdict.left_out)
    assert verdict.control is not None
    assert verdict.control.versions == ("1",)


def test_without_a_named_predecessor_every_other_version_is_control() -> None:
    verdict = judged(Scenario(seconds=10), deployment=a_deployment(previous_version=None))
    assert verdict.control is not None
    assert verdict.control.versions == ("1",)


def test_a_new_build_of_the_same_version_is_told_apart() -> None:
    deployment = a_deployment(version="main@b", previous_version="main@a")
    judge = Judge(deployment)
    for batch in Scenario(slower=n_plus_one, seconds=50).batches(1):
        cells = tuple(replace(c, version="main", build={"1": "a", "2": "b"}[c.version]) for c in batch.cells)
        verdict = judge.consume(replace(batch, cells=cells))
    assert verdict.state is State.WORSE


def test_more_operations_than_are_judged_one_by_one_become_other() -> None:
    scenario = Scenario(rates={f"GET /{i}": 5.0 + i for i in range(6)}, hurt="GET /0", seconds=10)
    judge = Judge(a_deployment())
    for batch in scenario.batches(1, JudgeSettings(max_operations=3)):
        verdict = judge.consume(batch)
    operations = {s.operation for s in verdict.signals}
    assert "other" in operations
    assert len(operations) == 4


def test_an_operation_that_appears_later_can_still_alarm() -> None:
    scenario = Scenario(rates={"GET /cart": 15.0}, seconds=60)
    late = Scenario(rates={"POST /new": 20.0}, hurt="POST /new", failing=half_of_a_quarter_fails, seconds=60)
    judge = Judge(a_deployment())
    for batch, more in zip(scenario.batches(1), late.batches(2), strict=True):
        extra = more.cells if batch.bins_from >= START + 5 else ()
        verdict = judge.consume(replace(batch, cells=(*batch.cells, *extra)))
    assert verdict.state is State.WORSE
    assert verdict.signals[0].operation == "POST /new"


@pytest.mark.slow
def test_intervals_contain_the_true_ratio() -> None:
    inside = 0
    for seed in range(4):
        verdict = judged(Scenario(slower=lambda _, seconds: seconds * 1.5), seed)
        row = next(s for s in verdict.signals if (s.operation, s.signal) == ("POST /orders", "latency_p50"))
        inside += (row.low or 0) <= 1.5 <= (row.high or 99)
    assert inside == 4


def test_a_change_of_load_moves_the_place_of_the_interval() -> None:
    """Everything becomes five times slower for both: the ratio is still near one, and still an interval."""
    judge = Judge(a_deployment())
    for batch in Scenario(seconds=120).batches(1):
        shift = round(32 * np.log2(5)) if batch.bins_from >= START else 0
        cells = tuple(replace(c, buckets={i + shift: n for i, n in c.buckets.items()}) for c in batch.cells)
        verdict = judge.consume(replace(batch, cells=cells))
    row = next(s for s in verdict.signals if (s.operation, s.signal) == ("POST /orders", "latency_p50"))
    assert row.effect == pytest.approx(1.0, abs=0.15)
    assert row.low is not None
    assert row.high is not None
    assert row.low < 1 < row.high


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: replace(c, buckets={}),
        lambda c: replace(c, buckets={}, zeros=c.count),
        lambda c: replace(c, errors=c.count),
        lambda c: replace(c, errors=c.count + 5),
        lambda c: replace(c, buckets={5: c.count}),
        lambda c: replace(c, buckets={10**4: c.count}),
    ],
    ids=["no durations", "all zero", "all errors", "more errors than requests", "one giant bin", "endless durations"],
)
def test_strange_counts_are_answered_without_an_exception_or_a_verdict(spoil: object) -> None:
    judge = Judge(a_deployment())
    for batch in Scenario(seconds=40).batches(1):
        verdict = judge.consume(replace(batch, cells=tuple(spoil(c) for c in batch.cells)))  # type: ignore[operator]
    assert verdict.state is State.UNDECIDED
