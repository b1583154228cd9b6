"""onejob's own numbers, as Prometheus reads them: made when somebody asks, of what the parts count anyway."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from onejob.durations import STEPS_S, Counted
from onejob.ingest.counters import IntakeStats
from onejob.store.chdb import ChdbEngine
from onejob.web.services import IntakeControl, Services
from onejob.web.timing import Answered

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def text_of_metrics(services: Services, projects: Mapping[str, Services]) -> bytes:
    """The text format, version 0.0.4. What is a project's has the label `project`; the rest is the server's."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(services, projects))
    return generate_latest(registry)


class _Numbers(Collector):
    def __init__(self, services: Services, projects: Mapping[str, Services]) -> None:
        self._services = services
        self._projects = projects

    def collect(self) -> Iterable[Metric]:
        services = self._services
        yield _gauge("onejob_build_info", "The release that runs.", {(services.version,): 1}, ("version",))
        if services.engine is not None:
            yield _gauge("onejob_engine_up", "Whether the telemetry store answers.", {(): services.engine.is_up()})
        yield _gauge("onejob_data_disk_free_bytes", "Room on the disk of the data directory.", dict(_free(services)))
        yield _gauge(
            "onejob_resident_memory_bytes", "Memory in use, by process.", dict(_memory(services)), ("process",)
        )
        dropped = {"all": services.answers.spans.dropped}
        yield _counter("onejob_own_spans_dropped", "Spans of onejob's own that found no room.", dropped)
        families: dict[str, Metric] = {}
        for project, its in self._projects.items():
            for metric in _of_project(its):
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                family.samples += [s._replace(labels={**s.labels, "project": project}) for s in metric.samples]
        yield from families.values()


def _of_project(services: Services) -> Iterator[Metric]:
    if services.intake is not None:
        stats = services.intake.stats()
        if isinstance(stats, IntakeStats):
            yield from _of_intake(stats)
        yield from _of_doors(services.intake)
    if services.tick_durations is not None:
        ticks = [(("all",), services.tick_durations.counted())]
        yield _histogram("onejob_judge_tick_seconds", "One look at everything that is judged.", ticks, ("service",))
    requests = services.answers.durations.counted().items()
    what = "From when a request to pages or API is here until its answer begins."
    yield _histogram("onejob_http_request_duration_seconds", what, requests, Answered._fields)


def _of_doors(intake: IntakeControl) -> Iterator[Metric]:
    counters = intake.counters
    family = CounterMetricFamily("onejob_door_items", "What was taken, by its way in.", labels=("door", "signal"))
    for key, items in dict(counters.items).items():
        family.add_metric(key, items)
    yield family
    taken = [((door,), counted) for door, counted in counters.acknowledgements.counted().items()]
    what = "From when a request is here until the disk has it and its sender is told."
    yield _histogram("onejob_acknowledgement_seconds", what, taken, ("door",))
    inserts = [((kind,), durations.counted()) for kind, durations in intake.insert_durations.items()]
    yield _histogram("onejob_engine_insert_seconds", "Storing one batch in one table.", inserts, ("signal",))


def _of_intake(stats: IntakeStats) -> Iterator[Metric]:
    accepted = {"traces": stats.accepted_spans, "logs": stats.logs.accepted, "metrics": stats.metrics.accepted}
    rejected = {"traces": stats.rejected_spans, "logs": stats.logs.rejected, "metrics": stats.metrics.rejected}
    stored = {"traces": stats.stored_spans, "logs": stats.logs.stored, "metrics": stats.metrics.stored}
    spooled = {"traces": stats.spooled_spans, "logs": stats.logs.spooled, "metrics": stats.metrics.spooled}
    what = "Spans, log records or data points"
    yield _counter("onejob_acknowledged_items", f"{what} that were taken.", accepted, "signal")
    yield _counter("onejob_rejected_items", f"{what} left out of a request, as they were wrong.", rejected, "signal")
    yield _counter("onejob_stored_items", f"{what} stored.", stored, "signal")
    yield _counter("onejob_refused_requests", "Requests that were not taken, by reason.", stats.refused, "reason")
    yield _counter("onejob_repeated_requests", "Requests that were here already.", {"all": stats.repeated_requests})
    yield _gauge(
        "onejob_spool_items", f"{what} that wait to be stored.", {(k,): v for k, v in spooled.items()}, ("signal",)
    )
    yield _gauge("onejob_spool_bytes", "Size of what waits to be stored.", {(): stats.spooled_bytes})
    yield _gauge("onejob_spool_requests", "Requests that wait to be stored.", {(): stats.spooled_requests})
    yield _gauge("onejob_spool_oldest_seconds", "How long the oldest of them waits.", {(): stats.lag_s})
    yield _gauge("onejob_failing_targets", "Targets that are not scraped.", {(): len(stats.failing_targets)})
    yield _gauge("onejob_dead_letters", "Acknowledged requests that the engine refuses.", {(): stats.dead_letters})
    yield _gauge("onejob_dead_letters_bytes", "The spool's room that they take.", {(): stats.dead_letter_bytes})


def _gauge(name: str, what: str, values: dict[tuple[str, ...], float], labels: tuple[str, ...] = ()) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _counter(name: str, what: str, values: dict[str, int], label: str = "") -> Metric:
    family = CounterMetricFamily(name, what, labels=(label,) if label else ())
    for label_value, value in values.items():
        family.add_metric((label_value,) if label else (), value)
    return family


def _histogram(
    name: str, what: str, values: Iterable[tuple[tuple[str, ...], Counted]], labels: tuple[str, ...]
) -> Metric:
    family = HistogramMetricFamily(name, what, labels=labels)
    for label_values, counted in values:
        buckets = [(f"{step:g}", float(count)) for step, count in zip(STEPS_S, counted.at_most, strict=True)]
        family.add_metric(label_values, [*buckets, ("+Inf", float(counted.count))], counted.sum_s)
    return family


def _memory(services: Services) -> Iterator[tuple[tuple[str, ...], float]]:
    """Where the system says it (Linux)."""
    pids = {"server": os.getpid()}
    if isinstance(services.engine, ChdbEngine) and services.engine.pid is not None:
        pids["engine"] = services.engine.pid
    for name, pid in pids.items():
        try:
            yield (name,), int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
        except OSError:
            continue


def _free(services: Services) -> Iterator[tuple[tuple[str, ...], float]]:
    with suppress(OSError):
        yield (), shutil.disk_usage(services.settings.data_dir).free
