"""A request as one line of an access log tells it."""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A request that was answered; times in Unix nanoseconds.

    `path` has no query string. `status` is 0 where nothing was answered, sizes are None and texts empty where the line
    does not tell. `duration_ns` is 0 where the format has none.
    """

    ended_ns: int
    duration_ns: int
    method: str
    path: str
    status: int = 0
    protocol: str = ""
    received_bytes: int | None = None
    sent_bytes: int | None = None
    agent: str = ""
    version: str = ""
    instance: str = ""


class Unread(Enum):
    """Why a line is no request."""

    NO_REQUEST = auto()  # a connection without a request, or one that is no HTTP
    OTHER_FORM = auto()
