"""How often would moments without a change have alarmed? Each is judged by a bar that it had no part in setting.

Problem: a bar that was drawn over some moments is seldom reached by these very moments, whatever it is worth. Solution:
the past is cut into stretches, and each stretch is judged by the bar that the other ones set (Geisser 1975,
cross-validation; in whole stretches, because neighbours are alike: Burman, Chow & Nolan 1994, h-block).

Symbols: heights as in `scan`, the highest of all series at a moment; horizon = how many steps a moment is looked at.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.stats import scan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STRETCHES = 7  # of two weeks two days each: a bar still rests on nearly all of the past
FEWEST = 20  # moments, for a rate to say anything


def alarms(heights: Floats, starts: Ints, horizon: int, alpha: float) -> tuple[int, int]:
    """How many moments would have alarmed, of how many: only such as share no step are counted.

    `heights`, `starts`: shape (moments,), ascending starts in steps. Their scale was taken from all of them, which
    hides little: it is a quantile that one stretch hardly moves. Raises ValueError when the two are not as many.
    """
    if len(heights) != len(starts):
        raise ValueError(f"{len(heights)} heights of {len(starts)} moments")
    counted = scan.apart(starts, horizon)
    found = [_of_stretch(heights, starts, mine, horizon, alpha) for mine in np.array_split(counted, STRETCHES)]
    return sum(found), len(counted)


def _of_stretch(heights: Floats, starts: Ints, mine: Ints, horizon: int, alpha: float) -> int:
    if not len(mine):
        return 0
    is_other = (starts <= starts[mine[0]] - horizon) | (starts >= starts[mine[-1]] + horizon)
    bar = scan.null(heights[is_other], scan.independent(starts[is_other], horizon)).threshold(alpha)
    return int((heights[mine] >= bar).sum())
