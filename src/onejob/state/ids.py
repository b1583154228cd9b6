"""Ids that sort by the time they were made: nine characters of milliseconds, eleven of chance, in base32hex."""

import re
import secrets
from datetime import datetime

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"  # in ASCII order, so that ids sort like the numbers they are
_TIME_CHARS = 9
_RANDOM_CHARS = 11
_SHAPE = re.compile(rf"[a-z]{{3}}_[0-9a-v]{{{_TIME_CHARS + _RANDOM_CHARS}}}")


def new_id(prefix: str, now: datetime) -> str:
    """A fresh id such as `dep_1iqp0a5g03kc2v8tmd4e`."""
    milliseconds = max(int(now.timestamp() * 1000), 0)
    chance = secrets.randbits(5 * _RANDOM_CHARS)
    return f"{prefix}_{_base32(milliseconds, _TIME_CHARS)}{_base32(chance, _RANDOM_CHARS)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of an id with this prefix."""
    return text.startswith(f"{prefix}_") and _SHAPE.fullmatch(text) is not None


def _base32(number: int, width: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (width - 1), -1, -5))
