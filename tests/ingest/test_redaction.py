"""What the rules hide is in no table, however it is sent, and everything else is as it was sent; on both engines.

Requests are generated twice: as they are sent, with something to hide at random places, and as they are to be stored.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from onejob.config import Settings
from onejob.ingest.forgetting import forget
from onejob.ingest.service import Intake
from onejob.known.templates import blanked
from onejob.model.telemetry import POINTS
from onejob.state.database import Database
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import StoreError
from onejob.store.hash_key import hash_key
from onejob.store.redaction import hashed
from otlp_builders import a_log_request, a_payload, a_record, a_service, a_span, any_value, attributes_of
from otlp_rows import assert_same, log_rows, point_rows, rows_of, span_rows
from otlp_strategies import log_requests, metric_requests, trace_requests
from store.clickhouse_node import ClickHouseNode

from .conftest import some_settings

RULES = (
    {"action": "hash", "key": "customer.name"},
    {"action": "drop", "key": "internal.*"},
    {"action": "keep", "key": "support.email"},
    {"action": "hash", "pattern": "ACC-[0-9]{6}"},
    {"action": "mask", "pattern": "(?i)classified:\\s*(\\w+)"},
    {"action": "mask", "pattern": "^burn this$"},
)
HIDDEN = "[redacted]"
PROTOBUF = {"content-type": "application/x-protobuf"}
TABLES = (
    "otel_traces",
    "operation_rollup",
    "customer_rollup",
    "otel_logs",
    *(f"otel_metrics_{kind}" for kind in POINTS),
)
# What fails is not made smaller: each try goes through a whole server.
FEW = settings(
    max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)


@dataclass(frozen=True)
class Place:
    """An intake, and the engine behind it."""

    intake: Intake
    engine: Engine
    key: str

    def send(self, kind: str, body: bytes) -> None:
        answer = httpx.post(f"http://127.0.0.1:{self.intake.http_port}/v1/{kind}", content=body, headers=PROTOBUF)
        assert answer.status_code == 200, answer.text
        assert self.intake.settle(60)

    def everything(self, service: str) -> str:
        tables = {table: self.engine.query(_rows(table), {"service": service}).to_pylist() for table in TABLES}
        return json.dumps(tables, default=str, ensure_ascii=False)


def _rows(table: str) -> str:
    return f"SELECT * FROM {table} WHERE ServiceName = {{service:String}}"  # noqa: S608


def _place(fields: dict[str, Any], data_dir: Path) -> Iterator[Place]:
    settings = some_settings(data_dir, **fields)
    engine = open_engine(settings)
    intake = Intake(settings, engine)
    intake.start()
    yield Place(intake, engine, hash_key(data_dir))
    intake.stop()
    engine.close()


@pytest.fixture(scope="module", params=["chdb", "clickhouse"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "chdb":
        yield from _place({"redaction": RULES}, tmp_path_factory.mktemp("chdb"))
        return
    node = ClickHouseNode(tmp_path_factory.mktemp("node"))
    store_url = f"{node.url}/redaction"
    yield from _place({"redaction": RULES, "store_url": store_url}, tmp_path_factory.mktemp("clickhouse"))
    node.stop()


# --- requests with something to hide ------------------------------------------------------------------------------


# What Hypothesis draws is what it has read in the code, too: names that rules are about.
_HARMFUL = re.compile("(?i)pass|secret|key|token|cookie|auth|cred|@|internal|customer|classified|burn|bearer|support")


def harmless(make: Callable[[str], st.SearchStrategy[Any]], service: str) -> st.SearchStrategy[Any]:
    return make(service).filter(lambda request: not _HARMFUL.search(re.sub(r"(?m)^ *key: ", "", str(request))))


def check_digit(number: str) -> str:
    """By Luhn, of what stands before it."""
    doubled = (2 * int(digit) if place % 2 == 0 else int(digit) for place, digit in enumerate(reversed(number)))
    return str(-sum(digit // 10 + digit % 10 for digit in doubled) % 10)


def a_card(number: int) -> str:
    start = f"4{number:014}"
    digits = start + check_digit(start)
    return " ".join(digits[i : i + 4] for i in range(0, 16, 4)) if number % 2 else digits


def a_secret(number: int, key: str) -> tuple[str, str, str]:
    """What is sent, what of it must be nowhere, and what is stored."""
    cards, account = a_card(number), f"ACC-{number % 10**6:06}"
    texts = (
        (f"user{number}@mail.example.org", None, HIDDEN),
        (f"jörg.{number}@exämple.de", None, HIDDEN),
        (cards, None, HIDDEN),
        (f"Bearer {number:032x}", f"{number:032x}", f"Bearer {HIDDEN}"),
        (f"Cookie: session={number}x; a=b", f"session={number}x", f"Cookie: {HIDDEN}"),
        (f"?password=hunter{number}x&page=2", f"hunter{number}x", f"?password={HIDDEN}&page=2"),
        (f"postgres://shop:pw{number}x@db/orders", f"pw{number}x", f"postgres://{HIDDEN}@db/orders"),
        (account, None, hashed(key, account)),
        (f"Classified: w{number}x", f"w{number}x", HIDDEN),
    )
    sent, gone, stored = texts[number % len(texts)]
    return sent, gone or sent, stored


def _by_key(number: int, key: str) -> tuple[tuple[str, Any], tuple[str, Any] | None]:
    """An attribute as it is sent, and as it is stored."""
    value = f"value-{number}-of-it"
    options = (
        (("db.password", value), ("db.password", HIDDEN)),
        (("HTTP.Request.Header.Cookie", [value]), ("HTTP.Request.Header.Cookie", HIDDEN)),
        (("customer.name", value), ("customer.name", hashed(key, value))),
        (("internal.note", {"a": value}), None),
        (("outer", {"api_key": value, "n": 1}), ("outer", {"api_key": HIDDEN, "n": 1})),
        (("internal", {"list": value, "in": [1]}), ("internal", {})),
    )
    return options[number % len(options)]


class Planting:
    """Plants into a request; `sent` and `stored` are it, `gone` what must be nowhere."""

    def __init__(self, seed: int, request: Any, key: str) -> None:
        self._random, self._key = random.Random(seed), key
        self.sent, self.stored, self.gone = request, deepcopy(request), set[str]()
        self._plant(self.sent, self.stored)

    def _number(self) -> int:
        return self._random.randrange(10**8, 10**9)

    def _plant(self, sent: Any, stored: Any) -> None:
        if sent.DESCRIPTOR.name == "KeyValue" and sent.key == "service.name":
            return
        for field, value in sent.ListFields():
            if field.message_type is not None:
                pairs = zip(value, getattr(stored, field.name), strict=True) if field.is_repeated else ()
                for one, other in pairs or ((value, getattr(stored, field.name)),):
                    self._plant(one, other)
                if field.name in ("attributes", "filtered_attributes"):
                    self._add(value, getattr(stored, field.name))
            elif isinstance(value, str) and field.name != "severity_text" and self._random.random() < 0.5:
                number = self._number()
                # A key with a password in it is one that a rule is about.
                text, gone, left = a_secret(number + (field.name == "key" and number % 9 == 5), self._key)
                self.gone.add(gone)
                setattr(sent, field.name, f"{value}\n{text}\n")
                setattr(stored, field.name, f"{value}\n{left}\n")

    def _add(self, sent: Any, stored: Any) -> None:
        if self._random.random() < 0.5:
            number = self._number()
            before, after = _by_key(number, self._key)
            self.gone.add(f"value-{number}-of-it")
            sent.extend(attributes_of(dict([before])))
            stored.extend(attributes_of(dict([after] if after else [])))


@FEW
@given(st.data())
def test_what_a_rule_hides_is_in_no_table_and_all_else_is_as_it_was_sent(place: Place, data: st.DataObject) -> None:
    service = a_service()
    traces, logs, metrics = (
        Planting(data.draw(st.integers(0, 2**32)), data.draw(harmless(make, service)), place.key)
        for make in (trace_requests, log_requests, metric_requests)
    )

    for kind, planted in (("traces", traces), ("logs", logs), ("metrics", metrics)):
        place.send(kind, planted.sent.SerializeToString())

    stored = place.everything(service)
    assert not [gone for gone in traces.gone | logs.gone | metrics.gone if gone in stored]
    assert_same(rows_of(place.engine, "otel_traces", service, "Duration"), span_rows(traces.stored))
    assert_same(rows_of(place.engine, "otel_logs", service, "toUInt32(SeverityText)"), log_rows(logs.stored))
    for points in POINTS:
        kept = rows_of(place.engine, f"otel_metrics_{points}", service, "Flags")
        assert_same(kept, point_rows(metrics.stored, points))


# --- the rules one by one -----------------------------------------------------------------------------------------


def stored_body(place: Place, body: Any) -> str:
    service = a_service()
    place.send("logs", a_log_request(a_record(body), service=service).SerializeToString())
    (row,) = rows_of(place.engine, "otel_logs", service, "ServiceName")
    return str(row["Body"])


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ("4111 1111 1111 1111, 5500-0000-0000-0004 and 378282246310005.", f"{HIDDEN}, {HIDDEN} and {HIDDEN}."),
        ("4111111111111112 has a wrong check digit", None),
        ("0.4111111111111111 is a share, 4111111111111111999 an id, x4111111111111111 a word", None),
        ({"number": 4111111111111111, "n": 7}, f'{{"number":"{HIDDEN}","n":7}}'),
        ("react@18.2.0 and rabbit@node-1 are no addresses, nor is @decorated.name", None),
        ("basic authentication failed; the bearer of this; UPDATE t SET password = $1, token = ?", None),
        ("burn this", HIDDEN),
        ("do not\nburn this", None),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl was refused", f"{HIDDEN} was refused"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nowIB\n-----END RSA PRIVATE KEY-----\nnext", f"{HIDDEN}\nnext"),
        ('{"password":"a b","user":"x"}', f'{{"password":"{HIDDEN}","user":"x"}}'),
        ('{"password":"a\\"b","user":"x"}', f'{{"password":"{HIDDEN}","user":"x"}}'),
        ('{"password": "p\\u00e4ss-rest"}', f'{{"password": "{HIDDEN}"}}'),
        (r'"{\"password\":\"a\\\"b\",\"user\":\"x\"}"', rf'"{{\"password\":\"{HIDDEN}\",\"user\":\"x\"}}"'),
        ("GET /reset?password=p%40ss-rest&x=1", f"GET /reset?password={HIDDEN}&x=1"),
        ("GET /cb?access_token=abc%2Fdef%2Bghi%3D&z=1", f"GET /cb?access_token={HIDDEN}&z=1"),
        ("password=%24ecret and password=hunter2$x", f"password={HIDDEN} and password={HIDDEN}"),
        ('Authorization: Digest username="m", response="66f"\nnext', f"Authorization: Digest {HIDDEN}\nnext"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=A/b, Signature=f", f"Authorization: AWS4-HMAC-SHA256 {HIDDEN}"),
        ('Cookie: a=b; c="q"; session=x\nnext', f"Cookie: {HIDDEN}\nnext"),
        ("amqp://u:p@ss-rest@host/x, http://u:p@h?to=a@b", f"amqp://{HIDDEN}@host/x, http://{HIDDEN}@h?to=a@b"),
        ("password = %s, token = ${TOKEN}, secret=$1", None),
    ],
)
def test_a_text_loses_what_must_not_be_known_and_no_more(place: Place, body: Any, stored: str | None) -> None:
    assert stored_body(place, body) == (body if stored is None else stored)


def test_what_verdicts_are_made_of_stays(place: Place) -> None:
    service = a_service()
    span = a_span("GET /x", http__route="/of/{a@b.example}", enduser__id="ada@example.org", support__email="a@b.org")
    resource = {"service.version": "1.0@x.example", "service.instance.id": "rabbit@host.example.org"}
    place.send("traces", a_payload(span, service=service, resource=resource))

    (row,) = rows_of(place.engine, "otel_traces", service, "ServiceName")
    assert (row["Version"], row["Instance"]) == ("1.0@x.example", "rabbit@host.example.org")
    assert row["Operation"] == "GET /x"
    kept = {"http.route": "/of/{a@b.example}", "enduser.id": "ada@example.org", "support.email": "a@b.org"}
    assert dict(row["SpanAttributes"]) == kept


def test_operations_and_their_counts_are_named_without_it_too(place: Place) -> None:
    service = a_service()
    place.send("traces", a_payload(a_span("GET /users/ada@example.org"), service=service))
    (row,) = place.engine.query(_rows("operation_rollup"), {"service": service}).to_pylist()
    assert row["Operation"] == f"GET /users/{HIDDEN}"


def test_other_doors_lead_past_the_same_rules(place: Place) -> None:
    service = a_service()
    line = [str(a_record().time_unix_nano), "login of ada@example.org"]
    body = {"streams": [{"stream": {"service_name": service, "owner": "bob@example.org"}, "values": [line]}]}
    answer = httpx.post(f"http://127.0.0.1:{place.intake.http_port}/loki/api/v1/push", json=body)
    assert answer.status_code == 204, answer.text
    assert place.intake.settle(60)

    stored = place.everything(service)
    assert f"login of {HIDDEN}" in stored
    assert "@example.org" not in stored


def test_a_value_that_was_hashed_is_joined_and_forgotten_by_what_it_was(place: Place, tmp_path: Path) -> None:
    services = [a_service(), a_service()]
    for service in services:
        place.send("traces", a_payload(a_span(customer__name="Ada"), a_span(customer__name="Bob"), service=service))
    rows = [row for service in services for row in rows_of(place.engine, "otel_traces", service, "SpanId")]
    names = [dict(row["SpanAttributes"])["customer.name"] for row in rows]
    assert sorted(names) == sorted([hashed(place.key, "Ada"), hashed(place.key, "Bob")] * 2)

    database = Database(f"sqlite:///{tmp_path}/state.db")
    database.migrate()
    said: Any = {"customer_attributes": (), "actor": "a", "key": place.key, "blank_templates": blanked}
    gone = forget(place.engine, database, place.intake, "customer.name", "Ada", **said)
    database.close()

    assert gone.spans == 2
    left = [row for service in services for row in rows_of(place.engine, "otel_traces", service, "SpanId")]
    assert {dict(row["SpanAttributes"])["customer.name"] for row in left} == {hashed(place.key, "Bob")}


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other_defaults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    rules = [
        {"action": "keep", "default": "*"},
        {"action": "hash", "default": "email"},
        {"action": "drop", "default": "card_numbers"},
        {"action": "drop", "pattern": "forget me"},
        {"action": "hash", "key": "enduser.id"},
    ]
    yield from _place({"redaction": rules}, tmp_path_factory.mktemp("other"))


def test_defaults_are_switched_off_and_given_other_actions(other_defaults: Place) -> None:
    service, email = a_service(), "ada@example.org"
    span = a_span(password="x1", card=4111111111111111, enduser__id=email, note=f"of {email}", other="forget me now")
    span.status.message = "please forget me"
    span.attributes.add(key="nested", value=any_value({"a": "forget me", "b": [email], "c": 4111111111111111}))
    other_defaults.send("traces", a_payload(span, service=service))

    (row,) = rows_of(other_defaults.engine, "otel_traces", service, "ServiceName")
    there = hashed(other_defaults.key, email)
    nested = json.dumps({"b": [there]}, separators=(",", ":"))
    kept = {"password": "x1", "enduser.id": there, "note": f"of {there}", "nested": nested}
    assert dict(row["SpanAttributes"]) == kept
    assert row["StatusMessage"] == ""


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"action": "mask", "pattern": "a("}, "no regular expression of RE2"),
        ({"action": "mask", "pattern": "(?=a)"}, "no regular expression of RE2"),
        ({"action": "mask", "pattern": "a*"}, "matches an empty text"),
        ({"action": "mask", "pattern": r"x|\b"}, "matches an empty text"),
        ({"action": "mask", "pattern": r"\Aab\z"}, "write \\^ and \\$"),
        ({"action": "hide", "key": "a"}, "drop"),
        ({"action": "drop"}, "one of `key`, `pattern`, `default`"),
        ({"action": "drop", "key": "a", "pattern": "b"}, "one of `key`, `pattern`, `default`"),
        ({"action": "keep", "pattern": "b"}, "`keep` goes with"),
        ({"action": "keep", "default": "mail"}, "no default is called 'mail'; there are authorization"),
        ({"action": "drop", "key": "service.*"}, "covers service.name"),
        ({"action": "drop", "keys": "a"}, "'keys', which is none of"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_the_reason(rule: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings(redaction=(rule,))


def test_a_pattern_that_the_engine_cannot_search_for_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"ONEJOB_REDACTION has what the engine cannot search for.*a\{900\}"):
        open_engine(Settings(data_dir=tmp_path, redaction=({"action": "mask", "pattern": "(?:a{900}b|[^c]{900})"},)))
