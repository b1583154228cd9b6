"""The benchmark's short cuts change nothing: a traced day is the judge's day, and traffic is what it says."""

from dataclasses import replace

import numpy as np
import pytest
from bench.verdict import ours
from bench.verdict.scenarios import harmless
from bench.verdict.traffic import Bursts, Traffic, Wander, day

from onejob.model.verdict import State

HARM = Traffic(name="harm", bins=25, slower=1.4, failing=4.0, errors=0.02, warmed=True)


@pytest.mark.parametrize(
    ("traffic", "near"),
    [
        (HARM, 1e-9),
        (replace(HARM, operations=3, rate_per_s=3.0), 1e-9),
        (replace(HARM, pods=(4, 2)), 0.3),  # theta_0 is rounded down, which adds evidence; phi lags by a twentieth
    ],
)
def test_the_traced_evidence_is_the_judges_own_at_every_look(traffic: Traffic, near: float) -> None:
    drawn = day(traffic, 1)
    traced = ours.trace(drawn)[drawn.start :]
    judge = ours.CountsJudge(drawn)
    judge.skip(drawn.start)
    live = np.array([judge.look(at + 1).log_evidence for at in range(drawn.start, drawn.counts.bins)])
    assert live.max() > 5
    size = np.maximum(1, np.abs(live))
    assert np.all(traced >= live - np.minimum(near, 0.05) * size)
    assert np.all(traced <= live + near * size)


def test_a_regression_is_found_at_the_look_at_which_the_judge_says_so() -> None:
    drawn = day(HARM, 2)
    found = ours.first_worse(drawn)
    judge = ours.CountsJudge(drawn, intervals=True)
    judge.skip(drawn.start)
    states = [judge.look(at + 1).state for at in range(drawn.start, drawn.start + 15)]
    assert found == states.index(State.WORSE) + 1
    assert ours.first_worse(day(replace(HARM, slower=1.0, failing=1.0), 2)) is None


def test_a_judge_without_defences_has_more_evidence() -> None:
    drawn = day(replace(HARM, slower=1.3, failing=1.0), 3)
    bare, alone, full = (ours.trace(drawn, kind=k)[-1] for k in (ours.Bare, ours.WithoutPhi, ours.Evidence))
    assert bare > alone >= full


def test_traffic_is_drawn_as_told() -> None:
    drawn = day(Traffic(name="told", bins=600, shares=((0, 0.1), (300, 0.5)), errors=0.1, failing=2.0), 1)
    rows = drawn.counts
    assert np.all(np.diff(rows.bin) >= 0)
    assert not rows.count[(rows.arm == 1) & (rows.bin < drawn.start)].any()
    late = rows.bin >= drawn.start + 300
    assert rows.count[late & (rows.arm == 1)].sum() / rows.count[late].sum() == pytest.approx(0.5, abs=0.01)
    rates = [rows.errors[rows.arm == arm].sum() / rows.count[rows.arm == arm].sum() for arm in (0, 1)]
    assert rates == pytest.approx([0.1, 0.2], rel=0.1)
    assert rows.bucket_count.sum() == rows.timed.sum() < rows.count.sum() == len(drawn.position)


def test_noise_has_the_size_and_the_memory_it_is_told_to_have() -> None:
    wander = Wander(0.8, sd=0.2, step=6)
    rows = day(Traffic(name="noise", bins=12_000, wander=wander, draw=lambda _, n: np.zeros(n)), 1).counts
    at = np.searchsorted(rows.bucket_row, np.flatnonzero(rows.arm == 0))  # the first request of each of control's bins
    minutes = (rows.bucket_position[at] * np.log(2) / 32)[3::6]
    assert minutes.std() == pytest.approx(0.2, rel=0.1)
    assert np.corrcoef(minutes[1:], minutes[:-1])[0, 1] == pytest.approx(0.8, abs=0.05)


def test_kinds_of_traffic_do_not_share_their_draws_however_they_are_named() -> None:
    one, other = (
        day(Traffic(name=name, bins=60), 1).counts.count for name in ("AR(0.8), by 10 s", "AR(0.98), by 10 s")
    )
    assert len(one) != len(other) or (one != other).any()


def test_bursts_hit_one_pod_at_a_time() -> None:
    calm, hit = (day(Traffic(name="b", bins=360, pods=(4, 1), bursts=b), 1).counts for b in (None, Bursts(per_hour=30)))
    assert hit.count.sum() - calm.count.sum() > 300
    assert hit.errors.sum() > 2 * calm.errors.sum()


def test_every_harmless_kind_can_be_drawn_and_differs_in_name() -> None:
    kinds = harmless()
    assert len({kind.name for kind in kinds}) == len(kinds)
    for kind in kinds:
        drawn = day(replace(kind, bins=30), 1)
        assert drawn.counts.bins == drawn.start + 30
