"""What the judge says of traffic whose spans are sampled, where the truth of all requests is known."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.model.evidence import Cell, EvidenceBatch, JudgeSettings
from onejob.model.kpi import KpiKind
from onejob.model.verdict import Reason, SignalResult, State, Verdict
from onejob.state.counts import pack_counts, unpack_counts
from onejob.verdict import adjusted
from onejob.verdict.judge import Judge
from onejob.verdict.recompute import recompute
from verdict.said import a_kpi, value_cell
from verdict.traffic import START, Scenario, a_cell, a_deployment, router_counts
from verdict.traffic import looks as merged

Kept = Mapping[str, tuple[float, float]]  # by version: which part of the requests that did well, and of the failed ones
WHOLE: Kept = {"1": (1.0, 1.0), "2": (1.0, 1.0)}
TENTH: Kept = {"1": (0.1, 0.1), "2": (0.1, 0.1)}
FAILURES_KEPT: Kept = {"1": (0.1, 1.0), "2": (0.1, 1.0)}
UNLIKE: Kept = {"1": (0.1, 0.1), "2": (0.1, 1.0)}


def kept_of(rng: np.random.Generator, cell: Cell, well: float, failed: float, *, is_told: bool) -> Cell | None:
    """The cell of the spans that a sampler keeps; durations know nothing of failures here."""
    y, x = int(rng.binomial(cell.count - cell.errors, well)), int(rng.binomial(cell.errors, failed))
    if not x + y:
        return None
    buckets = rng.multivariate_hypergeometric(list(cell.buckets.values()), x + y)
    kept = {index: int(n) for index, n in zip(cell.buckets, buckets, strict=True) if n}
    cell = replace(cell, count=x + y, errors=x, buckets=kept)
    if not is_told or well == failed == 1.0:
        return cell
    sums = {power: (y * well**-power, x * failed**-power) for power in (1, 2)}
    return replace(cell, adjusted=sum(sums[1]), adjusted_errors=sums[1][1], adjusted_sq=sum(sums[2]))


def sampled(scenario: Scenario, kept: Kept, seed: int = 1, *, is_told: bool = True) -> Iterator[EvidenceBatch]:
    rng = np.random.default_rng(seed + 1000)
    for batch in scenario.batches(seed):
        cells = (kept_of(rng, cell, *kept[cell.version], is_told=is_told) for cell in batch.cells)
        yield replace(batch, cells=tuple(cell for cell in cells if cell is not None))


def looks(scenario: Scenario, kept: Kept, seed: int = 1, *, is_told: bool = True, bins: int = 5) -> list[Verdict]:
    """One every `bins` seconds."""
    judge = Judge(a_deployment())
    return [judge.consume(batch) for batch in merged(sampled(scenario, kept, seed, is_told=is_told), bins)]


def row(verdict: Verdict, signal: str, operation: str = "POST /orders") -> SignalResult:
    return next(s for s in verdict.signals if (s.signal, s.operation) == (signal, operation))


def a_fifth_more_fails(rng: np.random.Generator, failed: np.ndarray) -> np.ndarray:
    return failed | (rng.random(len(failed)) < 0.2)


BUSY = {"POST /orders": 300.0}
HALF = Scenario(rates=BUSY, share=lambda _: 0.5, seconds=60, base_errors=0.02)


@pytest.mark.parametrize("kept", [TENTH, FAILURES_KEPT, {"1": (0.5, 0.5), "2": (0.05, 0.05)}])
def test_rates_and_numbers_of_requests_are_those_of_all_requests(kept: Kept) -> None:
    verdict = looks(replace(HALF, failing=a_fifth_more_fails), kept)[-1]

    errors = row(verdict, "errors")
    assert errors.control == pytest.approx(0.02, rel=0.7)
    assert errors.treatment == pytest.approx(0.216, rel=0.25)
    assert errors.treatment_requests == pytest.approx(9000, rel=0.12)
    assert errors.low is not None
    assert errors.low < 0.196 < (errors.high or 1.0)
    assert verdict.treatment is not None
    assert verdict.treatment.requests == pytest.approx(9000, rel=0.12)
    assert row(verdict, "latency_p50").treatment_requests == pytest.approx(9000, rel=0.12)


@pytest.mark.untraced
def test_what_is_worse_is_found_in_a_tenth_of_the_spans_later_than_in_all_of_them() -> None:
    """Evidence is of spans: it grows with them."""
    hurt = replace(HALF, failing=a_fifth_more_fails)
    whole, half, tenth = (
        [v.state for v in looks(hurt, {"1": (s, s), "2": (s, s)}, bins=1)].index(State.WORSE) for s in (1.0, 0.5, 0.1)
    )
    assert whole <= half < tenth


@pytest.mark.parametrize("kept", [{"1": (0.5, 0.5), "2": (0.1, 0.1)}, FAILURES_KEPT])
def test_what_is_worse_is_found_where_arms_are_sampled_at_other_rates_or_by_outcome_alike(kept: Kept) -> None:
    verdict = looks(replace(HALF, failing=a_fifth_more_fails), kept)[-1]

    assert verdict.state is State.WORSE
    assert row(verdict, "errors").state is State.WORSE


@pytest.mark.slow
@pytest.mark.parametrize(
    "kept",
    [
        {"1": (1.0, 1.0), "2": (0.1, 0.1)},
        {"1": (0.1, 0.1), "2": (0.5, 0.5)},
        TENTH,
        FAILURES_KEPT,
        {"1": (0.5, 1.0), "2": (0.05, 0.1)},
        UNLIKE,
        {"1": (0.1, 1.0), "2": (0.1, 0.1)},
        {"1": (1.0, 1.0), "2": (0.1, 1.0)},
    ],
)
def test_identical_versions_are_never_called_worse_or_better_however_they_are_sampled(kept: Kept) -> None:
    """1 % of them may be; of sixteen looks at each of two, at 2 % and at 20 % errors, none is.

    A verdict once given stays, and a sampler that is wrongly undone moves it for good: looks between would see no more.
    """
    for seed, base_errors in enumerate((0.02, 0.2)):
        harmless = replace(HALF, base_errors=base_errors, declared_share=True)
        assert {v.state for v in looks(harmless, kept, seed)} <= {State.UNDECIDED, State.NO_WORSE}


def test_a_version_that_is_sampled_at_a_tenth_does_not_miss_answers() -> None:
    verdict = looks(replace(HALF, declared_share=True), {"1": (1.0, 1.0), "2": (0.1, 0.1)})[-1]

    missing = row(verdict, "shortfall", "*")
    assert missing.state is not State.WORSE
    assert missing.effect == pytest.approx(0.0, abs=0.15)
    assert missing.low is not None
    assert missing.low < 0.0 < (missing.high or 1.0)
    assert verdict.reason is not Reason.NOT_COMPARABLE


def test_a_version_that_is_sampled_at_a_tenth_and_misses_most_answers_is_worse() -> None:
    """It answers a tenth of what it should, and a tenth of that is kept."""
    hanging = Judge(a_deployment())
    for batch in merged(sampled(replace(HALF, seconds=90, declared_share=True), {"1": (1.0, 1.0), "2": (0.01, 0.01)})):
        cells = [
            c if c.adjusted is None else replace(c, adjusted=c.count * 10.0, adjusted_sq=c.count * 100.0, errors=0,
                                                 adjusted_errors=0.0)
            for c in batch.cells
        ]  # fmt: skip
        found = hanging.consume(replace(batch, cells=tuple(cells)))

    assert row(found, "shortfall", "*").state is State.WORSE


def test_arms_that_sample_unlike_by_outcome_are_not_compared_and_it_is_said_which() -> None:
    verdict = looks(HALF, UNLIKE)[-1]

    assert (verdict.state, verdict.reason) == (State.UNDECIDED, Reason.NOT_COMPARABLE)
    said = " ".join(verdict.left_out)
    assert "the new version's sampler keeps failed requests 10 times as often as others" in said
    assert "the old version's as often as others" in said
    assert "Let both versions use one sampler" in said
    assert "not comparable" in verdict.sentence
    assert "router" not in verdict.sentence


def test_until_the_other_sampler_has_shown_how_it_treats_failures_errors_are_not_judged() -> None:
    """A tenth of one in five hundred: the old version shows no failure for long, the new one each of its own."""
    found = looks(replace(HALF, base_errors=0.002, baseline_s=2), UNLIKE)

    assert not any(v.state in (State.WORSE, State.BETTER) for v in found)
    assert any("are judged by their size alone yet" in line for v in found for line in v.left_out)


def test_a_version_that_breaks_is_worse_though_the_old_one_fails_too_seldom_to_show_its_sampling() -> None:
    broken = replace(HALF, base_errors=0.0, failing=lambda rng, failed: failed | (rng.random(len(failed)) < 0.5))

    assert looks(broken, FAILURES_KEPT)[-1].state is State.WORSE


def test_a_version_that_fails_altogether_is_worse_though_none_of_its_successes_shows_its_sampling() -> None:
    down = replace(HALF, failing=lambda _, failed: np.ones_like(failed))

    assert looks(down, FAILURES_KEPT)[-1].state is State.WORSE


def test_sampling_by_outcome_alike_in_both_is_said() -> None:
    verdict = looks(HALF, FAILURES_KEPT)[-1]

    assert verdict.reason is not Reason.NOT_COMPARABLE
    said = " ".join(verdict.left_out)
    assert "failed requests are kept 10 times as often as others" in said
    assert "durations are those of the spans that were kept" in said


@pytest.mark.untraced
def test_sampling_is_said_in_spans_and_requests_and_whole_traffic_says_nothing_of_it() -> None:
    assert any(line.startswith("Spans are sampled: ") for line in looks(HALF, TENTH)[-1].left_out)
    assert not any("ampl" in line for line in looks(HALF, WHOLE)[-1].left_out)


def test_operations_that_are_sampled_at_rates_of_their_own_are_no_sampling_by_outcome() -> None:
    """Failures are of the one that is kept whole; all together they would look preferred."""
    judge = Judge(a_deployment())
    rng = np.random.default_rng(4)
    scenario = replace(HALF, rates={"POST /orders": 200.0, "GET /cart": 200.0}, base_errors=0.0)
    for batch in merged(replace(scenario, failing=a_fifth_more_fails).batches(4)):
        rates = {"POST /orders": 1.0, "GET /cart": 0.05}
        cells = (kept_of(rng, c, rates[c.operation], rates[c.operation], is_told=True) for c in batch.cells)
        verdict = judge.consume(replace(batch, cells=tuple(c for c in cells if c is not None)))

    assert verdict.state is State.WORSE
    assert not any("by outcome" in line for line in verdict.left_out)


def test_rates_that_move_with_time_are_no_sampling_by_outcome() -> None:
    """A sampler that keeps a number a second keeps less of a busy moment, in which more fails for everybody."""
    judge = Judge(a_deployment())
    rng = np.random.default_rng(5)
    for batch in replace(HALF, base_errors=0.0).batches(5):
        is_busy = batch.seq % 10 == 0
        rate = 0.05 if is_busy else 0.5
        cells = [replace(c, errors=int(rng.binomial(c.count, 0.3 if is_busy else 0.01))) for c in batch.cells]
        kept = (kept_of(rng, c, rate, rate, is_told=True) for c in cells)
        verdict = judge.consume(replace(batch, cells=tuple(c for c in kept if c is not None)))

    assert verdict.reason is not Reason.NOT_COMPARABLE
    assert not any("by outcome" in line for line in verdict.left_out)


def test_callers_that_sample_at_rates_of_their_own_are_no_sampling_by_outcome() -> None:
    """Spans of one cell count unlike: some failures more than other requests, by chance."""
    verdict = of_two_callers(replace(HALF, base_errors=0.03), 6)

    assert verdict.reason is not Reason.NOT_COMPARABLE
    assert not any("by outcome" in line for line in verdict.left_out)


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(2))
def test_nor_are_they_where_bins_have_a_request_or_two(seed: int) -> None:
    """Spans of one outcome count alike there, for they are so few: what differs is chance."""
    verdict = of_two_callers(replace(HALF, rates={"POST /orders": 20.0}, base_errors=0.3, seconds=200), seed)

    assert verdict.reason is not Reason.NOT_COMPARABLE


@pytest.mark.untraced
def test_a_version_that_breaks_for_one_caller_is_no_other_sampler() -> None:
    """Its failures count more than its other requests, as that caller is sampled less; the old version's do not."""
    verdict = of_two_callers(replace(HALF, base_errors=0.03, seconds=90), 7, breaks_for_few=0.4)

    assert verdict.reason is not Reason.NOT_COMPARABLE
    assert row(verdict, "errors").treatment == pytest.approx(0.03 + 0.97 * 0.2, rel=0.35)


def of_two_callers(scenario: Scenario, seed: int, breaks_for_few: float = 0.0) -> Verdict:
    """Half of the requests come from a caller that keeps one in fifty; the new version may break for that one."""
    judge = Judge(a_deployment())
    rng = np.random.default_rng(seed)
    for batch in merged(scenario.batches(seed)):
        cells = (_of_two(rng, c, breaks_for_few if c.version == "2" else 0.0) for c in batch.cells)
        verdict = judge.consume(replace(batch, cells=tuple(c for c in cells if c is not None)))
    return verdict


def _of_two(rng: np.random.Generator, cell: Cell, more: float) -> Cell | None:
    few_failed, few_well = int(rng.binomial(cell.errors, 0.5)), int(rng.binomial(cell.count - cell.errors, 0.5))
    few = replace(cell, count=few_failed + few_well, errors=few_failed + int(rng.binomial(few_well, more)))
    rest = replace(cell, count=cell.count - few.count, errors=cell.errors - few_failed)
    parts = [_kept_counts(rng, few, 0.02), _kept_counts(rng, rest, 0.5)]
    n, x, a, b, squares = (sum(values) for values in zip(*parts, strict=True))
    if not n:
        return None
    weights = {"adjusted": a, "adjusted_errors": b, "adjusted_sq": squares}
    return replace(cell, count=int(n), errors=int(x), buckets={}, zeros=int(n), **weights)


def _kept_counts(rng: np.random.Generator, cell: Cell, rate: float) -> tuple[float, ...]:
    y, x = int(rng.binomial(cell.count - cell.errors, rate)), int(rng.binomial(cell.errors, rate))
    return x + y, x, (x + y) / rate, x / rate, (x + y) / rate**2


def test_marks_of_a_tail_sampler_make_rates_no_rates() -> None:
    judge = Judge(a_deployment())
    for batch in merged(sampled(HALF, FAILURES_KEPT, is_told=False)):
        verdict = judge.consume(replace(batch, cells=tuple(replace(c, tail_sampled=c.count) for c in batch.cells)))

    assert (verdict.state, verdict.reason) == (State.UNDECIDED, Reason.NOT_COMPARABLE)
    assert "spans are chosen by outcome: a tail sampler kept 100% of them" in verdict.sentence
    errors = row(verdict, "errors")
    assert (errors.control, errors.treatment, errors.effect, errors.low, errors.high) == (None,) * 5
    assert verdict.mix == ()


def test_a_tail_sampler_that_says_how_often_each_span_counts_is_undone() -> None:
    judge = Judge(a_deployment())
    for batch in merged(sampled(replace(HALF, failing=a_fifth_more_fails), FAILURES_KEPT)):
        verdict = judge.consume(replace(batch, cells=tuple(replace(c, tail_sampled=c.count) for c in batch.cells)))

    assert verdict.state is State.WORSE
    assert row(verdict, "errors").treatment == pytest.approx(0.216, rel=0.25)


def of_router(requests: int, failed: tuple[int, int]) -> Scenario:
    """Of each arm the router counts so many requests a second, and failed ones of (control, treatment); 5 % fail."""

    def counted(t: int, *_: int) -> tuple[object, ...]:
        samples = router_counts(t, (requests, failed[0]), (requests, failed[1]))
        return tuple(replace(sample, resets=0) for sample in samples)

    return replace(HALF, router=counted, seconds=120, base_errors=0.05)  # type: ignore[arg-type]


@pytest.mark.untraced
def test_a_router_that_counts_far_more_requests_and_fewer_failures_gives_a_tail_sampler_away() -> None:
    found = looks(of_router(150, (7, 7)), FAILURES_KEPT, is_told=False)[-1]

    (said,) = (line for line in found.left_out if "chosen by outcome" in line)
    assert said.startswith("Spans show 1")
    assert "or what has no spans fails less" in said


@pytest.mark.untraced
def test_requests_without_spans_that_never_fail_do_not_void_a_comparison() -> None:
    """A router counts images too: that looks as if a sampler had kept failures, and proves nothing."""
    many = of_router(1500, (7, 7))

    found = looks(replace(many, failing=a_fifth_more_fails), WHOLE)

    assert any("chosen by outcome" in line for line in found[-1].left_out)
    assert found[-1].state is State.WORSE


@pytest.mark.untraced
@pytest.mark.parametrize(("kept", "failed"), [(TENTH, 7), (WHOLE, 0)])
def test_a_router_beside_spans_that_are_whole_or_sampled_blindly_gives_nothing_away(kept: Kept, failed: int) -> None:
    """Blindly, and without a weight that says so; or whole, of failures that the router does not call such."""
    found = looks(of_router(150, (failed, failed)), kept, is_told=False)[-1]

    assert not any("chosen by outcome" in line for line in found.left_out)


@pytest.mark.untraced
def test_what_the_router_saw_holds_where_spans_are_chosen_by_outcome() -> None:
    twice = replace(of_router(150, (7, 15)), failing=lambda rng, failed: failed | (rng.random(len(failed)) < 0.05))
    judge = Judge(a_deployment())

    for batch in merged(sampled(twice, FAILURES_KEPT, is_told=False)):
        found = judge.consume(replace(batch, cells=tuple(replace(c, tail_sampled=c.count) for c in batch.cells)))

    assert any("chosen by outcome" in line for line in found.left_out)
    assert row(found, "errors").state is State.UNDECIDED
    assert found.state is State.WORSE
    assert row(found, "errors", "*").state is State.WORSE


@pytest.mark.untraced
def test_a_verdict_of_sampled_spans_is_recomputed_from_its_stored_counts() -> None:
    batches = merged(sampled(replace(HALF, failing=a_fifth_more_fails, declared_share=True), FAILURES_KEPT))
    judge = Judge(a_deployment())
    found = [judge.consume(batch) for batch in batches][-1]

    stored = [replace(batch, **unpack_counts(pack_counts(batch))) for batch in batches]

    assert stored == batches
    assert recompute(a_deployment(), stored) == found


def test_a_consumer_that_is_sampled_at_a_tenth_does_as_much_as_the_others() -> None:
    kpi = a_kpi(name="jobs", kind=KpiKind.THROUGHPUT, unit="jobs", per_instance=True, guardrail=True)
    judge, rng = Judge(a_deployment()), np.random.default_rng(8)
    first = next(HALF.batches(1, JudgeSettings(kpis=(kpi,)))).settings
    for batch in sampled(HALF, {"1": (1.0, 1.0), "2": (0.1, 0.1)}):
        done = {"1": 20.0, "2": 2.0 * (batch.bins_from >= START)}
        values = (
            value_cell("jobs", version, f"{name}-0", batch.bins_from, np.ones(rng.poisson(n)))
            for (version, n), name in zip(done.items(), "ab", strict=True)
        )
        told = replace(batch, values=tuple(v for v in values if v.counts), settings=None if batch.seq else first)
        verdict = judge.consume(told)

    jobs = row(verdict, "jobs", "*")
    assert jobs.state is not State.WORSE
    assert jobs.treatment == pytest.approx(20.0, rel=0.25)


@pytest.mark.untraced
def test_spans_that_stand_for_themselves_change_nothing() -> None:
    silent, telling = Judge(a_deployment()), Judge(a_deployment())
    for batch in merged(replace(HALF, failing=a_fifth_more_fails, declared_share=True).batches(2)):
        cells = (
            replace(c, adjusted=float(c.count), adjusted_errors=float(c.errors), adjusted_sq=float(c.count))
            for c in batch.cells
        )
        assert telling.consume(replace(batch, cells=tuple(cells))) == silent.consume(batch)


def test_impossible_weights_are_left_out_and_said() -> None:
    judge = Judge(a_deployment())
    wrong = (math.nan, math.inf, -5.0, 0.5)
    for batch in HALF.batches(1):
        cells = [
            replace(c, adjusted=wrong[batch.seq % 4], adjusted_errors=0.0, adjusted_sq=1.0, tail_sampled=-1)
            for c in batch.cells
        ]
        verdict = judge.consume(replace(batch, cells=tuple(cells)))

    assert any("impossible numbers" in line for line in verdict.left_out)
    assert row(verdict, "errors").treatment_requests == pytest.approx(9000, rel=0.1)


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)), min_size=2, max_size=2),
    st.lists(st.floats(1e-4, 1.0), min_size=2, max_size=2),
)
@settings(max_examples=200, deadline=None)
def test_sampling_alike_by_outcome_moves_no_odds_ratio_and_is_undone_in_rates(
    arms: list[tuple[int, int]], rates: list[float]
) -> None:
    """Of numbers as large as they come: what is kept is what is expected to be."""
    well, failed = rates
    n, x = (np.array(values, dtype=float) for values in zip(*((a + b, b) for a, b in arms), strict=True))
    spans, hits = (n - x) * well + x * failed, x * failed
    squares = (n - x) / well + x / failed

    undone = adjusted.sampled(spans, hits, np.array([n, x, squares]))  # type: ignore[arg-type]

    if undone is None:
        assert np.allclose(spans, n)
        return
    assert undone.rates == pytest.approx(tuple(x / n))
    mapped = undone.undone(hits / spans, is_low=True), undone.undone(hits / spans, is_low=False)
    shows = x > 0
    assert mapped[0][shows] == pytest.approx((x / n)[shows], rel=1e-6)
    assert mapped[1][shows] == pytest.approx((x / n)[shows], rel=1e-6)
    assert (mapped[0] <= mapped[1] + 1e-12).all()
    if shows.all():
        of_spans, of_requests = ((h / (m - h)) for h, m in ((hits, spans), (x, n)))
        assert of_spans[1] / of_spans[0] == pytest.approx(of_requests[1] / of_requests[0])


@given(st.integers(1, 60), st.data())
@settings(max_examples=50, deadline=None)
def test_counts_of_a_sampled_cell_are_stored_as_they_are(n: int, data: st.DataObject) -> None:
    cell = a_cell(np.full(n, 0.1), np.zeros(n))
    if data.draw(st.booleans()):
        finite = st.floats(1.0, 2.0**56)
        cell = replace(
            cell, adjusted=data.draw(finite), adjusted_errors=data.draw(finite), adjusted_sq=data.draw(finite),
            tail_sampled=data.draw(st.integers(0, n)),
        )  # fmt: skip
    (batch, *_) = Scenario(seconds=0, baseline_s=1).batches(1)

    assert unpack_counts(pack_counts(replace(batch, cells=(cell,))))["cells"] == (cell,)
