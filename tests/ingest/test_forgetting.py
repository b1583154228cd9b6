"""Deletion by customer, over the API of a whole server: what is gone, what stays, and what the deletion leaves."""

import contextlib
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from known.builders import an_occurrence, see
from meanwhile import Meanwhile
from onejob.ingest.spool_file import open_reader
from onejob.known.look import NAME, ErrorLook
from onejob.model.telemetry import POINTS
from onejob.model.verdict import State
from onejob.state.deployments import Deployments
from onejob.state.errors import ForgottenMeanwhileError
from onejob.state.known_errors import KnownErrors, Learnt
from onejob.state.readings import Reading, Readings
from onejob.state.tables import known_errors
from onejob.state.verdicts import Explanations, Verdicts
from onejob.store.engine import Engine
from onejob.store.errors import QueryFailed
from otlp_builders import a_log_request, a_metric_request, a_payload, a_record, a_span, attributes_of
from servers import RunningServer, running_server
from state.builders import NOW, a_deployment, a_verdict, an_attribute_value, an_explanation

from .spools import a_spool

PROTOBUF = {"content-type": "application/x-protobuf"}
TABLES = ("otel_traces", "otel_logs", *(f"otel_metrics_{kind}" for kind in POINTS))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server"), flush_interval_s=0.1, errors_tick_s=3600) as server:
        yield server


def send(server: RunningServer, kind: str, body: bytes) -> None:
    intake = server.services.intake
    assert intake is not None
    answer = httpx.post(f"http://127.0.0.1:{intake.http_port}/v1/{kind}", content=body, headers=PROTOBUF)
    assert answer.status_code == 200, answer.text


def send_all(server: RunningServer, attribute: str, value: str) -> None:
    """A span, an event of another one, a log record, and a point in each table of metrics."""
    named = attributes_of({attribute: value})
    span, other = a_span(), a_span()
    span.attributes.extend(named)
    other.events.add(name="e", attributes=named)
    send(server, "traces", a_payload(span, other, resource={"host.name": "h"}))
    record = a_record()
    record.attributes.extend(named)
    send(server, "logs", a_log_request(record).SerializeToString())
    metrics = a_metric_request()
    for metric in metrics.resource_metrics[0].scope_metrics[0].metrics:
        for point in getattr(metric, metric.WhichOneof("data")).data_points:
            point.attributes.extend(named)
    send(server, "metrics", metrics.SerializeToString())


def forget(server: RunningServer, attribute: str, value: str) -> dict[str, Any]:
    body = {"attribute": attribute, "value": value, "actor": "the officer"}
    answer = httpx.post(f"{server.url}/api/v1/forget", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def engine_of(server: RunningServer) -> Engine:
    assert server.services.engine is not None
    return server.services.engine


def stored(server: RunningServer) -> str:
    rows = [engine_of(server).query(f"SELECT * FROM {table}").to_pylist() for table in TABLES]  # noqa: S608
    return json.dumps(rows, default=str)


def test_all_telemetry_of_one_customer_is_gone_and_no_others(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    for value in ("customer-77", "customer-78"):
        send_all(server, "enduser.name", value)

    with caplog.at_level(logging.WARNING):
        gone = forget(server, "enduser.name", "customer-77")

    assert gone == {
        "spans": 2, "logs": 1, "data_points": 5, "dead_letters": 0, "explanations": 0, "verdicts": 0, "backtests": 0,
        "error_examples": 0, "log_templates": 0, "customer_counts": 0, "complaints": 0, "mentions": 0,
        "is_complete": True,
    }  # fmt: skip
    assert "customer-77" not in stored(server)
    assert stored(server).count("customer-78") == 8
    assert forget(server, "enduser.name", "customer-77")["spans"] == 0

    (said, *_) = [record.getMessage() for record in caplog.records if "audit" in record.getMessage()]
    assert "the officer had enduser.name = [hash:" in said
    assert "customer-77" not in said


def test_no_file_names_the_customer_afterwards_but_what_the_engine_is_about_to_remove(server: RunningServer) -> None:
    customer, folder = "customer-of-files", server.services.settings.data_dir
    send_all(server, "enduser.name", customer)
    assert server.services.intake is not None
    assert server.services.intake.settle(30)
    see(server.services.database, an_occurrence(service="of-files", message=f"{customer} is not known"))
    assert naming(folder, customer)

    assert forget(server, "enduser.name", customer)["is_complete"]

    assert naming(folder, customer) == []
    dropped = "SELECT count() AS n FROM system.dropped_tables WHERE startsWith(table, 'forgetting_')"
    assert engine_of(server).query(dropped).to_pylist() == [{"n": 0}]


def test_files_that_a_backup_reads_are_not_wiped_and_nobody_waits_for_it(server: RunningServer, tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, contextlib.closing(open_reader(tmp_path / "spool.db")) as reader:
        spool.append(a_payload(a_span()), 1).result(10)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM requests").fetchone()
        spool.append(a_payload(a_span()), 1).result(10)
        assert spool.wipe() is False
        assert spool.append(a_payload(a_span()), 1).result(10)
        reader.execute("ROLLBACK")
        assert spool.wipe() is True
    database = server.services.database
    with database.frozen() as connection:
        connection.execute(select(known_errors.c.id)).first()
        see(database, an_occurrence(service="read-meanwhile"))
        assert database.wipe() is False
    assert database.wipe() is True


def naming(folder: Path, customer: str) -> list[str]:
    """Files of spool and facts with that in them."""
    files = (file for pattern in ("spool/*", "*.db*") for file in folder.glob(pattern))
    return [file.name for file in files if customer.encode() in file.read_bytes()]


def test_a_deletion_that_breaks_off_leaves_no_example_whose_trace_nobody_knows_any_more(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows say whose a trace is. Breaks off where they are gone, and nothing else was to be asked of them."""
    span = a_span()
    span.attributes.extend(attributes_of({"enduser.name": "customer-55"}))
    send(server, "traces", a_payload(span))
    assert server.services.intake is not None
    assert server.services.intake.settle(30)
    occurrence = an_occurrence(service="breaks-off", trace_id=span.trace_id.hex())
    see(server.services.database, occurrence)

    def broken(*_: object, **__: object) -> None:
        raise QueryFailed("the engine was killed")

    with monkeypatch.context() as patched:
        patched.setattr("onejob.store.forgetting._wait", broken)
        body = {"attribute": "enduser.name", "value": "customer-55", "actor": "the officer"}
        assert httpx.post(f"{server.url}/api/v1/forget", json=body, timeout=120).status_code >= 500

    assert forget(server, "enduser.name", "customer-55")["is_complete"]
    with server.services.database.read() as connection:
        query = select(known_errors.c.trace_id).where(known_errors.c.id == occurrence.error_id)
        assert connection.execute(query).scalar_one() == ""


def test_the_value_is_in_no_statement_that_the_engine_keeps(server: RunningServer) -> None:
    send_all(server, "enduser.name", "customer-99")
    forget(server, "enduser.name", "customer-99")

    engine = engine_of(server)
    (kept,) = engine.query("SELECT groupArray(command) AS c FROM system.mutations").to_pylist()
    assert kept["c"]
    files = [file.read_bytes() for file in server.services.settings.data_dir.rglob("mutation_*.txt")]
    assert files
    assert not [text for text in (*map(str.encode, kept["c"]), *files) if b"customer-99" in text]
    left = engine.query("SELECT name FROM system.tables WHERE startsWith(name, 'forgetting_')").to_pylist()
    assert left == []


def test_explanations_and_the_sentences_that_quote_them_forget_it_too(server: RunningServer) -> None:
    database = server.services.database
    deployment = a_deployment()
    Deployments(database).add(deployment)
    attributes = (
        an_attribute_value("enduser.name & region", "customer-33 & eu"),
        an_attribute_value("region", "eu"),
    )
    Explanations(database).save(an_explanation(deployment.id, attributes=attributes))
    sentence = "It is worse: errors rose for enduser.name & region = customer-33 & eu."
    Verdicts(database).record(
        a_verdict(deployment.id, state=State.WORSE, reason=None, sentence=sentence, decided_at=NOW)
    )

    assert forget(server, "enduser.name", "customer-33")["explanations"] == 1

    explanation = Explanations(database).get(deployment.id)
    assert explanation is not None
    assert [one.value for one in explanation.attributes] == ["[forgotten] & eu", "eu"]
    told = httpx.get(f"{server.url}/api/v1/deployments/{deployment.id}").text
    told += httpx.get(f"{server.url}/api/v1/deployments/{deployment.id}/verdicts").text
    assert "customer-33" not in told
    assert "[forgotten]" in told


def test_errors_stay_known_and_lose_an_example_of_the_customers(server: RunningServer) -> None:
    database = server.services.database
    span = a_span()
    span.attributes.extend(attributes_of({"enduser.name": "customer-55"}))
    send(server, "traces", a_payload(span))
    theirs = an_occurrence(fingerprint="theirs", trace_id=span.trace_id.hex())
    named = an_occurrence(
        fingerprint="named", trace_id="", title="no cart of customer-55", sample="KeyError: customer-55"
    )
    other = an_occurrence(fingerprint="other", trace_id="ab" * 16)
    see(database, theirs, named, other)

    assert forget(server, "enduser.name", "customer-55")["error_examples"] == 2

    errors = KnownErrors(database)
    examples = [errors.get(one.error_id) for one in (theirs, named, other)]
    assert [one and (one.title, one.message, one.sample, one.trace_id) for one in examples] == [
        (theirs.title, "", "[forgotten]", ""),
        ("no cart of ████████-00", named.message, "KeyError: ████████-00", ""),
        (other.title, other.message, other.sample, other.trace_id),
    ]
    assert httpx.get(f"{server.url}/errors/{named.error_id}", headers={"accept": "text/html"}).status_code == 200


def test_a_look_that_is_under_way_does_not_bring_it_back(server: RunningServer) -> None:
    now = datetime.now(UTC)
    named = attributes_of({"enduser.name": "customer-66"})
    line = a_record("parcel of customer-66 lost", severity_number=17, attributes=named, trace_id=b"\x66" * 16)
    line.time_unix_nano = int((now - timedelta(seconds=90)).timestamp() * 1e9)
    send(server, "logs", a_log_request(line).SerializeToString())
    services = server.services
    assert services.intake is not None
    assert services.intake.settle(60)
    errors, readings = KnownErrors(services.database), Readings(services.database)
    read_until = Reading(name=NAME, since=readings.position(NAME), until=now - timedelta(seconds=100))
    errors.learn(read_until, (), lambda _: Learnt())
    meanwhile = Meanwhile(engine_of(server))
    meanwhile.act = lambda: forget(server, "enduser.name", "customer-66")

    look = ErrorLook(meanwhile, errors, readings, services.versions, services.settings)  # type: ignore[arg-type]
    with pytest.raises(ForgottenMeanwhileError):
        look.look(now)

    look.look(now)
    with services.database.read() as connection:
        known = str(connection.execute(select(known_errors)).all())
    assert "customer-66" not in known


@pytest.mark.parametrize("value", ["customer-1", 4711, True])
def test_dead_letters_that_name_it_are_deleted_and_no_others(tmp_path: Any, value: Any) -> None:
    others = {"enduser.id": "customer-12"}, {"enduser.id": "other", "order": value}
    payloads = [a_payload(a_span(), resource={"enduser.id": value})]
    for attributes in others:
        span = a_span()
        span.attributes.extend(attributes_of(attributes))
        payloads.append(a_payload(span))
    with a_spool(tmp_path) as spool:
        for payload in payloads:
            spool.append(payload, 1).result()
        spool._submit(
            lambda c: c.execute(
                "INSERT INTO dead_letters (died_at, spans, error, payload) SELECT 0, 1, '', payload FROM requests"
            )
        ).result()

        assert spool.forget_dead_letters("enduser.id", str(value).replace("True", "true")) == 1
        assert len(spool.dead_letters()) == len(others)


def test_the_spools_files_are_their_owners_alone(tmp_path: Any) -> None:
    with a_spool(tmp_path) as spool:
        spool.append(b"x", 1).result()
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert len(files) == 3
        assert {file.stat().st_mode & 0o077 for file in files} == {0}
