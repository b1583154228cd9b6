"""New, ongoing, resolved, regressed: what is said of an error follows from when and in which version it was seen."""

import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.known.lifecycle import is_older, learnt, reopened, resolved
from onejob.model.known_error import ErrorStatus, KnownError, Occurrence, StatusChange

from .builders import NOW, an_occurrence

HOUR = timedelta(hours=1)
SERVED = {"1": NOW - 9 * HOUR, "2": NOW - 5 * HOUR, "10": NOW - HOUR}


class Facts:
    """What is known, in memory; `served` is when each version began to serve."""

    def __init__(self, served: Mapping[str, datetime] = SERVED) -> None:
        self.served = served
        self.errors: dict[str, KnownError] = {}
        self.versions: dict[str, list[str]] = {}
        self.changes: list[StatusChange] = []

    def see(self, *occurrences: Occurrence, room: int = 100) -> None:
        found = learnt(self.errors, occurrences, lambda _: self.served, lambda _: room)
        self.errors |= {error.id: error for error in found.errors}
        self.changes += [change for _, change in found.changes]

    def only(self) -> KnownError:
        (error,) = self.errors.values()
        return error

    def resolve(self, at: datetime, version: str | None) -> None:
        error, _ = resolved(self.only(), at, "mo", version)
        self.errors[error.id] = error

    def status(self) -> ErrorStatus:
        return self.only().status_at(NOW + 48 * HOUR)


def resolved_in(version: str | None, at: datetime = NOW) -> Facts:
    facts = Facts()
    facts.see(an_occurrence(first_at=NOW - 3 * HOUR, version="2"))
    facts.resolve(at, version)
    assert facts.status() is ErrorStatus.RESOLVED
    return facts


@pytest.mark.parametrize("version", ["2", "10", "11"])
def test_seen_again_in_the_version_it_was_resolved_in_or_a_later_one_it_has_regressed(version: str) -> None:
    facts = resolved_in("2")
    facts.see(an_occurrence(first_at=NOW + HOUR, version=version))

    assert facts.status() is ErrorStatus.REGRESSED
    assert (facts.only().regressed_in, facts.only().regressed_at) == (version, NOW + HOUR)
    assert facts.changes == [StatusChange(at=NOW + HOUR, what="regressed", actor=None, version=version)]
    facts.see(an_occurrence(first_at=NOW + 2 * HOUR, version=version))
    assert len(facts.changes) == 1, "told once"


@pytest.mark.parametrize("version", ["1", "2"])
def test_old_versions_that_serve_on_or_come_back_do_not_make_it_regress(version: str) -> None:
    """Names do not sort: 10 came after 2."""
    facts = resolved_in("10")
    facts.see(an_occurrence(first_at=NOW + HOUR, version=version))

    assert facts.status() is ErrorStatus.RESOLVED
    assert facts.only().last_seen_at == NOW + HOUR


def test_what_is_fixed_in_a_version_to_come_stays_resolved_until_that_one_shows_it() -> None:
    for fixed_in in ("11", None):
        facts = resolved_in(fixed_in)
        facts.see(an_occurrence(first_at=NOW + HOUR, version="10"))
        assert facts.status() is ErrorStatus.RESOLVED
        facts.served = SERVED | {"11": NOW + 2 * HOUR}
        facts.see(an_occurrence(first_at=NOW + 3 * HOUR, version="11"))
        assert facts.status() is ErrorStatus.REGRESSED


def test_what_was_seen_before_it_was_resolved_says_nothing() -> None:
    facts = resolved_in("2")
    facts.see(an_occurrence(first_at=NOW - timedelta(seconds=1), version="10"))
    assert facts.status() is ErrorStatus.RESOLVED
    facts.see(an_occurrence(first_at=NOW - timedelta(seconds=1), last_at=NOW + timedelta(seconds=1), version="10"))
    assert facts.only().regressed_at == NOW + timedelta(seconds=1)


def test_resolved_again_it_can_regress_again_and_opened_again_it_is_ongoing() -> None:
    facts = resolved_in("2")
    facts.see(an_occurrence(first_at=NOW + HOUR, version="10"))
    facts.resolve(NOW + 2 * HOUR, "10")
    assert facts.status() is ErrorStatus.RESOLVED
    facts.see(an_occurrence(first_at=NOW + 3 * HOUR, version="10"))
    assert facts.status() is ErrorStatus.REGRESSED

    error, change = reopened(facts.only(), NOW + 4 * HOUR, "mo")
    assert error.status_at(NOW + 48 * HOUR) is ErrorStatus.ONGOING
    assert (change.what, change.actor) == ("reopened", "mo")


def test_a_version_that_nobody_knows_is_not_older() -> None:
    error = resolved_in("10").only()
    assert not is_older("unheard of", error, SERVED)
    assert not is_older("10", error, {})
    assert is_older("2", error, SERVED)


def test_an_error_beyond_those_a_service_may_have_is_left_out_and_known_ones_go_on() -> None:
    facts = Facts()
    facts.see(an_occurrence(fingerprint="a"), an_occurrence(fingerprint="b"), room=1)
    assert [error.fingerprint for error in facts.errors.values()] == ["a"]
    facts.see(an_occurrence(fingerprint="a", first_at=NOW + HOUR), an_occurrence(fingerprint="c"), room=0)
    assert facts.only().last_seen_at == NOW + HOUR


SEEN = st.builds(
    lambda version, minute, length: an_occurrence(
        version=version,
        first_at=NOW + timedelta(minutes=minute),
        last_at=NOW + timedelta(minutes=minute, seconds=length),
    ),
    st.sampled_from(["1", "2", "10"]),
    st.integers(0, 500),
    st.integers(0, 59),
)


@given(st.lists(SEEN, min_size=1, max_size=12), st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=100)
def test_what_is_known_does_not_depend_on_how_looks_cut_it_nor_on_what_they_see_twice(
    seen: list[Occurrence], chance: "object", size: int
) -> None:
    at_once, in_parts = Facts(), Facts()
    at_once.see(*seen)
    shuffled = [*seen, *seen[: len(seen) // 2]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for start in itertools.count(0, size):
        if start >= len(shuffled):
            break
        in_parts.see(*shuffled[start : start + size])

    names = ("first_seen_at", "last_seen_at", "severity")
    assert [getattr(in_parts.only(), name) for name in names] == [getattr(at_once.only(), name) for name in names]
