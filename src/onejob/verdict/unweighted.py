"""Spans that were chosen by outcome, although nothing on them tells how often each counts.

A tail sampler decides when a trace is over, usually for failures and slow requests, and leaves no weight. Two things
give it away. The Collector's says which policy kept a trace, if its gate `processor.tailsamplingprocessor.recordpolicy`
is on: that is proof. Else a router that counts requests shows many more of them, in both arms, and a far smaller share
of failures. That may also be a service of which some routes have no spans, so it is said, and nothing more.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import Arm, RouterCount
from onejob.verdict.counts import CONTROL, TREATMENT, Counts
from onejob.verdict.router import is_possible

Floats = NDArray[np.float64]

_LEAST_MARKED, _MOST_UNMARKED = 20, 0.95  # a few late spans do not make a sample
# Of the router's requests: a service without a sampler shows nearly all, also where exporters drop some.
_MOST_COVERED = 0.5
_ALIKE = 2.0  # by which factor that may differ between the arms, or it is answers that are missing
_TIMES_AS_MANY = 3.0  # failures that the router does not call such (exceptions behind a 200) are about as many again
_SD, _PHI = 5.0, 10.0  # as in `router`: sessions move whole


class Unweighted:
    """Marked spans, and what router and spans say of the same time."""

    def __init__(self) -> None:
        self._spans = 0
        self._marked = 0
        self._has_sample = False
        self._seen: Floats = np.zeros((2, 2))  # arm, (requests, failed), by spans
        self._sent: Floats = np.zeros((2, 2))  # the same, by the router
        self.why: str | None = None

    def consume(self, rows: Counts, router: Iterable[RouterCount]) -> None:
        """Add a batch. What came before the router's first sample has nothing beside it."""
        self._spans += int(rows.count.sum())
        self._marked += rows.tail_sampled
        is_beside = self._has_sample
        if is_beside:
            for column, values in enumerate((rows.requests, rows.failed)):
                self._seen[:, column] += np.bincount(rows.arm, weights=values, minlength=2)
        for sample in router:
            if is_beside and is_possible(sample):
                arm = TREATMENT if sample.arm is Arm.TREATMENT else CONTROL
                self._sent[arm] += sample.requests, min(sample.requests, sample.errors_5xx)
            self._has_sample = True
        self.why = self.why or self._by_marks()

    def noticed(self) -> list[str]:
        """What the router gives away."""
        requests, sent = self._seen[:, 0], self._sent[:, 0]
        if min(requests) <= 0 or min(sent) <= 0:
            return []
        covered = requests / sent
        if max(covered) > _MOST_COVERED or max(covered) > _ALIKE * min(covered):
            return []
        if not all(_has_too_many(self._seen[arm], self._sent[arm]) for arm in (CONTROL, TREATMENT)):
            return []
        seen, meant = (both[:, 1].sum() / both[:, 0].sum() for both in (self._seen, self._sent))
        return [
            f"Spans show {covered.min():.0%} of the requests that the router counted, and {seen:.1%} of those failed, "
            f"of the router's {meant:.1%}: they look chosen by outcome, and then rates are not those of all requests, "
            "or what has no spans fails less."
        ]

    def _by_marks(self) -> str | None:
        if self._marked < _LEAST_MARKED or self._marked <= (1 - _MOST_UNMARKED) * self._spans:
            return None
        return (
            f"spans are chosen by outcome: a tail sampler kept {self._marked / self._spans:.0%} of them, and nothing "
            "says for how many requests each stands"
        )


def _has_too_many(seen: Floats, sent: Floats) -> bool:
    """Did far more fail, by spans, than the router's share of failures lets expect?"""
    expected = _TIMES_AS_MANY * float(seen[0] * (sent[1] + 1) / sent[0])
    return bool(seen[1] > expected + _SD * math.sqrt(_PHI * (expected + 1)))
