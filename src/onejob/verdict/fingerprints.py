"""Which errors are the same: a fingerprint that survives shifted lines, new addresses and other requests' data.

An error is its type and where it was thrown: the innermost frames of the service's own code, by module and function.
Line numbers move with every edit, and frames of libraries with every upgrade. Without a stack trace, or with one in
which a bundler made all names up, it is the type and the message without what differs from request to request. Works on
distinct stack traces only, never on spans.
"""

import hashlib
import re

from onejob.verdict.frames import Frame, frames_of

_INNERMOST = 3
_VARYING = (
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "*"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{12,}\b"), "*"),
    (re.compile(r"'[^']{1,200}'|\"[^\"]{1,200}\""), "*"),
    (re.compile(r"\d+"), "*"),
)
_GENERATED = re.compile(r"\$\d+|@[0-9a-f]+$")  # com.shop.Orders$1: an anonymous class
TITLE_CHARS = 120


def fingerprint(kind: str, message: str, stack: str) -> tuple[str, str]:
    """(fingerprint, title) of an error of type `kind`.

    >>> fingerprint("KeyError", "'sku-17'", "")[1]
    'KeyError: *'
    """
    kind, frames = _GENERATED.sub("", kind), _innermost(stack)
    if frames:
        where = "\n".join(frame.place for frame in frames)
        title = f"{kind or 'error'} in {frames[0].title}"
    else:
        where = steady(message)
        title = f"{kind or 'error'}: {where}" if where else kind or "error"
    return mark(f"{kind}\n{where}"), title if len(title) <= TITLE_CHARS else title[: TITLE_CHARS - 1] + "…"


def mark(text: str) -> str:
    """A name for it that is the same everywhere."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def steady(text: str) -> str:
    """A message without numbers, addresses, ids and quoted values; its first line."""
    line = text.strip().partition("\n")[0]
    for pattern, mark in _VARYING:
        line = pattern.sub(mark, line)
    return line[:200]


def _innermost(stack: str) -> list[Frame]:
    """The service's own innermost frames, innermost first; the libraries' where there are no others."""
    frames = frames_of(stack)
    own = [frame for frame in frames if not frame.is_library] or frames
    if all(frame.is_nameless for frame in own):
        return []
    return _once(own)[:_INNERMOST]


def _once(frames: list[Frame]) -> list[Frame]:
    """Without repetitions: how deep a recursion went says nothing of where."""
    return list({frame.place: frame for frame in frames}.values())
