"""Known errors on both databases: stored once, listed, filtered, and said of."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from known.builders import an_occurrence, stack
from onejob.known.lifecycle import learnt, reopened, resolved
from onejob.model.known_error import ErrorKind, ErrorStatus, KnownError, Occurrence
from onejob.state import error_lists
from onejob.state.database import Database
from onejob.state.error_lists import ErrorFilter
from onejob.state.errors import BadCursorError, ConflictError, NotFoundError
from onejob.state.known_errors import KnownErrors
from onejob.state.readings import Reading, Readings
from state.builders import NOW

HOUR = timedelta(hours=1)


class Facts:
    """A state database, and looks that moved on one after the other."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.errors = KnownErrors(database)
        self.until: datetime | None = None

    def see(self, *occurrences: Occurrence, **of: Any) -> None:
        until = (self.until or NOW) + timedelta(seconds=1)
        reading = Reading(name="errors", since=self.until, until=until, **of)
        room = lambda place: 100 - self.errors.count_of(*place)  # noqa: E731
        shown = lambda place: self.errors.first_shown(*place)  # noqa: E731
        ids = {one.error_id for one in occurrences}
        self.errors.learn(reading, ids, lambda known: learnt(known, occurrences, shown, room))
        self.until = until

    def found(self, **wanted: Any) -> list[str]:
        return [one.fingerprint for one in self.page(**wanted)]

    def page(self, **wanted: Any) -> tuple[KnownError, ...]:
        return error_lists.page(self.database, ErrorFilter(**wanted), NOW).items


@pytest.fixture
def facts(state_database: Database) -> Facts:
    return Facts(state_database)


def seen(fingerprint: str, hours_ago: float = 1, **said: Any) -> Occurrence:
    return an_occurrence(fingerprint=fingerprint, first_at=NOW - hours_ago * HOUR, **said)


def test_an_error_is_found_again_as_it_was_stored_and_later_looks_add_to_it(facts: Facts) -> None:
    facts.see(seen("a", 9, version="2"))
    facts.see(seen("a", 10, version="1"), seen("a", 2, version="2"), seen("b"))

    a = facts.page(text="KeyError")[1]
    assert (a.fingerprint, a.first_version, a.last_version) == ("a", "1", "2")
    assert (a.first_seen_at, a.last_seen_at) == (NOW - 10 * HOUR, NOW - 2 * HOUR)
    assert facts.errors.get(a.id) == a
    versions = {one.version: (one.first_seen_at, one.last_seen_at) for one in facts.errors.seen_in(a.id)}
    assert versions == {"1": (NOW - 10 * HOUR, NOW - 10 * HOUR), "2": (NOW - 9 * HOUR, NOW - 2 * HOUR)}
    assert facts.errors.first_shown("checkout", "production") == {"1": NOW - 10 * HOUR, "2": NOW - 9 * HOUR}
    assert facts.errors.get("err_unknown") is None


def test_of_two_looks_from_the_same_place_one_is_stored(facts: Facts) -> None:
    facts.see(seen("a"))
    late = Facts(facts.database)
    late.until = facts.until
    facts.see(seen("b"), templates={("checkout", "production"): b"theirs"})
    with pytest.raises(ConflictError, match="read on by somebody else"):
        late.see(seen("c"), templates={("checkout", "production"): b"late"})
    first = Facts(facts.database)
    with pytest.raises(ConflictError):
        first.see(seen("c"))

    assert sorted(facts.found()) == ["a", "b"]
    readings = Readings(facts.database)
    assert readings.position("errors") == facts.until
    assert readings.templates(("checkout", "production")) == b"theirs"
    assert readings.templates(("checkout", "staging")) is None


def test_lists_are_filtered_and_searched(facts: Facts) -> None:
    template = {"kind": ErrorKind.LOG_TEMPLATE, "title": "100 % of <*> is_full", "message": "", "severity": 9}
    elsewhere = {"service": "stock", "sample": stack("reserve")}
    facts.see(seen("a", 1, version="2"), seen("b", 2, **elsewhere), seen("c", 3, environment="staging"))
    facts.see(seen("d", 4, **template), seen("a", 50, version="1"))

    assert facts.found() == ["a", "b", "c", "d"]
    assert facts.found(service="stock") == ["b"]
    assert facts.found(environment="staging") == ["c"]
    assert facts.found(version="2") == ["a"]
    assert facts.found(new_in="2") == []
    assert facts.found(service="checkout", environment="production", new_in="1") == ["a", "d"]
    assert facts.found(kind="log_template") == ["d"]
    assert facts.found(least_severity=13) == ["a", "b", "c"]
    assert facts.found(text="keyerror PRICE stock") == ["b"]
    assert facts.found(text="% of") == ["d"]
    assert facts.found(text="is_full") == ["d"]
    assert facts.found(text="s_f_ll") == []
    assert facts.found(text="in reserve pricing.py") == ["b"], "by its stack trace"
    assert facts.found(status=ErrorStatus.NEW) == ["b", "c", "d"]
    assert facts.found(status=ErrorStatus.ONGOING) == ["a"]
    assert error_lists.how_many(facts.database, ErrorFilter(least_severity=13), NOW) == 3
    assert error_lists.services(facts.database) == [
        ("checkout", "production"), ("checkout", "staging"), ("stock", "production")
    ]  # fmt: skip


def test_every_error_is_on_one_page_in_either_order(facts: Facts) -> None:
    facts.see(*(seen(f"{n:02}", n % 3) for n in range(25)))
    facts.see(*(seen(f"{n:02}", 5 + n) for n in range(5)))
    for order in ("last_seen", "first_seen"):
        found: list[KnownError] = []
        cursor: str | None = None
        while cursor is not None or not found:
            page = error_lists.page(facts.database, ErrorFilter(), NOW, limit=4, cursor=cursor, order=order)
            found += page.items
            cursor = page.next_cursor
        moments = [getattr(one, f"{order}_at") for one in found]
        assert moments == sorted(moments, reverse=True)
        assert len({one.id for one in found}) == len(found) == 25
    with pytest.raises(BadCursorError):
        error_lists.page(facts.database, ErrorFilter(), NOW, cursor="nonsense")


def test_what_is_said_of_one_is_kept_and_what_telemetry_says_too(facts: Facts) -> None:
    facts.see(seen("a", 3, version="1"))
    (a,) = facts.page()
    facts.errors.change(a.id, lambda error: resolved(error, NOW, "mo", "1"))
    assert facts.found(status=ErrorStatus.RESOLVED) == ["a"]
    facts.see(seen("a", -1, version="2"))
    assert facts.found(status=ErrorStatus.REGRESSED) == ["a"]
    assert facts.found(status=ErrorStatus.RESOLVED) == facts.found(status=ErrorStatus.NEW) == []
    facts.errors.change(a.id, lambda error: reopened(error, NOW + 2 * HOUR, "jo"))
    assert facts.found(status=ErrorStatus.NEW) == ["a"]

    history = [(change.what, change.actor, change.version) for change in facts.errors.history(a.id)]
    assert history == [("resolved", "mo", "1"), ("regressed", None, "2"), ("reopened", "jo", None)]
    with pytest.raises(NotFoundError, match="err_unknown"):
        facts.errors.change("err_unknown", lambda error: reopened(error, NOW, "jo"))


def test_what_is_forgotten_takes_what_was_said_of_it_along(facts: Facts) -> None:
    facts.see(seen("a", 100), seen("b", 1))
    a = facts.page()[1]
    facts.errors.change(a.id, lambda error: resolved(error, NOW, "mo", None))
    assert facts.errors.forget(NOW - 50 * HOUR) == 1
    assert facts.found() == ["b"]
    assert facts.errors.history(a.id) == facts.errors.seen_in(a.id) == []
