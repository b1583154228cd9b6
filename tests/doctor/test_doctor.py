"""The doctor finds what was made wrong, says what to do, and nothing else is wrong with a sound installation."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from onejob.config import Settings
from onejob.doctor.examine import examine
from onejob.doctor.finding import Finding, Health, is_healthy
from onejob.doctor.parts import look_at_intake, look_at_routers, look_at_state
from onejob.doctor.places import look_at_places, look_at_ports
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.rollouts import Rollouts
from onejob.store.lock import lock_data_dir
from otlp_builders import a_moment, a_payload, a_span
from servers import RunningServer, running_server
from state.builders import a_deployment, a_rollout

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server") / "data", flush_interval_s=0.1, tick_s=3600) as server:
        yield server


def send(server: RunningServer, *spans: Any, service: str, **resource: Any) -> None:
    intake = server.services.intake
    assert intake is not None
    body = a_payload(*spans, service=service, resource={key.replace("__", "."): v for key, v in resource.items()})
    answer = httpx.post(f"http://127.0.0.1:{intake.http_port}/v1/traces", content=body, headers=PROTOBUF)
    assert answer.status_code == 200
    assert intake.settle(60)


def found_by(server: RunningServer) -> dict[str, dict[str, str]]:
    document = httpx.get(f"{server.url}/api/v1/doctor", timeout=60).json()
    assert document["healthy"] == all(f["health"] != "problem" for f in document["findings"])
    return {finding["check"]: finding for finding in document["findings"]}


def one(findings: Any, check: str) -> Finding:
    (found,) = [finding for finding in findings if finding.check == check]
    return found  # type: ignore[no-any-return]


def test_a_server_to_which_nothing_was_sent_is_healthy_and_says_what_to_do_next(server: RunningServer) -> None:
    found = found_by(server)
    assert {name: f["health"] for name, f in found.items() if f["health"] != "ok"} == {"telemetry": "warning"}
    assert "send traces" in found["telemetry"]["remedy"]
    assert all(f["remedy"] for f in found.values() if f["health"] != "ok")


def test_telemetry_that_does_not_say_enough_is_told_by_service(server: RunningServer) -> None:
    full = {"service__version": "1", "deployment__environment__name": "production"}
    send(server, a_span(), service="told", **full)
    send(server, a_span(), service="bare")
    send(server, a_span(start_ns=1), service="skewed", **full, service__instance__id="late-clock")
    tail = a_span()
    tail.attributes.add(key="tailsampling.policy").value.string_value = "errors"
    send(server, tail, service="tail", **full)

    found = found_by(server)

    assert "bare" in found["versions"]["says"]
    assert "told" not in found["versions"]["says"]
    assert "bare" in found["environments"]["says"]
    assert "skewed late-clock" in found["clocks"]["says"]
    assert "tail" in found["sampling"]["says"]
    assert found["deployments"]["health"] == "warning"
    assert found["engine"]["health"] == found["schema"]["health"] == found["intake"]["health"] == "ok"


def test_sampling_that_can_be_undone_is_no_fault(server: RunningServer) -> None:
    span = a_span(start_ns=a_moment(30))
    span.trace_state = "ot=th:8"
    send(server, span, service="sampled", service__version="1")
    assert found_by(server)["sampling"]["health"] in ("ok", "warning")  # another test's tail sampler
    services = server.services
    findings = examine(services.settings, services.database, services.engine, None, services.clock())
    assert is_healthy(findings)


def test_a_router_that_does_not_answer_is_a_problem(sqlite_database: Database) -> None:
    rollouts, deployment = Rollouts(sqlite_database), a_deployment()
    Deployments(sqlite_database).add(deployment)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # not listened on
        settings = {
            "admin_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "runtime_key_prefix": "routing.shop",
            "control_cluster": "old",
            "treatment_cluster": "new",
        }
        rollout = a_rollout(deployment.id)
        rollouts.add(replace(rollout, plan=replace(rollout.plan, driver="envoy", settings=settings)))
        found = one(look_at_routers(rollouts), "routers")
    assert (found.health, "--router-is-gone" in found.remedy) == (Health.PROBLEM, True)


def test_a_data_directory_that_others_may_read_or_that_is_not_there_is_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, min_free_disk_bytes=0)
    tmp_path.chmod(0o755)
    assert one(look_at_places(settings), "rights").health is Health.WARNING
    tmp_path.chmod(0o700)
    assert one(look_at_places(settings), "rights").health is Health.OK
    gone = one(look_at_places(Settings(data_dir=tmp_path / "none")), "data directory")
    assert (gone.health, "onejob serve" in gone.remedy) == (Health.PROBLEM, True)
    (tmp_path / "file").touch()
    none = one(look_at_places(Settings(data_dir=tmp_path / "file")), "data directory")
    assert (none.health, "is no directory" in none.says) == (Health.PROBLEM, True)


@pytest.mark.parametrize(("reserve", "health"), [(0, Health.OK), (2**59, Health.PROBLEM)])
def test_a_disk_with_less_than_its_reserve_is_a_problem(tmp_path: Path, reserve: int, health: Health) -> None:
    settings = Settings(data_dir=tmp_path, min_free_disk_bytes=reserve)
    assert one(look_at_places(settings), "disk").health is health


def test_a_spool_that_was_damaged_is_told_until_its_file_is_deleted(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, min_free_disk_bytes=0)
    aside = tmp_path / "spool/spool-damaged-1.db"
    aside.parent.mkdir()
    aside.touch()
    found = one(look_at_places(settings), "spool")
    assert (found.health, aside.name in found.says) == (Health.WARNING, True)
    aside.unlink()
    assert one(look_at_places(settings), "spool").health is Health.OK


def test_a_port_that_is_taken_and_a_lock_that_is_held_are_named(tmp_path: Path) -> None:
    lock = lock_data_dir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(data_dir=tmp_path, web_port=port, otlp_grpc_port=0, otlp_http_port=0)
        findings = list(look_at_ports(settings))
    lock.release()
    assert [f.health for f in findings] == [Health.PROBLEM, Health.PROBLEM, Health.OK, Health.OK]
    assert f"process {os.getpid()}" in findings[0].says
    assert "ONEJOB_WEB_PORT" in findings[1].remedy
    assert findings[2].says == "ONEJOB_OTLP_GRPC_PORT is 0: a free port is picked"


def test_what_waits_too_long_and_what_is_refused_is_told(server: RunningServer) -> None:
    assert server.services.intake is not None
    stats: Any = server.services.intake.stats()
    late = replace(stats, lag_s=300.0, spooled_requests=9)
    assert one(look_at_intake(late), "intake").health is Health.PROBLEM
    assert one(look_at_intake(replace(stats, trouble="The disk is full.")), "intake").says == "The disk is full."
    unscraped = one(look_at_intake(replace(stats, failing_targets={"http://a": "No answer."})), "targets")
    assert unscraped.says == "http://a is not scraped: No answer."
    dead = one(look_at_intake(replace(stats, dead_letters=3, dead_letter_bytes=5_000_000)), "dead letters")
    assert "3 requests, 5 MB of the spool's room" in dead.says
    assert (dead.health, "dead-letters list" in dead.remedy) == (Health.WARNING, True)


def test_a_state_database_that_is_none_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"\x00\xffgarbage" * 1000)
    database = Database(f"sqlite:///{tmp_path}/state.db")
    assert look_at_state(database).health is Health.PROBLEM
    database.close()


def test_an_engine_that_is_not_there_keeps_nothing_else_from_being_looked_at(server: RunningServer) -> None:
    services = server.services
    now = services.clock()
    findings = examine(services.settings, services.database, None, None, now)
    assert one(findings, "engine").health is Health.PROBLEM
    assert one(findings, "state database").health is Health.OK
