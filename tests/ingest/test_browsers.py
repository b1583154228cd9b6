"""Whose pages may send to the OTLP/HTTP port, and how their script is served; in requests as browsers make them."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

import onejob
from onejob.config import Settings
from onejob.ingest.browsers import is_of_this_machine
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_service

from .conftest import some_settings
from .waiting import wait_until

SHOP = "https://shop.example"
TEXT = {"content-type": "text/plain;charset=UTF-8"}
ASKING = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[str]:
    """Of an intake that takes telemetry from the shop's pages."""
    settings = some_settings(tmp_path_factory.mktemp("origins"), browser_origins=["HTTPS://Shop.example:443/"])
    intake = Intake(settings, engine)
    intake.start()
    yield f"http://127.0.0.1:{intake.http_port}"
    intake.stop()


def a_body(service: str) -> str:
    attribute = {"key": "service.name", "value": {"stringValue": service}}
    record = {"eventName": "browser.navigation", "attributes": []}
    return json.dumps(
        {"resourceLogs": [{"resource": {"attributes": [attribute]}, "scopeLogs": [{"logRecords": [record]}]}]}
    )


def stored_logs(engine: Engine, service: str) -> int:
    sql = "SELECT count() AS n FROM otel_logs WHERE ServiceName = {service:String}"
    return int(engine.query(sql, {"service": service}).to_pylist()[0]["n"])


@pytest.mark.parametrize(
    "origin", [SHOP, "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]", "http://a.localhost"]
)
def test_a_beacon_in_plain_text_is_stored_if_its_origin_may_send(address: str, engine: Engine, origin: str) -> None:
    service = a_service()

    answer = httpx.post(f"{address}/v1/logs", content=a_body(service), headers=TEXT | {"origin": origin})

    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers
    wait_until(lambda: stored_logs(engine, service) == 1, "storing")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "http://shop.example", "https://shop.example.evil.test", "https://shop.example:8443",
        "https://localhost.evil.test", "http://127.0.0.1.evil.test", "null", "", "http://[", "http://10.0.0.1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces", "/v1/metrics"])
def test_other_origins_are_refused_and_told_which_setting_it_is(
    address: str, engine: Engine, origin: str, path: str
) -> None:
    service = a_service()
    for headers in (TEXT, {"content-type": "application/json"}):
        answer = httpx.post(address + path, content=a_body(service), headers=headers | {"origin": origin})
        assert answer.status_code == 403
        assert "ONEJOB_BROWSER_ORIGINS" in answer.json()["message"]
        assert "access-control-allow-origin" not in answer.headers
    asked = httpx.options(address + path, headers=ASKING | {"origin": origin})
    assert (asked.status_code, asked.headers.get("access-control-allow-methods")) == (403, None)
    assert stored_logs(engine, service) == 0


def test_a_preflight_is_answered_without_credentials(address: str) -> None:
    answer = httpx.options(f"{address}/v1/traces", headers=ASKING | {"origin": SHOP})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert "content-type" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("path", "headers"), [("/v1/logs", {}), ("/v1/traces", {"origin": SHOP})])
def test_plain_text_is_refused_where_no_page_sends_it(address: str, path: str, headers: dict[str, str]) -> None:
    assert httpx.post(address + path, content=a_body("x"), headers=TEXT | headers).status_code == 415


def test_what_is_wrong_is_told_to_a_page_too(address: str) -> None:
    answer = httpx.post(f"{address}/v1/logs", content="no json", headers=TEXT | {"origin": SHOP})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (400, SHOP)


def test_the_script_is_served_to_pages_anywhere_and_kept_by_its_version(address: str) -> None:
    plain = Path(onejob.__file__).with_name("ingest").joinpath("browser/rum.js").read_bytes()
    with httpx.Client(base_url=address, headers={"accept-encoding": "identity"}) as client:
        bare, own = client.get("/rum.js"), client.get(f"/rum.js?v={onejob.__version__}")
        packed = client.get("/rum.js", headers={"accept-encoding": "gzip, br"})
        again = client.get("/rum.js", headers={"if-none-match": bare.headers["etag"]})
        head, other, posted = client.head("/rum.js"), client.get("/rum.js?v=0.0.1"), client.post("/rum.js")

    assert (bare.content, packed.content, own.content, other.content) == (plain,) * 4
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain)) < len(plain)
    assert bare.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (bare.headers["access-control-allow-origin"], bare.headers["x-content-type-options"]) == ("*", "nosniff")
    assert bare.headers["cache-control"] == other.headers["cache-control"] == "public, max-age=3600"
    assert own.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (again.status_code, again.content) == (304, b"")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(plain)))
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "origin", ["*", "shop.example", "https://*.shop.example", "https://shop.example/path", "ftp://shop.example", "null"]
)
def test_a_setting_that_is_no_origin_is_refused_by_name(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ValidationError, match="is no origin: write each site as https://"):
        Settings(data_dir=tmp_path, browser_origins=(origin,))


def test_names_that_only_look_like_this_machine_are_not() -> None:
    assert is_of_this_machine("http://127.8.9.1:1")
    others = ("http://localhost.", "http://127.0.0.1@evil.test", "http://evil.test@localhost", "//localhost.evil")
    assert not any(map(is_of_this_machine, others))
