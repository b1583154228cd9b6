"""Times as access logs write them, in Unix nanoseconds. Many lines tell the same second, so it is worked out once."""

from datetime import UTC, datetime
from functools import lru_cache

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Names of months are English in all of them, whatever the locale; strptime's are not.
DAY = r"\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2}"
ZONED_DAY = rf"{DAY} [+-]\d{{4}}"
ISO = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})"


@lru_cache(maxsize=1024)
def zoned_day(text: str) -> int:
    """`26/Nov/2026:23:36:35 +0000`."""
    day, _, zone = text.partition(" ")
    return _ns(datetime.fromisoformat(_iso(day) + zone))


def local_day(text: str) -> int:
    """`26/Nov/2026:23:36:35.468`, in this machine's time zone."""
    day, _, fraction = text.partition(".")
    return _local_second(day) + int(fraction[:9].ljust(9, "0"))


@lru_cache(maxsize=1024)
def iso(text: str) -> int:
    """`2026-11-26T23:36:35.468Z`."""
    return _ns(datetime.fromisoformat(text))


@lru_cache(maxsize=1024)
def _local_second(day: str) -> int:
    return _ns(datetime.fromisoformat(_iso(day)).astimezone())


def _iso(day: str) -> str:
    """Raises ValueError where the month is none."""
    month = _MONTHS.index(day[3:6]) + 1
    return f"{day[7:11]}-{month:02}-{day[:2]}T{day[12:20]}"


def _ns(moment: datetime) -> int:
    passed = moment.astimezone(UTC) - _EPOCH
    return ((passed.days * 86_400 + passed.seconds) * 10**6 + passed.microseconds) * 1000
