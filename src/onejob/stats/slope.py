"""Does something grow faster with an instance's age than it should? The test for leaks.

Problem: a leak is a drift under noise that is large and has a memory (garbage collection, bursts, caches that fill),
and a young process grows by itself for a while. Solution: in windows of W bins a straight line is fitted to each
instance's values (least squares), and the treatment's mean slope is compared with the control's in the same window, at
like age. Differences of slopes are a sequence of numbers with mean zero under "no faster", which the sequential t-test
on batches of `means` takes. Long windows see a slow leak (the variance of a slope falls with W^3), short ones a fast
one early; so the test is run for each of WINDOWS, and the average of the e-processes is one.

The interval is the intersection of those of the windows, each at its share of alpha.

Symbols: W = bins of a window; d = treatment's slope - control's, per bin.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.stats.batch_sums import DIFFERENCE
from onejob.stats.means import PairedMeans
from onejob.stats.mixture import log_mean

Floats = NDArray[np.float64]

# At bins of 10 s: a minute and a half, five minutes, twenty minutes.
WINDOWS = (8, 32, 128)
# A slope is an average of many values, so nearly normal, and nearly independent of the one before (of a random walk
# quite so, and of noise that returns to its level they even out). The t-test is exact for few such numbers: four are
# enough.
_MIN_BATCHES = (4, 8)
_SHARPEST = (0.1, 2.0, 64.0)  # windows; a leak worth the name is several times the noise of a slope
_LEAST_FILLED = 0.5  # of a window's bins an instance must have been seen in


def window_slopes(values: Floats) -> Floats:
    """Least-squares slope per bin of each row, NaN where too little was seen; shape (instances, W) -> (instances,).

    >>> window_slopes(np.array([[1.0, 2.0, np.nan, 4.0], [np.nan, np.nan, np.nan, 1.0]])).tolist()
    [1.0, nan]
    """
    seen = ~np.isnan(values)
    n = seen.sum(axis=1)
    at = np.arange(values.shape[1], dtype=float)
    y = np.where(seen, values, 0.0)
    count = np.maximum(n, 1)
    mean_t = (seen * at).sum(axis=1) / count
    centred = seen * (at - mean_t[:, None])
    spread = (centred**2).sum(axis=1)
    is_enough = (n >= max(3, _LEAST_FILLED * values.shape[1])) & (spread > 0)
    slopes: Floats = np.where(is_enough, (centred * y).sum(axis=1) / np.where(spread > 0, spread, 1.0), np.nan)
    return slopes


class SlopeTest:
    """One PairedMeans per window length, on differences of slopes."""

    def __init__(self) -> None:
        self.windows = {w: PairedMeans(_MIN_BATCHES, _SHARPEST, most_memory=0.0) for w in WINDOWS}

    def add(self, window: int, treatment: float, control: float) -> None:
        """One window's mean slopes per bin."""
        self.windows[window].add(treatment, control)

    def log_evidence(self, allowance: float) -> tuple[float, float]:
        """Log E that treatment's slope exceeds control's by more than `allowance` per bin, and falls short by more."""
        above = [test.log_evidence(DIFFERENCE, allowance)[0] for test in self.windows.values()]
        below = [test.log_evidence(DIFFERENCE, -allowance)[1] for test in self.windows.values()]
        return float(log_mean(np.array(above))), float(log_mean(np.array(below)))

    def interval(self, alpha: float) -> tuple[float | None, float | None]:
        """Of the difference of slopes per bin; None for an end that no window knows yet."""
        ends = [test.interval(DIFFERENCE, alpha / len(WINDOWS)) for test in self.windows.values()]
        lows, highs = ([end for end in side if end is not None] for side in zip(*ends, strict=True))
        return max(lows, default=None), min(highs, default=None)

    def slopes(self) -> tuple[float, float] | None:
        """Mean slopes per bin of (control, treatment), over the longest windows there were two of."""
        known = [test.means() for _, test in sorted(self.windows.items(), reverse=True) if test.pairs >= 2]
        return known[0] if known else None
