"""The KPIs of one deployment: each a tracker of its kind, fed with every batch."""

from dataclasses import replace

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch, JudgeSettings, ValueCell
from onejob.model.kpi import KpiKind
from onejob.stats.octaves import ZERO
from onejob.verdict.counts import Counts
from onejob.verdict.kpi_mean import MeanTracker
from onejob.verdict.kpi_outcome import OutcomeTracker
from onejob.verdict.kpi_slope import SlopeTracker
from onejob.verdict.kpi_throughput import ThroughputTracker
from onejob.verdict.signals import Row
from onejob.verdict.values import Told, Tracker, bins_of


class Kpis:
    """What was configured for the service when its deployment began to be judged."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._trackers = {kpi.name: (kpi, _tracker(Told(kpi, settings))) for kpi in settings.kpis}
        guardrails = sum(kpi.guardrail for kpi in settings.kpis)
        self._weight = 1 / guardrails if guardrails else 0.0

    @property
    def has_guardrails(self) -> bool:
        """Whether any of them shares alpha."""
        return self._weight > 0

    def consume(self, deployment: Deployment, batch: EvidenceBatch, rows: Counts) -> None:
        """Add a batch's values; `rows` are its requests."""
        whole = replace(batch, values=tuple(cell for cell in batch.values if self._is_whole(cell)))
        for name, bins in bins_of(deployment, whole, rows).items():
            self._trackers[name][1].consume(bins, batch.bin_width_s)

    def rows(self, *, was_load_alike: bool) -> list[Row]:
        """One row per KPI that both arms have shown; with less load than control (see `load`), nothing is better."""
        found = (t.row(self._weight if kpi.guardrail else 0.0) for kpi, t in self._trackers.values())
        return [row if was_load_alike else _not_better(row) for row in found if row is not None]

    def _is_whole(self, cell: ValueCell) -> bool:
        """Was it asked for, and has it the sums that its kind needs?"""
        if cell.kpi not in self._trackers:
            return False
        has_sums = all(k in cell.sums for k, n in cell.counts.items() if n and k != ZERO)
        return has_sums or self._trackers[cell.kpi][0].kind in (KpiKind.YES_NO, KpiKind.THROUGHPUT)


def _not_better(row: Row) -> Row:
    worse, better = row.log_e
    log_e = (worse, min(0.0, better))
    return replace(row, log_e=log_e, own_log_e=log_e)


def _tracker(told: Told) -> Tracker:
    made: dict[KpiKind, type] = {
        KpiKind.MEAN: MeanTracker,
        KpiKind.YES_NO: OutcomeTracker,
        KpiKind.THROUGHPUT: ThroughputTracker,
        KpiKind.SLOPE: SlopeTracker,
    }
    tracker: Tracker = made[told.kpi.kind](told)
    return tracker
