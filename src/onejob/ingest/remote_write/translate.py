"""Series of remote write as OTLP metrics.

    job, instance, service_version... -> resource      __name__ -> metric      what is left -> attributes

Each series is stored by itself, under its own name: the parts of a classic histogram or summary may come in requests of
their own, so they are not put together (docs/decisions/014).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onejob.ingest.errors import BadRequest
from onejob.ingest.labels import resource_of
from onejob.ingest.otlp_metrics import Metrics, Source, scope_of
from onejob.ingest.remote_write.exemplars import Exemplars
from onejob.ingest.remote_write.forms import form_of
from onejob.ingest.remote_write.points import Points, Tally
from onejob.ingest.remote_write.series import Series
from onejob.ingest.validate import Accepted

SCOPE = "onejob/remote_write"


@dataclass(frozen=True, slots=True)
class Written(Accepted):
    """`items` by what they came as, as remote write 2.0 wants it told."""

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0


@dataclass(slots=True)
class Translation:
    """Series are added to it. `tells_exemplars`: one that cannot be kept counts as bad."""

    metrics: Metrics
    tells_exemplars: bool
    _tally: Tally = field(default_factory=Tally)
    _exemplars: Exemplars = field(default_factory=Exemplars)

    def add(self, series: Series) -> None:
        """Raises TooLarge."""
        count = len(series.samples) + len(series.histograms)
        self._tally.sent += count
        if series.problem:
            name = series.labels.get("__name__", "")[:100]
            self._tally.refuse(count, f"The series {name!r} {series.problem}")
            return
        labels = series.labels
        identity = tuple(sorted(labels.items()))
        name = labels.pop("__name__")
        form, is_monotonic = form_of(name, series.kind, labels)
        source = Source(scope=scope_of(labels, SCOPE), resource=resource_of(labels))
        points = Points(self.metrics, self._tally, source, name, series, tuple(sorted(labels.items())))
        self._exemplars.add(identity, [*points.samples(form, is_monotonic), *points.histograms()], series.exemplars)

    def finished(self) -> Written:
        """Raises BadRequest if nothing was good."""
        tally = self._tally
        kept, lost = self._exemplars.settle(self.metrics.spend)
        if self.tells_exemplars:
            tally.sent += kept + lost
            if lost:
                tally.refuse(lost, "An exemplar has no sample of its series in the same request, or no time.")
        items, tables = self.metrics.tables()
        if tally.bad and not items:
            raise BadRequest(tally.first)
        message = ""
        if tally.bad:
            message = (
                f"{tally.bad} of {tally.sent} samples were refused, and the others taken. The first: {tally.first}"
            )
        payload = self.metrics.request.SerializeToString()
        return Written(
            "metrics", payload, items, tally.bad, message, tables,
            samples=tally.samples, histograms=tally.histograms, exemplars=kept,
        )  # fmt: skip
