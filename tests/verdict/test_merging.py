"""Runs of bins that sizes are estimated from: as long as they may be, and never across a change of the split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.verdict.merging import Runs


def bins(shares: list[float], per_bin: int = 400, operations: int = 1) -> np.ndarray:
    """Requests (arm, operation, bin), without any noise of their own."""
    treated = np.array([round(per_bin * share) for share in shares])
    one = np.stack([per_bin - treated, treated])
    return np.repeat(one[:, None, :], operations, axis=1).astype(np.int64)


def cut_up(requests: np.ndarray, pieces: list[int] | None = None) -> list[tuple[int, int]]:
    """The runs as (first, last) bins; the bins come in pieces of the given sizes, the last one being the rest."""
    runs = Runs()
    runs.grow(requests.shape[1])
    found, start, at = [], 0, 0
    edges = [*np.cumsum(pieces or []).tolist(), requests.shape[2]]
    for edge in edges:
        while at < edge:
            cut = runs.gather(requests[:, :, at:edge])
            if cut is None:
                break
            at += cut.at
            runs.close(is_break=cut.is_break)
            if at > start:
                found.append((start, at))
            start = at
        at = edge
    return [*found, (start, requests.shape[2])] if start < requests.shape[2] else found


@pytest.mark.parametrize("moves", [(0.1, 0.5), (0.5, 0.9), (0.9, 0.1)])
def test_bins_of_different_share_are_never_merged(moves: tuple[float, float]) -> None:
    requests = bins([moves[0]] * 60 + [moves[1]] * 60)
    assert not [run for run in cut_up(requests) if run[0] < 60 < run[1]]


def test_a_move_that_one_bin_cannot_tell_from_chance_ends_the_run_a_few_bins_later() -> None:
    """From 10 to 15 % of 400 requests is 3.3 standard deviations of a bin."""
    across = [run for run in cut_up(bins([0.10] * 60 + [0.15] * 60)) if run[0] < 60 < run[1]]
    assert all(run[1] <= 64 for run in across)


def test_one_operation_whose_share_moves_ends_the_run_of_all() -> None:
    steady, moving = bins([0.2] * 120), bins([0.2] * 60 + [0.6] * 60)
    together = np.concatenate([steady, moving, steady], axis=1)
    assert not [run for run in cut_up(together) if run[0] < 60 < run[1]]


def test_a_day_of_one_share_is_about_a_hundred_runs() -> None:
    assert 60 < len(cut_up(bins([0.2] * 8_640))) < 130


def test_an_operation_that_comes_late_does_not_wait_for_the_old_ones() -> None:
    old, late = bins([0.2] * 2_000), bins([0.2] * 2_000)
    late[:, :, :1_500] = 0
    runs = cut_up(np.concatenate([old, late], axis=1))
    assert len([run for run in runs if 1_500 < run[1] <= 1_560]) >= 5


def test_random_traffic_of_one_share_is_rarely_cut_before_its_time() -> None:
    rng = np.random.default_rng(1)
    requests = np.stack([rng.poisson(16, (51, 2_000)), rng.poisson(4, (51, 2_000))])
    assert len(cut_up(requests)) < 100


@given(st.lists(st.integers(1, 40), max_size=8), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_runs_do_not_depend_on_how_bins_come_in(pieces: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    share = np.where(np.arange(400) < 200, 0.1, 0.5)
    treated = rng.binomial(50, share)
    requests = np.stack([50 - treated, treated])[:, None, :]
    assert cut_up(requests, pieces) == cut_up(requests)


def test_nothing_at_all_is_no_run() -> None:
    runs = Runs()
    runs.grow(2)
    assert runs.gather(np.zeros((2, 2, 5), dtype=np.int64)) is None
