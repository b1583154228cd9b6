"""Times on pages of metrics: seconds since 1970, in two parts or as a float, which is exact to a microsecond or so."""

from __future__ import annotations

import math
from typing import Any

_LATEST_NS = 2**63 - 1
_NS_PER_S = 1_000_000_000
_LATEST_S = _LATEST_NS // _NS_PER_S


def nanoseconds(timestamp: Any, otherwise: int) -> int:
    """`otherwise` where there is none, or none that means anything."""
    if timestamp is None:
        return otherwise
    if hasattr(timestamp, "nsec"):
        found = timestamp.sec * _NS_PER_S + timestamp.nsec
    elif 0 < timestamp < _LATEST_S:
        part, whole = math.modf(timestamp)
        found = int(whole) * _NS_PER_S + round(part * 1e6) * 1000
    else:
        return otherwise
    return found if 0 < found <= _LATEST_NS else otherwise
