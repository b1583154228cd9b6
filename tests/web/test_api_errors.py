"""Errors through the API: listed, searched, looked at, resolved and reopened."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from known import builders
from known.builders import an_occurrence
from onejob.model.known_error import ErrorKind, Occurrence, error_id
from onejob.state.database import Database
from onejob.state.versions import KnownVersion, KnownVersions
from onejob.web.api.bodies import BodyError, BoundedRequest

from .api_client import NOW, PROBLEM, Api

HOUR = timedelta(hours=1)
UNKNOWN = "/errors/err_00000000000000000000"


@pytest.fixture
def api(state_database: Database) -> Api:
    return Api(state_database)


def see(api: Api, *occurrences: Occurrence) -> None:
    """A look that found them."""
    builders.see(api.services.database, *occurrences)


def seen(fingerprint: str = "f1", hours_ago: float = 1.0, **said: Any) -> Occurrence:
    return an_occurrence(fingerprint=fingerprint, first_at=NOW - hours_ago * HOUR, **said)


def serves(api: Api, version: str, hours_ago: float) -> None:
    """The detector has seen it."""
    since = NOW - hours_ago * HOUR
    known = KnownVersion(
        service="checkout", environment="production", version=version, builds=(), first_seen_at=since,
        last_seen_at=since, rate_per_s=1.0,
    )  # fmt: skip
    KnownVersions(api.services.database).save([known])


def test_errors_are_listed_filtered_and_paged(api: Api) -> None:
    see(api, seen("a", 1, version="2"), seen("b", 2, service="stock"), seen("c", 30))
    see(api, seen("d", 4, kind=ErrorKind.LOG_TEMPLATE, title="cache is warm", severity=9))

    first = api.get("/errors", params={"limit": 3}).json()
    second = api.get("/errors", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [one["fingerprint"] for one in first["items"] + second["items"]] == ["a", "b", "d", "c"]
    assert second["next_cursor"] is None
    assert first["items"][0] == first["items"][0] | {
        "id": error_id("checkout", "production", "error", "a"), "service": "checkout", "status": "new",
        "title": "KeyError in price (checkout/pricing.py)", "first_version": "2", "last_day": None,
        "first_seen_at": "2026-03-01T11:00:00Z", "resolved_at": None,
    }  # fmt: skip

    def found(**wanted: Any) -> list[str]:
        return [one["fingerprint"] for one in api.get("/errors", params=wanted).json()["items"]]

    assert found(service="stock") == ["b"]
    assert found(version="2") == found(new_in="2") == ["a"]
    assert found(status="ongoing") == ["c"]
    assert found(kind="log_template") == found(text="WARM") == ["d"]
    assert found(least_severity=13) == ["a", "b", "c"]
    assert found(order="first_seen") == ["a", "b", "d", "c"]


@pytest.mark.parametrize(
    "wrong",
    [{"status": "open"}, {"kind": "x"}, {"least_severity": 25}, {"limit": 0}, {"cursor": "x"}, {"text": "\x01"},
     {"order": "x"}, {"service": "\x00"}],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(api: Api, wrong: dict[str, Any]) -> None:
    answer = api.get("/errors", params=wrong)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM


def test_one_has_its_stack_its_example_its_versions_and_what_was_said_of_it(api: Api) -> None:
    see(api, seen(hours_ago=3, version="1"), seen(hours_ago=2, version="2"))
    (listed,) = api.get("/errors").json()["items"]
    api.post(f"/errors/{listed['id']}/resolve", {"actor": "mo", "version": "3"})

    one = api.get(f"/errors/{listed['id']}").json()
    assert one["sample"].startswith("Traceback")
    assert one["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert [seen["version"] for seen in one["seen_in"]] == ["2", "1"]
    assert one["history"] == [{"at": "2026-03-01T12:00:00Z", "what": "resolved", "actor": "mo", "version": "3"}]
    assert (one["status"], one["counts"], one["step_s"]) == ("resolved", None, 14_400)
    assert api.get(f"/errors/{listed['id']}", params={"hours": 1}).json()["step_s"] == 60


def test_an_error_resolved_in_the_version_that_serves_regresses_when_that_one_shows_it_again(api: Api) -> None:
    serves(api, "1", 9)
    serves(api, "2", 2)
    see(api, seen(hours_ago=1, version="1"))
    (listed,) = api.get("/errors").json()["items"]

    answered = api.post(f"/errors/{listed['id']}/resolve", {"actor": "mo"}).json()
    assert (answered["status"], answered["resolved_in"], answered["resolved_by"]) == ("resolved", "2", "mo")
    see(api, seen(hours_ago=-1, version="1"))
    assert api.get(f"/errors/{listed['id']}").json()["status"] == "resolved", "the old version does not count"
    see(api, seen(hours_ago=-2, version="2"))
    one = api.get(f"/errors/{listed['id']}").json()
    assert (one["status"], one["regressed_in"]) == ("regressed", "2")

    reopened = api.post(f"/errors/{listed['id']}/reopen").json()
    assert (reopened["status"], reopened["resolved_at"], reopened["regressed_at"]) == ("new", None, None)
    history = api.get(f"/errors/{listed['id']}").json()["history"]
    assert [(change["what"], change["actor"]) for change in history] == [
        ("resolved", "mo"), ("regressed", None), ("reopened", "api")
    ]  # fmt: skip


def test_resolved_in_the_next_version_it_waits_for_that_one(api: Api) -> None:
    serves(api, "2", 2)
    see(api, seen(hours_ago=1, version="2"))
    (listed,) = api.get("/errors").json()["items"]
    answered = api.post(f"/errors/{listed['id']}/resolve", {"in_next_version": True}).json()
    assert (answered["resolved_in"], answered["resolved_by"]) == (None, "api")
    see(api, seen(hours_ago=-1, version="2"))
    assert api.get(f"/errors/{listed['id']}").json()["status"] == "resolved"
    see(api, seen(hours_ago=-2, version="3"))
    assert api.get(f"/errors/{listed['id']}").json()["status"] == "regressed"


def test_bodies_that_contradict_themselves_and_unknown_errors_are_refused(api: Api) -> None:
    see(api, seen())
    (listed,) = api.get("/errors").json()["items"]
    both = api.post(f"/errors/{listed['id']}/resolve", {"version": "1", "in_next_version": True})
    assert (both.status_code, both.json()["errors"][0]["field"]) == (422, "version")
    assert api.post(f"/errors/{listed['id']}/resolve", {"version": ""}).status_code == 422
    assert api.post(f"/errors/{listed['id']}/resolve", {"wrong": 1}).status_code == 422
    for answer in (
        api.get(UNKNOWN),
        api.post(f"{UNKNOWN}/resolve", {}),
        api.post(f"{UNKNOWN}/reopen"),
        api.get("/errors/%00"),
    ):
        assert answer.status_code == 404
        assert "GET /api/v1/errors" in answer.json()["detail"]


def test_a_body_that_never_ends_is_not_waited_for() -> None:
    async def receive() -> dict[str, object]:
        return await asyncio.get_running_loop().create_future()

    request = BoundedRequest({"type": "http", "method": "POST", "headers": []}, receive, within_s=0.01)
    with pytest.raises(BodyError, match="longer than") as refused:
        asyncio.run(request.body())
    assert refused.value.status == 408
