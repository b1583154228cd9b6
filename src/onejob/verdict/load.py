"""Whether the new version's instances carry the load that the old one's do.

Problem: a process with a tenth of the requests hardly queues and times out less, so on a busy machine a canary is
faster than the very same code beside it, and would be called better. Solution: only bins in which treatment's instances
had about as many requests each as control's count for better. That is decided by request counts alone, never by
outcomes, so the evidence of the bins that are left stays what it is. Every bin counts for worse: users wait, whatever
the cause.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from onejob.verdict.counts import TREATMENT, Counts

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Of control's requests per instance. Waiting grows with utilisation; half against half is within chance of it.
_LEAST_RATIO = 2 / 3
# Of treatment's requests, for what is not tested bin by bin to count for better: with a few requests a bin, a sixth of
# them are in bins that were not alike by chance.
_MOSTLY = 2 / 3
# Bins looked at together, the present one and those before it: one alone does not show how many instances serve.
_WINDOW = 3


class Load:
    """The latest bins' requests per instance."""

    def __init__(self) -> None:
        self.not_alike = 0  # treatment's requests in bins that do not count for better
        self._served = 0  # treatment's requests
        self._is_alike = False
        self._recent: Ints = np.zeros((0, _WINDOW - 1), dtype=np.int64)  # instance, bin
        self._is_treatment: Bools = np.zeros(0, dtype=bool)

    def consume(self, rows: Counts) -> Bools:
        """Add bins, and say in which of them the load was alike: shape (bins,)."""
        self._grow(int(rows.instance.max(initial=-1)) + 1)
        self._is_treatment[rows.instance] = rows.arm == TREATMENT
        instances = len(self._recent)
        key = rows.instance * rows.bins + rows.bin
        served = np.bincount(key, weights=rows.requests, minlength=instances * rows.bins)
        seen = np.concatenate([self._recent, np.rint(served).astype(np.int64).reshape(instances, rows.bins)], axis=1)
        self._recent = seen[:, seen.shape[1] - (_WINDOW - 1) :]
        lately = sliding_window_view(seen, _WINDOW, axis=1).sum(axis=2)
        per_control, per_treatment = (_per_instance(lately[self._is_treatment == arm]) for arm in (False, True))
        alike: Bools = per_treatment >= _LEAST_RATIO * per_control
        self._is_alike = bool(alike[-1]) if len(alike) else self._is_alike
        by_treatment = seen[self._is_treatment, _WINDOW - 1 :].sum(axis=0)
        self.not_alike += int(by_treatment[~alike].sum())
        self._served += int(by_treatment.sum())
        return alike

    @property
    def is_alike(self) -> bool:
        """Was it in the last bin? Not before anything was seen."""
        return self._is_alike

    @property
    def was_alike(self) -> bool:
        """Was it in most of treatment's requests?"""
        return self.not_alike <= (1 - _MOSTLY) * self._served

    def left_out(self) -> list[str]:
        """A sentence about what did not count for better."""
        if not self.not_alike:
            return []
        return [
            f"In {self.not_alike} requests the new version's instances had less load than the old one's; "
            "what is better among them does not count."
        ]

    def _grow(self, instances: int) -> None:
        more = max(0, instances - len(self._recent))
        self._recent = np.pad(self._recent, ((0, more), (0, 0)))
        self._is_treatment = np.pad(self._is_treatment, (0, more))


def _per_instance(requests: Ints) -> NDArray[np.float64]:
    """Requests of each bin's window over the instances that had any: (instance, bin) -> (bin,)."""
    result: NDArray[np.float64] = requests.sum(axis=0) / np.maximum(1, (requests > 0).sum(axis=0))
    return result
