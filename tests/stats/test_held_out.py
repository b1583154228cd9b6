"""A moment is judged by a bar that it had no part in setting."""

import numpy as np
import pytest

from onejob.stats import held_out, scan

HORIZON = 4


def moments(seed: int, hours: int = 330) -> tuple[np.ndarray, np.ndarray]:
    """Heights of overlapping moments: the highest of a few steps of independent noise."""
    noise = np.random.default_rng(seed).exponential(0.5, hours * HORIZON)
    starts = np.arange(len(noise) - HORIZON + 1)
    return np.array([noise[at : at + HORIZON].max() for at in starts]), starts


def test_hours_that_do_not_overlap_are_counted() -> None:
    heights, starts = moments(1)
    assert held_out.alarms(heights, starts, HORIZON, 0.05)[1] == 330


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_alarms_come_about_as_often_as_they_were_said_to(alpha: float) -> None:
    found = [held_out.alarms(*moments(seed), HORIZON, alpha) for seed in range(12)]
    rate = sum(alarms for alarms, _ in found) / sum(hours for _, hours in found)
    assert alpha / 3 < rate < 1.3 * alpha


def test_a_stretch_that_is_unlike_all_others_alarms_although_it_is_part_of_the_past() -> None:
    heights, starts = moments(2)
    heights[:160] += 30.0
    inside = scan.null(heights, scan.independent(starts, HORIZON)).threshold(0.01)
    assert held_out.alarms(heights, starts, HORIZON, 0.01)[0] == 40 > 4 * (heights[::HORIZON] >= inside).sum()


def test_no_moments_have_no_alarms() -> None:
    nothing = np.zeros(0)
    assert held_out.alarms(nothing, nothing.astype(int), HORIZON, 0.01) == (0, 0)


def test_heights_of_other_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="2 heights of 3 moments"):
        held_out.alarms(np.zeros(2), np.arange(3), HORIZON, 0.01)
