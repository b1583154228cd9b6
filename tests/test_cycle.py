"""The loop goes on, whatever happens to what it uses."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onejob.cycle import Cycle
from onejob.model.deployment import Deployment
from onejob.model.explanation import AttributeValue, Explanation
from onejob.model.verdict import ArmSummary, State, Verdict
from onejob.seldom import Seldom
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.errors import StateUnavailableError
from onejob.state.events import Events
from onejob.state.forgotten import nothing_older
from onejob.state.leases import Leases
from onejob.state.verdicts import Explanations, Verdicts
from onejob.store.errors import EngineUnavailable
from onejob.verdict.live import Look
from state.builders import NOW, a_deployment, a_signal, a_verdict, an_explanation


class Nothing:
    """Detects, judges and moves nothing; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def tick(self, now: datetime) -> list[Any]:
        self.asked.set()
        return []


class StandStill:
    """Moves no traffic."""

    def tick(self, now: datetime) -> None:
        """Nothing to do."""


class LockedAtFirst:
    """Leases in a database that is locked when it is asked for the first time, and when the lease is given back."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self, *_: object) -> bool:
        self.asked += 1
        if self.asked == 1:
            raise StateUnavailableError("database is locked")
        return True

    def release(self, *_: object) -> None:
        raise StateUnavailableError("database is locked")


class FullDisk:
    """Leases that cannot be stored; counts how often that was tried."""

    def __init__(self) -> None:
        self.tried = threading.Semaphore(0)

    def acquire(self, *_: object) -> bool:
        self.tried.release()
        raise StateUnavailableError("the disk is full")

    def release(self, *_: object) -> None:
        raise StateUnavailableError("the disk is full")


def a_cycle(
    detector: Nothing, leases: Any, clock: Callable[[], datetime] = lambda: datetime.now(UTC), tick_s: float = 0.01
) -> Cycle:
    unused: Any = None
    return Cycle(
        detector=detector,
        judging=Nothing(),
        explain=unused,
        rollouts=StandStill(),
        verdicts=unused,
        explanations=unused,
        events=Events(),
        leases=leases,
        holder="a server",
        clock=clock,
        tick_s=tick_s,
    )


def test_what_fails_at_every_look_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    leases = FullDisk()
    cycle = a_cycle(Nothing(), leases)
    cycle.start()
    for _ in range(5):
        assert leases.tried.acquire(timeout=10)
    cycle.stop()
    told = [record.message for record in caplog.records if "look at telemetry" in record.message]
    assert told == ["cannot look at telemetry now: the disk is full"]


def test_a_minute_later_it_is_said_again_and_something_else_at_once(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    seldom = Seldom(logging.getLogger("onejob.test"), clock=lambda: now[0])
    for now[0], about in ((0, "a"), (59, "a"), (59, "b"), (60, "a"), (119, "a")):
        seldom.warning(about, "%s fails", about)
    assert [record.message for record in caplog.records] == ["a fails", "b fails", "a fails"]


def test_a_database_that_was_locked_once_does_not_end_the_judging(caplog: pytest.LogCaptureFixture) -> None:
    detector = Nothing()
    cycle = a_cycle(detector, LockedAtFirst())
    cycle.start()
    assert detector.asked.wait(10)
    cycle.stop()
    assert "cannot look at telemetry now: database is locked" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_clock_that_is_set_does_not_stop_the_judging(step: timedelta) -> None:
    begun, leases, detector = datetime.now(UTC), FullDisk(), Nothing()
    set_at = [timedelta()]
    cycle = a_cycle(detector, leases, lambda: begun + set_at[0])
    cycle.start()
    assert leases.tried.acquire(timeout=10)
    set_at[0] = step
    for _ in range(4):
        assert leases.tried.acquire(timeout=10)
    cycle.stop()


class Judged:
    """Looks that a test hands in, stored as the judge stores them; `story` tells in which order what was done."""

    def __init__(self, database: Database, tick_s: float) -> None:
        self.story: list[str] = []
        self.ill: set[str] = set()
        self.found: tuple[Any, ...] = ()
        self.meanwhile: Callable[[], object] = lambda: None
        self.verdicts, self.explanations = Verdicts(database), Explanations(database)
        self.looks: list[Look] = []
        self.cycle = Cycle(
            detector=Nothing(),
            judging=self,
            explain=self.explain,
            rollouts=StandStill(),
            verdicts=self.verdicts,
            explanations=self.explanations,
            events=Events(),
            leases=Leases(database),
            holder="a server",
            clock=lambda: NOW,
            tick_s=tick_s,
        )

    def tick(self, now: datetime) -> Iterator[Look]:
        for look in self.looks:
            self.verdicts.record(look.verdict)
            self.story.append(f"judged {look.deployment.service}")
            yield look

    def explain(self, deployment: Deployment, verdict: Verdict, now: datetime) -> Explanation:
        self.story.append(f"explained {deployment.service}")
        self.meanwhile()
        if deployment.service in self.ill:
            raise EngineUnavailable("it is busy")
        return an_explanation(deployment.id, notes=(str(verdict.judged_at),), attributes=self.found)

    def after(self, *looks: Look) -> list[str]:
        """What a tick with these looks does."""
        self.looks, self.story = list(looks), []
        self.cycle.look(NOW)
        return self.story


def turned_worse(database: Database, *services: str) -> list[Look]:
    looks = []
    for service in services:
        deployment = a_deployment(service=service)
        Deployments(database).add(deployment)
        worse = a_verdict(deployment.id, state=State.WORSE, reason=None, signals=(a_signal(state=State.WORSE),))
        looks.append(Look(deployment, worse, None, finished=False))
    return looks


def later(look: Look, **said: Any) -> Look:
    verdict = replace(look.verdict, judged_at=NOW + timedelta(seconds=10), **said)
    return Look(look.deployment, verdict, look.verdict, finished=False)


def test_no_verdict_waits_for_the_explanation_of_another(sqlite_database: Database) -> None:
    looks = turned_worse(sqlite_database, "a", "b")
    told = Judged(sqlite_database, tick_s=60).after(*looks)
    assert told == ["judged a", "judged b", "explained a", "explained b"]


def test_what_a_tick_has_no_time_to_explain_is_explained_in_the_next_ones(sqlite_database: Database) -> None:
    judged = Judged(sqlite_database, tick_s=0)
    assert judged.after(*turned_worse(sqlite_database, "a", "b", "c"))[3:] == ["explained a"]
    assert judged.after() == ["explained b"]
    assert judged.after() == ["explained c"]
    assert judged.after() == []


def test_what_waits_is_explained_by_its_latest_verdict(sqlite_database: Database) -> None:
    judged = Judged(sqlite_database, tick_s=0)
    first, second = turned_worse(sqlite_database, "a", "b")
    judged.after(first, second)
    assert judged.after(later(second)) == ["judged b", "explained b"]
    current, found = judged.verdicts.current(second.deployment.id), judged.explanations.get(second.deployment.id)
    assert current is not None
    assert found is not None
    assert current.judged_at == later(second).verdict.judged_at
    assert found.notes == (str(current.judged_at),)


def test_what_is_worse_no_longer_is_not_explained(sqlite_database: Database) -> None:
    judged = Judged(sqlite_database, tick_s=0)
    first, second = turned_worse(sqlite_database, "a", "b")
    judged.after(first, second)
    assert judged.after(later(second, state=State.UNDECIDED)) == ["judged b"]


def test_an_explanation_that_fails_keeps_none_waiting_and_is_tried_again(sqlite_database: Database) -> None:
    judged = Judged(sqlite_database, tick_s=60)
    first, second = turned_worse(sqlite_database, "a", "b")
    judged.ill = {"a"}
    assert judged.after(first, second)[2:] == ["explained a", "explained b"]
    assert judged.explanations.get(first.deployment.id) is None
    judged.ill = set()
    assert judged.after(later(first), later(second))[2:] == ["explained a"]


def test_an_explanation_in_which_a_customer_is_forgotten_is_made_again(sqlite_database: Database) -> None:
    judged = Judged(sqlite_database, tick_s=60)
    (look,) = turned_worse(sqlite_database, "a")
    found = [(an_attribute(),), ()]

    def forget() -> None:
        judged.found = found.pop(0)
        if found:
            nothing_older(sqlite_database, NOW)

    judged.meanwhile = forget
    assert judged.after(look) == ["judged a", "explained a", "explained a"]
    kept = judged.explanations.get(look.deployment.id)
    assert kept is not None
    assert kept.attributes == ()


def test_what_waits_to_be_explained_does_not_bring_back_what_its_verdict_forgot(sqlite_database: Database) -> None:
    judged = Judged(sqlite_database, tick_s=0)
    first, second = turned_worse(sqlite_database, "a", "b")
    judged.after(first, second)
    forgot = replace(second.verdict, signals=(a_signal(state=State.WORSE, operation="for [forgotten]"),))
    judged.verdicts.record(forgot)
    assert judged.after() == ["explained b"]
    current = judged.verdicts.current(second.deployment.id)
    assert current is not None
    assert current.signals == forgot.signals


def an_attribute() -> AttributeValue:
    about = {"operation": "GET /", "signal": "errors", "name": "tenant", "value": "a", "bad": 9, "total": 10}
    return AttributeValue(**about, lift=9.0, coverage=1.0, rest_share=0.1)  # type: ignore[arg-type]


def of_requests(look: Look, requests: int) -> Look:
    arm = ArmSummary(kind="concurrent", versions=("2",), instances=(), requests=requests)
    return later(look, control=None, treatment=arm)


def test_an_explanation_that_found_nothing_is_made_again_as_the_evidence_grows(sqlite_database: Database) -> None:
    judged = Judged(sqlite_database, tick_s=60)
    (look,) = turned_worse(sqlite_database, "a")
    judged.after(look)
    remade = [n for n in range(100, 20_000, 20) if "explained a" in judged.after(of_requests(look, n))]
    assert remade == [160, 240, 360, 540, 820, 1240], "half as many more each time, and not for ever"


def test_an_explanation_that_found_something_is_left_until_the_end(sqlite_database: Database) -> None:
    judged = Judged(sqlite_database, tick_s=60)
    (look,) = turned_worse(sqlite_database, "a")
    judged.found = (an_attribute(),)
    judged.after(look)
    assert judged.after(of_requests(look, 100)) == judged.after(of_requests(look, 1000)) == ["judged a"]
    assert judged.after(replace(later(look), finished=True)) == ["judged a", "explained a"]
