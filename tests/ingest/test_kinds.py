"""Traces, logs and metrics share the spool, and get in nobody's way."""

import time
from pathlib import Path

from onejob.model.telemetry import POINTS

from .spools import FakeEngine, a_spool, flushing
from .waiting import wait_until

GAUGE, SUM, HISTOGRAM = 1, 2, 4  # bits of their tables


def test_a_batch_is_of_one_kind_however_they_come(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        for number in range(3):
            for kind in ("traces", "logs", "metrics"):
                spool.append(b"%s%d " % (kind.encode(), number), 1, kind=kind).result()  # type: ignore[arg-type]
        begun = spool.claim(kind="logs", max_items=2, max_bytes=100)
        assert begun is not None
        assert [request.payload for request in begun.requests] == [b"logs0 ", b"logs1 "]
    engine = FakeEngine()

    with a_spool(tmp_path) as spool, flushing(spool, engine) as flusher:
        assert (spool.requests, spool.spans, spool.items("logs")) == (9, 3, 3)
        wait_until(lambda: spool.requests == 0, "storing")
        assert flusher.stored == {"traces": 3, "logs": 3, "metrics": 3}

    assert engine.tables[("otel_logs", begun.token)] == b"logs0 logs1 "
    assert sorted(engine.tables.values()) == sorted(
        [b"logs0 logs1 ", b"logs2 ", b"traces0 traces1 traces2 ", b"metrics0 metrics1 metrics2 "]
    )


def test_equal_bytes_of_two_kinds_are_two_requests(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        assert spool.append(b"same", 1, kind="logs").result() is True
        assert spool.append(b"same", 1, kind="metrics").result() is True
        assert spool.append(b"same", 1, kind="metrics").result() is False


def test_a_request_goes_to_the_tables_it_fills_and_to_no_other(tmp_path: Path) -> None:
    engine = FakeEngine()
    with a_spool(tmp_path) as spool:
        spool.append(b"a", 1, kind="metrics", tables=GAUGE | SUM).result()
        spool.append(b"b", 1, kind="metrics", tables=SUM | HISTOGRAM).result()
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "storing")
    kept = {table: payload for (table, _), payload in engine.tables.items()}
    assert kept == {"otel_metrics_gauge": b"a", "otel_metrics_sum": b"ab", "otel_metrics_histogram": b"b"}


def test_what_one_table_refuses_is_tried_again_there_and_nowhere_else(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.tolerant = {"otel_metrics_gauge"}
    with a_spool(tmp_path) as spool:
        for payload in (b"good ", b"poison "):
            spool.append(payload, 1, kind="metrics", tables=GAUGE | SUM).result()
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "refusing")
        (letter,) = spool.dead_letters()
        assert (letter.kind, letter.items, letter.error) == ("metrics", 1, "Code: 1. poisoned")
        stored = dict(engine.tables)
        engine.poison = b"a poison that is in nothing"

        assert spool.replay() == 1
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "storing")

    added = {key: payload for key, payload in engine.tables.items() if key not in stored}
    assert added == {("otel_metrics_sum", engine.refused[-1]): b"poison "}
    gauges = [payload for (table, _), payload in engine.tables.items() if table == "otel_metrics_gauge"]
    assert gauges == [b"good poison "]


def test_what_two_tables_refuse_are_two_letters(tmp_path: Path) -> None:
    engine = FakeEngine()
    with a_spool(tmp_path) as spool:
        spool.append(b"poison", 1, kind="metrics", tables=GAUGE | HISTOGRAM).result()
        with flushing(spool, engine) as flusher:
            wait_until(lambda: spool.requests == 0, "refusing")
        assert len(spool.dead_letters()) == 2
        assert flusher.stored["metrics"] == 0
        engine.poison = b"a poison that is in nothing"
        spool.replay()
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "storing")
    assert sorted(table for table, _ in engine.tables) == ["otel_metrics_gauge", "otel_metrics_histogram"]


def test_a_flood_of_one_kind_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    """Each request of the flood is a batch; a log record that came after all of them is stored after the first."""
    engine = FakeEngine()
    with a_spool(tmp_path) as spool:
        for number in range(20):
            spool.append(b"spans %d" % number, 1000).result()
        spool.append(b"log record", 1, kind="logs").result()
        wait_until(lambda: time.time() - (spool.oldest_received_at("logs") or 0) > 0.05, "its time")
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "storing")
    order = list(engine.tables.values())
    assert (order[0], order[1], len(order)) == (b"spans 0", b"log record", 21)


def test_there_is_a_table_for_every_kind_of_points() -> None:
    from onejob.store.otlp_tables import TABLES_OF

    assert [table.name for table in TABLES_OF["metrics"]] == [f"otel_metrics_{kind}" for kind in POINTS]
