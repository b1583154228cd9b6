"""Exponential histograms: what a duration's bucket is, and what can be read off the counts.

Buckets follow OpenTelemetry's exponential histogram at scale 5: index i holds (2^(i/32), 2^((i+1)/32)] seconds, so
a bucket is 2.2 % wide and edges of any two histograms coincide, which is what makes exceedances exact.
"""

import numpy as np
from numpy.typing import NDArray

PER_OCTAVE = 32  # 2 ** scale
# 1 microsecond to 18 hours; durations outside are counted in the outermost buckets.
LOWEST, HIGHEST = -20 * PER_OCTAVE, 16 * PER_OCTAVE
SIZE = HIGHEST - LOWEST

Counts = NDArray[np.int64]


def upper_edge_s(index: int) -> float:
    """Upper edge of bucket `index`, in seconds.

    >>> upper_edge_s(-1)
    1.0
    """
    return float(2.0 ** ((index + 1) / PER_OCTAVE))


def position(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of bucket indices in a dense histogram of length SIZE; position 0 also holds zeros."""
    return np.clip(index - LOWEST, 0, SIZE - 1)


def quantile_position(histogram: Counts, q: float) -> int:
    """Position of the bucket in which the q-quantile lies; -1 for an empty histogram."""
    total = int(histogram.sum())
    if total == 0:
        return -1
    return int(np.searchsorted(np.cumsum(histogram), q * total, side="left"))


def quantile_positions(summed: Counts, q: float) -> NDArray[np.int64]:
    """`quantile_position` of many histograms at once, each given by its cumulated counts: (n, SIZE) -> (n,)."""
    below: NDArray[np.int64] = (summed < (q * summed[:, -1])[:, None]).sum(axis=1)
    return below


def quantile_s(histogram: Counts, q: float) -> float | None:
    """The q-quantile in seconds, interpolated geometrically within its bucket; None for an empty histogram."""
    at = quantile_position(histogram, q)
    if at < 0:
        return None
    below, inside = float(histogram[:at].sum()), float(histogram[at])
    part = (q * float(histogram.sum()) - below) / inside if inside else 1.0
    return float(2.0 ** ((at + LOWEST + min(max(part, 0.0), 1.0)) / PER_OCTAVE))
