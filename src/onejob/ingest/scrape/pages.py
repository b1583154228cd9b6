"""A page of metrics as OTLP (OpenTelemetry specification, compatibility/prometheus_and_openmetrics.md).

All parts of a histogram or summary are on one page, so they are put together, unlike what remote write brings. What
`target_info` says is said of the resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from onejob.ingest.errors import BadRequest
from onejob.ingest.labels import Pairs, put, resource_of
from onejob.ingest.otlp_metrics import EXEMPLAR_BYTES, Family, Form, Metrics, Source, fill_exemplar, scope_of, size_of
from onejob.ingest.scrape import grouped
from onejob.ingest.scrape.grouped import Unfit
from onejob.ingest.scrape.times import nanoseconds
from onejob.model.scrape import ScrapeTarget

SCOPE = "onejob/scrape"
ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
_OPENMETRICS = "application/openmetrics-text"
_TARGET_INFO = "target_info"
_DROPPED = ("gaugehistogram",)  # "The following Prometheus types MUST be dropped"
_FORMS: Mapping[str, tuple[Form, bool]] = {
    "counter": ("sum", True),
    "info": ("sum", False),
    "stateset": ("sum", False),
}


@dataclass(slots=True)
class Page:
    """Families are added to it; `samples` counts what was on the page."""

    metrics: Metrics
    resource: Pairs
    at_ns: int
    samples: int = 0

    def add(self, family: Any) -> None:
        """Raises TooLarge."""
        self.samples += len(family.samples)
        if family.type in _DROPPED:
            return
        if family.type in ("histogram", "summary"):
            self._add_grouped(family)
        else:
            self._add_numbers(family, *_FORMS.get(family.type, ("gauge", False)))

    def add_number(self, name: str, value: float, unit: str = "") -> None:
        """A gauge that is onejob's own."""
        point = self._point(Family(name, "gauge", unit=unit), {})
        point.time_unix_nano, point.as_double = self.at_ns, value

    def _add_numbers(self, family: Any, form: Form, is_monotonic: bool) -> None:
        started = grouped.starts(family)
        for sample in family.samples:
            if form == "sum" and is_monotonic and sample.name.endswith("_created"):
                continue
            of = Family(sample.name, form, is_monotonic, family.documentation, family.unit)
            point = self._point(of, dict(sample.labels))
            point.time_unix_nano = nanoseconds(sample.timestamp, self.at_ns)
            point.start_time_unix_nano = started.get(grouped.key_of(sample.labels), 0)
            point.as_double = sample.value
            self._add_exemplars(point, [sample.exemplar])

    def _add_grouped(self, family: Any) -> None:
        of = Family(family.name, family.type, False, family.documentation, family.unit)
        for group in grouped.groups(family):
            point = self._point(of, dict(group.labels), 16 * len(group.parts))
            point.time_unix_nano = nanoseconds(group.timestamp, self.at_ns)
            point.start_time_unix_nano = group.start_ns
            try:
                (grouped.fill_histogram if family.type == "histogram" else grouped.fill_summary)(point, group)
            except Unfit:
                del self.metrics.points(self._source_of(dict(group.labels)), of)[-1]
            else:
                self._add_exemplars(point, group.exemplars)

    def _add_exemplars(self, point: Any, exemplars: Iterable[Any]) -> None:
        for exemplar in exemplars:
            if exemplar is not None:
                self.metrics.spend(EXEMPLAR_BYTES + size_of(exemplar.labels.items()))
                time_ns = nanoseconds(exemplar.timestamp, point.time_unix_nano)
                fill_exemplar(point.exemplars.add(), exemplar.labels, exemplar.value, time_ns)

    def _point(self, family: Family, labels: dict[str, str], more_bytes: int = 0) -> Any:
        source = self._source_of(labels)
        pairs = sorted(labels.items())
        self.metrics.spend(size_of(pairs) + more_bytes, 1)
        point = self.metrics.points(source, family).add()
        put(point.attributes, pairs)
        return point

    def _source_of(self, labels: dict[str, str]) -> Source:
        return Source(self.resource, scope_of(labels, SCOPE))


def read(target: ScrapeTarget, text: str, media: str, metrics: Metrics, at_ns: int) -> Page:
    """Raises BadRequest."""
    parse: Callable[[str], Iterable[Any]] = text_string_to_metric_families
    if media == _OPENMETRICS:
        parse = openmetrics.text_string_to_metric_families
    try:
        families = list(parse(text))
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError) as error:
        raise BadRequest(f"its page cannot be read: {str(error)[:200] or type(error).__name__}") from error
    told = [sample.labels for family in families for sample in family.samples if sample.name == _TARGET_INFO]
    page = Page(metrics, resource_with(target, told[0] if told else {}), at_ns)
    for family in families:
        if not (family.samples and family.samples[0].name == _TARGET_INFO):
            page.add(family)
    return page


def resource_with(target: ScrapeTarget, told: Mapping[str, str]) -> Pairs:
    """What the settings say goes before what the target says of itself."""
    resource: dict[str, str] = {}
    for labels in (dict(told), {"job": target.job, "instance": target.instance or target.place, **target.labels}):
        resource |= dict(resource_of(labels))
        resource |= labels  # what is left
    return tuple(sorted(resource.items()))
