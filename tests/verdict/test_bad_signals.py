"""What cannot be, in KPI values, web vitals, new errors and router counts: a defined answer, and no verdict by it."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from onejob.model.evidence import EvidenceBatch, JudgeSettings, NoveltyCell, ValueCell
from onejob.model.kpi import KpiKind
from onejob.model.verdict import Reason, SignalResult, State, Verdict
from verdict.said import ALL_KINDS, CALM, everything, last_verdict, looks, routed
from verdict.traffic import START

pytestmark = pytest.mark.untraced

Spoil = Callable[[ValueCell], ValueCell]
FURTHER = ("kpi", "vitals", "novelty")


def batches(seconds: int = 60) -> list[EvidenceBatch]:
    """Harmless; every kind of KPI, vitals, and an error that only the new version throws."""
    rng = np.random.default_rng(6)
    made = replace(CALM, seconds=seconds).batches(1, JudgeSettings(kpis=ALL_KINDS))
    return [everything(batch, rng) for batch in made]


def valued(spoil: Spoil, some: list[EvidenceBatch]) -> list[EvidenceBatch]:
    return [replace(batch, values=tuple(map(spoil, batch.values))) for batch in some]


def further(verdict: Verdict) -> list[SignalResult]:
    return [row for row in verdict.signals if row.family in FURTHER]


def is_finite(verdict: Verdict) -> bool:
    numbers = [
        value
        for row in verdict.signals
        for value in (getattr(row, field.name) for field in fields(row))
        if isinstance(value, float)
    ]
    return bool(np.isfinite(numbers).all())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: replace(c, sums=dict.fromkeys(c.sums, float("nan"))),
        lambda c: replace(c, sums=dict.fromkeys(c.sums, float("inf"))),
        lambda c: replace(c, sums={k: -100 * v for k, v in c.sums.items()}, counts=dict.fromkeys(c.counts, 1)),
        lambda c: replace(c, counts={k: -n for k, n in c.counts.items()}),
        lambda c: replace(c, counts={9_999: 3}, sums={9_999: 3.0}),
        lambda c: replace(c, counts={2_000: 1}, sums={2_000: 1e250}),
    ],
    ids=["no number", "infinite", "of another sign", "negative counts", "no such octave", "of another octave"],
)
def test_impossible_values_are_left_out_and_named(spoil: Spoil) -> None:
    """What is left of yes and no are the noes: of nothing, every sum is right."""
    verdict = last_verdict(valued(spoil, batches(30)))
    assert {row.signal for row in verdict.signals if row.family == "kpi"} <= {"k_yes_no"}
    assert verdict.state is State.UNDECIDED
    assert "impossible numbers" in " ".join(verdict.left_out)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: replace(c, counts={}, sums={}),
        lambda c: replace(c, version="3"),
        lambda c: replace(c, kpi="nobody configured it"),
    ],
    ids=["no values", "another version", "another KPI"],
)
def test_values_that_are_nobodys_have_no_row(spoil: Spoil) -> None:
    verdict = last_verdict(valued(spoil, batches(30)))
    assert not [row for row in verdict.signals if row.family == "kpi"]
    assert verdict.state is State.UNDECIDED


def test_counts_without_sums_say_how_many_and_nothing_of_means() -> None:
    verdict = last_verdict(valued(lambda c: replace(c, sums={}), batches(30)))
    kinds = {row.signal for row in verdict.signals if row.family == "kpi"}
    assert kinds == {f"k_{kind.value}" for kind in (KpiKind.YES_NO, KpiKind.THROUGHPUT)}


@pytest.mark.parametrize("gone", ["1", "2"])
def test_what_one_side_alone_shows_is_never_no_worse(gone: str) -> None:
    some = [
        replace(
            batch,
            values=tuple(c for c in batch.values if c.version != gone),
            vitals=tuple(replace(v, cells=tuple(c for c in v.cells if c.version != gone)) for v in batch.vitals),
        )
        for batch in batches()
    ]
    verdict = last_verdict(some)
    assert is_finite(verdict)
    of_values = [row for row in further(verdict) if row.family != "novelty" and row.signal != "k_throughput"]
    assert not [row for row in of_values if row.state in (State.NO_WORSE, State.BETTER, State.WORSE)]


def test_arms_without_requests_have_no_rows_and_no_verdict() -> None:
    verdict = last_verdict(replace(batch, cells=()) for batch in batches(30))
    assert (verdict.state, verdict.reason) == (State.UNDECIDED, Reason.NO_DATA)
    assert is_finite(verdict)


def test_what_comes_twice_counts_once() -> None:
    some = batches()
    twice = [
        replace(
            batch,
            values=batch.values * 2,
            novelties=batch.novelties * 2,
            vitals=tuple(replace(v, cells=v.cells * 2) for v in batch.vitals),
        )
        for batch in some
    ]
    verdict = last_verdict(twice)
    assert verdict.signals == last_verdict(some).signals
    assert "page views and errors came twice" in " ".join(verdict.left_out)


def test_what_comes_late_is_not_judged_again() -> None:
    some = looks(batches())
    late = [
        replace(
            batch,
            values=batch.values + before.values,
            novelties=batch.novelties + before.novelties,
            vitals=batch.vitals + before.vitals,
        )
        for batch, before in zip(some[1:], some[:-1], strict=True)
    ]
    verdict = last_verdict([some[0], *late], bins=1)
    assert verdict.signals == last_verdict(some, bins=1).signals
    assert "judged before" in " ".join(verdict.left_out)


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_jumps_puts_values_into_no_bin(jump: int) -> None:
    verdict = last_verdict(valued(lambda c: replace(c, bin_start=c.bin_start + jump), batches(30)))
    assert not [row for row in verdict.signals if row.family == "kpi"]
    assert "lie in the future" in " ".join(verdict.left_out)


def test_looks_that_overlap_count_each_bin_once() -> None:
    some = looks(batches())
    wide = [replace(batch, bins_from=batch.bins_from - 5) for batch in some]
    assert last_verdict(wide, bins=1).signals == last_verdict(some, bins=1).signals


@pytest.mark.parametrize("version", ["1", "2"])
def test_one_bin_of_millions_is_one_bin(version: str) -> None:
    def grown(cell: ValueCell) -> ValueCell:
        if cell.version != version or not START + 20 <= cell.bin_start < START + 21:
            return cell
        counts, sums = ({k: v * 1_000_000 for k, v in some.items()} for some in (cell.counts, cell.sums))
        return replace(cell, counts=counts, sums=sums)

    verdict = last_verdict(valued(grown, batches()))
    assert is_finite(verdict)
    means = [row for row in verdict.signals if row.signal in ("k_mean", "k_slope", "k_yes_no")]
    assert State.WORSE not in {row.state for row in means}


@pytest.mark.parametrize("size", [1e-300, 1e150, 1e300])
def test_values_near_the_ends_of_all_numbers_are_answered_in_numbers(size: float) -> None:
    def scaled(cell: ValueCell) -> ValueCell:
        exponent = int(np.frexp(size)[1])
        if cell.kpi not in ("k_mean", "k_slope"):
            return cell
        return replace(
            cell,
            counts={k + exponent: n for k, n in cell.counts.items()},
            sums={k + exponent: float(np.ldexp(v, exponent)) for k, v in cell.sums.items()},
        )

    verdict = last_verdict(valued(scaled, batches(50)))
    assert is_finite(verdict)
    assert verdict.state is State.UNDECIDED


@pytest.mark.parametrize("count", [0, -3, 10**9])
def test_occurrences_that_cannot_be_are_bounded_by_requests(count: int) -> None:
    def spoilt(cell: NoveltyCell) -> NoveltyCell:
        return replace(cell, count=count)

    some = [replace(batch, novelties=tuple(map(spoilt, batch.novelties))) for batch in batches(30)]
    verdict = last_verdict(some)
    assert is_finite(verdict)
    assert len([row for row in verdict.signals if row.family == "novelty"]) == (count > 0)


def test_a_router_that_was_reset_voids_nothing() -> None:
    reset = replace(CALM, router=lambda t, n, m: routed(t, -5 * n - 1, 5 * m, 0.1))
    verdict = last_verdict(reset.batches(1))
    assert verdict.reason is not Reason.NOT_COMPARABLE
    assert not [line for line in verdict.left_out if "not comparable" in line]
