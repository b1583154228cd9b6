"""What cannot be, or should not be: a defined answer to each, never an exception, never a silent `no_worse`."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest

from onejob.model.evidence import Cell, EvidenceBatch, JudgeSettings
from onejob.model.verdict import Reason, State, Verdict
from onejob.verdict.judge import Judge
from verdict.traffic import START, Scenario, a_deployment, router_counts

Spoil = Callable[[Cell], Cell | None]
EASY = JudgeSettings(tolerance_errors=0.5, tolerance_p50=4.0, tolerance_tail=8.0)  # any harmless canary is no worse


def batches(seconds: int = 40, settings: JudgeSettings | None = None, **scenario: object) -> list[EvidenceBatch]:
    rates = {"POST /orders": 60.0}
    made = Scenario(rates=rates, seconds=seconds, share=lambda _: 0.4, **scenario)  # type: ignore[arg-type]
    return list(made.batches(1, settings))


def judged(some: Iterable[EvidenceBatch]) -> Verdict:
    judge = Judge(a_deployment())
    return [judge.consume(batch) for batch in some][-1]


def spoiled(some: Iterable[EvidenceBatch], spoil: Spoil) -> list[EvidenceBatch]:
    return [replace(b, cells=tuple(c for c in map(spoil, b.cells) if c is not None)) for b in some]


def both_served(verdict: Verdict) -> int:
    return sum(s.treatment_requests for s in verdict.signals if s.signal == "errors")


def without_document(verdict: Verdict) -> tuple[object, ...]:
    return verdict.state, verdict.log_evidence, verdict.signals


def test_the_yardstick_is_no_worse_when_nothing_is_wrong_with_the_input() -> None:
    assert judged(batches(settings=EASY)).state is State.NO_WORSE


def test_no_traffic_at_all_is_no_data() -> None:
    verdict = judged(spoiled(batches(settings=EASY), lambda _: None))
    assert (verdict.state, verdict.reason, verdict.signals) == (State.UNDECIDED, Reason.NO_DATA, ())


@pytest.mark.parametrize(("gone", "reason"), [("1", Reason.NO_CONTROL), ("2", Reason.NO_DATA)])
def test_traffic_of_one_side_is_never_no_worse(gone: str, reason: Reason) -> None:
    verdict = judged(spoiled(batches(settings=EASY), lambda c: None if c.version == gone else c))
    assert (verdict.state, verdict.reason) == (State.UNDECIDED, reason)


def test_when_everything_fails_on_both_sides_nobody_is_blamed() -> None:
    verdict = judged(spoiled(batches(), lambda c: replace(c, errors=c.count)))
    assert verdict.state is State.UNDECIDED
    assert {s.effect for s in verdict.signals if s.signal == "errors"} == {0.0}


def test_no_error_at_all_is_undecided_until_enough_requests_have_come() -> None:
    verdict = judged(spoiled(batches(), lambda c: replace(c, errors=0)))
    assert verdict.state is State.UNDECIDED
    lacking = [s.missing for s in verdict.signals if s.signal == "errors"]
    assert all(m is not None and m.requests is not None and m.requests > 1_000 for m in lacking)


def test_one_bin_of_ten_million_requests_is_one_bin() -> None:
    def grown(cell: Cell) -> Cell:
        if cell.bin_start != START + 20:
            return cell
        factor = 1_000_000
        buckets = {index: count * factor for index, count in cell.buckets.items()}
        return replace(cell, count=cell.count * factor, errors=cell.errors * factor, buckets=buckets)

    verdict = judged(spoiled(batches(), grown))
    assert np.isfinite(verdict.log_evidence)
    assert all(np.isfinite([s.log_evidence, s.log_evidence_better]).all() for s in verdict.signals)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: replace(c, sum_s=float("nan"), sum_sq_s2=float("inf")),
        lambda c: replace(c, sum_s=-3.0),
        lambda c: replace(c, zeros=-2),
        lambda c: replace(c, buckets={**c.buckets, 7: -5}),
        lambda c: replace(c, errors=-1),
        lambda c: replace(c, errors=c.count + 9),
    ],
    ids=[
        "no number",
        "negative sum",
        "negative zeros",
        "negative bucket",
        "negative errors",
        "more errors than requests",
    ],
)
def test_impossible_numbers_are_corrected_and_named(spoil: Spoil) -> None:
    verdict = judged(spoiled(batches(), spoil))
    assert verdict.state is State.UNDECIDED
    assert "impossible numbers" in " ".join(verdict.left_out)


def test_a_negative_number_of_requests_is_no_requests() -> None:
    verdict = judged(spoiled(batches(settings=EASY), lambda c: replace(c, count=-c.count)))
    assert (verdict.state, verdict.reason) == (State.UNDECIDED, Reason.NO_DATA)
    assert "impossible numbers" in " ".join(verdict.left_out)


def test_durations_out_of_every_range_are_counted_at_the_ends() -> None:
    verdict = judged(spoiled(batches(), lambda c: replace(c, buckets={-(10**6): 1, 10**6: c.count - 1})))
    assert verdict.state is State.UNDECIDED


def test_a_routers_counter_that_was_reset_says_nothing() -> None:
    reset = batches(router=lambda t, *_: router_counts(t, (-50, -3), (-40, -2)))
    verdict = judged(reset)
    assert verdict.state is State.UNDECIDED
    assert not [s for s in verdict.signals if s.operation == "*"]


def test_bins_that_are_missing_are_no_bins_without_requests() -> None:
    some = batches(settings=EASY)
    verdict = judged(spoiled(some, lambda c: None if START + 10 <= c.bin_start < START + 25 else c))
    assert 0 < both_served(verdict) < both_served(judged(some))


def test_a_cell_that_comes_twice_counts_once() -> None:
    some = batches()
    twice = judged([replace(b, cells=b.cells + b.cells) for b in some])
    assert without_document(twice) == without_document(judged(some))
    assert "came twice" in " ".join(twice.left_out)


@pytest.mark.untraced
def test_a_bin_that_was_judged_is_not_judged_again() -> None:
    """Late spans, a second reading of the same bins, and a clock set back all look like this."""
    some = batches()
    late = [replace(b, cells=b.cells + before.cells) for b, before in zip(some[1:], some[:-1], strict=True)]
    verdict = judged([some[0], *late])
    assert without_document(verdict) == without_document(judged(some))
    assert "judged before" in " ".join(verdict.left_out)


@pytest.mark.untraced
def test_batches_that_overlap_count_each_bin_once() -> None:
    some = batches()
    wide = [replace(b, bins_from=b.bins_from - 5, cells=b.cells) for b in some]
    assert judged(wide).log_evidence == pytest.approx(judged(some).log_evidence)


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_jumps_puts_its_requests_into_no_bin(jump: int) -> None:
    def jumped(cell: Cell) -> Cell:
        return replace(cell, bin_start=cell.bin_start + jump) if cell.bin_start >= START + 20 else cell

    verdict = judged(spoiled(batches(settings=EASY), jumped))
    assert "lie in the future" in " ".join(verdict.left_out)
    assert both_served(verdict) < both_served(judged(batches()))


@pytest.mark.untraced
def test_a_control_that_dies_halfway_freezes_what_is_known_and_forecasts_nothing() -> None:
    died = START + 30
    some = spoiled(batches(200), lambda c: None if c.version == "1" and c.bin_start >= died else c)
    verdict = judged(some)
    until_then = judged(some[: 20 + 30])
    assert verdict.state is State.UNDECIDED
    assert verdict.log_evidence == until_then.log_evidence
    assert "old version has not answered since" in " ".join(verdict.left_out)
    assert all(s.missing is not None and s.missing.seconds_p50 is None for s in verdict.signals)


@pytest.mark.untraced
def test_a_control_that_dies_before_enough_has_come_never_becomes_no_worse() -> None:
    some = batches(200, JudgeSettings(tolerance_errors=0.01, tolerance_p50=1.4, tolerance_tail=2.0))
    assert judged(spoiled(some, lambda c: None if c.version == "1" and c.bin_start >= START + 5 else c)).state is (
        State.UNDECIDED
    )


def test_versions_that_alternate_are_never_side_by_side() -> None:
    def in_turn(cell: Cell) -> Cell | None:
        is_treatments_turn = cell.bin_start % 2 == 1
        return cell if (cell.version == "2") == is_treatments_turn else None

    verdict = judged(spoiled(batches(settings=EASY), in_turn))
    assert (verdict.state, verdict.reason) == (State.UNDECIDED, Reason.NO_CONTROL)


def test_a_batch_of_no_bins_at_all_changes_nothing() -> None:
    some = batches()
    last = some[-1]
    nothing = replace(last, seq=last.seq + 1, bins_from=last.bins_to, bins_to=last.bins_to, cells=())
    backwards = replace(nothing, seq=nothing.seq + 1, bins_to=last.bins_from)
    verdict = judged([*some, nothing, backwards])
    assert verdict.log_evidence == judged(some).log_evidence
