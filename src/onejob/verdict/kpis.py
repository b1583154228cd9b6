"""The KPIs of one deployment: each a tracker of its kind, fed with every batch."""

from dataclasses import replace

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch, JudgeSettings, ValueCell
from onejob.model.kpi import KpiKind, KpiSource
from onejob.stats.octaves import ZERO
from onejob.verdict.counts import Counts
from onejob.verdict.kpi_mean import MeanTracker
from onejob.verdict.kpi_outcome import OutcomeTracker
from onejob.verdict.kpi_slope import SlopeTracker
from onejob.verdict.kpi_throughput import ThroughputTracker
from onejob.verdict.metric_bins import MetricBins, served_of
from onejob.verdict.signals import Row
from onejob.verdict.values import Told, Tracker, bins_of, seen_in


class Kpis:
    """What was configured for the service when its deployment began to be judged."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._trackers = {kpi.name: (kpi, _tracker(Told(kpi, settings))) for kpi in settings.kpis}
        self._metrics = {kpi.name: MetricBins(kpi) for kpi in settings.kpis if kpi.source is KpiSource.METRIC}
        guardrails = sum(kpi.guardrail for kpi in settings.kpis)
        self._weight = 1 / guardrails if guardrails else 0.0

    @property
    def has_guardrails(self) -> bool:
        """Whether any of them shares alpha."""
        return self._weight > 0

    def consume(self, deployment: Deployment, batch: EvidenceBatch, rows: Counts) -> None:
        """Add a batch's values; `rows` are its requests."""
        whole = [cell for cell in batch.values if self._is_whole(cell)]
        of_spans = replace(batch, values=tuple(cell for cell in whole if cell.kpi not in self._metrics))
        for name, bins in bins_of(deployment, of_spans, rows).items():
            self._trackers[name][1].consume(bins, batch.bin_width_s)
        if self._metrics:
            of_metrics = replace(batch, values=tuple(cell for cell in whole if cell.kpi in self._metrics))
            self._consume_metrics(deployment, of_metrics)

    def _consume_metrics(self, deployment: Deployment, batch: EvidenceBatch) -> None:
        served, said = served_of(deployment, batch), seen_in(deployment, batch)
        for name, gathered in self._metrics.items():
            bins = gathered.consume(deployment, batch, said.get(name, {}), served)
            if bins:
                self._trackers[name][1].consume(bins, gathered.width_s(batch.bin_width_s))

    def rows(self, *, was_load_alike: bool) -> list[Row]:
        """One row per KPI that both arms have shown; with less load than control (see `load`), nothing is better."""
        found = (t.row(self._weight if kpi.guardrail else 0.0) for kpi, t in self._trackers.values())
        return [row if was_load_alike else _not_better(row) for row in found if row is not None]

    def _is_whole(self, cell: ValueCell) -> bool:
        """Was it asked for, and has it the sums that its kind needs?"""
        if cell.kpi not in self._trackers:
            return False
        has_sums = all(k in cell.sums for k, n in cell.counts.items() if n and k != ZERO)
        is_counted = self._trackers[cell.kpi][0].kind in (KpiKind.YES_NO, KpiKind.THROUGHPUT)
        return has_sums or (is_counted and cell.kpi not in self._metrics)


def _not_better(row: Row) -> Row:
    worse, better = row.log_e
    log_e = (worse, min(0.0, better))
    return replace(row, log_e=log_e, own_log_e=log_e)


def _tracker(told: Told) -> Tracker:
    if told.kpi.source is KpiSource.METRIC and told.kpi.kind is KpiKind.THROUGHPUT:
        return MeanTracker(told)
    made: dict[KpiKind, type] = {
        KpiKind.MEAN: MeanTracker,
        KpiKind.YES_NO: OutcomeTracker,
        KpiKind.THROUGHPUT: ThroughputTracker,
        KpiKind.SLOPE: SlopeTracker,
    }
    tracker: Tracker = made[told.kpi.kind](told)
    return tracker
