"""What new processes cost in their first minutes, and how long those minutes are.

Problem: caches, compilers and connection pools are cold at first, so a new version looks slow beside one that has run
for days. Solution: durations of new instances are left out of the comparison for a while. How long is read from the
instances of the service that began in the days before, as far as they show it; what was left out is held against
their first minutes, at the same age.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from onejob.model.deployment import Deployment
from onejob.model.evidence import Cell, JudgeSettings, PastStarts
from onejob.stats import histogram
from onejob.store.engine import Reader, Scalar
from onejob.store.errors import StoreError
from onejob.store.rollup import ROLLUP, scope
from onejob.verdict.counts import TREATMENT, Counts

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_DAYS_S = 3 * 86_400  # what is older was often another machine's, or another runtime's
_MOST = 100  # of the latest starts
_STEP_S = 10  # ages are told apart by that, or by a bin
# Fewer starts say little of the next one; fewer requests of one start say little of it.
FEWEST, _LEAST = 8, 20
# Of requests, how many more may be beyond the median: what 53 % beyond mean for the median itself is, with durations
# spread by a factor of two either way, about 5 %, its tolerance.
_SETTLED, _SURE = 0.03, 0.95
_TIMEOUT_S = 10.0  # a tick's: other deployments wait meanwhile
_QUERY = resources.files("onejob.verdict").joinpath("queries/past_starts.sql").read_text()


def learn(
    engine: Reader,
    deployment: Deployment,
    told: JudgeSettings,
    *,
    default_environment: str,
    bin_width_s: int,
    relation: str = ROLLUP,
) -> JudgeSettings:
    """What is told, with what past starts say; unchanged where they do not, or the engine does not tell."""
    step = bin_width_s * -(-_STEP_S // bin_width_s)
    window = int(told.warm_up_s) // step * step
    if window < 2 * step:
        return told
    until = int(deployment.started_at.timestamp())
    asked = scope(deployment.service, deployment.environment, default_environment, until - _DAYS_S, until)
    more: dict[str, Scalar] = {"window": window, "step": step, "most": _MOST}
    try:
        sql = _QUERY.replace(f"FROM {ROLLUP}\n", f"FROM {relation}\n")
        rows = engine.query(sql, asked | more, timeout_s=_TIMEOUT_S).to_pylist()
    except StoreError as error:
        log.warning("How quick new instances of %s are was not read: %s", deployment.service, error)
        return told
    starts = _tables(rows, window // step)
    if len(starts) < FEWEST:
        return told
    timed, slower = starts[:, 0, :-1].sum(), starts[:, 1, :-1].sum()
    found = PastStarts(instances=len(starts), slower=float(slower / timed), settled_s=settled(starts, step))
    return replace(told, starts=found, warm_up_s=min(told.warm_up_s, found.settled_s or told.warm_up_s))


def _tables(rows: Sequence[Mapping[str, object]], steps: int) -> Ints:
    """Per start, timed requests and slower ones, by step of age and after: shape (starts, 2, steps + 1)."""
    found: dict[str, Ints] = {}
    for row in rows:
        table = found.setdefault(str(row["start"]), np.zeros((2, steps + 1), dtype=np.int64))
        table[:, int(str(row["age"]))] = int(str(row["timed"])), int(str(row["slower"]))
    told = [table for table in found.values() if table[0, :-1].sum() >= _LEAST and table[0, -1] >= _LEAST]
    return np.array(told, dtype=np.int64).reshape(-1, 2, steps + 1)


def settled(starts: Ints, step_s: int) -> int | None:
    """The age in s from which on starts were as quick as after the start-up time; None where that is not shown.

    `starts` has shape (starts, 2, steps + 1): timed requests and those beyond the median, by age, the last one after.
    Stretches of age that double are tested from the oldest down: of each, the mean over starts of the share
    beyond less that afterwards must be below 3 points by its one-sided 95 % limit (Student's t, as starts differ).
    """
    steps = starts.shape[2] - 1
    edges = [1]
    while 2 * edges[-1] < steps:
        edges.append(2 * edges[-1])
    shown = None
    for low, high in zip(reversed(edges), [steps, *reversed(edges)], strict=False):
        timed, slower = starts[:, :, low:high].sum(axis=2).T
        used = timed >= _LEAST
        if used.sum() < FEWEST:
            break
        later = starts[used, :, -1]
        more = slower[used] / timed[used] - later[:, 1] / later[:, 0]
        limit = more.mean() + stats.t.ppf(_SURE, len(more) - 1) * more.std(ddof=1) / np.sqrt(len(more))
        if limit > _SETTLED:
            break
        shown = low * step_s
    return shown


class StartUp:
    """Of one deployment: what its new instances' first minutes cost."""

    def __init__(self) -> None:
        self._untimed = 0.0
        self._durations: dict[int, Ints] = {}  # by operation

    def consume(self, rows: Counts, young: Iterable[Cell], operations: Mapping[str, int], other: int) -> None:
        """Add a batch: `young` are treatment's cells in their start-up time."""
        treatment = rows.arm == TREATMENT
        untimed = float(((rows.count - rows.timed) * rows.per_span)[treatment].sum())
        if not untimed:
            return
        self._untimed += untimed
        for cell in young:
            mine = self._durations.setdefault(
                operations.get(cell.operation, other), np.zeros(histogram.SIZE, dtype=np.int64)
            )
            indices = np.array([*cell.buckets, histogram.LOWEST], dtype=np.int64)
            np.add.at(mine, histogram.position(indices), [*cell.buckets.values(), cell.zeros])

    def left_out(self, control: Ints, settings: JudgeSettings) -> list[str]:
        """Sentences; `control` are the old version's durations, shape (operations, SIZE)."""
        said = []
        starts = settings.starts
        if self._untimed:
            said.append(
                f"{round(self._untimed)} requests in the start-up time of new instances were left out of latency"
                f"{self._cost(control, starts)}."
            )
        if starts is not None and starts.settled_s == settings.warm_up_s:
            said.append(
                f"Durations of new instances count after {settings.warm_up_s:g} s: {starts.instances} that began in "
                "the days before were as quick as ever by then."
            )
        return said

    def _cost(self, control: Ints, starts: PastStarts | None) -> str:
        timed = slower = 0
        for operation, mine in self._durations.items():
            if operation < len(control) and control[operation].sum() >= _LEAST:
                beyond = histogram.quantile_position(control[operation], 0.5) + 1
                timed, slower = timed + int(mine.sum()), slower + int(mine[beyond:].sum())
        if timed < _LEAST:
            return ""
        cost = f": {slower / timed:.0%} of them took longer than the old version's median"
        if starts is None:
            return cost
        before = f"{starts.instances} instances that began in the days before, at the same age"
        return f"{cost} (of {before}, {starts.slower:.0%})"
