"""The course of a change against the past: when it began, and whether it is over.

Problem: "the hour after is worse" blames the deployment for what began ten minutes before it, and goes on blaming it
for what was over after ten. Solution: where the damage may have begun is told from the steps around the deployment
(`stats.onset`), and whether it has ended from those after the window in which it stood out. Over is only what would
stand out by now if it went on.
"""

from dataclasses import replace

import numpy as np

from onejob.model.evidence import ExpectedSeries
from onejob.stats import onset, scan
from onejob.stats.onset import Onset
from onejob.verdict.window_rows import Seen, Size

# Shorter than that may be a lull, and a restart's own damage rarely comes twice within it.
QUIET_S = 600
# Heights are 1 where one moment without a change in ten has them: what is over is below, and would be at twice that.
_USUAL, _WOULD_SHOW = 1.0, 2.0
# A scale of independent events (`scan.scales`); what is above it is how much more sums vary.
_INDEPENDENT_SCALE = 2.4


def began(one: ExpectedSeries, seen: Seen, window: scan.Peak, side: int, gap: int) -> Onset | None:
    """When the change that stands out in `window` began; None where an older version stored too little to tell.

    `gap` steps after the deployment are not judged. What comes before it has its level from before all of that, and
    what comes after is held against the same: a level that has the damage in it already would hide it.
    """
    if not one.before:
        return None
    end = window.first + window.width
    expected = seen.residuals.expected[0, :end] / one.drift
    silent = np.zeros(gap)
    first = len(one.before[0])
    found = onset.onset(
        np.concatenate([np.array(one.before[0]), silent, seen.events[:end]]),
        np.concatenate([np.array(one.before[1]), silent, expected]),
        side=side,
        phi=_phi(seen, side),
    )
    if found is None:
        return None
    return Onset(best=found.best - first, earliest=found.earliest - first, latest=found.latest - first)


def ended(seen: Seen, window: scan.Peak, side: int, elapsed: int, step_s: int) -> scan.Peak | None:
    """The steps since the change was over, as a window up to now; None while it may go on."""
    expected = seen.residuals.expected[0]
    lasted = onset.ending(seen.events[window.first : elapsed], expected[window.first : elapsed], side=side)
    first = window.first + lasted
    quiet = replace(window, first=first, width=elapsed - first)
    if quiet.width * step_s < QUIET_S:
        return None
    tail = Size(seen, quiet, 0.0, 0.0)
    damage = Size(seen, replace(window, width=lasted), 0.0, 0.0)
    sign = 1 if side == scan.UP else -1
    goes_on = tail.expected * (damage.events / damage.expected - 1) if damage.expected > 0 else 0.0
    unit = _unit(seen, quiet, side, step_s)
    is_over = sign * (tail.events - tail.expected) <= _USUAL * unit and sign * goes_on >= _WOULD_SHOW * unit
    return quiet if is_over else None


def _unit(seen: Seen, window: scan.Peak, side: int, step_s: int) -> float:
    """By how much a sum over the window strays in one moment without a change of ten."""
    variance = float(seen.residuals.v[0, window.first : window.first + window.width].sum()) + seen.residuals.least
    known = scan.widths(step_s, len(seen.events))
    at = max(i for i, width in enumerate(known) if width <= window.width)
    return float(seen.scale[side, at]) * float(np.sqrt(variance))


def _phi(seen: Seen, side: int) -> float:
    return max(1.0, float(seen.scale[side].max()) / _INDEPENDENT_SCALE) ** 2
