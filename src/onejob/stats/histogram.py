"""Exponential histograms: what a duration's bucket is, and what can be read off the counts.

Buckets follow OpenTelemetry's exponential histogram at scale 5: index i holds (2^(i/32), 2^((i+1)/32)] seconds, so
a bucket is 2.2 % wide and edges of any two histograms coincide, which is what makes exceedances exact.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SCALE = 5
PER_OCTAVE: int = 2**SCALE
# 1 microsecond to 18 hours; durations outside are counted in the outermost buckets.
LOWEST, HIGHEST = -20 * PER_OCTAVE, 16 * PER_OCTAVE
SIZE = HIGHEST - LOWEST

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def upper_edge_s(index: int) -> float:
    """Upper edge of bucket `index`, in seconds.

    >>> upper_edge_s(-1)
    1.0
    """
    return float(2.0 ** ((index + 1) / PER_OCTAVE))


def position(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of bucket indices in a dense histogram of length SIZE; position 0 also holds zeros."""
    return np.clip(index - LOWEST, 0, SIZE - 1)


def quantile_position(histogram: Counts | Floats, q: float) -> int:
    """Position of the bucket in which the q-quantile lies; -1 for an empty histogram."""
    total = histogram.sum()
    if total <= 0:
        return -1
    return int(np.searchsorted(np.cumsum(histogram), q * total, side="left"))


def quantile_positions(summed: Counts, q: float) -> NDArray[np.int64]:
    """`quantile_position` of many histograms at once, each given by its cumulated counts: (n, SIZE) -> (n,)."""
    below: NDArray[np.int64] = (summed < (q * summed[:, -1])[:, None]).sum(axis=1)
    return below


def quantile_s(histogram: Counts | Floats, q: float) -> float | None:
    """The q-quantile in seconds, interpolated geometrically within its bucket; None for an empty histogram."""
    at = quantile_position(histogram, q)
    if at < 0:
        return None
    below, inside = float(histogram[:at].sum()), float(histogram[at])
    part = (q * float(histogram.sum()) - below) / inside if inside else 1.0
    return float(2.0 ** ((at + LOWEST + min(max(part, 0.0), 1.0)) / PER_OCTAVE))


def below(edges: Sequence[int]) -> NDArray[np.int64]:
    """Of counts that were put at the upper edges of wider buckets: per position, that of the edge below; shape (SIZE,).

    `edges`: indices of the buckets that end there. Below the lowest edge nothing is known: an octave is assumed.
    """
    at = np.unique(position(np.array(edges, dtype=np.int64)))
    every = np.arange(SIZE)
    found = np.searchsorted(at, every) - 1
    result: NDArray[np.int64] = np.where(found >= 0, at[np.maximum(found, 0)], np.maximum(every - PER_OCTAVE, -1))
    return result


def spread(counts: Counts, edges: Sequence[int]) -> Floats:
    """What such counts most likely were: evenly, in the logarithm, over each of the wider buckets."""
    lower = below(edges)
    result = np.zeros(SIZE)
    for at in np.flatnonzero(counts):
        result[lower[at] + 1 : at + 1] += counts[at] / (at - lower[at])
    return result


def lowest(counts: Counts, edges: Sequence[int]) -> Counts:
    """The least such durations can have been: each at the lower end of its bucket."""
    result = np.zeros_like(counts)
    at = np.flatnonzero(counts)
    np.add.at(result, below(edges)[at] + 1, counts[at])
    return result
