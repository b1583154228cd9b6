"""Better at less load is not better; worse is worse at any load."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.model.verdict import State
from onejob.verdict.counts import Counts
from onejob.verdict.load import Load
from verdict.traffic import Outcome, Scenario, judged, router_counts

SAID = "had less load than the old one's"


def times(factor: float) -> Outcome:
    return lambda _, seconds: seconds * factor


def canary(share: Callable[[int], float], slower: Outcome, **more: object) -> Scenario:
    return Scenario(rates={"POST /orders": 60.0}, share=share, slower=slower, **more)  # type: ignore[arg-type]


def test_a_canary_that_is_faster_with_a_tenth_of_the_load_is_not_better() -> None:
    verdict = judged(canary(lambda _: 0.1, times(0.4)))
    assert verdict.state is State.UNDECIDED
    assert any(SAID in line for line in verdict.left_out)


@pytest.mark.untraced
@pytest.mark.parametrize(("share", "control"), [(0.5, 1), (0.1, 9)])
def test_one_that_is_faster_with_the_same_load_per_instance_is_better(share: float, control: int) -> None:
    verdict = judged(canary(lambda _: share, times(0.4), control_instances=control))
    assert verdict.state is State.BETTER


def test_it_becomes_better_once_the_load_is_alike() -> None:
    verdict = judged(canary(lambda t: 0.1 if t < 40 else 0.5, times(0.4)))
    assert verdict.state is State.BETTER
    assert any(SAID in line for line in verdict.left_out)


def test_one_that_is_slower_is_worse_though_it_has_less_load() -> None:
    assert judged(canary(lambda _: 0.1, times(2.5))).state is State.WORSE


@pytest.mark.untraced
def test_fewer_failures_at_the_router_are_better_only_with_the_same_load() -> None:
    def at(share: float) -> State:
        control, treatment = round(600 * (1 - share)), round(600 * share)
        failing: Outcome = lambda _, failed: np.zeros_like(failed)  # noqa: E731
        router = lambda t, *_: router_counts(t, (control, control // 5), (treatment, 0))  # noqa: E731
        return judged(Scenario(share=lambda _: share, seconds=40, failing=failing, router=router)).state

    assert (at(0.1), at(0.5)) == (State.UNDECIDED, State.BETTER)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30), st.integers(1, 29))
def test_bins_that_come_together_are_told_apart_like_bins_that_come_one_by_one(
    requests: list[tuple[int, int]], first: int
) -> None:
    rows = two_arms(requests)
    whole, parts = Load(), Load()
    cut = min(first, rows.bins)
    pieces = [piece for piece in (rows.select(0, cut), rows.select(cut, rows.bins)) if piece.bins]
    assert whole.consume(rows).tolist() == [x for piece in pieces for x in parts.consume(piece).tolist()]
    assert whole.not_alike == parts.not_alike


def two_arms(requests: list[tuple[int, int]]) -> Counts:
    n = np.array(requests, dtype=np.int64).reshape(-1)
    nothing = np.zeros_like(n)
    arm, bins = np.arange(len(n)) % 2, np.arange(len(n)) // 2
    none = np.zeros(0, dtype=np.int64)
    return Counts(arm, nothing, bins, arm.copy(), n, nothing, nothing, none, none, none, bins=len(requests))
