"""What recent telemetry says of a KPI before it is judged: is it there, its level, and what its tolerance takes."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from onejob.config import Settings
from onejob.model.kpi import Direction, Kpi, KpiKind, KpiSource
from onejob.outcomes.errors import NoTelemetryError
from onejob.outcomes.forecast import events_needed
from onejob.outcomes.preview import Preview, preview
from onejob.outcomes.warnings import LEAST_COUNTED
from onejob.store.engine import Engine, open_engine
from onejob.store.otlp_tables import TABLES_OF
from onejob.web.pages.outcomes import said_of_preview
from otlp_builders import a_payload, a_span, attributes_of

NOW = int(time.time()) // 60 * 60 - 60
SECONDS = 1_200


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("preview"))


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    """Twenty minutes of a shop with two instances, two requests a second, of which a fifth is an order."""
    engine = open_engine(settings)
    rng = np.random.default_rng(1)
    for instance in ("a", "b"):
        resource = {"service.version": "1", "service.instance.id": instance}
        spans = []
        metrics = ExportMetricsServiceRequest()
        told_of = metrics.resource_metrics.add()
        told_of.resource.attributes.extend(attributes_of({"service.name": "shop"} | resource))
        told = told_of.scope_metrics.add().metrics
        orders = 0
        for t in range(NOW - SECONDS, NOW):
            is_sold = bool(rng.random() < 0.2)
            said = {"order__total": float(50 * rng.lognormal(-0.02, 0.2)), "sold": is_sold}
            spans.append(a_span(start_ns=t * 10**9, duration_s=0.03, **said))
            orders += is_sold
            if t % 10 == 0:
                when = {"time_unix_nano": t * 10**9, "start_time_unix_nano": (NOW - SECONDS) * 10**9}
                counter = told.add(name="orders").sum
                counter.is_monotonic, counter.aggregation_temporality = True, 2
                counter.data_points.add(as_int=orders, **when)
                told.add(name="queue.depth").gauge.data_points.add(as_int=int(7 + rng.integers(3)), **when)
        engine.insert_traces(a_payload(*spans, service="shop", resource=resource), f"shop-{instance}")
        for table in TABLES_OF["metrics"]:
            engine.insert(table.name, metrics.SerializeToString(), f"shop-m-{instance}")
    yield engine
    engine.close()


def a_kpi(**changes: Any) -> Kpi:
    values = {"name": "k", "kind": KpiKind.MEAN, "direction": Direction.EITHER, "service": "sho?"}
    return Kpi(**(values | changes))


METRIC = {"source": KpiSource.METRIC, "every_s": 10}
TOTAL = a_kpi(attribute="order.total", unit="EUR")
SOLD = a_kpi(attribute="sold", kind=KpiKind.YES_NO, tolerance=0.1)
ORDERS = a_kpi(kind=KpiKind.THROUGHPUT, metric="orders", **METRIC)
QUEUE = a_kpi(metric="queue.depth", per_instance=True, tolerance=0.5, **METRIC)


def seen(engine: Engine, settings: Settings, kpi: Kpi, **where: Any) -> Preview:
    return preview(engine, settings, kpi, datetime.fromtimestamp(NOW + 15, UTC), **where)


@pytest.mark.parametrize(
    ("kpi", "level", "unit"),
    [
        (TOTAL, 50.0, "EUR"),
        (SOLD, 0.2, ""),
        (ORDERS, 0.2, "k/request"),
        (QUEUE, 8.0, ""),
        (a_kpi(kind=KpiKind.THROUGHPUT, attribute="sold"), 1.0, "k/request"),
        (a_kpi(kind=KpiKind.SLOPE, attribute="order.total", per_instance=True), 50.0, ""),
    ],
    ids=["mean", "yes or no", "counter", "gauge", "spans", "slope"],
)
def test_what_is_there_has_a_level_in_its_unit(
    engine: Engine, settings: Settings, kpi: Kpi, level: float, unit: str
) -> None:
    found = seen(engine, settings, kpi)
    assert (found.service, found.environment, found.instances, found.unit) == ("shop", "production", 2, unit)
    assert found.level == pytest.approx(level, rel=0.15)
    assert found.values > 200
    assert found.requests == pytest.approx(2 * SECONDS, rel=0.03)


def test_a_smaller_tolerance_takes_more_requests_and_longer(engine: Engine, settings: Settings) -> None:
    for kpi in (TOTAL, SOLD):
        needs = []
        for tolerance in (0.04, 0.08, 0.4):
            changed = a_kpi(attribute=kpi.attribute, kind=kpi.kind, tolerance=tolerance)
            found = seen(engine, settings, changed)
            assert found.needs is not None
            assert found.seconds == pytest.approx(found.needs, rel=0.1), "each version would get one a second"
            needs.append(found.needs)
        assert needs[0] > needs[1] >= needs[2]
    assert 100 < needs[2] < needs[0] < 1_000_000


def test_nothing_is_promised_before_as_many_bins_as_the_test_of_means_wants(engine: Engine, settings: Settings) -> None:
    found = seen(engine, settings, a_kpi(attribute="order.total", tolerance=5.0))
    assert found.seconds is not None
    assert found.seconds >= 400


def test_the_least_tolerance_of_counts_is_the_least_that_their_test_can_tell() -> None:
    assert events_needed(LEAST_COUNTED, 0.0, 0.01) is not None
    assert events_needed(LEAST_COUNTED - 0.01, 0.0, 0.01) is None


def test_few_instances_that_may_differ_by_more_than_is_tolerated_are_said(engine: Engine, settings: Settings) -> None:
    found = seen(engine, settings, a_kpi(metric="queue.depth", per_instance=True, **METRIC))
    assert (found.needs, found.seconds) == (None, None)
    assert "No amount of traffic" in found.notes[-1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attribute": "order.totl"}, "check how it is spelled"),
        ({"source": KpiSource.EVENT, "event": "sold", "kind": KpiKind.THROUGHPUT}, "No event 'sold'"),
        ({"metric": "orders.placed", **METRIC}, "No metric 'orders.placed'"),
        ({"metric": "orders", **METRIC}, "a counter: judge it by throughput"),
        ({"metric": "queue.depth", "kind": KpiKind.THROUGHPUT, **METRIC}, "judge it by mean or slope"),
        ({"metric": "queue.depth", **METRIC}, "a number of each process"),
        ({"metric": "orders", "kind": KpiKind.THROUGHPUT, "attribute": "a", "equals": "b", **METRIC}, "has a = b"),
    ],
)
def test_what_is_amiss_is_said_with_what_to_do(
    engine: Engine, settings: Settings, changes: dict[str, Any], said: str
) -> None:
    assert said in " ".join(seen(engine, settings, a_kpi(**changes)).notes)


def test_a_service_that_sent_nothing_is_said(engine: Engine, settings: Settings) -> None:
    with pytest.raises(NoTelemetryError, match="answered anything in production"):
        seen(engine, settings, a_kpi(attribute="x", service="nobody*"))
    assert seen(engine, settings, TOTAL, environment="production", service="shop").values > 0
    assert seen(engine, settings, a_kpi(attribute="order.total", service="nobody")).values == 0


def test_people_are_told_in_sentences(engine: Engine, settings: Settings) -> None:
    told = said_of_preview(seen(engine, settings, TOTAL), TOTAL)
    assert told[0] == "Seen 2,400 times on 2 instances of shop in the last 20 min."
    assert told[1].startswith("It is ")
    assert told[1].endswith(" EUR now.")
    assert "A change of 2 % takes about" in told[2]
    assert "requests of each version" in told[2]
