"""Addresses differ by the ids in them though they are one endpoint.

Where instrumentation gives no route or template, path segments that can only be ids become `{id}`.
"""

import re
from functools import lru_cache

MAX_CHARS = 200

_ORIGIN = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_ID = re.compile(
    r"""(?xi) ^(?:
        [0-9]+ (?: [-_.,:] [0-9]+ )*                        # 42, 2024-05-01
        | \{? [0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12} \}?
        | (?=[0-9a-f]*[0-9]) [0-9a-f]{8,}                   # hex, with a digit: `facade` is a word
        | (?=[^0-9]*[0-9]) [a-z]{0,12} [-_:.] [0-9a-f]*[0-9][0-9a-f]*  # t-17, order_4f2a
        | (?=(?:[^0-9]*[0-9]){3}) [a-z0-9_-]{16,}           # tokens, ULIDs
        | [^@/]+ @ [^@/]+ \. [a-z]+                         # mail addresses
        | [a-z0-9_-]{32,}
    )$"""
)


@lru_cache(maxsize=8192)
def normalise_path(target: str) -> str:
    """The path of a URL or request target, without origin and query, ids replaced; templates stay as they are.

    >>> normalise_path("http://10.0.0.7:8080/users/42/orders?since=1")
    '/users/{id}/orders'
    """
    path = _ORIGIN.sub("", target, count=1)
    path = re.split(r"[?#]", path, maxsplit=1)[0] or "/"
    return "/".join("{id}" if _ID.match(part) else part for part in path.split("/"))[:MAX_CHARS]
