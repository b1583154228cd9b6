"""KPI values that are metrics come out of either engine as what their points say, whichever bins are read together."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from onejob.model.evidence import ValueCell
from onejob.model.kpi import Direction, Kpi, KpiKind, KpiSource
from onejob.store.engine import Engine
from onejob.verdict.reading_metrics import read_metrics
from onejob.verdict.said import Scope
from otlp_builders import a_service

BEGAN = int(time.time()) // 100 * 100 - 7_200
DELTA, CUMULATIVE = 1, 2
GAUGE, SUM, HISTOGRAM = "otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram"


def a_kpi(kind: KpiKind = KpiKind.MEAN, **changes: Any) -> Kpi:
    values = {"name": "m", "kind": kind, "direction": Direction.EITHER, "source": KpiSource.METRIC, "metric": "m"}
    return Kpi(**(values | {"per_instance": True} | changes))  # type: ignore[arg-type]


def points(engine: Engine, service: str, table: str, *told: Mapping[str, Any]) -> None:
    """Rows of the collector's tables; `at` and `start` are seconds since the beginning."""
    usual = {"ServiceName": service, "Environment": "production", "Version": "2", "Instance": "a", "MetricName": "m"}
    if table in (SUM, HISTOGRAM, "otel_metrics_exponential_histogram"):
        usual |= {"AggregationTemporality": CUMULATIVE}
    rows = []
    for one in told:
        said = dict(one)
        at, start = BEGAN + said.pop("at"), BEGAN + said.pop("start", 0)
        rows.append(json.dumps(usual | {"TimeUnix": at, "StartTimeUnix": start} | said))
    engine.execute(f"INSERT INTO {table} FORMAT JSONEachRow " + "\n".join(rows))


def read(
    engine: Engine, service: str, *kpis: Kpi, since: int = 0, until: int = 100, width_s: int = 10
) -> tuple[ValueCell, ...]:
    scope = Scope(
        service=service,
        environment="production",
        default_environment="production",
        since=BEGAN + since,
        until=BEGAN + until,
        width_s=width_s,
    )
    return read_metrics(engine, scope, kpis)


def totals(cells: Sequence[ValueCell]) -> list[tuple[int, int, float]]:
    """Per bin: seconds since the beginning, how many values, and their sum."""
    return [(one.bin_start - BEGAN, sum(one.counts.values()), sum(one.sums.values())) for one in cells]


def test_a_gauge_has_a_level_in_the_bin_that_its_point_ends(engine: Engine) -> None:
    service = a_service()
    points(
        engine,
        service,
        GAUGE,
        {"at": 10, "Value": 3.0},
        {"at": 10.5, "Value": 5.0, "Attributes": {"queue": "a"}},
        {"at": 12, "Value": -0.5, "Attributes": {"queue": "b"}},
        {"at": 13, "Value": 9.0, "Attributes": {"queue": "b"}, "Flags": 1},
        {"at": 14, "Value": 9.0, "MetricName": "other"},
        {"at": 15, "Value": 9.0, "Environment": "staging"},
        {"at": 110, "Value": 9.0},
    )
    first, second = read(engine, service, a_kpi())
    assert (first.kpi, first.version, first.instance, first.bin_start) == ("m", "2", "a", BEGAN)
    assert (first.counts, first.sums) == ({1101: 1}, {1101: 3.0})
    assert (second.bin_start, second.counts, second.sums) == (BEGAN + 10, {1102: 1, -1099: 1}, {1102: 5.0, -1099: -0.5})
    assert totals(read(engine, service, a_kpi(attribute="queue", equals="b"))) == [(10, 1, -0.5)]
    assert read(engine, service, a_kpi(KpiKind.THROUGHPUT)) == ()


def test_points_are_chosen_by_an_attribute_of_their_resource_too(engine: Engine) -> None:
    service = a_service()
    points(engine, service, GAUGE, {"at": 5, "Value": 1.0, "ResourceAttributes": {"zone": "it's"}})
    assert len(read(engine, service, a_kpi(attribute="zone", equals="it's"))) == 1
    assert read(engine, service, a_kpi(attribute="zone", equals="its")) == ()


def test_a_counter_steps_by_what_a_point_adds_to_the_one_before(engine: Engine) -> None:
    service = a_service()
    points(
        engine,
        service,
        SUM,
        {"at": -50, "Value": 100.0, "IsMonotonic": True, "start": -9_000},
        {"at": 10, "Value": 140.0, "IsMonotonic": True, "start": -9_000},
        {"at": 10, "Value": 140.0, "IsMonotonic": True, "start": -9_000},  # sent again after a lost acknowledgement
        {"at": 70, "Value": 140.0, "IsMonotonic": True, "start": -9_000},
        {"at": 80, "Value": 6.0, "IsMonotonic": True, "start": -9_000},  # began again without saying so
        {"at": 100, "Value": 4.0, "IsMonotonic": True, "start": 85},  # and saying so
    )
    cells = read(engine, service, a_kpi(KpiKind.THROUGHPUT))
    assert totals(cells) == [(0, 1, 40.0), (60, 1, 0.0), (70, 1, 6.0), (90, 1, 4.0)]
    assert read(engine, service, a_kpi()) == ()


@pytest.mark.parametrize(
    ("start", "found"),
    [(-3_500, [(0, 1, 7.0)]), (-3_700, [])],
    ids=["that began within the hour counts", "that is older may have lost its points"],
)
def test_the_first_point_of_a_series(engine: Engine, start: int, found: list[tuple[int, int, float]]) -> None:
    service = a_service()
    points(engine, service, SUM, {"at": 10, "Value": 7.0, "IsMonotonic": True, "start": start})
    assert totals(read(engine, service, a_kpi(KpiKind.THROUGHPUT))) == found


def test_what_is_sent_as_added_is_taken_as_it_is(engine: Engine) -> None:
    service = a_service()
    added = {"IsMonotonic": True, "AggregationTemporality": DELTA}
    points(engine, service, SUM, {"at": 10, "Value": 7.0, **added}, {"at": 20, "Value": 5.0, "start": 10, **added})
    assert totals(read(engine, service, a_kpi(KpiKind.THROUGHPUT))) == [(0, 1, 7.0), (10, 1, 5.0)]


def test_an_up_down_counter_is_a_level(engine: Engine) -> None:
    service = a_service()
    points(engine, service, SUM, {"at": 10, "Value": 7.0}, {"at": 20, "Value": 5.0})
    points(engine, service, SUM, {"at": 20, "Value": -2.0, "AggregationTemporality": DELTA, "Instance": "b"})
    assert totals(read(engine, service, a_kpi())) == [(0, 1, 7.0), (10, 1, 5.0)]
    assert read(engine, service, a_kpi(KpiKind.THROUGHPUT)) == ()


@pytest.mark.parametrize(
    "table", [HISTOGRAM, "otel_metrics_exponential_histogram", "otel_metrics_summary"], ids=lambda name: name[13:]
)
def test_what_was_recorded_has_a_mean_and_a_number(engine: Engine, table: str) -> None:
    service = a_service()
    points(
        engine,
        service,
        table,
        {"at": -50, "Count": 4, "Sum": 40.0},
        {"at": 10, "Count": 6, "Sum": 70.0},
        {"at": 20, "Count": 6, "Sum": 70.0},
    )
    mean, number = a_kpi(name="mean", per_instance=False), a_kpi(KpiKind.THROUGHPUT, name="number")
    cells = read(engine, service, mean, number)
    assert totals([one for one in cells if one.kpi == "mean"]) == [(0, 2, 30.0)]
    assert cells[0].counts == {1103: 2}
    assert totals([one for one in cells if one.kpi == "number"]) == [(0, 1, 2.0), (10, 1, 0.0)]


def test_instances_and_attributes_are_series_of_their_own(engine: Engine) -> None:
    service = a_service()
    told = [
        {"at": at, "Value": float(of * at), "IsMonotonic": True, "Instance": who, "Attributes": {"kind": kind}}
        for at in (10, 20)
        for of, (who, kind) in enumerate((("a", "x"), ("a", "y"), ("b", "x")), 1)
    ]
    points(engine, service, SUM, *told)
    cells = read(engine, service, a_kpi(KpiKind.THROUGHPUT), since=10)
    assert [(one.instance, totals([one])) for one in cells] == [("a", [(10, 2, 30.0)]), ("b", [(10, 1, 30.0)])]


def test_it_does_not_matter_which_bins_are_read_together(engine: Engine) -> None:
    """A look reads a bin or two, a replay an hour."""
    service = a_service()
    for which, start in enumerate((-4_000, -3_590, -20, 45)):
        told = [
            {"at": at + which, "Value": float(at * (which + 1) % 170 + 200), "start": start, "IsMonotonic": True}
            for at in (*range(-3_700, -3_400, 60), *range(-80, 100, 7))
            if at > start
        ]
        points(engine, service, SUM, *[one | {"Instance": str(which)} for one in told])
    kpi = a_kpi(KpiKind.THROUGHPUT)
    together = read(engine, service, kpi)
    apart = [cell for at in range(0, 100, 20) for cell in read(engine, service, kpi, since=at, until=at + 20)]
    assert list(together) == apart
    far = read(engine, service, kpi, since=-3_000)
    assert [cell for cell in far if cell.bin_start >= BEGAN] == list(together)
