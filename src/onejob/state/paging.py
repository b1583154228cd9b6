"""Pages by cursor: the next page starts after a row, not after a number, so that new rows shift nothing."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from onejob.state.errors import BadCursorError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, newest first, and the cursor of the rows after them; None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None


def encode_cursor(started_at: datetime, row_id: str) -> str:
    """The place after the row with this start and id."""
    return base64.urlsafe_b64encode(json.dumps([started_at.isoformat(), row_id]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Inverse of `encode_cursor`; BadCursorError for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        moment, row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        started_at = datetime.fromisoformat(moment)
        if started_at.tzinfo is None or not isinstance(row_id, str) or "\x00" in row_id:
            raise ValueError(cursor)
        row_id.encode()  # half a surrogate pair is no text
        return started_at.astimezone(UTC), row_id
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise BadCursorError("This cursor was not handed out by onejob: start again without `cursor`.") from error
