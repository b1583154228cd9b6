import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from tests.act.builders import FakeRouter, a_verdict, after, all_excluded
from tests.act.facts import Facts
from tests.waiting import wait_until

from onejob.act.controller import RolloutController
from onejob.act.errors import (
    DriverMisconfiguredError,
    NoSplitError,
    PlanError,
    RolloutRefusedError,
    RolloutUnknownError,
)
from onejob.act.plan import make_step
from onejob.model.deployment import Status
from onejob.model.evidence import Arm
from onejob.model.rollout import Mode, Rollout, RolloutState
from onejob.model.verdict import State
from onejob.state.errors import StateUnavailableError

WORSE = a_verdict(State.WORSE, sentence="checkout 2 is worse: POST /orders p95 rose 38 %.")


@pytest.fixture
def router() -> FakeRouter:
    return FakeRouter()


@pytest.fixture
def controller(facts: Facts, router: FakeRouter) -> RolloutController:
    return facts.controller(router)


def begin(facts: Facts, controller: RolloutController, mode: Mode = Mode.ACT, **more: object) -> Rollout:
    return controller.start(facts.deployed().id, "fake", {}, mode=mode, **more)  # type: ignore[arg-type]


def now_of(facts: Facts, rollout: Rollout) -> Rollout:
    found = facts.rollouts.get(rollout.id)
    assert found is not None
    return found


def status_of(facts: Facts, rollout: Rollout) -> tuple[Status, datetime | None]:
    deployment = facts.deployments.get(rollout.deployment_id)
    assert deployment is not None
    return deployment.status, deployment.finished_at


def test_a_start_takes_the_first_step_at_once(facts: Facts, controller: RolloutController, router: FakeRouter) -> None:
    rollout = begin(facts, controller)

    assert router.share == 0.1
    assert (rollout.state, rollout.share) == (RolloutState.HOLDING, 0.1)
    assert [t.to_state for t in rollout.transitions] == [RolloutState.PENDING, RolloutState.HOLDING]
    assert now_of(facts, rollout) == rollout


def test_a_harmless_version_gets_all_the_traffic_step_by_step(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller)
    for at in range(0, 260):
        facts.verdicts.record(all_excluded(after(at), rollout.deployment_id))
        controller.tick(after(at))

    assert router.log == [0.1, 0.5, 1.0]
    assert now_of(facts, rollout).state is RolloutState.PROMOTED
    assert status_of(facts, rollout) == (Status.FINISHED, after(210))
    assert router.is_closed


def test_a_worse_verdict_takes_all_traffic_back_in_the_same_tick(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller)
    facts.verdicts.record(replace(WORSE, deployment_id=rollout.deployment_id))

    controller.tick(after(7))

    assert router.share == 0.0
    aborted = now_of(facts, rollout)
    assert [t.to_state for t in aborted.transitions[-2:]] == [RolloutState.ABORTING, RolloutState.ABORTED]
    assert aborted.transitions[-2].reason == WORSE.sentence
    assert status_of(facts, rollout) == (Status.ROLLED_BACK, after(7))


def test_an_observer_never_touches_the_router_but_counts_what_it_sees(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    router.share = 0.3
    rollout = begin(facts, controller, Mode.OBSERVE)
    router.serve(control=7, treatment=3)
    facts.verdicts.record(replace(WORSE, deployment_id=rollout.deployment_id))
    controller.tick(after(1))

    assert router.log == []
    assert now_of(facts, rollout).state is RolloutState.ABORTED
    assert status_of(facts, rollout) == (Status.IN_PROGRESS, None)
    counts = facts.evidences.take_router(rollout.deployment_id, after(2))
    assert [(c.arm, c.requests, c.share) for c in counts] == [(Arm.CONTROL, 7, 0.7), (Arm.TREATMENT, 3, 0.3)]


def test_an_advised_step_is_taken_when_a_person_says_so(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller, Mode.ADVISE)
    controller.tick(after(1))
    assert router.log == []

    told = controller.command(rollout.id, "promote", "ada")

    assert router.log == [0.1]
    assert told.state is RolloutState.HOLDING
    assert [t.reason for t in told.transitions if "ada" in t.reason] == ["promote by ada"]


def test_commands_are_done_before_they_are_answered(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller)

    assert controller.command(rollout.id, "promote", "ada").share == 0.5
    assert controller.command(rollout.id, "hold", "ada").state is RolloutState.PAUSED
    assert controller.command(rollout.id, "resume", "ada").state is RolloutState.HOLDING
    assert controller.command(rollout.id, "abort", "ada").state is RolloutState.ABORTED
    assert router.log == [0.1, 0.5, 0.0]
    with pytest.raises(RolloutRefusedError, match="has ended"):
        controller.command(rollout.id, "promote", "ada")


def test_counts_are_taken_before_traffic_moves(facts: Facts, controller: RolloutController, router: FakeRouter) -> None:
    rollout = begin(facts, controller)
    router.serve(control=9, treatment=1)
    facts.now = after(1)
    controller.command(rollout.id, "promote", "ada")
    router.serve(control=5, treatment=5, failed=2, resets=1, timeouts=1)
    controller.tick(after(2))

    treatment = [c for c in facts.evidences.take_router(rollout.deployment_id, after(9)) if c.arm is Arm.TREATMENT]
    assert [(c.requests, c.share) for c in treatment] == [(1, 0.1), (5, 0.5)]
    assert (treatment[1].errors_5xx, treatment[1].resets, treatment[1].timeouts) == (2, 1, 1)


def test_a_share_that_somebody_moved_is_put_back_and_recorded(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller)
    router.share = None  # a restarted router that forgot
    controller.tick(after(1))

    assert router.share == 0.1
    assert "put back to 10 %" in now_of(facts, rollout).transitions[-1].reason


def test_a_router_that_is_away_is_told_once_and_tried_again_every_tick(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = controller.start(facts.deployed().id, "fake", {}, (make_step(0.1, 600), make_step(1.0, 9)))
    router.is_down = True
    controller.command(rollout.id, "promote", "ada")
    for at in range(1, 5):
        controller.tick(after(at))
    down = now_of(facts, rollout)
    assert (down.state, down.share) == (RolloutState.PENDING, 0.1)
    assert down.trouble is not None
    assert [t.reason for t in down.transitions[2:]] == [
        "promote by ada",
        "Envoy's admin interface does not answer; tried again every second",
    ]

    router.is_down = False
    controller.tick(after(5))

    up = now_of(facts, rollout)
    assert (up.state, up.share, up.trouble) == (RolloutState.HOLDING, 1.0, None)
    assert up.step_started_at == after(5), "the hold begins when traffic has moved"


@pytest.mark.parametrize("mode", Mode)
def test_a_router_that_does_not_answer_is_refused_at_the_start(
    facts: Facts, controller: RolloutController, router: FakeRouter, mode: Mode
) -> None:
    router.is_down = True
    with pytest.raises(RolloutRefusedError, match="does not answer"):
        begin(facts, controller, mode)
    assert facts.rollouts.active() == []


@pytest.mark.parametrize(("problem", "ends"), [(NoSplitError, True), (DriverMisconfiguredError, False)])
def test_an_observer_needs_a_router_but_no_route_to_split(
    facts: Facts, problem: type[DriverMisconfiguredError], ends: bool
) -> None:
    class Unprepared(FakeRouter):
        def check(self) -> None:
            raise problem("not ready for this")

    controller = facts.controller(Unprepared())
    for mode in Mode:
        started = facts.deployed(service=mode).id
        if ends and mode is Mode.OBSERVE:
            assert controller.start(started, "fake", {}, mode=mode).state is RolloutState.HOLDING
        else:
            with pytest.raises(RolloutRefusedError, match="not ready for this"):
                controller.start(started, "fake", {}, mode=mode)


def test_an_abort_waits_for_its_router_as_long_as_it_takes(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller)
    router.is_down = True
    facts.verdicts.record(replace(WORSE, deployment_id=rollout.deployment_id))
    for at in range(1, 4):
        controller.tick(after(at))
    assert now_of(facts, rollout).state is RolloutState.ABORTING
    assert status_of(facts, rollout)[0] is Status.IN_PROGRESS

    router.is_down = False
    controller.tick(after(4))
    assert router.share == 0.0
    assert now_of(facts, rollout).state is RolloutState.ABORTED


def test_a_router_that_hangs_delays_neither_the_caller_nor_other_rollouts(facts: Facts) -> None:
    release = threading.Event()

    class Hanging(FakeRouter):
        def read_counts(self):  # type: ignore[no-untyped-def]
            release.wait()
            return super().read_counts()

    hanging, healthy = Hanging(), FakeRouter()
    controller = facts.controller(lambda settings: hanging if settings["who"] == "hanging" else healthy, patience_s=0.2)
    release.set()
    stuck = controller.start(facts.deployed(service="a").id, "fake", {"who": "hanging"})
    fine = controller.start(facts.deployed(service="b").id, "fake", {"who": "healthy"})
    release.clear()
    for rollout in (stuck, fine):
        facts.verdicts.record(replace(WORSE, deployment_id=rollout.deployment_id))

    try:
        controller.tick(after(1))  # both come back while the router hangs
        controller.tick(after(2))
        wait_until(lambda: healthy.share == 0.0, "taking the other one's traffic back")
        assert now_of(facts, stuck).state is RolloutState.HOLDING
    finally:
        release.set()
        controller.close()


class Hanging(FakeRouter):
    """A router that lets whoever asks it wait until `release` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()
        self.release.set()

    def _answer(self) -> None:
        self.release.wait()
        super()._answer()


def test_commands_to_a_router_that_hangs_are_stored_and_answered_while_it_hangs(facts: Facts) -> None:
    hanging, healthy = Hanging(), FakeRouter()
    routers = {"hanging": hanging, "healthy": healthy}
    controller = facts.controller(lambda settings: routers[settings["who"]], patience_s=0.1, answer_within_s=0.1)
    stuck = controller.start(facts.deployed(service="a").id, "fake", {"who": "hanging"})
    wait_until(lambda: now_of(facts, stuck).state is RolloutState.HOLDING, "the first step")
    hanging.release.clear()
    try:
        controller.tick(after(1))  # its look hangs, and so does whoever waits for it
        for _ in range(40):  # more than there are threads
            told = controller.command(stuck.id, "abort", "ada")
            assert (told.state, told.share) == (RolloutState.ABORTING, 0.1)
            assert told.trouble == "accepted; the router has not answered yet, and is tried again until it does"
        stored = now_of(facts, stuck)
        assert (stored.state, stored.trouble) == (RolloutState.ABORTING, None)
        assert [t.reason for t in stored.transitions].count("abort by ada") == 1
        with pytest.raises(RolloutRefusedError, match="is being aborted"):
            controller.command(stuck.id, "promote", "ada")

        fine = controller.start(facts.deployed(service="b").id, "fake", {"who": "healthy"})
        wait_until(lambda: now_of(facts, fine).state is RolloutState.HOLDING, "the other rollout's first step")
    finally:
        hanging.release.set()
    wait_until(lambda: now_of(facts, stuck).state is RolloutState.ABORTED, "the end of the abort")
    controller.close()
    assert hanging.share == 0.0


def test_what_a_person_says_while_the_router_is_told_is_not_overwritten_by_its_answer(facts: Facts) -> None:
    asked, release = threading.Event(), threading.Event()

    class Slow(FakeRouter):
        def set_share(self, share: float) -> None:
            if share == 1.0:
                asked.set()
                release.wait()
            super().set_share(share)

    router = Slow()
    controller = facts.controller(router, patience_s=0.1, answer_within_s=0.1)
    rollout = controller.start(facts.deployed().id, "fake", {}, (make_step(0.1, 1), make_step(1.0, 9)))
    wait_until(lambda: now_of(facts, rollout).state is RolloutState.HOLDING, "the first step")
    facts.verdicts.record(all_excluded(after(5), rollout.deployment_id))
    try:
        controller.tick(after(5))
        wait_until(asked.is_set, "the second step")
        controller.command(rollout.id, "abort", "ada")
    finally:
        release.set()

    wait_until(lambda: now_of(facts, rollout).state is RolloutState.ABORTED, "the end of the abort")
    controller.close()
    assert router.log == [0.1, 1.0, 0.0]
    assert [t.reason for t in now_of(facts, rollout).transitions][-2:] == [
        "abort by ada",
        "all traffic is on the old version",
    ]


def test_only_one_who_moves_traffic_can_give_a_router_up(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller, Mode.OBSERVE)
    router.is_down = True
    with pytest.raises(RolloutRefusedError, match="only observes its router: abort without router_is_gone"):
        controller.command(rollout.id, "abort", "ada", router_is_gone=True)


def test_a_state_database_that_fails_does_not_keep_traffic_on_a_bad_version(
    facts: Facts, controller: RolloutController, router: FakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = begin(facts, controller)
    facts.verdicts.record(replace(WORSE, deployment_id=rollout.deployment_id))

    def full(_: Rollout) -> None:
        raise StateUnavailableError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(facts.rollouts, "save", full)
        controller.tick(after(1))
    assert router.share == 0.0

    controller.tick(after(2))
    assert now_of(facts, rollout).state is RolloutState.ABORTED


def test_a_deployment_reported_failed_takes_its_traffic_back(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller)
    facts.deployments.update(rollout.deployment_id, status=Status.FAILED, finished_at=after(3))
    controller.tick(after(4))

    assert router.share == 0.0
    assert status_of(facts, rollout) == (Status.FAILED, after(3))


@pytest.mark.parametrize(("mode", "ends"), [(Mode.OBSERVE, RolloutState.ABORTED), (Mode.ADVISE, RolloutState.PAUSED)])
def test_a_deployment_reported_failed_moves_nothing_where_onejob_must_not(
    mode: Mode, ends: RolloutState, facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    rollout = begin(facts, controller, mode)
    facts.deployments.update(rollout.deployment_id, status=Status.FAILED, finished_at=after(3))
    for at in (4, 5, 6):
        controller.tick(after(at))

    found = now_of(facts, rollout)
    assert router.log == []
    assert found.state is ends
    assert [t.reason for t in found.transitions].count("the deployment was reported failed") == 1


def test_a_version_judged_worse_before_is_refused_unless_forced(
    facts: Facts, controller: RolloutController, router: FakeRouter
) -> None:
    earlier = facts.deployed("2", status=Status.ROLLED_BACK, finished_at=after(0))
    facts.judge(earlier, WORSE)
    again = facts.deployed("2", started_at=after(60))

    with pytest.raises(RolloutRefusedError, match=r"judged worse on 2026-03-01: .* p95 rose 38 %\. Ship another"):
        controller.start(again.id, "fake", {}, mode=Mode.ACT)
    assert router.log == []

    forced = controller.start(again.id, "fake", {}, mode=Mode.ACT, force=True)
    assert forced.share == 0.1
    assert "judged worse" in forced.transitions[0].reason


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ADVISE])
def test_who_only_watches_is_told_that_the_version_was_judged_worse_before(
    mode: Mode, facts: Facts, controller: RolloutController
) -> None:
    facts.judge(facts.deployed("2", status=Status.ROLLED_BACK, finished_at=after(0)), WORSE)
    again = facts.deployed("2", started_at=after(60))

    rollout = controller.start(again.id, "fake", {}, mode=mode)

    assert "judged worse" in rollout.transitions[0].reason
    noted = facts.deployments.get(again.id)
    assert noted is not None
    assert any("judged worse" in note for note in noted.notes)


def test_two_rollouts_of_one_service_do_not_fight_over_its_traffic(facts: Facts, controller: RolloutController) -> None:
    first = begin(facts, controller)
    second = facts.deployed("3", started_at=after(1))

    with pytest.raises(RolloutRefusedError, match=f"promote or abort rollout {first.id} first"):
        controller.start(second.id, "fake", {}, mode=Mode.ACT)
    with pytest.raises(RolloutRefusedError, match=first.id):
        controller.start(first.deployment_id, "fake", {}, mode=Mode.OBSERVE)

    controller.start(facts.deployed("3", service="payments").id, "fake", {}, mode=Mode.ACT)


def test_a_rollout_that_only_observed_gives_way_to_the_next(facts: Facts, controller: RolloutController) -> None:
    first = begin(facts, controller, Mode.OBSERVE)
    controller.start(facts.deployed("3", started_at=after(1)).id, "fake", {}, mode=Mode.ACT)

    given_way = now_of(facts, first)
    assert given_way.state is RolloutState.FAILED
    assert given_way.transitions[-1].reason == "3 is rolled out now"


def test_without_a_mode_the_servers_default_holds(facts: Facts, router: FakeRouter) -> None:
    rollout = facts.controller(router, Mode.OBSERVE).start(facts.deployed().id, "fake", {})

    assert rollout.plan.mode is Mode.OBSERVE


def test_what_cannot_be_started_is_refused_with_what_to_do(facts: Facts, controller: RolloutController) -> None:
    with pytest.raises(RolloutUnknownError, match="report it first"):
        controller.start("dep_none", "fake", {})
    with pytest.raises(PlanError, match="there is envoy, fake"):
        controller.start(facts.deployed().id, "nginx", {})
    ended = facts.deployed("4", status=Status.FINISHED, finished_at=after(1))
    with pytest.raises(RolloutRefusedError, match="report a new one"):
        controller.start(ended.id, "fake", {})
    with pytest.raises(RolloutUnknownError):
        controller.command("rol_none", "abort", "ada")


class Killed(BaseException):
    """kill -9, for one process."""


class Mortal:
    """Counts effects on the world outside the process, and dies before or after the one it was told to."""

    def __init__(self, dies_at: int) -> None:
        self.left = dies_at

    def does(self, effect: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            self._live()  # dead before it
            result = effect(*args, **kwargs)
            self._live()  # dead after it
            return result

        return wrapped

    def _live(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


@pytest.mark.parametrize("is_bad", [True, False])
def test_a_kill_at_any_point_changes_neither_the_end_nor_the_shares_on_the_way(
    is_bad: bool, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dies_at in range(_EFFECTS):
        router, steps = FakeRouter(), (make_step(0.1, 1), make_step(1.0, 3))
        rollout = facts.controller(router).start(facts.deployed(f"v{dies_at}").id, "fake", {}, steps, Mode.ACT)
        _run_until_killed(facts, router, rollout, is_bad, dies_at, monkeypatch)
        survivor = facts.controller(router)
        for at in range(20, 30):
            _judge(facts, rollout, is_bad, at)
            survivor.tick(after(at))

        ended = [t.to_state for t in now_of(facts, rollout).transitions]
        assert ended[-2:] == (_ABORTED if is_bad else _PROMOTED)[-2:], f"killed at effect {dies_at}"
        assert is_bad or ended == _PROMOTED, f"killed at effect {dies_at}"
        assert router.share == (0.0 if is_bad else 1.0)
        assert set(router.log) <= ({0.0, 0.1, 1.0} if is_bad else {0.1, 1.0})
        assert status_of(facts, rollout)[0] is (Status.ROLLED_BACK if is_bad else Status.FINISHED)


_EFFECTS = 24  # a whole rollout has fewer: the last runs are not killed at all
_ABORTED = [RolloutState.ABORTING, RolloutState.ABORTED]
_PROMOTED = [
    RolloutState.PENDING, RolloutState.HOLDING, RolloutState.PENDING, RolloutState.HOLDING, RolloutState.PROMOTED,
]  # fmt: skip


def _run_until_killed(
    facts: Facts, router: FakeRouter, rollout: Rollout, is_bad: bool, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mortal, doomed = Mortal(dies_at), facts.controller(router)
    with monkeypatch.context() as patch:
        for owner, name in ((facts.rollouts, "save"), (facts.deployments, "update"), (router, "set_share")):
            patch.setattr(owner, name, mortal.does(getattr(owner, name)))
        for at in range(1, 6):
            _judge(facts, rollout, is_bad, at)
            doomed.tick(after(at))


def _judge(facts: Facts, rollout: Rollout, is_bad: bool, at: int) -> None:
    verdict = WORSE if is_bad and at > 3 else all_excluded()
    facts.verdicts.record(
        replace(verdict, deployment_id=rollout.deployment_id, judged_at=after(at), window_end=after(at))
    )
