"""Rollouts, recomputing, status and the OpenAPI description."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch
from onejob.model.verdict import Verdict
from onejob.state.database import Database
from state.builders import a_batch, a_verdict
from web.api_client import Api


def recompute(deployment: Deployment, batches: Iterable[EvidenceBatch]) -> Verdict:
    """A judge who counts batches."""
    return a_verdict(deployment.id, sentence=f"{len(list(batches))} batches.")


@pytest.fixture
def api(state_database: Database) -> Api:
    """The API over an empty database."""
    return Api(state_database, recompute)


def test_a_rollout_is_started_shown_and_commanded(api: Api) -> None:
    deployment = api.start()
    body = {
        "deployment_id": deployment["id"],
        "driver": "fake",
        "settings": {"admin": "http://127.0.0.1:1", "port": 1},
    }
    started = api.post("/rollouts", body | {"steps": [{"share": 0.1, "hold_s": 20}], "mode": "act"})
    assert started.status_code == 201
    document = started.json()
    assert (document["mode"], document["driver"], document["state"]) == ("act", "fake", "holding")
    assert document["settings"] == {"admin": "http://127.0.0.1:1", "port": "1"}
    assert [step["share"] for step in document["steps"]] == [0.1, 1.0]
    assert document["steps"][0]["error_limit"] == 0.3
    assert api.get(f"/rollouts/{document['id']}").json() == document
    assert api.get(f"/deployments/{deployment['id']}").json()["rollout"] == document

    assert api.post(f"/rollouts/{document['id']}/hold").status_code == 200
    aborted = api.post(f"/rollouts/{document['id']}/abort", {"actor": "mo"}).json()
    assert [made["reason"] for made in aborted["transitions"]][-3:-1] == ["hold by api", "abort by mo"]
    assert api.router.log == [0.1, 0.0]


def test_a_rollout_that_cannot_be_gets_a_problem(api: Api) -> None:
    known = api.start()["id"]
    body = {"deployment_id": known, "driver": "fake"}
    assert api.post("/rollouts", body | {"deployment_id": "dep_unknown"}).status_code == 404
    assert api.post("/rollouts", body | {"steps": [{"share": 2, "hold_s": 1}]}).status_code == 422
    assert api.post("/rollouts", body | {"mode": "yolo"}).status_code == 422
    rollout = api.post("/rollouts", body).json()
    assert api.post("/rollouts", body).status_code == 409
    assert api.post(f"/rollouts/{rollout['id']}/resume").status_code == 409
    assert api.post(f"/rollouts/{rollout['id']}/explode").status_code == 422
    for url in ("/rollouts/rol_unknown", "/rollouts/%00"):
        assert api.get(url).status_code == 404
        assert api.post(f"{url}/abort").status_code == 404


def test_a_verdict_is_recomputed_from_its_counts(api: Api) -> None:
    deployment_id = api.start()["id"]
    assert api.post(f"/deployments/{deployment_id}/recompute").status_code == 409
    api.services.evidences.append(a_batch(deployment_id))
    verdict = a_verdict(deployment_id, sentence="1 batches.")
    api.services.verdicts.record(verdict)
    assert api.post(f"/deployments/{deployment_id}/recompute").json()["same"] is True
    api.services.verdicts.record(replace(verdict, sentence="Tampered."))
    answer = api.post(f"/deployments/{deployment_id}/recompute").json()
    assert (answer["same"], answer["verdict"]["sentence"]) == (False, "1 batches.")


def test_status_and_probes(api: Api) -> None:
    api.start()
    status = api.get("/status").json()
    assert (status["state"]["deployments"], status["state"]["trouble"]) == (1, "")
    assert status["engine"]["up"] is False
    assert api.request("GET", "/healthz").json() == {"status": "ok"}
    assert api.request("GET", "/readyz").status_code == 200


def test_a_state_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/state.db")
    database.migrate()
    api = Api(database)
    database.close()
    (tmp_path / "state.db").unlink()
    (tmp_path / "state.db").mkdir()
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"state.db{suffix}").unlink(missing_ok=True)

    response = api.post("/deployments", {"service": "checkout", "version": "2"})

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "is a folder: move it away" in response.json()["detail"]
    status = api.get("/status").json()
    assert status["state"]["deployments"] is None
    assert "is a folder: move it away" in status["state"]["trouble"]
    assert api.request("GET", "/readyz").status_code == 503
    assert api.request("GET", "/healthz").status_code == 200


def test_every_route_is_described(api: Api) -> None:
    description = api.request("GET", "/openapi.json").json()
    assert {path for path in description["paths"] if path.startswith("/api/")} == {
        "/api/v1/deployments",
        "/api/v1/deployments/{deployment_id}",
        "/api/v1/deployments/{deployment_id}/verdicts",
        "/api/v1/deployments/{deployment_id}/recompute",
        "/api/v1/rollouts",
        "/api/v1/rollouts/{rollout_id}",
        "/api/v1/rollouts/{rollout_id}/{command}",
        "/api/v1/deployments/{deployment_id}/customers",
        "/api/v1/customers",
        "/api/v1/complaints",
        "/api/v1/complaints/{complaint_id}",
        "/api/v1/hooks/complaints",
        "/api/v1/hooks/jira",
        "/api/v1/gate",
        "/api/v1/kpis",
        "/api/v1/kpis/preview",
        "/api/v1/kpis/{name}",
        "/api/v1/tolerances",
        "/api/v1/tolerances/{tolerance_id}",
        "/api/v1/import",
        "/api/v1/status",
        "/api/v1/errors",
        "/api/v1/errors/{error_id}",
        "/api/v1/errors/{error_id}/resolve",
        "/api/v1/errors/{error_id}/reopen",
        "/api/v1/sessions",
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/replay",
        "/api/v1/backup",
        "/api/v1/doctor",
        "/api/v1/forget",
        "/api/v1/backtests",
        "/api/v1/backtests/{backtest_id}",
        "/api/v1/calibrations",
        "/api/v1/replays/{job_id}",
        "/api/v1/users",
        "/api/v1/users/{name}",
        "/api/v1/users/{name}/link",
        "/api/v1/users/{name}/logout",
        "/api/v1/projects",
        "/api/v1/projects/{name}",
        "/api/v1/projects/{name}/members/{user}",
        "/api/v1/users/{name}/second-factor",
        "/api/v1/tokens",
        "/api/v1/tokens/{token_id}",
        "/api/v1/audit",
    }
    schemas = description["components"]["schemas"]
    assert {"DeploymentDocument", "VerdictDocument", "Problem", "StartBody"} <= schemas.keys()
