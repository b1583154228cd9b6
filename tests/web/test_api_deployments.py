"""Deployments over REST, on both kinds of database."""

from datetime import timedelta
from typing import Any

import pytest

from onejob.model.verdict import State
from onejob.state.database import Database
from onejob.state.versions import KnownVersion
from state.builders import a_rollout, a_signal, a_verdict
from state.test_codec import an_explanation_of_everything
from web.api_client import NOW, PROBLEM, Api


@pytest.fixture
def api(state_database: Database) -> Api:
    """The API over an empty database."""
    return Api(state_database)


@pytest.fixture
def picky_api(sqlite_database: Database) -> Api:
    """For what is refused before any database is asked."""
    return Api(sqlite_database)


def test_a_start_is_recorded_with_honest_defaults(api: Api) -> None:
    response = api.post("/deployments", {"service": "checkout", "version": "2"})

    assert response.status_code == 201
    document = response.json()
    assert response.headers["location"] == f"/api/v1/deployments/{document['id']}"
    assert document["id"].startswith("dep_")
    assert document["environment"] == "production"
    assert (document["source"], document["status"]) == ("reported", "in_progress")
    assert document["started_at"] == "2026-03-01T12:00:00Z"
    assert document["finished_at"] is document["previous_version"] is document["rollout"] is None
    verdict = document["verdict"]
    assert (verdict["state"], verdict["reason"]) == ("undecided", "no_data")
    assert verdict["sentence"] == "Not judged yet: no request to checkout 2 in production has been seen."
    assert verdict["signals"] == verdict["explanation"]["attributes"] == []


def test_everything_that_is_said_is_kept(api: Api) -> None:
    said = {
        "service": "checkout",
        "environment": "staging",
        "version": "2",
        "previous_version": "1",
        "strategy": "canary",
        "commit": "abc",
        "repository": "https://example.org/shop",
        "actor": "<script>alert('mo')</script>",
        "url": 'https://example.org/run/1?a="b"',
        "started_at": "2026-03-01T11:59:00+01:00",
        "traffic_share": 0.1,
    }
    document = api.post("/deployments", said).json()
    assert {name: document[name] for name in said} == said | {"started_at": "2026-03-01T10:59:00Z"}
    assert api.get(f"/deployments/{document['id']}").json() == document


def test_the_same_start_twice_is_one_deployment(api: Api) -> None:
    first = api.post("/deployments", {"service": "checkout", "version": "2"})
    again = api.post("/deployments", {"service": "checkout", "version": "2", "actor": "ci"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["actor"] == "ci"
    elsewhere = api.post("/deployments", {"service": "checkout", "version": "2", "environment": "staging"})
    assert elsewhere.status_code == 201


def test_a_start_after_the_end_is_a_new_deployment_but_not_a_late_retry(api: Api) -> None:
    first = api.start(started_at="2026-03-01T11:00:00Z")
    api.patch(f"/deployments/{first['id']}", {"status": "finished"})
    assert api.start(started_at="2026-03-01T11:00:00Z")["id"] == first["id"]
    assert api.start()["id"] != first["id"]


def test_progress_is_reported_until_the_end(api: Api) -> None:
    url = f"/deployments/{api.start()['id']}"
    assert api.patch(url, {"traffic_share": 0.5}).json()["traffic_share"] == 0.5
    api.later(minutes=5)
    finished = api.patch(url, {"status": "finished", "traffic_share": 1}).json()
    assert (finished["status"], finished["finished_at"]) == ("finished", "2026-03-01T12:05:00Z")
    again = api.patch(url, {"status": "finished"})
    assert (again.status_code, again.json()["finished_at"]) == (200, "2026-03-01T12:05:00Z")
    assert api.patch(url, {}).status_code == 200


def test_an_end_can_be_reported_by_its_time_alone(api: Api) -> None:
    api.later(minutes=5)
    started = api.start(started_at="2026-03-01T12:00:00Z")
    document = api.patch(f"/deployments/{started['id']}", {"finished_at": "2026-03-01T12:01:00Z"}).json()
    assert (document["status"], document["finished_at"]) == ("finished", "2026-03-01T12:01:00Z")


def test_a_deployment_that_is_over_cannot_begin_again(api: Api) -> None:
    url = f"/deployments/{api.start()['id']}"
    api.patch(url, {"status": "failed"})
    for status in ("finished", "in_progress"):
        response = api.patch(url, {"status": status})
        assert response.status_code == 409
        assert "report a new one" in response.json()["detail"]
    assert api.patch(url, {"status": "rolled_back"}).json()["status"] == "rolled_back"
    assert api.patch(url, {"status": "failed"}).json()["status"] == "rolled_back"
    assert api.patch(url, {"status": "superseded"}).status_code in (409, 422)


@pytest.mark.parametrize(
    ("sent", "read", "noted"),
    [
        (1772366400, "2026-03-01T12:00:00Z", "Unix seconds"),
        (1772366400.5, "2026-03-01T12:00:00Z", "Unix seconds"),
        (1772366340000, "2026-03-01T11:59:00Z", "Unix milliseconds"),
        (1772366340000000, "2026-03-01T11:59:00Z", "Unix microseconds"),
        (1772366340000000000, "2026-03-01T11:59:00Z", "Unix nanoseconds"),
        ("1772366340", "2026-03-01T11:59:00Z", "Unix seconds"),
        ("2026-03-01T11:59:00", "2026-03-01T11:59:00Z", "read as UTC"),
        ("2026-03-01T12:30:00Z", "2026-03-01T12:00:00Z", "1800 s ahead"),
        ("2026-02-01T12:00:00Z", "2026-02-01T12:00:00Z", "too long after its start"),
    ],
)
def test_times_in_other_units_and_clocks_that_differ_are_read_and_noted(
    api: Api, sent: Any, read: str, noted: str
) -> None:
    document = api.start(started_at=sent)
    assert document["started_at"] == read
    assert any(noted in note for note in document["notes"])


@pytest.mark.parametrize(
    "sent",
    [
        "1970-01-01T00:00:00Z",
        "2027-03-01T12:00:00Z",
        0,
        -1,
        42,
        1e300,
        10**400,
        "yesterday",
        "",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        True,
        {},
    ],
)
def test_times_that_cannot_be_are_refused_with_what_to_send(picky_api: Api, sent: Any) -> None:
    response = picky_api.post("/deployments", {"service": "checkout", "version": "2", "started_at": sent})
    assert response.status_code == 422
    assert response.headers["content-type"] == PROBLEM
    assert "started_at" in response.json()["detail"]
    assert picky_api.get("/deployments").json()["items"] == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"service": ""}, "service"),
        ({"service": "a\x00b"}, "service"),
        ({"service": "a" * 201}, "service"),
        ({"version": "\ud800"}, "version"),
        ({"version": 2}, "version"),
        ({"version": None}, "version"),
        ({"environment": "a\nb"}, "environment"),
        ({"strategy": "yolo"}, "strategy"),
        ({"traffic_share": 10}, "traffic_share"),
        ({"traffic_share": "0.1"}, "traffic_share"),
        ({"traffic_share": True}, "traffic_share"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "https://[bad"}, "url"),
        ({"commit": "c" * 2001}, "commit"),
        ({"sevice": "checkout"}, "sevice"),
        ({"finished_at": "2026-03-01T11:00:00Z"}, "finished_at"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(picky_api: Api, wrong: dict[str, Any], field: str) -> None:
    content = api_json({"service": "checkout", "version": "2"} | wrong)
    response = picky_api.post("/deployments", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert field in [error["field"].partition(".")[0] for error in response.json()["errors"]]
    assert picky_api.get("/deployments").json()["items"] == []


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"", "application/json", 422),
        (b'{"service": "a", "version": "1", "traffic_share": NaN}', "application/json", 422),
        (b'{"service": "a", "version": "1"}', "text/plain", 415),
        (b'{"service": "a", "version": "1"}', "", 415),
        (b"[" * 30_000, "application/json", 400),
        (b" " * 70_000, "application/json", 413),
    ],
)
def test_bodies_that_are_no_report_get_a_problem(
    picky_api: Api, content: bytes, content_type: str, status: int
) -> None:
    response = picky_api.post("/deployments", content=content, headers={"content-type": content_type})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["detail"]


def test_an_unknown_id_is_a_404_that_says_what_to_do(api: Api) -> None:
    for response in (
        api.get("/deployments/dep_unknown"),
        api.get("/deployments/%00"),
        api.patch("/deployments/dep_unknown", {"status": "finished"}),
        api.patch("/deployments/%00", {"status": "finished"}),
        api.get("/deployments/dep_unknown/verdicts"),
        api.post("/deployments/dep_unknown/recompute"),
    ):
        assert response.status_code == 404
        assert "POST /api/v1/deployments" in response.json()["detail"]


def test_addresses_and_methods_that_do_not_exist_get_problems(api: Api) -> None:
    assert api.get("/nothing").status_code == 404
    response = api.request("DELETE", "/api/v1/deployments/dep_x")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, PATCH")
    assert response.headers["content-type"] == PROBLEM


def test_the_whole_verdict_and_its_explanation_are_there_and_strict_json(api: Api) -> None:
    started = api.start()
    worse = a_signal(state=State.WORSE, effect=float("inf"), high=float("inf"))
    verdict = a_verdict(
        started["id"], state=State.WORSE, reason=None, sentence="Worse.", decided_at=NOW, signals=(worse, a_signal())
    )
    api.services.verdicts.record(verdict)
    explanation = an_explanation_of_everything()
    object.__setattr__(explanation, "deployment_id", started["id"])
    api.services.explanations.save(explanation)

    found = api.get(f"/deployments/{started['id']}").json()["verdict"]

    assert (found["state"], found["reason"], found["sentence"]) == ("worse", None, "Worse.")
    assert found["decided_at"] == "2026-03-01T12:00:00Z"
    assert found["control"]["versions"] == ["1"]
    first, second = found["signals"]
    assert (first["effect"], first["high"], first["low"]) == (None, None, 1.27)
    assert (first["decided_by"], second["decided_by"]) == ("interval", None)
    assert second["missing"] == {
        "largest_excluded": 1.6,
        "requests": 1200,
        "seconds_p50": 300.0,
        "seconds_p90": 400.0,
    }
    (attribute,) = found["explanation"]["attributes"]
    assert attribute["value"] == "</script>\x00\"'"
    (call,) = found["explanation"]["calls"]
    assert (call["path"], call["kind"], call["calls_treatment"]) == (["GET /", "SELECT"], "more", 41.0)
    assert found["explanation"]["operations"]
    assert found["explanation"]["traces"][0]["spans"]
    (suspect,) = found["explanation"]["suspects"]
    assert (suspect["service"], suspect["relation"], suspect["separable"]) == ("payments", "called", False)
    assert (suspect["posterior"], suspect["reasons"]) == (0.5, ["checkout calls it"])
    (listed,) = api.get("/deployments", params={"verdict": "worse"}).json()["items"]
    assert listed["verdict"] == found
    (short,) = api.get("/deployments", params={"view": "summary"}).json()["items"]
    assert short["verdict"]["explanation"]["traces"] == []
    assert api.get(f"/deployments/{started['id']}/verdicts").json()["items"][0]["sentence"] == "Worse."


def test_a_version_judged_worse_before_is_told_at_once(api: Api) -> None:
    first = api.start()
    worse = a_verdict(first["id"], state=State.WORSE, reason=None, sentence="checkout 2 is worse: p95 +38 %.")
    api.services.verdicts.record(worse)
    api.patch(f"/deployments/{first['id']}", {"status": "rolled_back"})
    again = api.start()
    assert any("judged worse on 2026-03-01" in note and "p95 +38 %" in note for note in again["notes"])


def test_a_list_is_filtered_and_paged(api: Api) -> None:
    for number in range(7):
        api.later(minutes=1)
        api.start(service=f"s{number % 2}", version=str(number), actor="mo" if number == 3 else None)

    def versions(**query: Any) -> list[str]:
        return [item["version"] for item in api.get("/deployments", params=query).json()["items"]]

    assert versions() == ["6", "5", "4", "3", "2", "1", "0"]
    assert versions(service="s1") == ["5", "3", "1"]
    assert versions(actor="mo") == versions(text="MO") == ["3"]
    assert versions(since="2026-03-01T12:05:00Z", until="2026-03-01T12:07:00Z") == ["5", "4"]
    assert versions(since="2026-03-01T13:05:00+01:00") == ["6", "5", "4"]
    assert versions(source="detected") == []
    first = api.get("/deployments", params={"limit": 4}).json()
    rest = api.get("/deployments", params={"limit": 4, "cursor": first["next_cursor"]}).json()
    assert [item["version"] for item in first["items"] + rest["items"]] == versions()
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "x"},
        {"verdict": "bad"},
        {"source": "x"},
        {"since": "soon"},
        {"cursor": "x"},
        {"service": "a\x00"},
        {"text": "\x00"},
        {"view": "x"},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(picky_api: Api, query: dict[str, Any]) -> None:
    response = picky_api.get("/deployments", params=query)
    assert response.status_code == 422
    assert response.headers["content-type"] == PROBLEM


def test_an_older_deployment_of_the_service_is_superseded(api: Api) -> None:
    first = api.start(version="2")
    api.later(hours=1)
    second = api.start(version="3")
    assert second["previous_version"] == "2"
    assert api.get(f"/deployments/{first['id']}").json()["status"] == "superseded"


def test_while_onejob_moves_its_traffic_an_older_deployment_stays_and_both_are_told(api: Api) -> None:
    first = api.start(version="2")
    api.services.rollouts.add(a_rollout(first["id"]))
    second = api.start(version="3")
    first = api.get(f"/deployments/{first['id']}").json()
    assert first["status"] == second["status"] == "in_progress"
    assert any(f"Overlaps with 3 ({second['id']})" in note for note in first["notes"])
    assert any(f"Overlaps with 2 ({first['id']})" in note for note in second["notes"])


def test_the_version_before_the_last_is_a_rollback(api: Api) -> None:
    api.start(version="1")
    api.later(hours=1)
    second = api.start(version="2", strategy="canary")
    api.later(hours=1)
    back = api.start(version="1")
    assert (back["rollback_of"], back["previous_version"], back["strategy"]) == (second["id"], "2", "canary")
    assert api.get(f"/deployments/{second['id']}").json()["status"] == "rolled_back"
    api.later(hours=1)
    forward = api.start(version="2")
    assert forward["rollback_of"] is None


def test_a_start_in_the_past_that_is_over_already_is_kept_as_history(api: Api) -> None:
    at = (NOW - timedelta(hours=3)).isoformat()
    document = api.start(started_at=at, finished_at=(NOW - timedelta(hours=2)).isoformat())
    assert (document["status"], document["finished_at"]) == ("finished", "2026-03-01T10:00:00Z")


def test_the_gate_knows_the_latest_deployment_of_a_version(api: Api) -> None:
    started = api.start()
    response = api.get("/gate", params={"service": "checkout", "version": "2"})
    assert response.status_code == 200
    assert response.json()["deployment_id"] == started["id"]
    assert response.json()["verdict"]["state"] == "undecided"
    for query in ({"version": "3"}, {"environment": "staging"}):
        unknown = api.get("/gate", params={"service": "checkout", "version": "2"} | query)
        assert unknown.status_code == 404
        assert "onejob deployment start" in unknown.json()["detail"]
    assert api.get("/gate", params={"service": "checkout"}).status_code == 422
    assert api.get("/gate", params={"service": "a\x00", "version": "2"}).status_code == 422


def test_the_gate_tells_the_version_that_others_are_compared_with_from_one_it_never_saw(api: Api) -> None:
    api.start(previous_version="1")
    about: dict[str, Any] = {"service": "checkout", "environment": "production", "version": "0", "builds": ()}
    api.services.versions.save([KnownVersion(**about, first_seen_at=NOW, last_seen_at=NOW, rate_per_s=1.0)])
    for version in ("0", "1"):
        told = api.get("/gate", params={"service": "checkout", "version": version})
        assert told.status_code == 404
        assert f"checkout {version} in production is no deployment that onejob saw begin" in told.json()["detail"]
        assert "The latest deployment is 2." in told.json()["detail"]
    assert (
        "No deployment of checkout 9"
        in api.get("/gate", params={"service": "checkout", "version": "9"}).json()["detail"]
    )


def test_the_gate_says_when_waiting_longer_changes_nothing(api: Api) -> None:
    started = api.start()
    question = {"service": "checkout", "version": "2"}
    assert api.get("/gate", params=question).json()["verdict"]["is_final"] is False

    api.patch(f"/deployments/{started['id']}", {"status": "failed"})
    api.services.deployments.close(started["id"], NOW)

    verdict = api.get("/gate", params=question).json()["verdict"]
    assert (verdict["state"], verdict["reason"], verdict["is_final"]) == ("undecided", "no_data", True)
    assert api.get(f"/deployments/{started['id']}").json()["verdict"]["is_final"] is True
    assert [item["verdict"]["is_final"] for item in api.get("/deployments").json()["items"]] == [True]


def test_a_change_is_news_for_live_pages(api: Api) -> None:
    heard: list[str] = []
    api.services.events.publish = lambda deployment_id, what="deployment": heard.append(deployment_id)  # type: ignore[method-assign]
    started = api.start()
    api.patch(f"/deployments/{started['id']}", {"traffic_share": 1})
    assert heard == [started["id"], started["id"]]


def api_json(document: dict[str, Any]) -> bytes:
    """JSON as a careless client writes it: lone surrogates escaped."""
    import json

    return json.dumps(document).encode()
