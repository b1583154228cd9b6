"""What becomes of an error as it is seen, resolved, and seen again.

Problem: "it came back" is easily said wrongly. While a fix is rolled out the old version goes on to throw what is
fixed in the new one, version names do not sort, and a rollback brings the old error with it. Solution: a version is
older than another if it first served before it, whatever they are called, and only what is seen after the moment of
resolving, in a version that is not older than the one it is resolved in, is a regression.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from onejob.model.known_error import KnownError, Occurrence, SeenIn, StatusChange
from onejob.state.known_errors import Learnt
from onejob.state.readings import Place

RESOLVED, REOPENED, REGRESSED = "resolved", "reopened", "regressed"
FirstServed = Callable[[Place], Mapping[str, datetime]]  # when each version of a service first served


def learnt(
    known: Mapping[str, KnownError],
    occurrences: Iterable[Occurrence],
    first_served: FirstServed,
    room: Callable[[Place], int],
) -> Learnt:
    """Occurrences put to what is known. `room` says how many more errors of a service may become known."""
    errors: list[KnownError] = []
    seen_in: list[tuple[str, SeenIn]] = []
    changes: list[tuple[str, StatusChange]] = []
    left: dict[Place, int] = {}
    for error_id, several in _by_error(occurrences).items():
        before, place = known.get(error_id), (several[0].service, several[0].environment)
        if before is None:
            left[place] = left[place] - 1 if place in left else room(place) - 1
            if left[place] < 0:
                continue
        now, change = _seen_again(_merged(before, several), several, first_served)
        errors.append(now)
        seen_in += [(error_id, one) for one in _versions(several)]
        changes += [(error_id, change)] if change else []
    return Learnt(errors=errors, seen_in=seen_in, changes=changes)


def resolved(error: KnownError, at: datetime, by: str, version: str | None) -> tuple[KnownError, StatusChange]:
    """It is gone, in this version; None: in whichever first serves after this moment."""
    gone = replace(error, resolved_at=at, resolved_by=by, resolved_in=version, regressed_at=None, regressed_in=None)
    return gone, StatusChange(at=at, what=RESOLVED, actor=by, version=version)


def reopened(error: KnownError, at: datetime, by: str) -> tuple[KnownError, StatusChange]:
    """It is not gone."""
    there = replace(error, resolved_at=None, resolved_by=None, resolved_in=None, regressed_at=None, regressed_in=None)
    return there, StatusChange(at=at, what=REOPENED, actor=by, version=None)


def is_older(version: str, error: KnownError, first_served: Mapping[str, datetime]) -> bool:
    """Than the version in which the error is resolved. One that nobody knows yet is not."""
    if version == error.resolved_in or version not in first_served:
        return False
    if error.resolved_in is None:
        return error.resolved_at is not None and first_served[version] <= error.resolved_at
    began = first_served.get(error.resolved_in)
    # One that has not served yet is to come: all that have are older.
    return began is None or first_served[version] < began


def _by_error(occurrences: Iterable[Occurrence]) -> dict[str, list[Occurrence]]:
    found: dict[str, list[Occurrence]] = defaultdict(list)
    for one in occurrences:
        found[one.error_id].append(one)
    return found


def _merged(before: KnownError | None, several: Sequence[Occurrence]) -> KnownError:
    first = min(several, key=lambda one: (one.first_at, one.version))
    last = max(several, key=lambda one: (one.last_at, one.version))
    found = KnownError(
        id=first.error_id,
        service=first.service,
        environment=first.environment,
        kind=first.kind,
        fingerprint=first.fingerprint,
        title=last.title,
        message=first.message,
        severity=max(one.severity for one in several),
        first_seen_at=first.first_at,
        last_seen_at=last.last_at,
        first_version=first.version,
        last_version=last.version,
        sample=first.sample,
        trace_id=first.trace_id,
        span_id=first.span_id,
    )
    return found if before is None else _both(before, found)


def _both(before: KnownError, found: KnownError) -> KnownError:
    """What is known, and what was found of it now; looks overlap, so the same may be found again."""
    first, last = min(before, found, key=_first), max(before, found, key=lambda one: one.last_seen_at)
    return replace(
        before,
        title=found.title,
        severity=max(before.severity, found.severity),
        first_seen_at=first.first_seen_at,
        first_version=first.first_version,
        last_seen_at=last.last_seen_at,
        last_version=last.last_version,
    )


def _first(error: KnownError) -> datetime:
    return error.first_seen_at


def _versions(several: Collection[Occurrence]) -> list[SeenIn]:
    found: dict[str, SeenIn] = {}
    for one in several:
        before = found.get(one.version)
        first = min(before.first_seen_at, one.first_at) if before else one.first_at
        last = max(before.last_seen_at, one.last_at) if before else one.last_at
        found[one.version] = SeenIn(version=one.version, first_seen_at=first, last_seen_at=last)
    return list(found.values())


def _seen_again(
    error: KnownError, several: Iterable[Occurrence], first_served: FirstServed
) -> tuple[KnownError, StatusChange | None]:
    resolved_at = error.resolved_at
    if resolved_at is None or error.regressed_at is not None:
        return error, None
    after = sorted((one for one in several if one.last_at > resolved_at), key=lambda one: one.last_at)
    served = first_served((error.service, error.environment)) if after else {}
    for one in after:
        if not is_older(one.version, error, served):
            at = one.first_at if one.first_at > resolved_at else one.last_at
            change = StatusChange(at=at, what=REGRESSED, actor=None, version=one.version)
            return replace(error, regressed_at=at, regressed_in=one.version), change
    return error, None
