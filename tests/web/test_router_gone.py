"""The way out for a person whose Envoy is gone for good, over the API and with a real Envoy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from act.envoys import Envoy
from onejob.state.database import Database
from ports import free_ports
from waiting import PATIENT_S
from web.api_client import Api


@pytest.fixture
def envoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Envoy]:
    """An Envoy that is ready to be started, for which a second is not too long to answer."""
    monkeypatch.setattr("onejob.act.drivers.envoy_admin._TIMEOUT", PATIENT_S)
    made = Envoy(tmp_path, free_ports(4))
    yield made
    made.kill()


@pytest.fixture
def api(sqlite_database: Database) -> Iterator[Api]:
    """The API with its real controller and the real driver."""
    api = Api(sqlite_database)
    yield api
    assert api.services.controller is not None
    api.services.controller.close()


def start(api: Api, envoy: Envoy, version: str) -> Any:
    """A rollout to half of the traffic, as it is answered."""
    plan = {"driver": "envoy", "mode": "act", "steps": [{"share": 0.5, "hold_s": 600}]}
    known = api.start(version=version)["id"]
    return api.post("/rollouts", plan | {"deployment_id": known, "settings": dict(envoy.settings)})


def test_a_router_that_is_gone_for_good_does_not_keep_its_service_from_new_rollouts(api: Api, envoy: Envoy) -> None:
    with envoy:
        rollout = start(api, envoy, "2").json()
        assert (rollout["state"], rollout["share"], rollout["router_is_gone"]) == ("holding", 0.5, False)
        path = f"/rollouts/{rollout['id']}"
        refused = api.post(f"{path}/abort", {"router_is_gone": True})
        assert refused.status_code == 409
        assert "answers, so it is not gone: abort without router_is_gone" in refused.json()["detail"]
        assert api.get(path).json() == rollout
    # killed

    waiting = api.post(f"{path}/abort").json()
    assert (waiting["state"], waiting["share"]) == ("aborting", 0.5)
    for blocked in (api.post(f"{path}/promote"), api.post(f"{path}/hold"), start(api, envoy, "3")):
        assert blocked.status_code == 409
        assert "does not answer" in blocked.json()["detail"]
        assert "If it is gone for good, abort with router_is_gone." in blocked.json()["detail"]
    assert "goes with abort only" in api.post(f"{path}/promote", {"router_is_gone": True}).json()["detail"]

    ended = api.post(f"{path}/abort", {"router_is_gone": True, "actor": "ada"}).json()

    assert (ended["state"], ended["share"], ended["router_is_gone"]) == ("aborted", 0.5, True)
    assert "does not answer" in ended["trouble"]
    last = ended["transitions"][-1]
    assert (last["from_state"], last["to_state"], last["share"]) == ("aborting", "aborted", 0.5)
    assert last["reason"].startswith(
        "the router is gone, says ada: nobody confirmed that its traffic was taken back; its last known share was 50 % "
    )
    assert api.get(path).json() == ended
    deployment = api.get(f"/deployments/{rollout['deployment_id']}").json()
    assert (deployment["status"], deployment["traffic_share"]) == ("failed", 0.5), "not known to be rolled back"
    with envoy:
        assert start(api, envoy, "4").json()["state"] == "holding"


def test_an_envoy_that_comes_back_after_it_was_given_up_sends_nothing_to_the_new_version(
    api: Api, envoy: Envoy
) -> None:
    with envoy:
        rollout = start(api, envoy, "2").json()
    ended = api.post(f"/rollouts/{rollout['id']}/abort", {"router_is_gone": True}).json()
    assert (ended["state"], ended["router_is_gone"]) == ("aborted", True)

    with envoy:
        assert envoy.runtime()["split.checkout.treatment"]["final_value"] == "0"


def test_an_envoy_that_answers_but_cannot_do_it_is_given_up_once_it_was_told_to_abort(api: Api, envoy: Envoy) -> None:
    envoy.config["layered_runtime"] = {"layers": [{"name": "fixed", "static_layer": {}}]}
    with envoy:
        rollout = start(api, envoy, "2").json()
        assert "refused new runtime values" in rollout["trouble"]
        path = f"/rollouts/{rollout['id']}/abort"
        assert "is not gone" in api.post(path, {"router_is_gone": True}).json()["detail"]
        assert api.post(path).json()["state"] == "aborting"

        ended = api.post(path, {"router_is_gone": True}).json()

    assert (ended["state"], ended["share"]) == ("aborted", 0.0)
    assert "refused new runtime values" in ended["transitions"][-1]["reason"]


def test_a_router_that_is_back_when_it_is_given_up_takes_its_traffic_back(api: Api, envoy: Envoy) -> None:
    with envoy:
        rollout = start(api, envoy, "2").json()
    path = f"/rollouts/{rollout['id']}/abort"
    assert api.post(path).json()["state"] == "aborting"

    with envoy:
        ended = api.post(path, {"router_is_gone": True}).json()

    assert (ended["state"], ended["share"], ended["router_is_gone"]) == ("aborted", 0.0, False)
    assert (ended["trouble"], ended["transitions"][-1]["reason"]) == (None, "all traffic is on the old version")
    assert api.get(f"/deployments/{rollout['deployment_id']}").json()["status"] == "rolled_back"
