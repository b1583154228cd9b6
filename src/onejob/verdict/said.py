"""What spans and logs say beyond requests, and whose: what `reading` gives back, and what it is asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from onejob.model.evidence import Cell, JudgeSettings, NoveltyCell, ValueCell, Vital
from onejob.model.kpi import Kpi, KpiSource
from onejob.store.engine import Scalar
from onejob.store.rollup import SPANS, environment_filter

Counted = TypeVar("Counted", Cell, ValueCell, NoveltyCell)

LONGEST_SPAN_S = 900  # longer ones are not read: they would have to be looked for in all that began before


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose spans, and the bins [since, until) of which width, in Unix seconds. `relation` has the columns of SPANS.

    `has_logs`: are there log records of theirs in `otel_logs` too, in which browsers report? `metrics_bin_s`: of which
    width are the bins of their metrics; None where no metrics of theirs are stored.
    """

    service: str
    environment: str
    default_environment: str
    since: int
    until: int
    width_s: int
    relation: str = SPANS
    has_logs: bool = False
    metrics_bin_s: int | None = None

    def params(self) -> dict[str, Scalar]:
        """As the queries name them."""
        return {
            "service": self.service,
            "environment": self.environment,
            "unnamed": environment_filter(self.environment, self.default_environment),
            "since": self.since,
            "until": self.until,
            "width": self.width_s,
            "longest": LONGEST_SPAN_S,
        }


@dataclass(frozen=True, slots=True)
class Said:
    """What spans said beyond requests, as a batch of evidence holds it."""

    values: tuple[ValueCell, ...] = ()
    vitals: tuple[Vital, ...] = ()
    novelties: tuple[NoveltyCell, ...] = ()

    def between(self, since: int, until: int) -> "Said":
        """What they said in bins that start in [since, until): as if no other bins had been read."""
        vitals = [replace(one, cells=_between(one.cells, since, until)) for one in self.vitals]
        return Said(
            values=_between(self.values, since, until),
            vitals=tuple(one for one in vitals if one.cells),
            novelties=_between(self.novelties, since, until),
        )


def kpis_of(told: JudgeSettings) -> Sequence[Kpi]:
    """Those that are read: none of spans, where those do not tell of all requests."""
    return [kpi for kpi in told.kpis if told.metrics is None or kpi.source is KpiSource.METRIC]


def _between(cells: Iterable[Counted], since: int, until: int) -> tuple[Counted, ...]:
    return tuple(cell for cell in cells if since <= cell.bin_start < until)
