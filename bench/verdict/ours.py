"""Our judge over a whole day at once: the evidence at every look, and the looks that matter through the real judge.

A look costs milliseconds, a day has 8,640 of them, and a false-alarm rate of 1 % takes hundreds of days per kind of
noise. But a deployment is only ever called worse at a look at which the guardrails' combined evidence is at the bar. So
`trace` computes that evidence at every look: thresholds, phi and theta_0 by the judge's own `Evidence`, which learns
as it does live, the increments by the core test's own arithmetic, looked up where a bin's margins were seen before.
Days that never come near the bar are done; the others are folded bin by bin through the real `Judge`.

The trace differs from live where the judge learns from several control instances: it learns after each bin at first,
later when it has seen a tenth more, and it rounds theta_0 down. `MARGIN` makes up for the first, the second only
adds evidence; tests fold days both ways.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
from bench.verdict.traffic import BIN_S, Day
from numpy.typing import NDArray

from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.model.evidence import Cell, EvidenceBatch, JudgeSettings
from onejob.model.verdict import State, Verdict
from onejob.stats import core_test, mixture
from onejob.verdict.budget import BUDGET
from onejob.verdict.counts import CONTROL, TREATMENT, Counts
from onejob.verdict.evidence import ERRORS, Evidence
from onejob.verdict.fold import fold
from onejob.verdict.intervals import LatencyIntervals
from onejob.verdict.judge import Judge
from onejob.verdict.operations import Operations

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

START_S = 1_800_000_000
SETTINGS = JudgeSettings()
MARGIN = 1.0  # nats below the bar from which on a day is folded through the real judge
_EVERY_BIN = 30  # bins after the start up to which the judge learns from one at a time
_GROWTH = 1.1  # then whenever so much more was seen
_THETA_STEP = 0.02
_LARGEST = 4_000_000  # bin tests at once
VERSIONS = ("1", "2")


class NoIntervals(LatencyIntervals):
    """Knows the edges that effects are read at, and leaves the intervals themselves out: a state needs none."""

    def consume(self, rows: Counts, evidence: Evidence) -> None:
        """Nothing."""


class WithoutPhi(Evidence):
    """Takes requests for independent."""

    def phi(self) -> Floats:
        return np.ones_like(super().phi())


class WithoutTheta0(Evidence):
    """Takes instances for equal."""

    def log_theta_0(self) -> Floats:
        return np.zeros_like(super().log_theta_0())


class Bare(WithoutPhi, WithoutTheta0):
    """The core test alone."""


@cache
def _learner(kind: type[Evidence]) -> type[Evidence]:
    """The judge's evidence, which learns from bins but leaves testing them to `trace`."""

    class Learner(kind):  # type: ignore[valid-type,misc]
        def __init__(self, settings: JudgeSettings) -> None:
            super().__init__(settings)
            self.steps: list[tuple[Ints, Ints, Floats, Floats]] = []

        def _test(self, totals: Ints, events: Ints, alike: NDArray[np.bool_]) -> None:
            self.steps.append((totals, events, self.phi(), self.log_theta_0()))

    return Learner


COSTS = core_test.Costs()  # shared by a process's days


def _costs(n0: Ints, n1: Ints, k: Ints, log_theta_0: float) -> Floats:
    """C_j of the side that looks for worse; shape (bins, ratios)."""
    distinct, which = np.unique((n0 << 42) | (n1 << 21) | k, return_inverse=True)
    n0, n1, k = distinct >> 42, (distinct >> 21) & 0x1FFFFF, distinct & 0x1FFFFF
    found: Floats = COSTS.of(core_test.Bins(n0, n1, k, np.zeros_like(k), np.full(len(k), log_theta_0)))[0][which]
    return found


def trace(day: Day, settings: JudgeSettings = SETTINGS, kind: type[Evidence] = Evidence) -> Floats:
    """Log of the guardrails' combined evidence for worse, after each bin of the day; shape (bins,)."""
    learner = _learner(kind)(settings)
    rows, operations = day.counts, day.traffic.operations
    learner.grow(operations, sum(day.traffic.pods))
    intervals = NoIntervals(settings.alpha)
    intervals.grow(operations)
    log_e = np.zeros((operations, 1 + learner.edges.shape[1], len(core_test.LOG_RATIOS)))
    weights = shares(day)
    path = []
    for first, last in _pieces(day):
        fold(rows.select(first, last), learner, intervals)
        for totals, events, phi, log_theta_0 in learner.steps:
            grown = log_e + _increments(totals, events, log_theta_0).cumsum(axis=0) / phi[:, :, None]
            path.append(_combined(grown, weights))
            log_e = grown[-1]
        learner.steps.clear()
    return np.concatenate(path)


def _pieces(day: Day) -> Iterator[tuple[int, int]]:
    """Runs of bins: short ones where the judge learns, and none that would not fit into memory."""
    most = max(1, _LARGEST // (7 * len(core_test.LOG_RATIOS) * day.traffic.operations))
    at, bins = 0, day.counts.bins
    while at < bins:
        seen = at - day.start
        if seen < 0:  # nothing is tested yet, and what was learnt does not depend on the pieces
            step = -seen
        elif day.traffic.pods[0] < 2:
            step = most
        else:
            step = 1 if seen < _EVERY_BIN else max(1, int(at * (_GROWTH - 1)))
        yield at, min(bins, at + min(step, most))
        at += min(step, most)


def _increments(totals: Ints, events: Ints, log_theta_0: Floats) -> Floats:
    """What each bin adds, before phi; shape (bins, operations, signals, ratios)."""
    is_timed = np.minimum(np.arange(events.shape[2]), 1)  # errors are of all requests, the others of timed ones
    (n0, n1), (x0, x1) = totals[:, :, is_timed], events
    k = x0 + x1
    out = np.zeros((*k.shape, len(core_test.LOG_RATIOS)))
    is_used = (k > 0) & (k < n0 + n1) & (n0 > 0) & (n1 > 0)
    theta = np.floor(log_theta_0 / _THETA_STEP + 1e-9) * _THETA_STEP if len(np.unique(log_theta_0)) > 1 else log_theta_0
    for one in np.unique(theta):
        mine = is_used & (theta == one)[:, :, None]
        costs = _costs(n0[mine], n1[mine], k[mine], float(one))
        out[mine] = x1[mine][:, None] * core_test.LOG_RATIOS - costs
    return np.moveaxis(out, 2, 0)


def _combined(log_e: Floats, weights: Floats) -> Floats:
    """As `decide` combines them; shape (bins,)."""
    bets, shares = [np.zeros((len(log_e), 1))], [0.0]
    for family, signals in (("errors", slice(ERRORS, ERRORS + 1)), ("latency", slice(ERRORS + 1, None))):
        of_each = mixture.log_mean(log_e[:, :, signals], axis=(2, 3))
        bets += [of_each, of_each.sum(axis=1, keepdims=True)]
        shares += [*(BUDGET[family] / 2 * weights), BUDGET[family] / 2]
    shares[0] = 1 - sum(shares)
    used = np.array(shares) > 0
    total: Floats = mixture.log_sum(np.concatenate(bets, axis=1)[:, used] + np.log(np.array(shares)[used]), axis=1)
    return total


def shares(day: Day) -> Floats:
    """Of a family's budget, by operation: by the traffic until treatment first answers, late ones as they appear."""
    rows, number = day.counts, day.traffic.operations
    treated = np.flatnonzero(rows.arm == TREATMENT)
    until = int(np.searchsorted(rows.bin, rows.bin[treated[0]], side="right")) if len(treated) else len(rows.bin)
    seen = np.bincount(rows.operation[:until], rows.count[:until], number).astype(int)
    operations = Operations(max(SETTINGS.max_operations, number))
    cells = [_cell(op, CONTROL, 0, 0, int(n)) for op, n in enumerate(seen) if n]
    operations.register(cells, cells)
    late, first = np.unique(rows.operation[until:], return_index=True)
    for op in late[np.argsort(first)]:
        operations.register([_cell(int(op), CONTROL, 0, 0, 1)], [])
    return np.array([operations.weight(_name(op)) for op in range(number)])


def _name(operation: int) -> str:
    return f"GET /{operation}"


def _cell(operation: int, arm: int, pod: int, at: int, count: int) -> Cell:
    return Cell(
        operation=_name(operation),
        version=VERSIONS[arm],
        instance=f"{VERSIONS[arm]}-{pod}",
        bin_start=START_S + at * BIN_S,
        count=count,
        errors=0,
    )


class CountsJudge(Judge):
    """The real judge, fed with columns: cells only say who served, so that nothing is unpacked and packed again."""

    def __init__(
        self,
        day: Day,
        settings: JudgeSettings = SETTINGS,
        kind: type[Evidence] = Evidence,
        *,
        intervals: bool = False,
    ) -> None:
        super().__init__(_deployment(day))
        self._day, self._kind, self._has_intervals = day, kind, intervals
        self._first: JudgeSettings | None = replace(
            settings, max_operations=max(settings.max_operations, day.traffic.operations)
        )
        self._at = 0

    def look(self, until: int) -> Verdict:
        """Take in the bins up to `until`, and look."""
        return self.consume(self._batch(until))

    def skip(self, until: int) -> None:
        """Take in the bins one by one as live, without looking: a look changes nothing of the evidence."""
        looks, self._look = self._look, lambda _: None  # type: ignore[method-assign,return-value,assignment]
        while self._at < until:
            self.consume(self._batch(self._at + 1))
        self._look = looks  # type: ignore[method-assign]

    def _batch(self, until: int) -> EvidenceBatch:
        self._slice = self._day.counts.select(self._at, until)
        self._from, self._at = self._at, until
        settings, self._first = self._first, None
        times = [START_S + at * BIN_S for at in (self._from, until)]
        return EvidenceBatch(
            deployment_id=self.deployment.id,
            seq=self.next_seq,
            judged_at=datetime.fromtimestamp(times[1], UTC),
            bins_from=times[0],
            bins_to=times[1],
            bin_width_s=BIN_S,
            cells=self._cells(),
            settings=settings,
        )

    def _cells(self) -> tuple[Cell, ...]:
        rows = self._slice
        key = (rows.operation * 2 + rows.arm) * 10_000 + rows.instance
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
        total = np.bincount(which, rows.count)
        keys = (rows.operation, rows.arm, rows.instance, rows.bin + self._from)
        columns = (column[first].tolist() for column in keys)
        return tuple(_cell(*who, int(n)) for *who, n in zip(*columns, total, strict=True))

    def _adopt(self, settings: JudgeSettings) -> None:
        super()._adopt(settings)
        self._evidence = self._kind(settings)
        if not self._has_intervals:
            self._intervals = NoIntervals(settings.alpha)

    def _place(self, batch: EvidenceBatch) -> Counts:
        numbers = self._operations.numbers
        operation = np.array([numbers.get(_name(op), -1) for op in range(self._day.traffic.operations)])
        arms = np.repeat([0, 1], self._day.traffic.pods)
        keys = [(VERSIONS[arm], "", f"{VERSIONS[arm]}-{pod}") for pod, arm in enumerate(arms)]
        instance = np.array([self._instances.get(key, -1) for key in keys])
        rows = self._slice
        return replace(rows, operation=operation[rows.operation], instance=instance[rows.instance])


def _deployment(day: Day) -> Deployment:
    return Deployment(
        id=day.traffic.name,
        service="shop",
        environment="production",
        version=VERSIONS[1],
        previous_version=VERSIONS[0],
        strategy=Strategy.CANARY,
        source=Source.REPORTED,
        status=Status.IN_PROGRESS,
        started_at=datetime.fromtimestamp(START_S + day.start * BIN_S, UTC),
    )


def first_worse(day: Day, settings: JudgeSettings = SETTINGS, kind: type[Evidence] = Evidence) -> int | None:
    """The first look, in bins after the start, at which the real judge calls the deployment worse; None for never."""
    near = np.flatnonzero(trace(day, settings, kind) >= -np.log(settings.alpha) - MARGIN)
    judge = CountsJudge(day, settings, kind)
    for at in near.tolist():
        judge.skip(at)
        if judge.look(at + 1).state is State.WORSE:
            return int(at + 1 - day.start)
    return None
