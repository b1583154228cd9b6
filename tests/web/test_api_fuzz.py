"""Whatever is sent, the API answers with what it described: never a crash, never a page, always a document."""

import json
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onejob.state.database import Database
from onejob.web.api.outcome_bodies import KpiBody, ToleranceBody
from onejob.web.api.requests import ProgressBody, RolloutBody, StartBody
from state_postgres import Postgres
from web.api_client import PROBLEM, Api

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*StartBody.model_fields, *ProgressBody.model_fields, *RolloutBody.model_fields])
LIKELY = st.sampled_from(["checkout", "1", "2", "canary", "finished", "failed", 0.5, 1772366400, "https://a.b/c"])
BODIES = st.dictionaries(NAMES, LIKELY | ANY_JSON, max_size=8)
OUTCOME_NAMES = st.sampled_from([*KpiBody.model_fields, *ToleranceBody.model_fields])
OUTCOMES = st.dictionaries(OUTCOME_NAMES, st.sampled_from(["metric", "slope", "a", 1.5, True]) | ANY_JSON, max_size=6)
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """One database for all examples: what earlier ones left behind is part of the test."""
    with tempfile.TemporaryDirectory() as folder:
        postgres: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
        database = Database(postgres.fresh() if postgres else f"sqlite:///{folder}/state.db")
        database.migrate()
        yield Api(database)
        database.close()


def send(api: Api, method: str, url: str, body: Any) -> None:
    """Send it, and check the answer's form."""
    content = json.dumps(body).encode()
    response = api.request(method, url, content=content, headers={"content-type": "application/json"})
    document = response.json()
    assert response.status_code < 500, document
    if response.status_code >= 400:
        assert response.headers["content-type"] == PROBLEM
        assert {"title", "status", "detail"} <= document.keys()
    elif method in ("POST", "PATCH") and "/deployments" in url:
        assert api.get(f"/deployments/{document['id']}").json() == document


def test_every_error_is_described_as_the_document_that_is_sent(api: Api) -> None:
    paths = api.request("GET", "/openapi.json").json()["paths"]
    operations = [one for path, of_path in paths.items() if path.startswith("/api/") for one in of_path.values()]
    for responses in (operation["responses"] for operation in operations):
        errors = [response for status, response in responses.items() if not status.startswith("2")]
        assert "default" in responses
        assert {media for response in errors for media in response["content"]} == {PROBLEM}


@RELAXED
@given(BODIES)
def test_starts(api: Api, body: dict[str, Any]) -> None:
    send(api, "POST", "/api/v1/deployments", {"service": "checkout", "version": "2"} | body)


@RELAXED
@given(BODIES)
def test_progress(api: Api, body: dict[str, Any]) -> None:
    send(api, "PATCH", f"/api/v1/deployments/{api.start()['id']}", body)


@RELAXED
@given(OUTCOMES)
def test_kpis_and_tolerances(api: Api, body: dict[str, Any]) -> None:
    send(api, "POST", "/api/v1/kpis", {"name": "k", "kind": "mean", "direction": "either", "attribute": "x"} | body)
    send(api, "PUT", "/api/v1/kpis/k", {"name": "k", "kind": "mean", "direction": "either", "attribute": "x"} | body)
    send(api, "POST", "/api/v1/tolerances", {"signal": "errors", "tolerance": 0.1} | body)


@RELAXED
@given(ANY_JSON)
def test_bodies_of_any_form(api: Api, body: Any) -> None:
    for path in ("deployments", "rollouts", "errors/err_0/resolve", "errors/err_0/reopen", "kpis", "tolerances"):
        send(api, "POST", f"/api/v1/{path}", body)


@RELAXED
@given(
    st.dictionaries(
        st.sampled_from(["service", "environment", "verdict", "actor", "since", "until", "text", "limit", "cursor"]),
        ANY_TEXT.map(lambda text: text.encode("utf-8", "replace").decode())
        | st.sampled_from(["worse", "2026-03-01", "5"]),
    )
)
def test_queries(api: Api, query: dict[str, str]) -> None:
    response = api.get("/deployments", params=query)
    assert response.status_code in (200, 422), response.text
    assert response.json()


@RELAXED
@given(
    st.dictionaries(
        st.sampled_from(
            ["service", "version", "new_in", "status", "kind", "least_severity", "text", "limit", "cursor"]
        ),
        ANY_TEXT.map(lambda text: text.encode("utf-8", "replace").decode()) | st.sampled_from(["new", "error", "13"]),
    )
)
def test_queries_of_errors(api: Api, query: dict[str, str]) -> None:
    response = api.get("/errors", params=query)
    assert response.status_code in (200, 422), response.text
    assert response.json()


@RELAXED
@given(st.text(st.characters(exclude_characters="/?#%", exclude_categories=("Cs",)), min_size=1))
def test_ids(api: Api, deployment_id: str) -> None:
    response = api.get("/deployments/" + "".join(f"%{byte:02x}" for byte in deployment_id.encode()))
    assert response.status_code in (200, 404), response.text
    assert response.json()
