"""The first start: a link for the first admin, once; and what is said about who may come in."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from onejob import app
from onejob.config import Settings
from onejob.model.access import Role
from onejob.state.database import Database
from onejob.telling import tell_login
from servers import PORTS

from .site import PASSWORD, Site

LINK = re.compile(r"(http\S+)/welcome#(\w{43})")


def said(site: Site, capsys: pytest.CaptureFixture[str], **told: Any) -> str:
    services = site.services
    tell_login(services.settings, services.access, 8320, **({"new_link": False} | told))
    return capsys.readouterr().out


def test_the_first_start_prints_a_link_and_later_ones_until_it_is_used(
    state_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(state_database, login="auto", listen_host="0.0.0.0", allowed_hosts=())  # noqa: S104
    first, second = (LINK.search(said(site, capsys)) for _ in range(2))
    assert first
    assert second
    assert second[1] == "http://127.0.0.1:8320"
    browser = site.browser()
    assert browser.post("/welcome", code=first[2], password=PASSWORD, again=PASSWORD).status_code == 400
    assert browser.post("/welcome", code=second[2], password=PASSWORD, again=PASSWORD).status_code == 303
    assert site.browser("admin").get("/audit").status_code == 200
    assert not LINK.search(said(site, capsys))


def test_a_link_uses_the_address_that_people_use(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    told = site.services.settings.model_copy(update={"public_url": "https://onejob.example"})
    tell_login(told, site.services.access, 8320, new_link=True)
    assert "https://onejob.example/welcome#" in capsys.readouterr().out


def test_where_there_are_users_no_admin_is_made(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert not LINK.search(said(site, capsys))
    assert [user.name for user in site.services.access.accounts.users.all()] == ["ada"]


def test_an_admin_whose_password_is_lost_gets_a_new_link(
    state_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(state_database)
    site.add_user("admin")
    site.add_user("ada")
    admin = site.services.access.accounts.users.named("admin")
    assert admin
    site.services.access.accounts.users.change(admin.id, role=str(Role.VIEWER), disabled_at=site.now)
    found = LINK.search(said(site, capsys, new_link=True))
    assert found
    browser = site.browser()
    assert (
        browser.post("/welcome", code=found[2], password="quite new words", again="quite new words").status_code == 303
    )
    assert browser.get("/audit").status_code == 200


def test_a_server_without_a_login_prints_no_link(sqlite_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(Site(sqlite_database, login="auto", allowed_hosts=()), capsys)
    assert "no login is wanted" in text
    assert not LINK.search(text)


@pytest.mark.slow
def test_a_real_server_is_entered_by_its_link_and_takes_telemetry_with_a_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data_dir=tmp_path, login="always", require_ingest_tokens=True, **PORTS)
    with ExitStack() as stack:
        services = app.run(settings, stack)
        found = LINK.search(capsys.readouterr().out)
        assert found
        with httpx.Client(base_url=found[1], headers={"origin": found[1]}) as client:
            form = {"code": found[2], "password": PASSWORD, "again": PASSWORD}
            assert client.post("/welcome", data=form).status_code == 303
            wanted = {"name": "shop", "kind": "ingest"}
            token = client.post("/api/v1/tokens", json=wanted).json()["token"]
        assert services.intake
        url = f"http://127.0.0.1:{services.intake.http_port}/v1/traces"
        headers = {"content-type": "application/x-protobuf"}
        assert httpx.post(url, content=b"", headers=headers).status_code == 401
        headers["authorization"] = f"Bearer {token}"
        assert httpx.post(url, content=b"", headers=headers).status_code == 200
