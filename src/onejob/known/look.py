"""One look at telemetry for errors and log messages: from where the last one ended, over again where it may be late.

Each look goes back over the minutes before, as spans arrive late, and counts whole minutes: what it writes twice is
the same or more, and never adds up. Errors, templates and the position are stored in one transaction, which fails if
another look was faster. So a look may be cut off anywhere, and two may look at once.
"""

import logging
from datetime import UTC, datetime, timedelta

from onejob.config import Settings
from onejob.known.counts import write_counts
from onejob.known.lifecycle import learnt
from onejob.known.reading import MINUTE_S, Known, read_begin, read_logged, read_thrown
from onejob.known.templates import LogTemplate, LogTemplates
from onejob.seldom import Seldom
from onejob.state.forgotten import AsOf
from onejob.state.known_errors import KnownErrors, Learnt
from onejob.state.readings import Place, Reading, Readings
from onejob.state.versions import KnownVersion, KnownVersions
from onejob.store.engine import Engine
from onejob.store.errors import QueryFailed

log = logging.getLogger(__name__)

NAME = "errors"
_FIRST_LOOK = timedelta(days=1)
_OVERLAP = timedelta(minutes=2)  # spans that arrive later than this are not counted
_MINUTE = timedelta(seconds=MINUTE_S)
_LONGEST_LOOK = timedelta(minutes=10)
_MOST_OF_A_SERVICE = 5_000  # errors that are known; beyond them a fingerprint tells nothing apart


class ErrorLook:
    """`look` may be called by several threads and processes at once; each stores all of its look, or nothing."""

    def __init__(
        self, engine: Engine, errors: KnownErrors, readings: Readings, versions: KnownVersions, settings: Settings
    ) -> None:
        self._engine = engine
        self._errors = errors
        self._readings = readings
        self._versions = versions
        self._settings = settings
        self._longest = _LONGEST_LOOK
        self._seldom = Seldom(log)

    def look(self, now: datetime) -> bool:
        """Is there more to look at? ConflictError if somebody else was faster: the next look goes on from theirs;
        or if a customer was forgotten meanwhile.
        """
        read = self._readings.as_of()
        end = now - timedelta(seconds=self._settings.watermark_s)
        since = self._readings.position(NAME)
        start = self._begin(end) if since is None else since
        until = min(end, start + self._longest)
        if until <= start:
            return False
        try:
            self._learn(start, until, since, read)
        except QueryFailed:
            if self._longest <= _MINUTE:  # it will not be answered next time either
                self._skip(until, since)
            self._longest = max(_MINUTE, self._longest / 2)
            raise
        self._longest = min(_LONGEST_LOOK, self._longest * 2)
        return until < end

    def forget(self, now: datetime) -> None:
        """What was not seen for as long as counts are kept."""
        self._errors.forget(now - timedelta(days=self._settings.rollup_retention_days))

    def _begin(self, end: datetime) -> datetime:
        """Where the first look starts: a day back at most, and not before there is anything."""
        begun = read_begin(self._engine, int((end - _FIRST_LOOK).timestamp()))
        return end if begun is None else begun

    def _learn(self, start: datetime, until: datetime, since: datetime | None, read: AsOf) -> None:
        known = Known(self._settings.default_environment, _by_place(self._versions.all()))
        templates = _Templates(self._readings, self._settings.log_templates_max)
        window = _whole_minutes(start - _OVERLAP), int(until.timestamp())
        thrown = read_thrown(self._engine, *window, known)
        logged = read_logged(self._engine, *window, known, templates.learn, self._settings.log_lines_per_look)
        for service in logged.cut:
            self._seldom.warning(
                f"cut {service}",
                "%s wrote more log records from %s to %s than one look reads: some messages are counted too low",
                service,
                start.astimezone(UTC),
                until.astimezone(UTC),
            )
        found = [*thrown, *logged.found]
        reading = Reading(name=NAME, since=since, until=until, templates=templates.packed(), read=read)
        ids = {one.error_id for one in found}
        # Before the position moves on: should that fail, the same is counted again, which changes nothing.
        write_counts(self._engine, found)
        self._errors.learn(reading, ids, lambda before: learnt(before, found, self._first_served, self._room))

    def _skip(self, until: datetime, since: datetime | None) -> None:
        self._seldom.warning("skip", "errors until %s cannot be read and are left out", until.astimezone(UTC))
        self._errors.learn(Reading(name=NAME, since=since, until=until), (), lambda _: Learnt())

    def _first_served(self, place: Place) -> dict[str, datetime]:
        """As the versions are known; of a service that only logs, as its errors tell."""
        told = {one.version: one.first_seen_at for one in self._versions.of_service(*place)}
        return self._errors.first_shown(*place) | told

    def _room(self, place: Place) -> int:
        left = _MOST_OF_A_SERVICE - self._errors.count_of(*place)
        if left <= 0:
            self._seldom.warning(
                f"full {place}",
                "%s in %s has %d known errors: no new ones are told apart until old ones are forgotten",
                *place,
                _MOST_OF_A_SERVICE,
            )
        return left


class _Templates:
    """Those of all services, each read when its first line comes."""

    def __init__(self, readings: Readings, most: int) -> None:
        self._readings = readings
        self._most = most
        self._of: dict[Place, LogTemplates] = {}

    def learn(self, place: Place, line: str) -> LogTemplate | None:
        if place not in self._of:
            self._of[place] = LogTemplates(self._most, self._readings.templates(place))
        return self._of[place].learn(line)

    def packed(self) -> dict[Place, bytes]:
        return {place: templates.pack() for place, templates in self._of.items()}


def _by_place(versions: list[KnownVersion]) -> dict[Place, list[KnownVersion]]:
    found: dict[Place, list[KnownVersion]] = {}
    for one in versions:
        found.setdefault((one.service, one.environment), []).append(one)
    return found


def _whole_minutes(moment: datetime) -> int:
    seconds = int(moment.timestamp())
    return seconds - seconds % MINUTE_S
