"""What looks at telemetry every so often: one server of several, over again when it fails."""

import threading
from datetime import datetime

from known.builders import NOW
from onejob.state.database import Database
from onejob.state.errors import ConflictError
from onejob.state.leases import Leases
from onejob.watch import Watch


class Looks:
    """Looks that are counted; `more` of them find that there is more."""

    def __init__(self, more: int = 0, error: Exception | None = None) -> None:
        self.more = more
        self.error = error
        self.looks = 0
        self.forgotten = 0
        self.looked = threading.Event()

    def look(self, now: datetime) -> bool:
        self.looks += 1
        self.looked.set()
        if self.error is not None:
            raise self.error
        self.more -= 1
        return self.more >= 0

    def forget(self, now: datetime) -> None:
        self.forgotten += 1


def watch(looks: Looks, database: Database, holder: str = "a", every_s: float = 0.01) -> Watch:
    return Watch("errors", looks, Leases(database, clock=lambda: NOW), holder, lambda: NOW, every_s)


def test_it_looks_until_there_is_no_more_and_forgets_now_and_then(sqlite_database: Database) -> None:
    looks = Looks(more=3)
    watching = watch(looks, sqlite_database)
    watching.tick()
    watching.tick()
    assert (looks.looks, looks.forgotten) == (5, 1)


def test_of_two_servers_one_looks(sqlite_database: Database) -> None:
    mine, theirs = Looks(), Looks()
    watch(mine, sqlite_database, "a").tick()
    watch(theirs, sqlite_database, "b").tick()
    assert (mine.looks, theirs.looks) == (1, 0)


def test_a_look_that_fails_is_made_again(sqlite_database: Database) -> None:
    for error in (ConflictError("somebody was faster"), ZeroDivisionError()):
        looks = Looks(error=error)
        watching = watch(looks, sqlite_database)
        watching.start()
        for _ in range(2):
            assert looks.looked.wait(10)
            looks.looked.clear()
        watching.stop()
        assert looks.looks >= 2
