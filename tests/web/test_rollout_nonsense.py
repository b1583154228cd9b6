"""Rollouts as nobody should start them, against the real controller and the real driver."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onejob.state.database import Database
from web.api_client import PROBLEM, Api

SETTINGS = {
    "admin_url": "http://127.0.0.1:1",
    "runtime_key_prefix": "split.checkout",
    "control_cluster": "stable",
    "treatment_cluster": "canary",
}
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=4,
)
numbers = st.floats() | st.integers() | st.sampled_from([10**400, -(10**400), 0.1, 1, 60])


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The API with its real controller and the real driver."""
    database = Database(f"sqlite:///{tmp_path}/state.db")
    database.migrate()
    api = Api(database)
    yield api
    assert api.services.controller is not None
    api.services.controller.close()
    database.close()


def start(api: Api, deployment_id: str, **said: Any) -> Any:
    body = {"deployment_id": deployment_id, "driver": "envoy", "settings": SETTINGS, "mode": "act"} | said
    content = json.dumps(body).encode()
    return api.request("POST", "/api/v1/rollouts", content=content, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"driver": "nginx"}, "There is no driver 'nginx'; there is envoy"),
        ({"settings": {}}, "Missing: admin_url"),
        ({"settings": None}, "settings"),
        ({"settings": SETTINGS | {"admin_url": "127.0.0.1:9901"}}, "admin_url must look like"),
        ({"settings": SETTINGS | {"admin_url": ["a"]}}, "settings"),
        ({"settings": SETTINGS | {"weight": -1}}, "Unknown: weight"),
        ({"settings": SETTINGS | {"runtime_dir": "/etc"}}, "holds other things too"),
        ({"steps": []}, "steps is empty"),
        ({"steps": [{"share": -0.1, "hold_s": 1}]}, "share must be between"),
        ({"steps": [{"share": math.nan, "hold_s": 1}]}, "steps[0].share must be between 0.0001 and 1 (0.1 is 10 % of"),
        ({"steps": [{"share": 0.1, "hold_s": math.inf}]}, "steps[0].hold_s must be between 0 and"),
        ({"steps": [{"share": 0.1, "hold_s": 1}, {"share": 2, "hold_s": 1}]}, "steps[1].share must be between"),
        ({"steps": [{"share": "10%", "hold_s": 1}]}, "steps[0].share: must be a number"),
        ({"settings": SETTINGS | {"x": None}}, "settings.x: must be text or a number or true or false"),
        ({"steps": [{"share": 10**400, "hold_s": 1}]}, "a number that large"),
        ({"steps": [{"share": 0.1, "hold_s": 1e300}]}, "hold_s must be between"),
        ({"steps": [{"share": 0.5, "hold_s": 1}, {"share": 0.1, "hold_s": 1}]}, "must rise"),
        ({"steps": [{"share": 1 / (n + 2), "hold_s": 1} for n in range(60)]}, "at most 50 steps"),
        ({"steps": [{"share": 0.1, "hold_s": 60, "timeout_s": 1}]}, "no less than hold_s"),
        ({"steps": [{"share": 0.1, "hold_s": 1, "colour": 1}]}, "colour"),
        ({"mode": "yolo"}, "mode"),
        ({"on_timeout": "shrug"}, "on_timeout"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_send(api: Api, said: dict[str, Any], told: str) -> None:
    response = start(api, api.start()["id"], **said)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == PROBLEM
    assert told in response.json()["detail"]
    assert api.services.rollouts.active() == []


@pytest.mark.parametrize("mode", ["observe", "advise", "act"])
def test_a_wrong_address_of_a_router_is_refused_with_what_to_do(api: Api, mode: str) -> None:
    response = start(api, api.start()["id"], mode=mode)
    assert (response.status_code, response.headers["content-type"]) == (409, PROBLEM)
    told = "does not answer (ConnectError): start Envoy, or correct the rollout's admin_url."
    assert response.json()["detail"] == f"Envoy's admin interface at {SETTINGS['admin_url']} {told}"
    assert api.services.rollouts.active() == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changed=st.dictionaries(st.sampled_from(sorted(SETTINGS)) | st.text(max_size=9), anything, max_size=2),
    steps=st.none() | st.lists(st.fixed_dictionaries({"share": numbers, "hold_s": numbers}), max_size=3),
    extra=st.dictionaries(st.sampled_from(["mode", "driver", "force", "on_timeout", "x"]), anything, max_size=1),
)
def test_whatever_is_sent_is_answered_with_a_sentence(
    api: Api, changed: dict[str, Any], steps: Any, extra: dict[str, Any]
) -> None:
    known = api.start()["id"]
    body = {"settings": SETTINGS | changed, **extra} | ({} if steps is None else {"steps": steps})
    response = start(api, known, **body)
    assert response.status_code in (201, 400, 409, 422), response.text
    assert response.status_code == 201 or response.json()["detail"]
    for rollout in api.services.rollouts.active():
        api.post(f"/rollouts/{rollout.id}/abort")
