"""Values of Sentry's JSON, read as its SDKs write them: much may be missing, null, or of another type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

MOST_CHARS = 8_000  # of one text
_LATEST_NS = 2**63 - 1
_NS_PER_S = 1_000_000_000
_HEX = re.compile(r"[0-9a-fA-F]+")


class Unfit(Exception):  # noqa: N818
    """Why an item cannot be kept."""


def text(value: Any, most: int = MOST_CHARS) -> str:
    """Empty for what is none; numbers as JSON writes them. Half a surrogate pair is no text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)[:most]
    if not isinstance(value, str):
        return ""
    cut: str = value[:most]
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()


def fields(value: Any) -> Mapping[str, Any]:
    """Of an object; none of anything else."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def texts(value: Any) -> dict[str, str]:
    """Of an object, or of a list of pairs as older SDKs send their tags; without what is empty."""
    if isinstance(value, dict):
        pairs: Iterable[Any] = value.items()
    else:
        pairs = (pair for pair in listed(value) if isinstance(pair, list) and len(pair) == 2)
    found = ((text(name, 200), text(said)) for name, said in pairs)
    return {name: said for name, said in found if name and said}


def number(value: Any) -> float | None:
    """Also from a text; None for what is none, or has no end."""
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and abs(found) < float("inf") else None


def time_ns(value: Any) -> int:
    """Nanoseconds since 1970, of RFC 3339 or of seconds, to the microsecond; 0 for what is none, or beyond 2262."""
    seconds = number(value)
    if seconds is not None:
        found = round(seconds * 1_000_000) * 1_000 if abs(seconds) < _LATEST_NS / _NS_PER_S else 0
    else:
        found = _of_date(value)
    return found if 0 < found <= _LATEST_NS else 0


def _of_date(value: Any) -> int:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return 0
    return (since.days * 86_400 + since.seconds) * _NS_PER_S + since.microseconds * 1_000


def identity(value: Any, size: int) -> bytes:
    """Of a trace (16 bytes) or a span (8) in hexadecimal; empty for what is none."""
    if not isinstance(value, str):
        return b""
    value = value.replace("-", "")
    if len(value) != 2 * size or not _HEX.fullmatch(value):
        return b""
    found = bytes.fromhex(value)
    return found if any(found) else b""
