"""A rollout through a real Envoy, while Envoy and onejob are killed with SIGKILL in any order."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.act.builders import T0
from tests.act.envoys import Envoy
from tests.act.facts import Facts
from tests.waiting import wait_until

from onejob.act.drivers import EnvoyDriver
from onejob.act.plan import make_plan, make_step
from onejob.act.rollout import begin
from onejob.model.deployment import Status
from onejob.model.rollout import Mode, Rollout, RolloutState
from onejob.state.ids import new_id

SHARES = (0.1, 0.3, 0.5, 0.8, 1.0)


class Controller:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.act.controller_process", str(self._path)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=60)
            self._process = None


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    yield (made := Controller(tmp_path / "state.db"))
    made.kill()


def _say(path: Path, verdict: str) -> None:
    """At once: the controller reads the file at any moment."""
    part = path.with_suffix(".part")
    part.write_text(verdict)
    part.replace(path)


def a_stored_rollout(facts: Facts, envoy: Envoy) -> Rollout:
    steps = [make_step(share, 0.5) for share in SHARES]
    plan = make_plan("envoy", envoy.settings, mode=Mode.ACT, steps=steps)
    rollout = begin(new_id("rol", T0), facts.deployed().id, plan, T0)
    facts.rollouts.add(rollout)
    return rollout


@pytest.mark.slow
def test_killed_again_and_again_a_rollout_still_ends_where_it_must(
    envoy: Envoy, driver: EnvoyDriver, facts: Facts, controller: Controller, tmp_path: Path
) -> None:
    chance, verdict = random.Random(7), tmp_path / "state.verdict"
    _say(verdict, "no_worse")
    rollout = a_stored_rollout(facts, envoy)

    def current() -> Rollout:
        return facts.rollouts.get(rollout.id) or rollout

    envoy.start()
    for first, second in ((controller, envoy), (envoy, controller)):
        controller.start()
        time.sleep(chance.uniform(0.05, 0.6))
        first.kill()
        time.sleep(chance.uniform(0.0, 0.1))
        second.kill()
        envoy.start()
        assert driver.read_share() in (None, *SHARES), "never anything that was not planned"

    controller.start()
    wait_until(lambda: current().state is RolloutState.PROMOTED, "promoting")
    controller.kill()
    reached = [t.share for t in current().transitions if t.from_state is RolloutState.PENDING]
    assert sorted(set(reached)) == sorted(SHARES)
    assert reached == sorted(reached), "forward only"
    envoy.kill()
    envoy.start()
    assert driver.read_share() == 1.0


@pytest.mark.slow
def test_a_worse_verdict_wins_through_kills_of_both(
    envoy: Envoy, driver: EnvoyDriver, facts: Facts, controller: Controller, tmp_path: Path
) -> None:
    verdict = tmp_path / "state.verdict"
    _say(verdict, "undecided")
    rollout = a_stored_rollout(facts, envoy)

    def current() -> Rollout:
        return facts.rollouts.get(rollout.id) or rollout

    envoy.start()
    controller.start()
    wait_until(lambda: driver.read_share() == 0.1, "the first step")

    envoy.kill()
    _say(verdict, "worse")
    wait_until(lambda: current().state is RolloutState.ABORTING, "aborting")
    told = envoy.runtime_dir / "current/envoy/split/checkout/treatment"
    wait_until(lambda: told.read_text() == "0", "telling Envoy")
    controller.kill()
    envoy.start()
    assert driver.read_share() == 0.0, "told while Envoy was away, in force from its first request"
    controller.start()

    wait_until(lambda: current().state is RolloutState.ABORTED, "the end of the abort")
    deployment = facts.deployments.get(rollout.deployment_id)
    assert deployment is not None
    assert deployment.status is Status.ROLLED_BACK
