"""Protobuf that its own library takes, written in ways that the engine does not read: acknowledged, so it is stored."""

import os
import time
from pathlib import Path

import httpx
import pytest

from onejob.ingest.service import Intake
from onejob.store.chdb_process import engine_error
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import EngineUnavailable, QueryFailed
from otlp_builders import a_service

from .conftest import some_settings
from .waiting import counted, stored, wait_until
from .wire import field, varint

PROTOBUF = {"content-type": "application/x-protobuf"}


def fixed(number: int, value: int) -> bytes:
    return varint(number << 3 | 1) + value.to_bytes(8, "little")


def a_span(more: bytes = b"") -> bytes:
    now = time.time_ns()
    ids = field(1, os.urandom(16)) + field(2, os.urandom(8))
    return ids + field(5, "op") + field(6, 2) + fixed(7, now - 10**7) + fixed(8, now) + more


def a_body(service: str, *spans: bytes, **said: str) -> bytes:
    attributes = {"service.name": service, **said}
    resource = b"".join(field(1, field(1, key) + field(2, field(1, value))) for key, value in attributes.items())
    return field(1, field(1, resource) + field(2, b"".join(field(2, span) for span in spans)))


def with_value(value: bytes) -> bytes:
    return a_span(field(9, field(1, "a") + field(2, value)))


ODD = {
    "an unknown group": lambda: a_span(varint(50 << 3 | 3) + field(1, 1) + varint(50 << 3 | 4)),
    "a name that is a number": lambda: a_span(field(5, 7)),
    "a time that is a varint": lambda: a_span(field(7, 5)),
    "a status that is a number": lambda: a_span(field(15, 1)),
    "a kind beyond 32 bits": lambda: a_span(field(6, 2**40 + 2)),
    "a status code beyond 32 bits": lambda: a_span(field(15, field(3, 2**40 + 2))),
    "a bool of many bits": lambda: with_value(field(2, 2**40)),
    "a value of two kinds": lambda: with_value(field(1, "a") + field(3, 4)),
    "a value given twice": lambda: a_span(field(9, field(1, "a") + field(2, field(1, "q")) + field(2, field(3, 4)))),
    "an int that is a text": lambda: with_value(field(3, "xx")),
}


def test_it_is_stored_with_all_that_came_beside_it(intake: Intake, engine: Engine) -> None:
    service, url = a_service(), f"http://127.0.0.1:{intake.http_port}/v1/traces"
    dead = intake.stats().dead_letters
    for make in ODD.values():
        for span in (a_span(), make()):
            assert httpx.post(url, content=a_body(service, span), headers=PROTOBUF).status_code == 200

    wait_until(lambda: stored(engine, service) == 2 * len(ODD), "storing")
    assert intake.stats().dead_letters == dead


def test_what_would_be_a_hundred_times_larger_in_the_tables_is_refused_at_the_door(intake: Intake) -> None:
    url = f"http://127.0.0.1:{intake.http_port}/v1/traces"
    body = a_body("s" * 500_000, *(a_span() for _ in range(1000)))
    answer = httpx.post(url, content=body, headers=PROTOBUF)
    assert answer.status_code == 400
    assert b"repeated for each of 1000 items" in answer.content


def test_a_batch_that_the_engine_has_no_memory_for_is_divided_and_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each span repeats its resource: some 140 MB of them all, in an engine that has 256 MiB for a statement."""
    settings = some_settings(tmp_path, engine_max_memory_bytes=2**28, flush_interval_s=2)
    engine = open_engine(settings)
    insert, refused = engine.insert, list[str]()

    def noted(table: str, payload: bytes, token: str) -> None:
        try:
            insert(table, payload, token)
        except QueryFailed as error:
            refused.append(str(error))
            raise

    monkeypatch.setattr(engine, "insert", noted)
    intake = Intake(settings, engine)
    intake.start()
    try:
        service, url = a_service(), f"http://127.0.0.1:{intake.http_port}/v1/traces"
        for number in range(6):
            body = a_body(service, *(a_span() for _ in range(300)), blob=f"{number}" * 80_000)
            assert httpx.post(url, content=body, headers=PROTOBUF).status_code == 200
        assert intake.settle(120)
        assert (stored(engine, service), counted(engine, service)) == (1800, 1800)
        assert intake.stats().dead_letters == 0
        assert any("memory limit" in one for one in refused)
        assert engine.query("SELECT uniqExact(SpanId) AS n FROM otel_traces").to_pylist() == [{"n": 1800}]
    finally:
        intake.stop()
        engine.close()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Code: 241. DB::Exception: Query memory limit exceeded: would use 2.10 GiB, maximum: 2.00 GiB.", QueryFailed),
        ("Code: 241. DB::Exception: Memory limit (for query) exceeded: would use 2.10 GiB.", QueryFailed),
        ("Code: 241. DB::Exception: (total) memory limit exceeded: would use 9.10 GiB.", EngineUnavailable),
    ],
)
def test_a_statement_that_is_too_large_by_itself_is_not_tried_again_and_again(said: str, kind: type) -> None:
    assert type(engine_error(said)) is kind
