"""JSON as it leaves: strict (no NaN), readable, and never taken for HTML."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Response

_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


def answer(
    body: object,
    status: int = 200,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A JSON answer. A lone surrogate, which a span may carry, becomes a question mark instead of an error."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    content = text.encode("utf-8", "replace")
    return Response(content, status, headers={**_HEADERS, **(headers or {})}, media_type=media_type)


JSON: dict[str, Any] = {"content": {"application/json": {}}}
