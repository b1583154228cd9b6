"""KPIs, web vitals, new errors, the mix of traffic and its split: each from counts to a row, and what a row may do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from onejob.model.evidence import EvidenceBatch, JudgeSettings, NoveltyCell
from onejob.model.kpi import Direction, Kpi, KpiKind, Tolerance
from onejob.model.verdict import EffectKind, Reason, SignalResult, State, Verdict
from onejob.verdict.fingerprints import mark
from onejob.verdict.recompute import recompute, refold
from verdict.said import (
    ALL_KINDS,
    CALM,
    Values,
    a_kpi,
    everything,
    last_verdict,
    looks,
    novelty,
    routed,
    value_cell,
    vitals,
)
from verdict.traffic import START, Scenario, a_cell, a_deployment


def judged(
    kpi: Kpi, arms: Mapping[str, tuple[int, Values]], scenario: Scenario = CALM, bins: int = 5
) -> tuple[Verdict, SignalResult | None]:
    """The last verdict and the KPI's row; `arms` is (instances, values of one instance and second) per version."""
    rng, batches = np.random.default_rng(1), []
    for batch in scenario.batches(1, JudgeSettings(kpis=(kpi,))):
        at = batch.bins_from
        cells = [
            value_cell(kpi.name, version, f"{version}-{i}", at, of(rng, at - START))
            for version, (instances, of) in arms.items()
            for i in range(instances)
            if version == "1" or at >= START
        ]
        batches.append(replace(batch, values=tuple(c for c in cells if c.counts)))
    verdict = last_verdict(batches, bins)
    row = next((s for s in verdict.signals if s.signal == kpi.name), None)
    return verdict, row


def orders(mean: float) -> Values:
    return lambda rng, _: mean * rng.lognormal(-0.08, 0.4, 40)


@pytest.mark.parametrize(
    ("direction", "state"),
    [
        (Direction.HIGHER_IS_BETTER, State.WORSE),
        (Direction.LOWER_IS_BETTER, State.BETTER),
        (Direction.EITHER, State.WORSE),
    ],
)
def test_a_mean_that_falls_is_worse_or_better_by_its_direction(direction: Direction, state: State) -> None:
    verdict, row = judged(a_kpi(direction=direction), {"1": (1, orders(50.0)), "2": (1, orders(40.0))})
    assert row is not None
    assert (row.state, verdict.state) == (state, state)
    assert row.effect == pytest.approx(0.8, abs=0.03)
    assert row.low is not None
    assert row.high is not None
    assert row.low < 0.8 < row.high < 1
    assert (row.family, row.unit, row.effect_kind, row.tolerance) == ("kpi", "EUR", EffectKind.RATIO, 1.02)
    assert "revenue fell 2" in verdict.sentence or "revenue fell 1" in verdict.sentence


def test_an_exploratory_kpi_is_found_and_the_verdict_stays_undecided() -> None:
    verdict, row = judged(a_kpi(guardrail=False), {"1": (1, orders(50.0)), "2": (1, orders(40.0))})
    assert row is not None
    assert (row.state, row.exploratory, verdict.state) == (State.WORSE, True, State.UNDECIDED)
    assert "no guardrail, but worth a look: revenue fell" in verdict.sentence
    assert verdict.signals[-1] == row


def test_means_that_are_the_same_are_never_worse_and_say_what_is_missing() -> None:
    verdict, row = judged(a_kpi(), {"1": (2, orders(50.0)), "2": (1, orders(50.0))})
    assert row is not None
    assert (row.state, verdict.state) == (State.UNDECIDED, State.UNDECIDED)
    assert row.missing is not None
    assert row.low is not None
    assert row.low < 1
    assert row.theta_0 > 1


def test_one_order_of_a_million_is_no_rise_of_revenue() -> None:
    def lucky(rng: np.random.Generator, t: int) -> np.ndarray:
        usual = orders(50.0)(rng, t)
        return np.append(usual, 1e6) if t == 30 else usual

    _, row = judged(a_kpi(), {"1": (1, orders(50.0)), "2": (1, lucky)})
    assert row is not None
    assert row.effect == pytest.approx(1.0, abs=0.03)


def test_a_queue_that_was_always_empty_and_is_not_any_more_is_worse() -> None:
    kpi = a_kpi(name="queue_depth", direction=Direction.LOWER_IS_BETTER, unit="items", per_instance=True)
    verdict, row = judged(kpi, {"1": (1, lambda *_: np.zeros(3)), "2": (1, lambda rng, _: rng.poisson(30, 3))})
    assert row is not None
    assert (row.state, row.effect_kind) == (State.WORSE, EffectKind.DIFFERENCE)
    assert row.effect == pytest.approx(30, rel=0.1)
    assert "queue depth rose by" in verdict.sentence
    assert "items" in verdict.sentence


def test_processes_that_differ_for_good_by_a_tenth_are_not_blamed() -> None:
    memory = a_kpi(name="memory", direction=Direction.LOWER_IS_BETTER, unit="MB", per_instance=True)
    level: Callable[[float], Values] = lambda mean: lambda rng, _: rng.normal(mean, 2, 3)  # noqa: E731
    _, row = judged(memory, {"1": (1, level(500.0)), "2": (1, level(550.0))})
    assert row is not None
    assert row.state is State.UNDECIDED
    assert row.theta_0 == pytest.approx(1.48, abs=0.01)


@pytest.mark.parametrize(
    ("direction", "rates", "state"),
    [
        (Direction.HIGHER_IS_BETTER, (0.4, 0.25), State.WORSE),
        (Direction.HIGHER_IS_BETTER, (0.25, 0.4), State.BETTER),
        (Direction.LOWER_IS_BETTER, (0.25, 0.4), State.WORSE),
        (Direction.EITHER, (0.25, 0.4), State.WORSE),
        (Direction.HIGHER_IS_BETTER, (0.3, 0.3), State.UNDECIDED),
        (Direction.HIGHER_IS_BETTER, (0.0, 0.0), State.UNDECIDED),
    ],
)
def test_yes_and_no_are_tested_like_errors_with_a_direction(
    direction: Direction, rates: tuple[float, float], state: State
) -> None:
    kpi = a_kpi(name="conversion", kind=KpiKind.YES_NO, direction=direction, unit="")
    outcome: Callable[[float], Values] = lambda p: lambda rng, _: rng.random(30) < p  # noqa: E731
    verdict, row = judged(kpi, {"1": (2, outcome(rates[0])), "2": (1, outcome(rates[1]))})
    assert row is not None
    assert (row.state, verdict.state) == (state, state)
    assert row.effect == pytest.approx(rates[1] - rates[0], abs=0.04)
    assert row.tolerance == pytest.approx(0.02 * max(row.control or 0, 0.005))
    assert (row.missing is None) == (state is not State.UNDECIDED)
    if state is State.WORSE:
        assert "conversion" in verdict.sentence


def test_what_always_succeeds_in_both_is_soon_no_worse() -> None:
    kpi = a_kpi(name="conversion", kind=KpiKind.YES_NO, unit="")
    always: Values = lambda *_: np.ones(30)  # noqa: E731
    verdict, row = judged(kpi, {"1": (1, always), "2": (1, always)})
    assert row is not None
    assert (row.state, verdict.state) == (State.NO_WORSE, State.UNDECIDED)


def test_fewer_orders_per_request_are_worse() -> None:
    kpi = a_kpi(name="orders", kind=KpiKind.THROUGHPUT, unit="orders", direction=Direction.HIGHER_IS_BETTER)
    made: Callable[[float], Values] = lambda n: lambda rng, _: np.ones(rng.poisson(n))  # noqa: E731
    verdict, row = judged(kpi, {"1": (1, made(6.0)), "2": (1, made(3.0))})
    assert row is not None
    assert (row.state, verdict.state) == (State.WORSE, State.WORSE)
    assert row.effect == pytest.approx(0.5, abs=0.12)
    assert row.unit == "orders/request"
    assert "orders fell" in verdict.sentence


def test_a_consumer_that_does_as_much_as_each_of_the_others_is_not_blamed() -> None:
    kpi = a_kpi(name="jobs", kind=KpiKind.THROUGHPUT, unit="jobs", per_instance=True)
    made: Callable[[float], Values] = lambda n: lambda rng, _: np.ones(rng.poisson(n))  # noqa: E731
    scenario = replace(CALM, control_instances=3)
    _, same = judged(kpi, {"1": (3, made(6.0)), "2": (1, made(6.0))}, scenario)
    _, fewer = judged(kpi, {"1": (3, made(6.0)), "2": (1, made(2.0))}, scenario)
    assert same is not None
    assert fewer is not None
    assert same.state is State.UNDECIDED
    assert same.control == pytest.approx(6.0, rel=0.1)
    assert same.unit == "jobs/s"
    assert fewer.state is State.WORSE


def leaking(per_s: float) -> Values:
    return lambda rng, t: 500 + per_s * max(0, t) + rng.normal(0, 1, 2)


@pytest.mark.untraced
def test_a_leak_is_found_in_the_new_version_and_not_in_growth_that_both_share() -> None:
    kpi = a_kpi(name="memory", kind=KpiKind.SLOPE, direction=Direction.LOWER_IS_BETTER, unit="MB", per_instance=True)
    long = Scenario(rates={"POST /orders": 2.0}, share=lambda _: 0.5, seconds=1300, baseline_s=20)
    verdict, leak = judged(kpi, {"1": (1, leaking(0.0)), "2": (1, leaking(0.2))}, long, bins=60)
    _, shared = judged(kpi, {"1": (1, leaking(0.2)), "2": (1, leaking(0.2))}, long, bins=60)
    assert leak is not None
    assert shared is not None
    assert (leak.state, verdict.state) == (State.WORSE, State.WORSE)
    assert leak.unit == "MB/h"
    assert leak.effect == pytest.approx(0.2 * 3600, rel=0.2)
    assert leak.low is not None
    assert 0 < leak.low < 720
    assert "memory grows by" in verdict.sentence
    assert shared.state is State.UNDECIDED


def test_the_growth_of_a_young_process_beside_old_ones_is_no_leak() -> None:
    kpi = a_kpi(name="memory", kind=KpiKind.SLOPE, direction=Direction.LOWER_IS_BETTER, unit="MB", per_instance=True)
    warm: Values = lambda rng, t: 500 - 200 * np.exp(-max(0, t) / 300) + rng.normal(0, 1, 2)  # noqa: E731
    long = Scenario(rates={"POST /orders": 2.0}, share=lambda _: 0.5, seconds=800, baseline_s=20)
    _, row = judged(kpi, {"1": (1, leaking(0.0)), "2": (1, warm)}, long, bins=60)
    assert row is None


# --- new errors ---


def with_errors(at: Callable[[int], Iterable[NoveltyCell]]) -> Verdict:
    batches = replace(CALM, seconds=60).batches(1)
    return last_verdict(replace(batch, novelties=tuple(at(batch.bins_from))) for batch in batches)


def test_an_error_that_control_never_showed_is_told_and_rolls_nothing_back() -> None:
    verdict = with_errors(lambda at: [novelty("2", at)] if at >= START + 20 else [])
    row = next(s for s in verdict.signals if s.family == "novelty")
    assert (row.state, row.signal, row.operation) == (State.WORSE, "new_error", "KeyError in price")
    assert row.novelty is not None
    assert row.novelty.first_seen_at.timestamp() == START + 20
    assert 30 < row.novelty.count <= 40
    assert row.novelty.rate == pytest.approx(0.25, abs=0.1)
    assert row.novelty.control_requests > 100
    assert (row.novelty.sample, row.novelty.trace_id) == ("Traceback ...", "t1")
    assert (row.exploratory, verdict.state) == (True, State.UNDECIDED)
    assert "new error KeyError in price in 2" in verdict.sentence


@pytest.mark.parametrize(
    "shown",
    [
        lambda at: [novelty("2", at), novelty("1", at)],
        lambda at: [novelty("2", at)] if at >= START else [novelty("1", at)],
        lambda at: [novelty("2", at, is_known=True)] if at >= START else [],
        lambda at: [novelty("2", at)] if at < START else [],
        lambda at: [novelty("1", at)],
    ],
    ids=["both show it", "control showed it before", "known from history", "before the deployment", "control alone"],
)
def test_what_is_not_new_has_no_row(shown: Callable[[int], Iterable[NoveltyCell]]) -> None:
    assert not [s for s in with_errors(shown).signals if s.family == "novelty"]


def a_line(version: str, at: int, text: str, **changes: object) -> NoveltyCell:
    said = {"kind": "log_template", "fingerprint": mark(text), "title": text, "sample": text}
    return novelty(version, at, **(said | changes))


WHO = ("anna", "bert", "cleo", "dora", "emil", "fred")


def test_a_message_that_only_the_new_version_logs_is_one_row_whatever_its_values_are() -> None:
    verdict = with_errors(
        lambda at: (
            [a_line("2", at, f"no stock left for {WHO[at % 6]}"), a_line("1", at, "cache is cold")]
            if at >= START + 20
            else []
        )
    )
    (row,) = (s for s in verdict.signals if s.family == "novelty")
    assert (row.signal, row.exploratory) == ("new_log_template", True)
    assert row.log_evidence > 5
    assert "new log message no stock left for" in verdict.sentence
    assert verdict.state is not State.WORSE


@pytest.mark.parametrize(
    "shown",
    [
        # Each name comes in one version only, but names were seen to vary there.
        lambda at: [
            a_line("1", at, f"login of {WHO[at % 3]} failed"),
            a_line("2", at, f"login of {WHO[3 + at % 3]} failed"),
        ],
        lambda at: [a_line("2", at, "cache is cold"), a_line("1", at, "cache is cold")],
        lambda at: (
            [a_line("2", at, "cache is cold", is_known=True, count=0)]
            if at < START
            else [a_line("2", at, "cache is cold")]
        ),
        lambda at: [a_line("2", at, "cache is cold")] if at < START + 30 else [a_line("1", at, "cache is cold")],
        lambda at: [a_line("2", at, "")],
    ],
)
def test_a_message_that_the_old_version_logs_too_has_no_row(shown: Callable[[int], Iterable[NoveltyCell]]) -> None:
    assert not [s for s in with_errors(shown).signals if s.family == "novelty"]


def test_in_which_order_the_lines_of_a_bin_come_does_not_matter() -> None:
    def shown(at: int) -> list[NoveltyCell]:
        old = [a_line("1", at, f"login of {WHO[at % 3]} failed")]
        return [*old, *(a_line("2", at, f"no {thing} left") for thing in ("stock", "room", "time"))]

    def rows(*, is_reversed: bool) -> list[tuple[str, float]]:
        verdict = with_errors(lambda at: sorted(shown(at), key=lambda c: c.fingerprint, reverse=is_reversed))
        return [(s.operation, s.log_evidence) for s in verdict.signals if s.family == "novelty"]

    assert rows(is_reversed=True) == rows(is_reversed=False) != []


def test_one_occurrence_names_an_error_and_proves_nothing() -> None:
    verdict = with_errors(lambda at: [novelty("2", at)] if at == START + 20 else [])
    row = next(s for s in verdict.signals if s.family == "novelty")
    assert (row.state, row.log_evidence) == (State.UNDECIDED, 0.0)


def test_a_version_that_throws_everything_is_cut_short_and_says_so() -> None:
    verdict = with_errors(lambda at: [novelty("2", at, fingerprint=f"f{at % 80}")] if at >= START else [])
    assert len([s for s in verdict.signals if s.family == "novelty"]) == 50
    assert "10 more errors" in " ".join(verdict.left_out)


# --- web vitals ---


def with_vitals(slower: float, shift: float, *, control_first: bool = True) -> Verdict:
    rng, batches = np.random.default_rng(2), []
    for batch in replace(CALM, seconds=70).batches(1):
        at = batch.bins_from
        seen = vitals(rng, at, "1", 1.0, 0.0) if control_first or at >= START + 5 else ()
        seen += vitals(rng, at, "2", slower, shift) if at >= START else ()
        batches.append(replace(batch, vitals=seen))
    return last_verdict(batches)


def test_a_slower_page_is_worse_by_its_largest_contentful_paint() -> None:
    verdict = with_vitals(1.5, 0.0)
    row = next(s for s in verdict.signals if s.signal == "lcp_p75")
    assert (row.state, verdict.state) == (State.WORSE, State.WORSE)
    assert (row.operation, row.unit, row.family, row.tolerance) == ("/cart", "s", "vitals", 1.1)
    assert row.effect == pytest.approx(1.5, abs=0.15)
    assert row.low is not None
    assert row.low > 1.1
    assert row.theta_0 < 1.3
    assert "/cart LCP p75 rose" in verdict.sentence
    assert next(s for s in verdict.signals if s.signal == "cls_p75").state is not State.WORSE


def test_a_page_that_jumps_is_worse_by_points_of_layout_shift() -> None:
    verdict = with_vitals(1.0, 0.15)
    row = next(s for s in verdict.signals if s.signal == "cls_p75")
    assert (row.state, verdict.state) == (State.WORSE, State.WORSE)
    assert (row.effect_kind, row.tolerance, row.unit) == (EffectKind.DIFFERENCE, 0.02, "")
    assert row.effect == pytest.approx(0.15, abs=0.04)
    assert row.low is not None
    assert row.high is not None
    assert 0.02 < row.low < 0.15 < row.high
    assert row.control == pytest.approx(0.04, abs=0.03)


def test_pages_that_are_the_same_are_not_blamed() -> None:
    verdict = with_vitals(1.0, 0.0)
    assert {s.state for s in verdict.signals if s.family == "vitals"} <= {State.UNDECIDED, State.NO_WORSE}
    assert {s.signal for s in verdict.signals if s.family == "vitals"} == {"lcp_p75", "cls_p75"}


def test_vitals_that_control_showed_too_late_for_a_share_of_alpha_are_exploratory() -> None:
    verdict = with_vitals(1.6, 0.0, control_first=False)
    row = next(s for s in verdict.signals if s.signal == "lcp_p75")
    assert (row.exploratory, row.state, verdict.state) == (True, State.WORSE, State.UNDECIDED)


# --- the mix of traffic, and its split ---


def mixed(share_of_slow: float, slower: float = 1.0) -> Verdict:
    """Two operations, 10 ms and 100 ms; the new version gets another share of the slow one."""
    rng, batches = np.random.default_rng(3), []
    for batch in replace(CALM, seconds=40).batches(1):
        cells = []
        for version, slow, factor in (("1", 0.3, 1.0), ("2", share_of_slow, slower)):
            if version == "2" and batch.bins_from < START:
                continue
            for operation, share, seconds in (("GET /a", 1 - slow, 0.01), ("GET /b", slow, 0.1)):
                n = rng.poisson(40 * share)
                failed = rng.random(n) < (0.1 if operation == "GET /b" else 0.0)
                times = np.full(n, seconds * factor)
                where = {"version": version, "instance": f"{'ab'[int(version) - 1]}-0", "operation": operation}
                cells.append(a_cell(times, failed, bin_start=batch.bins_from, **where))
        batches.append(replace(batch, cells=tuple(cells)))
    return last_verdict(batches)


def test_a_change_of_mix_is_told_from_a_change_within() -> None:
    verdict = mixed(0.6)
    errors, latency = verdict.mix
    assert (errors.measure, latency.measure) == ("errors", "latency")
    assert latency.mix == pytest.approx(0.027, abs=0.003)
    assert latency.within == pytest.approx(0.0, abs=0.0005)
    assert errors.mix == pytest.approx(0.03, abs=0.008)
    for part in verdict.mix:
        assert part.mix + part.within == pytest.approx(part.change)
        assert part.treatment - part.control == pytest.approx(part.change)
    assert "because the new version gets other requests" in latency.sentence
    assert verdict.state is State.UNDECIDED


def test_a_change_within_operations_is_no_mix() -> None:
    (_, latency) = mixed(0.3, slower=1.5).mix
    assert latency.within == pytest.approx(0.0185, abs=0.002)
    assert latency.mix == pytest.approx(0.0, abs=0.003)


def test_too_little_traffic_has_no_mix() -> None:
    assert last_verdict(replace(CALM, seconds=2).batches(1)).mix == ()


def test_a_router_that_sends_far_more_than_it_should_voids_the_comparison_and_says_so() -> None:
    """And although the new version then takes twice as long, it is not called worse."""

    def slow(batch: EvidenceBatch) -> EvidenceBatch:
        is_late = batch.bins_from >= START + 40
        cells = (
            replace(c, buckets={k + 32: n for k, n in c.buckets.items()}) if is_late and c.version == "2" else c
            for c in batch.cells
        )
        return replace(batch, cells=tuple(cells))

    scenario = replace(CALM, rates={"POST /orders": 30.0}, router=lambda t, n, m: routed(t, n, m, 0.1))
    verdict = last_verdict(slow(batch) for batch in scenario.batches(1))
    assert (verdict.state, verdict.reason) == (State.UNDECIDED, Reason.NOT_COMPARABLE)
    assert "the router sent the new version 5" in verdict.sentence
    assert "10% were meant for it" in verdict.sentence
    assert {s.state for s in verdict.signals if s.family == "latency"} == {State.UNDECIDED}
    assert any("not comparable" in line for line in verdict.left_out)


def test_a_router_that_sends_far_less_than_it_should_voids_it_too() -> None:
    scenario = replace(CALM, share=lambda _: 0.05, rates={"POST /orders": 30.0})
    router = replace(scenario, router=lambda t, n, m: routed(t, n, m, 0.5))
    verdict = last_verdict(router.batches(1))
    assert verdict.reason is Reason.NOT_COMPARABLE
    assert "the router sent the old version" in verdict.sentence


def test_what_the_router_saw_fail_counts_although_the_arms_are_not_comparable() -> None:
    scenario = replace(CALM, router=lambda t, n, m: routed(t, n, m, 0.1, failed=m), rates={"POST /orders": 30.0})
    verdict = last_verdict(scenario.batches(1))
    assert verdict.state is State.WORSE
    assert "failed at the router" in verdict.sentence


@pytest.mark.parametrize("declared", [0.5, 0.42, 0.6, 0.9])
def test_a_split_that_is_roughly_right_or_short_of_answers_voids_nothing(declared: float) -> None:
    batches = replace(CALM, rates={"POST /orders": 30.0}).batches(1)
    verdict = last_verdict(replace(b, share=declared if b.bins_from >= START else None) for b in batches)
    assert verdict.reason is not Reason.NOT_COMPARABLE


# --- tolerances, resuming, strange input ---


def test_a_tolerance_of_an_operation_is_the_one_of_its_row() -> None:
    told = (Tolerance(signal="latency_p50", operation="POST *", tolerance=1.4),)
    verdict = last_verdict(replace(CALM, seconds=30).batches(1, JudgeSettings(tolerances=told)))
    assert {s.tolerance for s in verdict.signals if s.signal == "latency_p50"} == {1.4}


@pytest.mark.untraced
def test_resuming_with_every_kind_of_signal_equals_never_having_stopped() -> None:
    rng = np.random.default_rng(5)
    settings = JudgeSettings(kpis=ALL_KINDS)
    batches = looks(everything(batch, rng) for batch in replace(CALM, seconds=50).batches(1, settings))
    uninterrupted = recompute(a_deployment(), batches)
    resumed, _ = refold(a_deployment(), batches[:11])
    assert [resumed.consume(batch) for batch in batches[11:]][-1] == uninterrupted
    assert uninterrupted is not None
    assert {s.family for s in uninterrupted.signals} >= {"kpi", "vitals", "novelty", "errors", "latency"}
