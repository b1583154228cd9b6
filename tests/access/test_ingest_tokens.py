"""Telemetry with a token: at both doors, from programs and from pages."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

import onejob.ingest
from ingest.conftest import EXPORT
from onejob.access.ingest_gate import IngestGate
from onejob.access.token_book import TokenBook, Wanted
from onejob.ingest import otlp_http
from onejob.ingest.browsers import Browsers
from onejob.ingest.counters import Counters
from onejob.ingest.door import Door
from onejob.ingest.doors import Doors as OpenDoors
from onejob.ingest.http_server import HttpServer
from onejob.ingest.otlp_grpc import GrpcServer
from onejob.ingest.otlp_http import OtlpHttpApp
from onejob.ingest.room import Room
from onejob.ingest.spool import Spool, SpoolLimits
from onejob.model.access import LOCAL, Role, TokenKind
from onejob.state.database import Database
from onejob.state.tokens import Tokens
from otlp_builders import a_payload, a_span

PROTOBUF = {"content-type": "application/x-protobuf"}
SHOP = "https://shop.example"


class Doors:
    """Both, on free ports, with a spool and no engine behind them."""

    def __init__(self, database: Database, folder: Path, stack: ExitStack) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.tokens = Tokens(database)
        self.book = TokenBook(self.tokens, lambda: self.now)
        self.gate = IngestGate(self.tokens, lambda: self.now)
        self.spool = Spool(folder / "spool" / "spool.db", SpoolLimits(2**30, 0, 900.0))
        stack.callback(self.spool.close)
        self.counters = Counters()
        doors = OpenDoors(2**20, self.counters, self.gate, needs_token=True)
        doors.open("default", Door(self.spool, self.counters, Room(2**30).part(), 2**20))
        self.grpc = GrpcServer(doors, "127.0.0.1", 0)
        stack.callback(self.grpc.stop)
        self.http = HttpServer(Browsers(OtlpHttpApp(doors), doors.welcomes), "127.0.0.1", 0)
        stack.callback(self.http.stop)
        self.grpc.start()
        self.http.start()

    def make(self, **wanted: Any) -> str:
        made = {"name": "shop", "kind": TokenKind.INGEST, "lasts": timedelta(days=30)} | wanted
        text = self.book.make(Wanted(**made), LOCAL)[1]
        self.gate.refresh()
        return text

    def ask(self, method: str = "POST", kind: str = "traces", **headers: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.http.port}/v1/{kind}"
        sent = PROTOBUF | {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.request(method, url, content=a_payload(a_span()) if method == "POST" else None, headers=sent)

    def export(self, authorization: str | None) -> bytes:
        metadata = (("authorization", authorization),) if authorization else ()
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc.port}") as channel:
            return bytes(channel.unary_unary(EXPORT)(a_payload(a_span()), metadata=metadata))


@pytest.fixture
def doors(sqlite_database: Database, tmp_path: Path) -> Iterator[Doors]:
    with ExitStack() as stack:
        yield Doors(sqlite_database, tmp_path, stack)


def test_telemetry_with_a_token_is_taken(doors: Doors) -> None:
    token = doors.make()
    assert doors.ask(authorization=f"Bearer {token}").status_code == 200
    assert doors.ask(authorization=f"bearer {token}").status_code == 200
    assert doors.export(f"Bearer {token}") == b""
    assert doors.spool.requests == 3


def test_without_one_it_is_refused_and_told_what_to_do(doors: Doors) -> None:
    api = doors.book.make(Wanted(name="x", kind=TokenKind.API, lasts=timedelta(days=1), role=Role.ADMIN), LOCAL)[1]
    good = doors.make()
    wrong = ["", "Bearer", f"Basic {good}", "Bearer onejob_ingest_nothing", f"Bearer {api}", f"Bearer {good}x", good]
    for authorization in wrong:
        for kind in ("traces", "logs", "metrics"):
            answer = doors.ask(kind=kind, authorization=authorization)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Bearer realm="onejob telemetry"'
            assert b"onejob token create --ingest" in answer.content
            assert good.encode() not in answer.content
        with pytest.raises(grpc.RpcError) as refusal:
            doors.export(authorization)
        assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert doors.ask().status_code == 401
    assert doors.spool.requests == 0
    assert doors.counters.refused == {"Unauthenticated": 4 * len(wrong) + 1}


@pytest.mark.parametrize("path", [*otlp_http._DIALECTS, "/api/1/envelope/", "/api/1/store/", "/shop/api/1/envelope"])
def test_no_address_of_the_http_port_takes_anything_without_a_token(doors: Doors, path: str) -> None:
    """Each there is, as the application itself lists them."""
    url = f"http://127.0.0.1:{doors.http.port}{path}"
    for method in ("POST", "GET", "PUT", "OPTIONS"):
        for media in ("application/x-protobuf", "application/json"):
            assert httpx.request(method, url, headers={"content-type": media}, content=b"{}").status_code == 401
    token = doors.make()
    answer = httpx.post(url, headers=PROTOBUF | {"authorization": f"Bearer {token}"}, content=b"")
    assert answer.status_code != 401
    assert doors.counters.refused["Unauthenticated"] == 8


def test_the_public_key_of_a_sentry_dsn_is_a_token(doors: Doors, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    good, shops = doors.make(), doors.make(origins=(SHOP,))
    url, body = f"http://127.0.0.1:{doors.http.port}/api/1/envelope/", b'{}\n{"type":"event"}\n{"message":"%d"}'

    def post(key: str, where: str = "query", origin: str | None = None) -> int:
        said = f"Sentry sentry_version=7, sentry_key={key}, sentry_client=sentry.python/2.75.0"
        headers = {} if where == "query" else {where: said}
        params = {"sentry_version": "7", "sentry_key": key} if where == "query" else {}
        headers |= {"origin": origin} if origin else {}
        return httpx.post(url, content=body % doors.spool.requests, params=params, headers=headers).status_code

    assert [post(good, where) for where in ("x-sentry-auth", "authorization", "query")] == [200, 200, 200]
    assert [post(key) for key in ("", "abcdef", f"{good}x", f"x{good}")] == [401, 401, 401, 401]
    assert (post(shops, origin=SHOP), post(good, origin=SHOP), post(shops, origin="https://evil.example")) == (
        200,
        401,
        403,
    )
    assert httpx.post(url, content=body, headers={"authorization": f"Bearer {good}"}).status_code == 200
    assert not [said for said in caplog.records if said.name.startswith("onejob") and good in said.getMessage()]


def test_a_token_that_was_revoked_or_is_too_old_is_refused(doors: Doors) -> None:
    revoked, old = doors.make(), doors.make(lasts=timedelta(hours=1))
    (token,) = [one for one in doors.tokens.all() if one.expires_at - doors.now > timedelta(hours=1)]
    doors.book.revoke(token.id, LOCAL)
    doors.gate.refresh()
    assert doors.ask(authorization=f"Bearer {revoked}").status_code == 401
    assert doors.ask(authorization=f"Bearer {old}").status_code == 200
    doors.now += timedelta(hours=1)
    assert doors.ask(authorization=f"Bearer {old}").status_code == 401, "without looking at the database again"


def test_a_token_of_another_server_of_the_same_database_is_learnt(doors: Doors) -> None:
    text = doors.book.make(Wanted(name="x", kind=TokenKind.INGEST, lasts=timedelta(days=1)), LOCAL)[1]
    assert not doors.gate.admits(f"Bearer {text}", None)
    doors.gate.refresh()
    assert doors.gate.admits(f"Bearer {text}", None)


def test_when_a_token_was_last_used_is_written_down(doors: Doors) -> None:
    token = doors.make()
    doors.ask(authorization=f"Bearer {token}")
    doors.now += timedelta(seconds=5)
    doors.gate.refresh()
    assert doors.tokens.all()[0].last_used_at == doors.now


def test_a_database_that_is_away_locks_nobody_out(doors: Doors, tmp_path: Path) -> None:
    token = doors.make()
    away = Tokens(Database(f"sqlite:///{tmp_path}/missing/state.db"))
    doors.gate._tokens = away
    doors.gate.refresh()
    assert doors.ask(authorization=f"Bearer {token}").status_code == 200


def test_a_page_may_send_with_a_token_for_its_site_only(doors: Doors) -> None:
    shops, programs = doors.make(origins=(SHOP,)), doors.make()
    taken = doors.ask(authorization=f"Bearer {shops}", origin=SHOP)
    assert taken.status_code == 200
    assert taken.headers["access-control-allow-origin"] == SHOP
    assert taken.headers["vary"] == "origin"
    assert doors.ask(authorization=f"Bearer {programs}", origin=SHOP).status_code == 401
    for origin in ("https://evil.example", "null", f"{SHOP}:444"):
        assert doors.ask(authorization=f"Bearer {shops}", origin=origin).status_code == 403
    assert doors.ask(authorization=f"Bearer {shops}", origin="http://localhost").status_code == 401
    assert doors.ask(authorization=f"Bearer {shops}").status_code == 200, "a program says no origin"


def test_a_browser_is_told_beforehand_which_pages_may(doors: Doors) -> None:
    doors.make(origins=(SHOP,))
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "authorization"}
    allowed = doors.ask("OPTIONS", origin=SHOP, **asked)
    assert (allowed.status_code, allowed.content) == (204, b"")
    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    refused = doors.ask("OPTIONS", origin="https://evil.example", **asked)
    assert "access-control-allow-origin" not in refused.headers


def test_a_page_that_is_being_left_has_its_token_in_the_address(doors: Doors) -> None:
    shops = doors.make(origins=(SHOP,))
    text, url = {"content-type": "text/plain"}, f"http://127.0.0.1:{doors.http.port}/v1"

    def post(address: str, origin: str | None, token: str = shops) -> int:
        headers = text | ({"origin": origin} if origin else {})
        return httpx.post(f"{url}/{address}", params={"token": token}, content=b"{}", headers=headers).status_code

    assert post("logs", SHOP) == 200
    assert [post("logs", SHOP, token) for token in ("", f"{shops}x", doors.make())] == [401, 401, 401]
    assert (post("logs", "https://evil.example"), post("logs", None), post("traces", SHOP)) == (403, 401, 401)


def test_every_module_that_takes_telemetry_asks_for_a_token_first() -> None:
    """A door that was added and forgets to would be open to everybody."""
    ingest = Path(onejob.ingest.__file__).parent
    takes = {path for path in ingest.rglob("*.py") if ".check_and_spool(" in path.read_text()}
    asks = {path for path in takes if ".admit(" in path.read_text()}
    assert len(asks) >= 2
    others = {str(path.relative_to(ingest)) for path in takes - asks}
    # The API's import has a rule of its own; what is scraped, and what onejob says of itself, the settings asked for.
    assert others == {"backfill.py", "scrape/scraper.py", "own/telemetry.py"}
