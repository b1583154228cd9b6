"""How much of an overall change is other traffic: the mix part, and the part within operations.

The two parts of Kitagawa's decomposition (1955), with both arms' shares and levels averaged, sum to the whole exactly:

    change = sum (p0 + p1)/2 (r1 - r0)  [within]  +  sum (r0 + r1)/2 (p1 - p0)  [mix]

Bins are weighted by n0 n1 / (n0 + n1), so that an arm whose share moves with the time of day shows no mix of its own.

Symbols: p = an operation's share of an arm's requests; r = its error rate, or its mean duration.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.model.verdict import MixShift
from onejob.stats import histogram
from onejob.verdict.counts import CONTROL, TREATMENT, Counts, amounts

Floats = NDArray[np.float64]

_LEAST_REQUESTS = 100  # of each arm: with fewer, the mix is chance
# Middles of the buckets in seconds, geometric as the buckets are.
_MIDDLES: Floats = 2.0 ** ((np.arange(histogram.SIZE) + histogram.LOWEST + 0.5) / histogram.PER_OCTAVE)
_WHAT = {"errors": "The error rate of all requests", "latency": "The mean duration of all requests"}


class Mix:
    """Weighted sums per arm and operation, for errors and for durations."""

    def __init__(self) -> None:
        self._sums: Floats = np.zeros((2, 2, 0, 2))  # measure, arm, operation, (requests, errors or seconds)
        self._requests = [0, 0]

    def consume(self, rows: Counts, operations: int) -> None:
        """Add bins in which both arms served."""
        more = operations - self._sums.shape[2]
        if more > 0:
            self._sums = np.concatenate([self._sums, np.zeros((2, 2, more, 2))], axis=2)
        seconds = np.bincount(
            rows.bucket_row, weights=rows.bucket_count * _MIDDLES[rows.bucket_position], minlength=len(rows.arm)
        )
        timed = rows.timed * rows.per_span
        for measure, (n, amount) in enumerate(((rows.requests, rows.failed), (timed, seconds * rows.per_span))):
            self._add(measure, rows, amounts(rows, n, operations), amounts(rows, amount, operations))
        both = _both(amounts(rows, rows.count, operations))
        for arm in (CONTROL, TREATMENT):
            self._requests[arm] += int(rows.count[(rows.arm == arm) & both[rows.bin]].sum())

    def parts(self) -> tuple[MixShift, ...]:
        """The decomposition of each measure, once both arms have enough requests."""
        if min(self._requests) < _LEAST_REQUESTS:
            return ()
        found = (_decomposed(name, self._sums[i]) for i, name in enumerate(("errors", "latency")))
        return tuple(one for one in found if one is not None)

    def _add(self, measure: int, rows: Counts, n: Floats, amount: Floats) -> None:
        total = n.sum(axis=1)  # arm, bin
        both = _both(n)
        weight = np.where(both, total[0] * total[1] / np.maximum(total.sum(axis=0), 1), 0.0)
        per_request = weight / np.maximum(total, 1)
        for column, values in enumerate((n, amount)):
            self._sums[measure, :, :, column] += np.einsum("aob,ab->ao", values, per_request)


def _both(n: Floats) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (n.sum(axis=1) > 0).all(axis=0)
    return result


def _decomposed(measure: str, sums: Floats) -> MixShift | None:
    """`sums`: arm, operation, (weighted requests, weighted amount)."""
    n, amount = sums[:, :, 0], sums[:, :, 1]
    total = n.sum(axis=1)
    if not (total > 0).all():
        return None
    share = n / total[:, None]
    level = np.divide(amount, n, out=np.zeros_like(n), where=n > 0)
    # An operation that one arm never served has no level there: all of its part is mix.
    level = np.where(n > 0, level, level[::-1])
    within = float((share.mean(axis=0) * (level[1] - level[0])).sum())
    mix = float((level.mean(axis=0) * (share[1] - share[0])).sum())
    control, treatment = (float(a / t) for a, t in zip(amount.sum(axis=1), total, strict=True))
    change = treatment - control
    sentence = (
        f"{_WHAT[measure]} changed by {_told(measure, change)}: {_told(measure, mix)} because the new version gets "
        f"other requests, {_told(measure, within)} within operations."
    )
    return MixShift(
        measure=measure,
        control=control,
        treatment=treatment,
        change=change,
        within=within,
        mix=mix,
        sentence=sentence,
    )


def _told(measure: str, value: float) -> str:
    return f"{value * 100:+.2g} points" if measure == "errors" else f"{value * 1000:+.3g} ms"
