"""The KPIs of one deployment: each a tracker of its kind, fed with every batch."""

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch, JudgeSettings
from onejob.model.kpi import KpiKind
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
        for name, bins in bins_of(deployment, batch, rows).items():
            if name in self._trackers:
                self._trackers[name][1].consume(bins, batch.bin_width_s)

    def rows(self) -> list[Row]:
        """One row per KPI that both arms have shown."""
        found = (t.row(self._weight if kpi.guardrail else 0.0) for kpi, t in self._trackers.values())
        return [row for row in found if row is not None]


def _tracker(told: Told) -> Tracker:
    made: dict[KpiKind, type] = {
        KpiKind.MEAN: MeanTracker,
        KpiKind.YES_NO: OutcomeTracker,
        KpiKind.THROUGHPUT: ThroughputTracker,
        KpiKind.SLOPE: SlopeTracker,
    }
    tracker: Tracker = made[told.kpi.kind](told)
    return tracker
