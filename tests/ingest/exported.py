"""What OpenTelemetry's SDKs export, read back from its tables: the same for each language."""

from collections.abc import Callable
from typing import Any

from onejob.store.engine import Engine

from .waiting import wait_until

Rows = Callable[[str, str], list[dict[str, Any]]]  # of a table, in an order


def rows_of(engine: Engine, service: str) -> Rows:
    """Waits until there are any."""

    def rows(table: str, order: str) -> list[dict[str, Any]]:
        sql = f"SELECT * FROM {table} WHERE ServiceName = {{service:String}} ORDER BY {order}"  # noqa: S608
        wait_until(lambda: engine.query(sql, {"service": service}).num_rows > 0, "storing")
        found: list[dict[str, Any]] = engine.query(sql, {"service": service}).to_pylist()
        return found

    return rows


def check_data_points(rows: Rows) -> None:
    """Of five instruments of version 7: a counter, an up-down counter, a gauge and two kinds of histogram."""
    orders, stock = rows("otel_metrics_sum", "MetricName")
    assert (orders["Value"], orders["IsMonotonic"], orders["AggregationTemporality"]) == (3.0, True, 2)
    assert (orders["MetricUnit"], orders["MetricDescription"], dict(orders["Attributes"])) == (
        "{order}",
        "placed",
        {"tenant": "t-1"},
    )
    assert (stock["Value"], stock["IsMonotonic"]) == (-2.5, False)
    assert (orders["ScopeName"], orders["ScopeVersion"], orders["Version"]) == ("shop", "1.2", "7")
    (depth,) = rows("otel_metrics_gauge", "MetricName")
    assert (depth["MetricName"], depth["Value"]) == ("queue.depth", 7.0)
    (duration,) = rows("otel_metrics_histogram", "MetricName")
    assert (duration["Count"], duration["Sum"], duration["Min"], duration["Max"]) == (1, 0.25, 0.25, 0.25)
    assert (duration["BucketCounts"], duration["ExplicitBounds"]) == ([0, 1, 0], [0.1, 1.0])
    (size,) = rows("otel_metrics_exponential_histogram", "MetricName")
    assert (size["Count"], size["Sum"], size["ZeroCount"], sum(size["PositiveBucketCounts"])) == (4, 9.0, 1, 3)
