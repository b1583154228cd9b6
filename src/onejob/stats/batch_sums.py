"""Sums of paired residuals in batches of one length, and the evidence of each: what `means` adds up and asks.

A residual is linear in (treatment, control, 1), so nine products per length, and as many with the batch before, are
enough for the evidence against any value of a ratio or a difference. Symbols as in `means`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onejob.stats import autoregressive

Floats = NDArray[np.float64]

_STILL = 1e-13  # squares in proportion to those of the arms' means: what is less is rounding


@dataclass(frozen=True, slots=True)
class Contrast:
    """The hypothesis "x = value" as a vector `base` + value `slope` over the means of (treatment, control, 1)."""

    base: tuple[float, float, float]
    slope: tuple[float, float, float]

    def at(self, values: Floats) -> Floats:
        """Shape (n,) -> (n, 3)."""
        vectors: Floats = np.array(self.base) + values[:, None] * np.array(self.slope)
        return vectors


RATIO = Contrast(base=(1.0, 0.0, 0.0), slope=(0.0, -1.0, 0.0))  # treatment is so many times a control above 0
DIFFERENCE = Contrast(base=(1.0, -1.0, 0.0), slope=(0.0, 0.0, -1.0))  # treatment is so much more than control


@dataclass(slots=True)
class Batches:
    """Sums over complete batches of one length; vectors are (treatment, control, 1), each times the batch's sqrt(u)."""

    most_memory: float = 0.0
    number: int = 0
    first: Floats = field(default_factory=lambda: np.zeros(3))
    last: Floats = field(default_factory=lambda: np.zeros(3))
    squares: Floats = field(default_factory=lambda: np.zeros((2, 3, 3)))  # outer products with itself, with the last
    before: Floats = field(default_factory=lambda: np.zeros((3, 3)))  # those of the last with itself

    def add(self, weight: float, batch: Floats) -> None:
        """One more batch: the sum of its pairs' vectors, each times the pair's weight."""
        with np.errstate(over="ignore", invalid="ignore"):  # the square of what is astronomical; then nothing is known
            vector = batch / np.sqrt(weight)
            self.before = self.before + np.outer(self.last, self.last)
            self.squares = self.squares + np.stack([np.outer(vector, vector), np.outer(vector, self.last)])
        if not self.number:
            self.first = vector
        self.number, self.last = self.number + 1, vector

    @property
    def weight(self) -> float:
        return float(self.squares[0, 2, 2])

    @property
    def sums(self) -> Floats:
        """Sums of the batches as they were given."""
        return self.squares[0, :, 2]


def one_sided(lengths: Sequence[Batches], contrasts: Floats, kappa: Floats) -> Floats:
    """Log E for residuals with a mean above and below 0, per length of batches; (n, 3) -> (2, lengths, n)."""
    with np.errstate(over="ignore", invalid="ignore"):
        moments = np.array([[*one.squares, one.before] for one in lengths])
        squares, products, before = np.einsum("ri,lkij,rj->klr", contrasts, moments, contrasts)
        is_still = ~(squares > _STILL * (np.einsum("lii->li", moments[:, 0]) @ (contrasts**2).T))
        sums = autoregressive.Sums(
            number=np.array([[float(one.number)] for one in lengths]),
            weight=moments[:, 0, 2, 2:],
            most_memory=np.array([[one.most_memory] for one in lengths]),
            first=np.array([one.first for one in lengths]) @ contrasts.T,
            squares=np.where(is_still, 1.0, squares),
            products=products,
            before=before,
            level=moments[:, 0, 2] @ contrasts.T,
            level_before=moments[:, 1, 2] @ contrasts.T,
        )
        sides: Floats = np.where(
            is_still, 0.0, autoregressive.one_sided(sums, np.broadcast_to(kappa, (len(lengths), len(kappa))))
        )
    return sides


def memory(of_pairs: float, length: int) -> float:
    """Correlation of neighbouring batches of so many pairs, of AR(1) noise.

    >>> round(memory(0.95, 2), 3), round(memory(0.95, 64), 3)
    (0.926, 0.199)
    """
    forgotten = 1 - of_pairs**length
    return of_pairs * forgotten**2 / (length * (1 - of_pairs**2) - 2 * of_pairs * forgotten)
