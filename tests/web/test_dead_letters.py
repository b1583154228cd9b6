"""Dead letters through the API. What an intake does with them: `tests/ingest/test_dead_letters.py`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from onejob.ingest.dead_letters import DeadLetter
from onejob.ingest.errors import TryLater
from onejob.state.database import Database

from .api_client import PROBLEM, Api

LETTER = DeadLetter(
    id=7,
    died_at=datetime(2026, 3, 1, tzinfo=UTC),
    kind="logs",
    items=12,
    size_bytes=5000,
    error="Code: 1.",
    services=("cart",),
    first_name="order.failed",
)


class AnIntake:
    """Two dead letters."""

    grpc_port, http_port = 4317, 4318

    def __init__(self) -> None:
        self.letters = [LETTER, replace(LETTER, id=8)]
        self.is_stopping = False

    def stats(self) -> dict[str, int]:
        return {"dead_letters": len(self.letters)}

    def dead_letters(self) -> Sequence[DeadLetter]:
        return self.letters

    def delete_dead_letters(self, ids: Sequence[int] | None = None) -> int:
        return self.replay_dead_letters(ids)  # either way they are not here any more

    def replay_dead_letters(self, ids: Sequence[int] | None = None) -> int:
        if self.is_stopping:
            raise TryLater("The server is stopping.", retry_after_s=5, is_overload=False)
        wanted = [letter for letter in self.letters if ids is None or letter.id in ids]
        self.letters = [letter for letter in self.letters if letter not in wanted]
        return len(wanted)


@pytest.fixture
def intake() -> AnIntake:
    return AnIntake()


@pytest.fixture
def api(state_database: Database, intake: AnIntake) -> Api:
    api = Api(state_database)
    api.app.state.services = replace(api.services, intake=intake)
    return api


def test_they_are_listed_with_what_the_engine_has_against_them(api: Api) -> None:
    document = api.get("/dead-letters").json()
    assert document["project"] == "default"
    first, second = document["items"]
    when = "2026-03-01T00:00:00Z"
    assert first == {
        "id": 7, "died_at": when, "kind": "logs", "items": 12, "size_bytes": 5000, "error": "Code: 1.",
        "services": ["cart"], "first_name": "order.failed",
    }  # fmt: skip
    assert second["id"] == 8
    assert api.get("/status").json()["intake"]["dead_letters"] == 2


def test_some_or_all_are_tried_once_more(api: Api) -> None:
    assert api.post("/dead-letters/replay", {"ids": [8]}).json() == {"replayed": 1}
    assert [letter["id"] for letter in api.get("/dead-letters").json()["items"]] == [7]
    assert api.post("/dead-letters/replay").json() == {"replayed": 1}
    assert api.post("/dead-letters/replay", {}).json() == {"replayed": 0}


def test_some_or_all_are_deleted_and_the_audit_log_says_by_whom(api: Api) -> None:
    assert api.request("DELETE", "/api/v1/dead-letters?ids=8,9").json() == {"deleted": 1}
    assert [letter["id"] for letter in api.get("/dead-letters").json()["items"]] == [7]
    assert api.request("DELETE", "/api/v1/dead-letters?all=true").json() == {"deleted": 1}
    said = [(entry.action, entry.object, entry.detail) for entry in api.services.audit.after(0, 10)]
    assert said == [("dead-letters.delete", "some", "8,9"), ("dead-letters.delete", "all", "")]


@pytest.mark.parametrize("asked", ["", "?ids=7&all=true", "?ids=all", "?ids=", "?ids=7,", "?all=false"])
def test_a_deletion_that_does_not_say_which_deletes_none(api: Api, intake: AnIntake, asked: str) -> None:
    response = api.request("DELETE", f"/api/v1/dead-letters{asked}")
    assert (response.status_code, response.headers["content-type"]) == (422, PROBLEM)
    assert len(intake.letters) == 2


def test_an_id_that_is_no_number_is_refused(api: Api) -> None:
    assert api.post("/dead-letters/replay", {"ids": ["all"]}).status_code == 422


def test_a_server_that_takes_no_telemetry_or_stops_says_so(api: Api, intake: AnIntake) -> None:
    intake.is_stopping = True
    stopping = api.post("/dead-letters/replay")
    kept = api.request("DELETE", "/api/v1/dead-letters?all=true")
    api.app.state.services = api.services
    nowhere = (
        api.get("/dead-letters"),
        api.post("/dead-letters/replay"),
        api.request("DELETE", "/api/v1/dead-letters?ids=7"),
    )
    for response in (stopping, kept, *nowhere):
        assert (response.status_code, response.headers["content-type"]) == (503, PROBLEM)
