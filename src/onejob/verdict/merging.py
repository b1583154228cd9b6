"""Which bins may be merged before sizes are estimated from them, and when a merged run is long enough to be tested.

A size needs no answer at every bin, and a run of bins tested at once costs what one bin costs. So bins are gathered
until the run has a tenth of the requests that were tested before it: a day is some hundred tests, however many bins it
has, and an interval is never more than a tenth of the data behind.

Runs of different share must not be merged, or whatever else changes with the share would look like a difference
between the arms. A run therefore ends where an operation's share has left what it was since the last such end by more
than chance allows. All of this is decided by request counts alone, never by outcomes, so that testing only at the ends
of runs keeps the e-processes what they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_GROWTH = 0.1
# A young operation among old ones is tested whenever it has doubled, from this many requests on.
_YOUNG = 100
# Standard deviations: fifty operations are looked at in every bin, and a run that ends early costs only time.
_SHARE_SD = 4.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A run ends before bin `at`; `is_break` says that the share moved there."""

    at: int
    is_break: bool


class Runs:
    """Requests per (arm, operation): tested, gathered since, and those that tell the share since it last moved."""

    def __init__(self) -> None:
        self._tested: Ints = np.zeros((2, 0), dtype=np.int64)
        self._gathered: Ints = np.zeros((2, 0), dtype=np.int64)
        self._reference: Ints = np.zeros((2, 0), dtype=np.int64)

    def grow(self, operations: int) -> None:
        """Make room for new operations."""
        more = ((0, 0), (0, operations - self._tested.shape[1]))
        self._tested, self._gathered, self._reference = (
            np.pad(a, more) for a in (self._tested, self._gathered, self._reference)
        )

    def gather(self, requests: Ints) -> Cut | None:
        """Add bins, of shape (arm, operation, bin), up to the end of the run; None when the run goes on.

        The bins from the cut on are not added; they are to be given again after `close`.
        """
        total = self._gathered.sum() + requests.sum(axis=(0, 1)).cumsum()
        end = int(np.searchsorted(total, max(1.0, _GROWTH * float(self._tested.sum())))) + 1
        so_far = self._gathered[:, :, None] + requests[:, :, :end].cumsum(axis=2)
        is_due = end <= requests.shape[2]
        if (young := self._is_grown(so_far)).any():
            end, is_due = int(young.argmax()) + 1, True
        moved = self._is_moved(so_far[:, :, :end])
        cut = Cut(int(moved.argmax()), True) if moved.any() else Cut(end, False) if is_due else None
        added = min(end, requests.shape[2]) if cut is None else cut.at
        if added:
            self._gathered = so_far[:, :, added - 1]
        return cut

    def close(self, *, is_break: bool) -> None:
        """The gathered bins have been tested."""
        self._tested = self._tested + self._gathered
        self._reference = np.zeros_like(self._reference) if is_break else self._reference + self._gathered
        self._gathered = np.zeros_like(self._gathered)

    def _is_grown(self, so_far: Ints) -> NDArray[np.bool_]:
        """After which bins has an operation doubled? Shape (bins,)."""
        least = np.maximum(self._tested.sum(axis=0), _YOUNG)
        result: NDArray[np.bool_] = (so_far.sum(axis=0) >= least[:, None]).any(axis=0)
        return result

    def _is_moved(self, so_far: Ints) -> NDArray[np.bool_]:
        """With which bins has an operation's share left what it was? Shape (bins,)."""
        n, known = so_far.sum(axis=0), self._reference.sum(axis=0)[:, None]
        share = (self._reference[1][:, None] + 0.5) / (known + 1)
        variance = share * (1 - share) * n * (1 + n / np.maximum(known, 1))
        is_off = np.abs(so_far[1] - share * n) > _SHARE_SD * np.sqrt(variance) + 1
        result: NDArray[np.bool_] = (is_off & (known > 0)).any(axis=0)
        return result
