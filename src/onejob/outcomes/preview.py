"""What recent telemetry says of a KPI: whether it is there at all, its level, and what traffic its tolerance takes.

Who names a KPI wants to know before the next deployment whether the name is right, and whether its tolerance can be
told from chance at all. So what it says is read as the judge reads it, and the judge's own forecasts are asked about
it, as if the recent past had been two versions with half of the traffic each.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from onejob.config import Settings
from onejob.model.evidence import ValueCell
from onejob.model.kpi import Kpi, KpiKind, KpiSource, matches
from onejob.outcomes import forecast, warnings
from onejob.outcomes.errors import NoTelemetryError
from onejob.outcomes.forecast import Recent
from onejob.store.engine import Reader
from onejob.store.rollup import read_cells, versions_seen
from onejob.verdict.reading import read_values
from onejob.verdict.reading_metrics import shapes
from onejob.verdict.said import Scope

_BINS = 120  # as many as a forecast needs, and few enough to be read while somebody waits
_LEAST_WIDTH_S = 10
_SEEN_FOR_S = 3600
_IS_A = {"level": "a gauge or an up-down counter", "counter": "a counter", "spread": "a histogram or a summary"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Of one service in [since, until), Unix seconds.

    `values` were seen on `instances`, beside `requests`; `level` is in `unit`. `needs` are requests of each version
    until a change of the tolerance is told from none; None if that cannot be said (`notes` say why) or never will.
    `seconds` is how long that takes with half of the present traffic each.
    """

    service: str
    environment: str
    since: int
    until: int
    values: int
    instances: int
    requests: float
    level: float | None
    unit: str
    needs: int | None
    seconds: float | None
    notes: tuple[str, ...]


def preview(
    engine: Reader,
    settings: Settings,
    kpi: Kpi,
    now: datetime,
    *,
    service: str | None = None,
    environment: str | None = None,
) -> Preview:
    """Of the service, or of the busiest one that the KPI is for. Raises NoTelemetryError, StoreError."""
    named = replace(kpi, service=service) if service else kpi
    where = environment or settings.default_environment
    chosen = _busiest(engine, settings, named, where, now)
    width = max(_LEAST_WIDTH_S, kpi.every_s if kpi.source is KpiSource.METRIC else 0, settings.bin_width_s)
    until = (int(now.timestamp()) - int(settings.watermark_s)) // width * width
    scope = Scope(
        service=chosen,
        environment=where,
        default_environment=settings.default_environment,
        since=until - _BINS * width,
        until=until,
        width_s=width,
        has_logs=True,
        metrics_bin_s=width,
    )
    recent = _recent(engine, kpi, scope)
    found = forecast.of(recent, settings.alpha)
    return Preview(
        service=chosen,
        environment=where,
        since=scope.since,
        until=scope.until,
        values=sum(sum(cell.counts.values()) for cell in recent.cells),
        instances=len({cell.instance for cell in recent.cells}),
        requests=sum(recent.requests.values()),
        level=found.level,
        unit=recent.told.unit,
        needs=found.needs,
        seconds=found.seconds,
        notes=(*warnings.of(kpi, settings), *_notes(engine, recent, scope), *found.notes),
    )


def _recent(engine: Reader, kpi: Kpi, scope: Scope) -> Recent:
    requests: Counter[int] = Counter()
    serving = set()
    for cell in read_cells(
        engine,
        service=scope.service,
        environment=scope.environment,
        default_environment=scope.default_environment,
        since=scope.since,
        until=scope.until,
    ):
        requests[cell.bin_start // scope.width_s * scope.width_s] += round(cell.stands_for[0])
        serving.add(cell.instance)
    cells: Sequence[ValueCell] = read_values(engine, scope, [kpi])
    return Recent(
        kpi=kpi,
        cells=tuple(cells),
        requests=requests,
        serving=frozenset(serving),
        bins=tuple(range(scope.since, scope.until, scope.width_s)),
        width_s=scope.width_s,
    )


def _busiest(engine: Reader, settings: Settings, kpi: Kpi, environment: str, now: datetime) -> str:
    """Of the services that its glob covers, which served most of late; one that is named outright need not serve."""
    if not set("*?") & set(kpi.service):
        return kpi.service
    until = int(now.timestamp())
    served: Counter[str] = Counter()
    for seen in versions_seen(engine, since=until - _SEEN_FOR_S, until=until + 60):
        if matches(kpi.service, seen.service) and (seen.environment or settings.default_environment) == environment:
            served[seen.service] += seen.count
    if not served:
        raise NoTelemetryError(
            f"No service that {kpi.service!r} covers answered anything in {environment} within the last hour."
        )
    return served.most_common(1)[0][0]


def _notes(engine: Reader, recent: Recent, scope: Scope) -> list[str]:
    kpi = recent.kpi
    if kpi.source is KpiSource.METRIC:
        return _of_metric(engine, recent, scope)
    if recent.cells:
        return []
    what = f"event {kpi.event!r}" if kpi.source is KpiSource.EVENT else f"span attribute {kpi.attribute!r}"
    minutes = round((scope.until - scope.since) / 60)
    seen = f"No {what} with a value of this kind was seen of {scope.service} in the last {minutes} minutes"
    return [f"{seen}: check how it is spelled, and name the service if it is another's."]


def _of_metric(engine: Reader, recent: Recent, scope: Scope) -> list[str]:
    kpi = recent.kpi
    found = shapes(engine, scope, kpi.metric)
    if not found:
        minutes = round((scope.until - scope.since) / 60)
        seen = f"No metric {kpi.metric!r} was seen of {scope.service} in the last {minutes} minutes"
        return [f"{seen}: check how it is spelled, and name the service if it is another's."]
    is_a, notes = " and ".join(_IS_A[shape] for shape in found), []
    if not recent.cells:
        fits = {"level": "mean or slope", "counter": "throughput", "spread": "mean, slope or throughput"}
        notes.append(f"{kpi.metric} is {is_a}: judge it by {' or '.join(fits[shape] for shape in found)}.")
        if kpi.attribute:
            notes.append(f"Or none of its points has {kpi.attribute} = {kpi.equals}.")
    if found == ["level"] and kpi.kind is KpiKind.MEAN and not kpi.per_instance:
        notes.append(
            f"{kpi.metric} is {is_a}, a number of each process: say so (per instance), as processes differ for good."
        )
    is_per_request = kpi.kind is KpiKind.THROUGHPUT and not kpi.per_instance
    if is_per_request and recent.cells and not recent.serving & {cell.instance for cell in recent.cells}:
        notes.append(
            "The instances that tell of it are not those that answer requests (service.instance.id differs): "
            "judge it per instance and second."
        )
    return notes


def rough(number: float) -> int:
    """Two digits of a forecast are one more than it has.

    >>> rough(123456), rough(7)
    (120000, 7)
    """
    if number < 10:
        return math.ceil(number)
    step = 10 ** (math.floor(math.log10(number)) - 1)
    return int(math.ceil(number / step - 0.5) * step)
