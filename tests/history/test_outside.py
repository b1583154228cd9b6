"""A ClickHouse that the OpenTelemetry Collector filled: the report of onejob's own store, and nothing written."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest

from onejob import outside
from onejob.config import Settings
from onejob.history.errors import PeriodError
from onejob.history.source import PastSource
from onejob.model.evidence import JudgeSettings
from onejob.model.kpi import Direction, Kpi, KpiKind
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import QueryFailed, StoreError
from onejob.store.past import OperationTotal, Past
from onejob.store.read_only import ReadOnlyClickHouse
from ports import free_ports
from store.clickhouse_node import ClickHouseNode
from verdict.traffic import a_deployment

from .reports import backtested
from .traffic import BEGAN, Arm, Says, at, store

TIMES = {"bin_width_s": 1, "tick_s": 2, "watermark_s": 3, "warm_up_s": 10, "judge_horizon_s": 120}
# Of the collector's ClickHouse exporter, without codecs and indexes.
COLLECTORS = """CREATE TABLE collector.otel_traces (
    Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
    SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String), Duration UInt64, StatusCode LowCardinality(String),
    StatusMessage String, `Events.Timestamp` Array(DateTime64(9)), `Events.Name` Array(LowCardinality(String)),
    `Events.Attributes` Array(Map(LowCardinality(String), String))
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))"""
# As releases of before 2023 wrote them.
OLDER = """CREATE TABLE collector.older ENGINE = MergeTree ORDER BY ServiceName AS SELECT
    * REPLACE (transform(toString(SpanKind), ['Server'], ['SPAN_KIND_SERVER'], toString(SpanKind)) AS SpanKind,
        transform(toString(StatusCode), ['Error'], ['STATUS_CODE_ERROR'], toString(StatusCode)) AS StatusCode,
        toInt64(Duration) AS Duration) FROM collector.otel_traces"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseNode]:
    node = ClickHouseNode(tmp_path_factory.mktemp("clickhouse"))
    yield node
    node.stop()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("own"), **TIMES)


@pytest.fixture(scope="module")
def own(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    store(engine, Arm("1", (-120, 150), instances=2), Arm("2", (0, 120), failing=0.3), service="shop")
    store(engine, Arm("1", (-60, 60), says=Says()), service="quiet")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def admin(node: ClickHouseNode, own: Engine) -> Iterator[Any]:
    """What was received, as the collector stores it."""
    port = int(node.url.rpartition(":")[2])
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port, autogenerate_session_id=False)
    client.command("CREATE DATABASE collector")
    client.command(COLLECTORS)
    names = [row[0] for row in client.query("DESCRIBE collector.otel_traces").result_rows]
    spans = own.query(f"SELECT {', '.join(f'`{name}`' for name in names)} FROM otel_traces")  # noqa: S608
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, spans.schema) as writer:
        writer.write_table(spans)
    client.raw_insert("collector.otel_traces", names, sink.getvalue().to_pybytes(), fmt="ArrowStream")
    client.command(OLDER)
    client.command("CREATE TABLE collector.other (Timestamp DateTime64(9)) ENGINE = Memory")
    yield client
    client.close()


@pytest.fixture(scope="module")
def reader(admin: Any, node: ClickHouseNode) -> Iterator[ReadOnlyClickHouse]:
    reader = ReadOnlyClickHouse(node.reader_url)
    yield reader
    reader.close()


@pytest.mark.parametrize("table", ["otel_traces", "collector.otel_traces", "older"])
def test_counts_from_spans_are_those_of_the_rollup(
    table: str, reader: ReadOnlyClickHouse, own: Engine, settings: Settings
) -> None:
    reader.check_traces(table)
    theirs = Past(reader, "production", settings.bin_width_s, table)
    ours = Past(own, "production", settings.bin_width_s)
    period = (BEGAN - 10, BEGAN + 40)
    assert theirs.services(*period) == ours.services(*period) == ["quiet", "shop"]
    assert theirs.cells("shop", "production", *period) == ours.cells("shop", "production", *period)
    assert summed(theirs, period) == summed(ours, period)


@pytest.mark.parametrize("table", ["otel_traces", "older"])
def test_what_spans_say_beyond_requests_is_read_from_a_collectors_table_as_from_our_own(
    table: str, reader: ReadOnlyClickHouse, own: Engine, settings: Settings
) -> None:
    assert reader.has_events(table)
    assert not reader.has_events("other")
    kpis = (
        Kpi(name="total", kind=KpiKind.MEAN, direction=Direction.HIGHER_IS_BETTER, attribute="order.total"),
        Kpi(name="paid", kind=KpiKind.YES_NO, direction=Direction.EITHER, attribute="order.paid", operation="GET *"),
    )
    theirs = Past(reader, "production", settings.bin_width_s, table)
    ours = Past(own, "production", settings.bin_width_s)
    deployment = a_deployment(service="quiet", previous_version="1", version="2")
    found = []
    for past in (theirs, ours):
        told = JudgeSettings(kpis=kpis)
        source = PastSource(past, told)
        said = source.said(deployment, told, BEGAN - 10, BEGAN + 20)
        known = source.known(deployment, BEGAN)
        found.append((said, known))
    assert found[0] == found[1]
    (said, known), _ = found
    assert len(said.values) == 60
    assert [vital.name for vital in said.vitals] == ["lcp"]
    assert {cell.fingerprint for cell in said.novelties} == {cell.fingerprint for cell in known}


def summed(past: Past, period: tuple[int, int]) -> list[OperationTotal]:
    """Without the last digits, which depend on the order in which an engine adds up."""
    return [replace(one, sum_s=round(one.sum_s, 9)) for one in past.totals("shop", "production", *period)]


def test_the_report_is_that_of_onejobs_own_store(
    node: ClickHouseNode, admin: Any, own: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in TIMES.items():
        monkeypatch.setenv(f"ONEJOB_{name.upper()}", str(value))
    page, told = tmp_path / "report.html", []
    period = {"since": at(-30).isoformat(), "until": at(240).isoformat(), "services": []}
    report = outside.backtest(node.reader_url, "otel_traces", period, told.append, page)
    (theirs,) = report["deployments"]
    (ours,) = backtested(own, settings, "shop", until=240).deployments
    assert theirs["verdict"]["state"] == ours.verdict.state == "worse"
    assert theirs["verdict"]["sentence"] == ours.verdict.sentence
    assert theirs["decided_after_s"] == ours.decided_after_s
    assert ours.saved is not None
    assert theirs["saved"]["failed"] == ours.saved.failed > 0
    assert report["source"].startswith("otel_traces at 127.0.0.1:")
    assert "secret" not in str(report)
    assert "onejob would have called 1 of 1 deployment worse" in page.read_text()
    assert told[-1]["judged"] == 1


def test_the_reader_of_these_tests_may_not_write_and_nothing_was_left_behind(
    node: ClickHouseNode, admin: Any, reader: ReadOnlyClickHouse
) -> None:
    for statement in ("CREATE TABLE collector.x (a Int8) ENGINE = Memory", "SELECT 1 SETTINGS max_threads = 1"):
        with pytest.raises(QueryFailed):
            reader.query(statement)
    there = admin.query(
        "SELECT name FROM system.tables WHERE database NOT IN ('system', 'INFORMATION_SCHEMA',"
        " 'information_schema') ORDER BY name"
    ).result_rows
    assert there == [("older",), ("otel_traces",), ("other",)]


@pytest.mark.parametrize(
    ("url", "table", "said"),
    [
        ("127.0.0.1:8123", "otel_traces", "must look like"),
        ("{reader}", "nothing", "There is no table nothing"),
        ("{reader}", "other", "is not the traces table"),
        ("{reader_wrong}", "otel_traces", "No ClickHouse answers"),
        ("http://127.0.0.1:{closed}/collector", "otel_traces", "No ClickHouse answers at 127.0.0.1"),
    ],
)
def test_what_cannot_be_read_is_said_without_the_password(
    url: str, table: str, said: str, node: ClickHouseNode, admin: Any
) -> None:
    (closed,) = free_ports(1)
    wrong = node.reader_url.replace("secret", "wr0ng")
    address = url.format(reader=node.reader_url, reader_wrong=wrong, closed=closed)
    period = {"since": at(-30).isoformat(), "until": None, "services": []}
    with pytest.raises(StoreError) as caught:
        outside.backtest(address, table, period, lambda _: None)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "wr0ng" not in str(caught.value)


def test_a_time_that_is_still_to_come_is_refused(node: ClickHouseNode, admin: Any) -> None:
    period = {"since": "2999-01-01T00:00:00+00:00", "until": None, "services": []}
    with pytest.raises(PeriodError, match="The time is empty"):
        outside.backtest(node.reader_url, "otel_traces", period, lambda _: None)
