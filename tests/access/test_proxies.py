"""A server on loopback, which wants no login, behind a proxy that somebody put there without telling it."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

import nginx
from onejob.state.database import Database
from ports import free_ports
from state_sqlite import Template, unsynced

from .serving import served
from .site import Site

# As its documentation begins: nothing is passed on but the request, and under the name of where it goes.
SHOWS = """
server {{ listen 127.0.0.1:{plain}; location / {{ proxy_pass {url}; }} }}
server {{ listen 127.0.0.1:{newer}; location / {{ proxy_pass {url}; proxy_http_version 1.1; }} }}
"""


@pytest.fixture(scope="module")
def url(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("proxies") / "state.db"
    with (
        closing(unsynced(Database(template.copy(path)))) as database,
        served(Site(database, login="auto", allowed_hosts=()).app) as url,
    ):
        yield url


@pytest.fixture(scope="module")
def proxies(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """nginx as it comes, and with HTTP/1.1 behind it."""
    ports = free_ports(2)
    shows = SHOWS.format(url=url, plain=ports[0], newer=ports[1])
    with nginx.in_front(tmp_path_factory.mktemp("nginx"), shows, ports, lambda status: status in (200, 403)):
        yield f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"


def test_nginx_as_it_comes_opens_nothing_of_a_server_without_a_login(url: str, proxies: tuple[str, str]) -> None:
    assert httpx.get(f"{url}/api/v1/deployments").status_code == 200
    for path in ("/", "/api/v1/deployments", "/api/v1/users", "/metrics"):
        refused = httpx.get(f"{proxies[0]}{path}")
        assert refused.status_code == 403, path
        assert "ONEJOB_PUBLIC_URL" in refused.text


def test_pages_behind_a_proxy_with_another_name_are_told_by_what_their_browser_says(proxies: tuple[str, str]) -> None:
    from_a_page = {"sec-fetch-site": "same-origin", "referer": f"{proxies[1]}/deployments"}
    assert httpx.get(f"{proxies[1]}/deployments", headers=from_a_page).status_code == 403


def test_pages_of_ours_and_of_other_sites_are_no_sign_of_a_proxy(url: str) -> None:
    for headers in (
        {"sec-fetch-site": "same-origin", "referer": f"{url}/deployments"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "cross-site", "referer": "https://wiki.example/how-to"},
        {"sec-fetch-site": "same-origin", "referer": "http://["},
    ):
        assert httpx.get(f"{url}/deployments", headers=headers).status_code == 200, headers
