"""The loop goes on, whatever happens to what it uses."""

import logging
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from onejob.cycle import Cycle
from onejob.seldom import Seldom
from onejob.state.errors import StateUnavailableError
from onejob.state.events import Events


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


def a_cycle(detector: Nothing, leases: LockedAtFirst | FullDisk) -> Cycle:
    unused: Any = None
    return Cycle(
        detector=detector,
        judging=Nothing(),
        explain=unused,
        rollouts=StandStill(),
        verdicts=unused,
        explanations=unused,
        events=Events(),
        leases=leases,  # type: ignore[arg-type]
        holder="a server",
        clock=lambda: datetime.now(UTC),
        tick_s=0.01,
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
