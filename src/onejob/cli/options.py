"""Options that several commands share, and how their values are read."""

import getpass
import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from onejob.cli.errors import UsageError

DEFAULT_URL = "http://127.0.0.1:8320"

Url = Annotated[str, typer.Option(envvar="ONEJOB_URL", help="Where the server is.")]
Json = Annotated[bool, typer.Option("--json", help="Print the server's document instead of text.")]
Environment = Annotated[
    str | None,
    typer.Option("--environment", "-e", help="As deployment.environment.name; unless said, the server's default."),
]
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def read_duration_s(text: str) -> float:
    """`90`, `90s`, `15m`, `1h30m` in seconds."""
    found = _DURATION.fullmatch(text.strip().lower())
    if not found or not any(found.groups()):
        raise UsageError(f"{text!r} is no duration: write 90s, 15m or 1h30m.")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def read_time(text: str | None, option: str) -> str | None:
    """An ISO 8601 time with its zone; one without is taken as this machine's."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{option} {text!r} is no time: write it as 2026-03-01T12:00:00Z.") from error


def read_share(text: str | None) -> float | None:
    """`10%` or `0.1`."""
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        raise UsageError(f"{text!r} is no share of traffic: write 0.1 or 10%.") from error
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r} is no share of traffic: it lies between 0 and 1, 10 % is 0.1 or 10%.")
    return share


def local_user() -> str:
    """Who is logged in here; the server takes anybody's word for it, where it wants no login."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container whose user has no name
        name = "somebody"
    return f"{name[:100]} (command line)"
