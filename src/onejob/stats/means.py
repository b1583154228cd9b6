"""Is the mean of one arm lower or higher than the other's? Valid at every look, also for noise with a memory.

Problem: a mean's noise has unknown variance, is skewed, and consecutive bins are not independent. Solution: bins are
paired, so that what happens to both arms cancels; for a ratio rho of the means the residual of a pair is
w (T - rho C), with T, C the arms' means and w = n0 n1 / (n0 + n1) the weight that makes residuals of variance
sigma^2 w. Residuals are summed in batches of 1, 2, 4, ... bins. On the batches of each length runs the test of
`autoregressive`, an e-process for normal noise that remembers up to r_max of the batch before. The sums of longer
batches are more nearly normal, and r_max is smaller for them: what AR(1) noise of the largest memory would leave,

    r_max(L) = r (1 - r^L)^2 / (L (1 - r^2) - 2 r (1 - r^L)).

The evidence is the smallest over all lengths that have enough batches: an e-process as soon as *one* of them is long
enough for the noise to be nearly normal with a short memory. All rho that are not refuted by the two-sided test are the
interval: a confidence sequence.

How often it alarms without a change, and how soon it finds one: see docs/verdict.md.

Symbols: w, T, C, rho as above; u = a batch's weight, R = its residual, so that R / sqrt(u) has variance sigma^2;
kappa = weight at which the evidence is sharpest.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.stats.batch_sums import Batches, Contrast, memory, one_sided

Floats = NDArray[np.float64]
Interval = tuple[float | None, float | None]

# With fewer pairs, a change of even five standard deviations is not sure to be told from noise that remembers. Of
# longer batches fewer do: with 16 a change of half a standard deviation would take twice as long, with 32 skewed noise
# would alarm twice as often.
MIN_BATCHES = 40
_MIN_LONGER = 24
# Noise forgets half of what was within 23 pairs. One that remembers longer is not told from a change until batches are
# longer than its memory. With 0.95, noise that remembers 0.98 alarms in 7 % of days on either side.
MOST_MEMORY = 0.97
# Effects of three standard deviations, a quarter and a thirtieth: large ones are found at once, small ones at last.
SHARPEST = (0.1, 16.0, 1024.0)
_PAIRS_FOR_UNIT = 8  # pairs from which the usual weight is taken; later ones change nothing
_ROUNDS, _SECTIONS = 4, 24  # an end of an interval is found to 1 part in 24^4 of where it was looked for
_FURTHEST = 256.0  # standard errors from the estimate to where the interval's ends are looked for


class PairedMeans:
    """Evidence on how two arms' means differ, pair by pair; plain sums, so that resuming is adding again.

    `min_batches` are needed of pairs, and of batches of them; `sharpest` are numbers of pairs, see SHARPEST;
    `most_memory` is what noise may remember of the pair before, see MOST_MEMORY.
    """

    def __init__(
        self,
        min_batches: tuple[int, int] = (MIN_BATCHES, _MIN_LONGER),
        sharpest: tuple[float, ...] = SHARPEST,
        most_memory: float = MOST_MEMORY,
    ) -> None:
        self._min_batches = min_batches
        self._sharpest = np.array(sharpest)
        self._most_memory = most_memory
        self._scales = [Batches(most_memory)]
        self._open: list[tuple[float, Floats] | None] = [None]
        self._unit_from: list[float] = []

    @property
    def pairs(self) -> int:
        """How many pairs were given."""
        return self._scales[0].number

    def means(self) -> tuple[float, float] | None:
        """Weighted means of (control, treatment), None before there is a pair."""
        whole = self._scales[0]
        if not whole.weight:
            return None
        return float(whole.sums[1] / whole.weight), float(whole.sums[0] / whole.weight)

    def add(self, treatment: float, control: float, weight: float = 1.0) -> None:
        """One more pair: each arm's mean, and the pair's weight > 0."""
        if len(self._unit_from) < _PAIRS_FOR_UNIT:
            self._unit_from.append(weight)
        self._add(0, weight, weight * np.array([treatment, control, 1.0]))

    def _add(self, scale: int, weight: float, batch: Floats) -> None:
        """A batch of 2^scale pairs is complete; with the one before it, it makes one of twice the length."""
        self._scales[scale].add(weight, batch)
        waiting, self._open[scale] = self._open[scale], None
        if waiting is None:
            self._open[scale] = (weight, batch)
            return
        if scale + 1 == len(self._scales):
            self._scales.append(Batches(memory(self._most_memory, 2 ** (scale + 1))))
            self._open.append(None)
        self._add(scale + 1, waiting[0] + weight, waiting[1] + batch)

    def log_evidence(self, contrast: Contrast, value: float) -> tuple[float, float]:
        """Log evidence that the truth is (above, below) the value; 0 with too few pairs."""
        above, below = self._log_e(contrast.at(np.array([value])))
        return float(above[0]), float(below[0])

    def estimate(self, contrast: Contrast) -> float | None:
        """The value that fits the means; None while there is none."""
        sums = self._scales[0].sums
        per_unit = float(np.dot(contrast.slope, sums))
        return -float(np.dot(contrast.base, sums)) / per_unit if per_unit else None

    def interval(self, contrast: Contrast, alpha: float) -> Interval:
        """Every value that is refuted on neither side, each at alpha / 2; None for an end that is not known yet."""
        centre = self.estimate(contrast)
        reach = 0.0 if centre is None else self._reach(contrast, centre)
        if centre is None or self.pairs < self._min_batches[0] or not np.isfinite(reach):
            return None, None
        bar = float(np.log(2 / alpha))
        near, far = np.full(2, centre), centre + np.array([-reach, reach])
        is_bounded = self._refuted(contrast, far[:, None], bar)[:, 0]
        for _ in range(_ROUNDS):
            points = near[:, None] + (far - near)[:, None] * np.linspace(0, 1, _SECTIONS + 1)
            first = np.maximum(1, self._refuted(contrast, points, bar).argmax(axis=1))
            near, far = (np.take_along_axis(points, (first - i)[:, None], axis=1)[:, 0] for i in (1, 0))
        low, high = (float(end) if known else None for end, known in zip(far, is_bounded, strict=True))
        return low, high

    def _reach(self, contrast: Contrast, centre: float) -> float:
        """So many standard errors of the estimate, and never nothing."""
        whole, v = self._scales[0], contrast.at(np.array([centre]))[0]
        with np.errstate(over="ignore", invalid="ignore"):
            spread = np.sqrt(np.maximum(0.0, v @ whole.squares[0] @ v) / whole.number * whole.weight)
        return float(_FURTHEST * spread / abs(np.dot(contrast.slope, whole.sums)) + 1e-9 * max(1.0, abs(centre)))

    def _refuted(self, contrast: Contrast, values: Floats, bar: float) -> NDArray[np.bool_]:
        """Is the truth above the values of the first row, and below those of the second, beyond doubt?"""
        above, below = (side.reshape(values.shape) for side in self._log_e(contrast.at(values.ravel())))
        return np.stack([above[0], below[1]]) >= bar

    def _log_e(self, contrasts: Floats) -> tuple[Floats, Floats]:
        """The least over batch lengths, for (above, below); contrasts (n, 3) -> (n,) each."""
        least_first, least = self._min_batches
        usable = [s for i, s in enumerate(self._scales) if s.number >= (least if i else least_first)]
        if not usable:
            return np.zeros(len(contrasts)), np.zeros(len(contrasts))
        kappa = float(np.mean(self._unit_from)) * self._sharpest
        sides: Floats = one_sided(usable, contrasts, kappa).min(axis=1)
        return sides[0], sides[1]
