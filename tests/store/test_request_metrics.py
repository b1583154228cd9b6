"""Requests as a service's own histograms count them, read as if they were rows of the rollup."""

import math
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.store.engine import Engine
from onejob.store.request_metrics import rollup_of_metrics
from otlp_builders import a_service

from .points import CART, DELTA, a_point, store

AT = int(time.time()) // 3600 * 3600 - 7200
MINUTE = 60
OLD = AT - 86_400.0
ROWS = """
SELECT Operation, SpanKind, Version, Instance, toInt64(toUnixTimestamp(Bin)) AS Bin, Count, Errors, Zeros, Buckets
FROM RELATION
WHERE ServiceName = {service:String}
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
ORDER BY Bin, Operation
"""


def rows_of(engine: Engine, service: str, *, since: int = AT, until: int = AT + 3600) -> list[dict[str, Any]]:
    """Oldest first, with their bins in minutes after AT; buckets as a dict."""
    sql = ROWS.replace("RELATION", rollup_of_metrics(MINUTE))
    rows = engine.query(sql, {"service": service, "since": since, "until": until}).to_pylist()
    return [row | {"Bin": (row["Bin"] - AT) // MINUTE, "Buckets": dict(row["Buckets"])} for row in rows]


def index_of(seconds: float) -> int:
    """The rollup's bucket of a span."""
    return math.ceil(math.log2(seconds) * 32) - 1


def counts_of(engine: Engine, service: str) -> list[tuple[int, int]]:
    return [(row["Bin"], row["Count"]) for row in rows_of(engine, service)]


def test_what_a_point_adds_to_the_one_before_is_in_its_bin(engine: Engine) -> None:
    service = a_service()
    points = [([1, 2, 0], 10), ([3, 5, 1], 70), ([3, 5, 1], 130), ([3, 5, 2], 190)]
    store(engine, [a_point(service, AT + at, counts, start=OLD) for counts, at in points])
    first, second = rows_of(engine, service)
    assert (first["Bin"], first["Count"], second["Bin"], second["Count"]) == (1, 6, 3, 1)
    assert first["Buckets"] == {index_of(0.1): 2, index_of(0.5): 3, index_of(0.5) + 1: 1}
    assert (first["Operation"], first["SpanKind"], first["Version"], first["Instance"]) == (
        "GET /cart",
        "Server",
        "1",
        "i",
    )


def test_points_that_say_what_came_since_the_last_are_taken_as_they_are(engine: Engine) -> None:
    service = a_service()
    store(
        engine,
        [a_point(service, AT + at, [2, 1, 0], start=AT + at - 60, temporality=DELTA) for at in (30, 90, 150)],
    )
    assert counts_of(engine, service) == [(0, 3), (1, 3), (2, 3)]


def test_a_restart_counts_from_nothing(engine: Engine) -> None:
    service = a_service()
    before = [a_point(service, AT + at, [n, 0, 0], start=OLD) for at, n in ((10, 100), (70, 110))]
    after = [a_point(service, AT + at, [n, 0, 0], start=AT + 80.0) for at, n in ((130, 120), (190, 125))]
    unsaid = [a_point(service, AT + at, [n, 0, 0], instance="j") for at, n in ((10, 50), (70, 60), (130, 7))]
    store(engine, [*before, *after, *unsaid])
    assert counts_of(engine, service) == [(1, 10), (1, 10), (2, 120), (2, 7), (3, 5)] or counts_of(engine, service) == [
        (1, 10),
        (1, 10),
        (2, 7),
        (2, 120),
        (3, 5),
    ]


def test_a_series_that_is_older_than_what_is_read_begins_with_its_second_point(engine: Engine) -> None:
    service = a_service()
    store(
        engine, [a_point(service, AT + 30, [1000, 0, 0], start=OLD), a_point(service, AT + 90, [1004, 0, 0], start=OLD)]
    )
    store(engine, [a_point(service, AT + 30, [9, 0, 0], start=AT + 5.0, instance="young")])
    assert [(row["Instance"], row["Bin"], row["Count"]) for row in rows_of(engine, service)] == [
        ("young", 0, 9),
        ("i", 1, 4),
    ]


def test_the_same_point_twice_counts_once(engine: Engine) -> None:
    service = a_service()
    points = [a_point(service, AT + at, [2, 0, 0], start=AT + at - 60, temporality=DELTA) for at in (30, 90)]
    store(engine, points + points)
    assert counts_of(engine, service) == [(0, 2), (1, 2)]


def test_failures_probes_and_other_protocols(engine: Engine) -> None:
    service = a_service()
    rpc, queue = "rpc.server.call.duration", "messaging.process.duration"
    put = {"messaging.operation.name": "process", "messaging.destination.name": "orders"}
    said = [
        ("http.server.request.duration", CART | {"http.response.status_code": "200"}),
        ("http.server.request.duration", CART | {"http.response.status_code": "503"}),
        ("http.server.request.duration", CART | {"error.type": "timeout"}),
        ("http.server.request.duration", {"http.request.method": "GET", "http.route": "/healthz"}),
        (rpc, {"rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": "14"}),
        (rpc, {"rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": "5"}),
        (queue, put),
    ]
    store(
        engine,
        [
            a_point(service, AT + 30, [1, 0, 0], start=AT - 30.0, temporality=DELTA, name=name, attributes=attributes)
            for name, attributes in said
        ],
    )
    found: dict[str, list[int]] = {}
    for row in rows_of(engine, service):
        sums = found.setdefault(f"{row['SpanKind']} {row['Operation']}", [0, 0])
        sums[0] += row["Count"]
        sums[1] += row["Errors"]
    assert found == {"Server GET /cart": [3, 2], "Server shop.Cart/Add": [2, 1], "Consumer process orders": [1, 0]}


def test_milliseconds_are_read_as_such_and_a_service_that_says_it_twice_is_heard_once(engine: Engine) -> None:
    service = a_service()
    former = {"name": "http.server.duration", "unit": "ms", "ExplicitBounds": [100, 500]}
    store(engine, [a_point(service, AT + 30, [0, 4, 0], start=AT - 30.0, temporality=DELTA, **former)])
    (row,) = rows_of(engine, service)
    assert row["Buckets"] == {index_of(0.5): 4}
    store(engine, [a_point(service, AT + 30, [0, 4, 0], start=AT - 30.0, temporality=DELTA)])
    (row,) = rows_of(engine, service)
    assert row["Count"] == 4


def exponential(service: str, at: float, seconds: list[float], scale: int, **more: Any) -> dict[str, Any]:
    """A point that holds these durations."""
    indices = [math.ceil(math.log2(one) * 2.0**scale) - 1 for one in seconds]
    low = min(indices)
    counts = [indices.count(i) for i in range(low, max(indices) + 1)]
    held = {"Scale": scale, "PositiveOffset": low, "PositiveBucketCounts": counts, "ZeroCount": 0}
    return a_point(service, at, counts, **held, **more)


@settings(max_examples=10)
@given(
    seconds=st.lists(st.floats(1e-4, 500.0), min_size=1, max_size=20),
    scale=st.integers(0, 10),
)
def test_buckets_of_any_scale_end_where_they_did(engine: Engine, seconds: list[float], scale: int) -> None:
    service = a_service()
    store(engine, [exponential(service, AT + 30, seconds, scale, start=AT - 30.0, temporality=DELTA)])
    (row,) = rows_of(engine, service)
    width = max(1, 2 ** (5 - scale))
    ends = [math.ceil((math.ceil(round(math.log2(one) * 32, 6)) - 1 + 1) / width) * width - 1 for one in seconds]
    assert row["Buckets"] == {end: ends.count(end) for end in set(ends)}


def test_a_histogram_that_makes_room_for_more_loses_and_gains_nothing(engine: Engine) -> None:
    service = a_service()
    first = [0.010, 0.011, 0.012, 0.2]
    store(
        engine,
        [
            exponential(service, AT + 30, first, 7, start=OLD),
            exponential(service, AT + 90, [*first, 0.011, 30.0], 2, start=OLD),
        ],
    )
    (row,) = rows_of(engine, service)
    assert (row["Bin"], row["Count"], sum(row["Buckets"].values()), len(row["Buckets"])) == (1, 2, 2, 2)
