"""Moments as people and pipelines send them.

Problem: a start in milliseconds read as seconds is in the year 58000, one in seconds read as milliseconds is in 1970,
and a local time without its offset is hours off; all of them put a deployment where nobody looks, silently. Solution:
the unit of a number is told by its size, which is unambiguous from 2001 to 2100, and said in a note; what cannot be
a start of a deployment is refused with what to send instead.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from onejob.changes.errors import InvalidReportError

_UNITS = (("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9))
_EARLIEST = datetime(2001, 9, 9, 2, tzinfo=UTC)  # 1,000,000,000 s: before it, units could not be told apart
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER = timedelta(minutes=1)
_TOO_FAR_AHEAD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """An aware UTC datetime, and a sentence about how it was read where that was not plain."""

    at: datetime
    note: str | None = None


def read_moment(value: str | float, field: str, now: datetime) -> Moment:
    """The moment that was meant, not after `now`; InvalidReportError if none makes sense."""
    moment = _from_text(value, field) if isinstance(value, str) else _from_number(value, field)
    _check_plausible(moment.at, field, now)
    if moment.at <= now:
        return moment
    note = moment.note
    if moment.at - now > _CLOCKS_DIFFER:
        ahead_s = round((moment.at - now).total_seconds())
        note = f"{field} was {ahead_s} s ahead of this server's clock: taken as now. Check the sender's clock."
    return Moment(now, note)


def _from_text(value: str, field: str) -> Moment:
    text = value.strip()
    try:
        return _from_number(float(text), field)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidReportError(
            field, f"{field} is not a time: send ISO 8601 such as 2026-03-01T12:00:00Z."
        ) from error
    if at.tzinfo is None:
        return Moment(at.replace(tzinfo=UTC), f"{field} named no time zone: read as UTC.")
    try:
        return Moment(at.astimezone(UTC))
    except OverflowError as error:
        raise _implausible(field, value) from error


def _from_number(value: float, field: str) -> Moment:
    if isinstance(value, int) and value.bit_length() > 64:  # no unit makes sense of it, and a float cannot hold it
        raise _implausible(field, f"a number of {value.bit_length()} bits")
    for unit, per_second in _UNITS:
        if _EARLIEST.timestamp() <= value / per_second < _LATEST.timestamp():
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(value / per_second * 10**6))
            return Moment(at, f"{field} was the number {value:.0f}: read as Unix {unit}.")
    raise _implausible(field, value)


def _check_plausible(at: datetime, field: str, now: datetime) -> None:
    if at < _EARLIEST:
        raise _implausible(field, at.isoformat())
    if at - now > _TOO_FAR_AHEAD:
        raise InvalidReportError(
            field,
            f"{field} is {_span(at - now)} in the future by this server's clock ({now:%Y-%m-%dT%H:%M:%SZ}): "
            "check the sender's clock, time zone and unit, or leave the field out to mean now.",
        )


def _implausible(field: str, value: object) -> InvalidReportError:
    return InvalidReportError(
        field,
        f"{field} is {value}, which cannot be when a deployment happened (wrong unit?): "
        "send ISO 8601 such as 2026-03-01T12:00:00Z, or leave it out to mean now.",
    )


def _span(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.1f} hours"
