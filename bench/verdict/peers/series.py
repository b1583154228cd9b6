"""A day as others see it: the whole service in either arm, minute by minute since the start."""

from dataclasses import dataclass

import numpy as np
from bench.verdict.traffic import Day
from numpy.typing import NDArray

from onejob.stats import histogram

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MINUTE = 6  # bins


@dataclass(frozen=True, slots=True)
class Series:
    """Requests and errors: (arm, step); durations: (arm, step, bucket), the first of which is at position `lowest`."""

    requests: Ints
    errors: Ints
    durations: Ints
    lowest: int

    def quantile_ms(self, q: float) -> Floats:
        """Of each arm and step, interpolated within its bucket; NaN where nothing was served. Shape (arm, step)."""
        total = self.durations.sum(axis=2)
        below = np.cumsum(self.durations, axis=2)
        at = (below < q * total[:, :, None]).sum(axis=2)
        at = np.minimum(at, below.shape[2] - 1)
        inside = np.take_along_axis(self.durations, at[:, :, None], axis=2)[:, :, 0]
        before = np.take_along_axis(below, at[:, :, None], axis=2)[:, :, 0] - inside
        part = (q * total - before) / np.maximum(inside, 1)
        index = at + self.lowest + histogram.LOWEST + part
        return np.where(total > 0, 1000 * 2.0 ** (index / histogram.PER_OCTAVE), np.nan)

    def error_rate(self) -> Floats:
        """NaN where nothing was served; shape (arm, step)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.errors / np.where(self.requests > 0, self.requests, np.nan)


def series(day: Day, step: int = MINUTE, operation: int | None = None) -> Series:
    """Of all operations together, or of one, in steps of so many bins."""
    rows = day.counts
    mine = (rows.bin >= day.start) & (True if operation is None else rows.operation == operation)
    steps = (rows.bins - day.start) // step
    at = (rows.bin - day.start) // step
    mine &= at < steps
    key = rows.arm * steps + at
    size = 2 * steps
    requests, errors = (np.bincount(key[mine], v[mine], size).astype(np.int64) for v in (rows.count, rows.errors))
    taken = mine[day.cell]
    position = day.position[taken]
    lowest = int(position.min()) if len(position) else 0
    width = int(position.max()) - lowest + 1 if len(position) else 1
    flat = np.bincount(key[day.cell[taken]] * width + position - lowest, minlength=size * width)
    return Series(requests.reshape(2, -1), errors.reshape(2, -1), flat.reshape(2, steps, width), lowest)
