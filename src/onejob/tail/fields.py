"""What stands between the literal text of a log format: how it looks, and what it says about a request.

Servers write `-` for what there is not. Where a line tells something twice, as a time in seconds and one in
milliseconds, the field that is not rough is taken.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_PROTOCOL = re.compile(r"HTTP/([\d.]+)$")
_METHOD = re.compile(r"[A-Z][A-Z_-]{1,30}")
_AUTHORITY = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)


class Sets(StrEnum):
    """What of a request a field tells; `REQUEST` is method, target and protocol in one."""

    NOTHING = ""
    ENDED = "ended_ns"
    STARTED = "started_ns"
    DURATION = "duration_ns"
    REQUEST = "request"
    METHOD = "method"
    TARGET = "target"
    PROTOCOL = "protocol"
    STATUS = "status"
    RECEIVED = "received_bytes"
    SENT = "sent_bytes"
    AGENT = "agent"
    VERSION = "version"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`pattern` is a regular expression without groups; unless given, what stands around the field decides.

    `read` makes a value of the text and raises ValueError for what is none. `is_rough`: another field that tells the
    same is better. `may_vanish`: where it is empty, the space behind it is not written either.
    """

    name: str
    sets: Sets = Sets.NOTHING
    pattern: str = ""
    read: Callable[[str], Any] = str
    is_rough: bool = False
    may_vanish: bool = False


def seconds(text: str) -> int:
    """Nanoseconds of decimal seconds, exactly."""
    return _scaled(text, 9)


def milliseconds(text: str) -> int:
    return _scaled(text, 6)


def microseconds(text: str) -> int:
    return _scaled(text, 3)


def number(text: str) -> int:
    """A count; HAProxy puts a plus before one that is not final, and writes -1 for none."""
    return max(0, int(text))


def first(text: str) -> str:
    return text.partition(",")[0].strip()


def last(text: str) -> str:
    """Of the servers that nginx tried, the one that answered."""
    return re.split(r", | : ", text)[-1].strip()


def total(text: str) -> int:
    """Nanoseconds that all servers that nginx tried took, in seconds each."""
    return sum(seconds(part) for part in re.split(r", | : ", text) if part != "-")


def request(text: str) -> tuple[str, str, str]:
    """Method, target and protocol of `GET /cart?id=7 HTTP/1.1`; all empty for what is no request."""
    method, _, rest = text.partition(" ")
    target, space, protocol = rest.rpartition(" ")
    if not space or not protocol.startswith("HTTP/"):
        target, protocol = rest, ""
    return (method, target, protocol) if _METHOD.fullmatch(method) else ("", "", "")


def method(text: str) -> str:
    return text if _METHOD.fullmatch(text) else ""


def protocol_version(text: str) -> str:
    """As OpenTelemetry writes it: `1.1` of `HTTP/1.1`, `2` of `HTTP/2.0`."""
    found = _PROTOCOL.match(text)
    return (found[1] if found[1].startswith("1") else found[1].removesuffix(".0")) if found else ""


def path(target: str) -> str:
    """The path of a request's target; what follows `?`, `#` or a `;` is not kept."""
    found = re.split(r"[?#;]", target, maxsplit=1)[0]
    if not found.startswith("/"):
        found = _AUTHORITY.sub("", found, count=1)
    return found if found.startswith("/") else "*" if found == "*" else "/"


def is_same_name(name: str, wanted: str) -> bool:
    """Header names are written in many ways: `X-Version`, `x_version`."""
    return plain_name(name) == plain_name(wanted)


def plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _scaled(text: str, digits: int) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    whole, _, fraction = text.lstrip("+").partition(".")
    return max(0, int(whole + fraction[:digits].ljust(digits, "0")))
