"""What sampling leaves of a comparison: which requests the spans stand for, and whether both arms were sampled alike.

Problem: a version whose spans are kept at another rate looks as if it answered fewer requests, and a sampler that
prefers failures makes rates up. Solution: evidence stays on spans, because given the margins of a bin the core test
asks for an odds ratio, and that does not move when both arms sample alike, be it by outcome (Prentice & Pyke 1979,
"Logistic disease incidence models and case-control studies"); whatever is a number of requests, or a rate of them, is
of adjusted counts. What would break it is looked for here:

- Arms that sample *unlike by outcome*. Per cell (operation, instance, bin), r = how many requests a failed span stands
  for over how many another does; a sampler that looks at the outcome shows in log r, cell by cell. So do callers that
  sample at rates of their own, if they fail unlike: then a version that breaks for one of them would look like another
  sampler. They are told apart by how spans of one outcome count: alike where one sampler looks at the outcome, unlike
  where callers differ. Only the first is a sampler's doing.
- Spans *chosen by outcome* without a weight that would tell: see `unweighted`.

Symbols: n, x = spans of a cell, and failed ones; A, B = the requests they stand for; S = sum of squares over spans.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import RouterCount
from onejob.verdict.adjusted import within
from onejob.verdict.counts import CONTROL, TREATMENT, Counts
from onejob.verdict.split import NOT_COMPARABLE
from onejob.verdict.unweighted import Unweighted

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Thresholds are written with four hexadecimal digits or more, so equal samplers differ by less than a thousandth.
_LEAST_LOG = math.log(1.05)
# Of the sum of squares, what spans of one outcome may differ by: that is 3 % of what they stand for, too little for
# callers to look like a sampler that prefers failures by 5 %.
_MOST_WITHIN = 1e-3
_SD = 5.0  # two hundred operations, looked at thousands of times: 5 sd are one in two million
_LEAST_FAILED = 20  # for that to be about normal
# So many failures would have been seen, but for chance of e^-15, where none was. So many that were, of cells in which
# all failed, are no sampler's doing.
_TELLS = 15.0
ADVICE = (
    "Let both versions use one sampler that does not look at the outcome, or send onejob spans before they are sampled."
)


class Sampling:
    """Sums over the bins in which anything is sampled, per arm and operation."""

    def __init__(self) -> None:
        self._sums: Floats = np.zeros((2, 0, len(_COLUMNS)))
        self._unweighted = Unweighted()
        self.waiting: frozenset[int] = frozenset()  # operations of which it is too early to say: see `_waiting`
        self.why: str | None = None

    def consume(self, rows: Counts, names: Sequence[str], router: Iterable[RouterCount]) -> None:
        """Add a batch; `names` are the operations'. What was once not comparable stays so: it is in the evidence."""
        self._unweighted.consume(rows, router)
        if rows.weights is not None:
            self._add(rows, len(names))
            self.waiting = frozenset(np.flatnonzero(_waiting(self._sums)).tolist())
            self.why = self.why or self._unlike(names)
        self.why = self.why or self._chosen

    @property
    def is_chosen(self) -> bool:
        """Were spans chosen by outcome, and nothing tells how often each counts?"""
        return self.why is not None and self.why == self._unweighted.why

    @property
    def heft(self) -> float:
        """For how many requests a span stands: of the arm in which that is more, averaged over requests."""
        sums = self._sums.sum(axis=1)
        return float(max(1.0, *(sums[:, _SQUARES] / np.maximum(sums[:, _REQUESTS], 1.0))))

    def noticed(self) -> list[str]:
        """What is said where one version alone is looked at: against a past that was chosen alike, rates compare."""
        if not self.is_chosen or self.why is None:
            return []
        return [f"{self.why[0].upper()}{self.why[1:]}. Rates are those of the spans that were kept."]

    def left_out(self, names: Sequence[str], spans: Sequence[int], requests: Sequence[int]) -> list[str]:
        """Sentences; `spans` and `requests` are those of (control, treatment) that the verdict counts."""
        if self.why is not None:
            return [f"{NOT_COMPARABLE}{self.why}.", ADVICE]
        told = []
        if tuple(spans) != tuple(requests):
            told.append(
                f"Spans are sampled: {spans[TREATMENT]:,} stand for {requests[TREATMENT]:,} requests of the new "
                f"version, {spans[CONTROL]:,} for {requests[CONTROL]:,} of the old one. Numbers and rates are of "
                "requests; how sure they are follows from the spans."
            )
        return [*told, *self._of_outcomes(names), *self._unweighted.noticed()]

    def _add(self, rows: Counts, operations: int) -> None:
        self._sums = np.pad(self._sums, ((0, 0), (0, operations - self._sums.shape[1]), (0, 0)))
        n, x = rows.count.astype(float), rows.errors.astype(float)
        requests, failed = rows.requests, rows.failed
        is_telling = (x > 0) & (x < n) & (failed > 0) & (failed < requests)
        log_r = np.zeros(len(n))
        at = np.flatnonzero(is_telling)
        log_r[at] = np.log(failed[at] / x[at]) - np.log((requests - failed)[at] / (n - x)[at])
        values = {
            _SPANS: n,
            _FAILURES: x,
            _REQUESTS: requests,
            _FAILED: failed,
            _SQUARES: rows.squares,
            _TOLD: x * is_telling,
            _CELLS: is_telling,
            _LOG: log_r,
            _LOG_SQ: log_r**2,
            _WITHIN: within(n, x, requests, failed, rows.squares) * is_telling,
            _OF_ALL: rows.squares * is_telling,
        }
        key, shape = rows.arm * operations + rows.operation, (2, operations)
        for column, amounts in values.items():
            added = np.bincount(key, weights=amounts, minlength=2 * operations)
            self._sums[:, :, column] += added.reshape(shape)

    def _unlike(self, names: Sequence[str]) -> str | None:
        log_r, sd, is_one_sampler = _preferences(self._sums)
        known = (is_one_sampler & (self._sums[:, :, _TOLD] >= _LEAST_FAILED)).all(axis=0)
        differ = np.abs(log_r[TREATMENT] - log_r[CONTROL])
        found = np.flatnonzero(known & (differ > _LEAST_LOG) & (differ > _SD * np.hypot(*sd)))
        if not len(found):
            return None
        control, treatment = log_r[:, found[0]]
        return (
            f"of {names[found[0]]} the new version's sampler keeps failed requests {_kept(treatment)}, "
            f"the old version's {_kept(control)}"
        )

    @property
    def _chosen(self) -> str | None:
        """Weights that follow the outcome tell what the sampler did, whoever it was."""
        return None if _prefers(self._sums).any() else self._unweighted.why

    def _of_outcomes(self, names: Sequence[str]) -> list[str]:
        told = []
        prefers = _prefers(self._sums)
        if prefers.any():
            log_r = np.where(prefers, _preferences(self._sums)[0], 0.0)
            most = float(log_r.flat[np.abs(log_r).argmax()])
            told.append(
                f"Spans are chosen by outcome: failed requests are kept {_kept(most)}. Rates are those of all "
                "requests, by how often each span counts; durations are those of the spans that were kept."
            )
        if self.waiting:
            told.append(
                f"Errors of {', '.join(names[operation] for operation in sorted(self.waiting))} are judged by their "
                "size alone yet: one version's sampler looks at the outcome, and the other version had too few "
                "failures to tell whether its sampler does."
            )
        return told


_COLUMNS = (
    _SPANS, _FAILURES, _REQUESTS, _FAILED, _SQUARES, _TOLD, _CELLS, _LOG, _LOG_SQ, _WITHIN, _OF_ALL
) = range(11)  # fmt: skip


def _preferences(sums: Floats) -> tuple[Floats, Floats, Bools]:
    """Mean of log r over cells that tell, its standard error, and do they tell of one sampler? Each (arm, operation).

    The mean is 0 where no cell tells.
    """
    cells = np.maximum(sums[:, :, _CELLS], 1.0)
    mean = sums[:, :, _LOG] / cells
    sd = np.sqrt(np.maximum(sums[:, :, _LOG_SQ] / cells - mean**2, 0.0) / cells)
    is_one = (sums[:, :, _CELLS] > 0) & (sums[:, :, _WITHIN] <= _MOST_WITHIN * sums[:, :, _OF_ALL])
    return mean, sd, is_one


def _prefers(sums: Floats) -> Bools:
    """Does an arm's sampler look at the outcome? Shape (arm, operation)."""
    log_r, sd, is_one_sampler = _preferences(sums)
    result: Bools = is_one_sampler & (np.abs(log_r) > _LEAST_LOG) & (np.abs(log_r) > _SD * sd)
    return result


def _waiting(sums: Floats) -> Bools:
    """Does one arm's sampler look at the outcome, and is it too early to tell whether the other's does as well?

    Shape (operation,). The other has shown no failure, though not yet so many requests that it would have; or some that
    say otherwise, but too few to be sure.
    """
    log_r, _, is_one_sampler = _preferences(sums)
    others, other_is_one = sums[::-1], is_one_sampler[::-1]
    rate = sums[:, :, _FAILED] / np.maximum(sums[:, :, _REQUESTS], 1.0)
    would_tell = np.maximum(others[:, :, _SPANS] * rate, others[:, :, _FAILURES]) >= _TELLS
    is_silent = (others[:, :, _CELLS] == 0) & ~would_tell
    is_known = (is_one_sampler & (sums[:, :, _TOLD] >= _LEAST_FAILED)).all(axis=0)
    says_otherwise = other_is_one & (np.abs(log_r[TREATMENT] - log_r[CONTROL]) > _LEAST_LOG) & ~is_known
    result: Bools = (is_one_sampler & (np.abs(log_r) > _LEAST_LOG) & (is_silent | says_otherwise)).any(axis=0)
    return result


def _kept(log_r: float) -> str:
    """A failed span that counts a tenth as much was kept ten times as often."""
    if abs(log_r) < _LEAST_LOG:
        return "as often as others"
    return f"{math.exp(-log_r):.3g} times as often as others"
