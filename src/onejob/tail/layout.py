"""A log format as one regular expression, and a line of it as an Entry.

Problem: whoever sends a request writes parts of the line: a browser's name full of spaces and quotes must neither be
taken for a status nor make a pattern try each way to cut the line. Solution: a field ends where its format says that it
must (a quote that is not escaped, a space, the literal behind it), and patterns give nothing back once they matched.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from onejob.tail import fields
from onejob.tail.entry import Entry, Unread
from onejob.tail.errors import FormatError
from onejob.tail.fields import Field, Sets

Part = str | Field
Unescape = Callable[[str], str]

_ABSENT = ("", "-")
_QUOTED = r'(?:[^"\\]|\\.)*+'
_ESCAPE = re.compile(r"((?:\\x[0-9A-Fa-f]{2})+)|\\u([0-9A-Fa-f]{4})|\\(.)")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}
_HEXADECIMAL = re.compile(r"(?:#[0-9A-Fa-f]{2})+")


class Reader(Protocol):
    """Reads lines of one format."""

    @property
    def has_duration(self) -> bool: ...

    def read(self, line: str) -> Entry | Unread: ...


class Layout:
    """A format of text. FormatError if its parts cannot be told apart, or do not tell enough."""

    def __init__(
        self, parts: Sequence[Part], unescape: Unescape, *, quoted: str = _QUOTED, prefix: re.Pattern[str] | None = None
    ) -> None:
        # A format may name a field twice: only one of the two is taken.
        parts = [replace(part) if isinstance(part, Field) else part for part in parts]
        chosen = _chosen([part for part in parts if isinstance(part, Field)])
        _require_enough(chosen)
        self._fields = [part for part in parts if isinstance(part, Field) and _is_in(part, chosen)]
        self._pattern = re.compile(_pattern(parts, chosen, quoted), re.DOTALL)
        self._unescape = unescape
        self._prefix = prefix

    @property
    def has_duration(self) -> bool:
        return any(field.sets is Sets.DURATION for field in self._fields)

    def read(self, line: str) -> Entry | Unread:
        """The request that the line tells of."""
        found = self._pattern.fullmatch(line)
        if found is None and self._prefix is not None and (head := self._prefix.match(line)):
            found = self._pattern.fullmatch(line, head.end())
        if found is None:
            return Unread.OTHER_FORM
        return entry_of(zip(self._fields, found.groups(), strict=True), self._unescape)


class JsonLayout:
    """A format of JSON objects, one a line; `keys` says what each key tells."""

    def __init__(self, keys: Mapping[str, Field]) -> None:
        chosen = _chosen(list(keys.values()))
        _require_enough(chosen)
        self._keys = {key: field for key, field in keys.items() if _is_in(field, chosen)}

    @property
    def has_duration(self) -> bool:
        return any(field.sets is Sets.DURATION for field in self._keys.values())

    def read(self, line: str) -> Entry | Unread:
        """The request that the line tells of."""
        try:
            document = json.loads(line) if line.startswith("{") else None
        except (ValueError, RecursionError):
            return Unread.OTHER_FORM
        if not isinstance(document, dict):
            return Unread.OTHER_FORM
        return entry_of(((field, _text(document.get(key))) for key, field in self._keys.items()), str)


def parts_of(text: str, pattern: re.Pattern[str], read: Callable[[re.Match[str]], Sequence[Part]]) -> list[Part]:
    """The parts of a format: what `read` makes of each match, and the text between; text beside text is one part."""
    parts: list[Part] = []
    at = 0
    for found in pattern.finditer(text):
        parts += [text[at : found.start()], *read(found)]
        at = found.end()
    merged: list[Part] = []
    for part in [*parts, text[at:]]:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return [part for part in merged if part != ""]


def entry_of(pairs: Any, unescape: Unescape) -> Entry | Unread:
    """Of pairs of a field and its text."""
    found: dict[Sets, Any] = {}
    try:
        for field, text in pairs:
            if text is not None and text not in _ABSENT:
                found[field.sets] = field.read(unescape(text))
    except (ValueError, OverflowError):
        return Unread.OTHER_FORM
    method, target, protocol = found.get(Sets.REQUEST) or (found.get(Sets.METHOD), found.get(Sets.TARGET), "")
    duration_ns = found.get(Sets.DURATION, 0)
    started_ns, ended_ns = found.get(Sets.STARTED), found.get(Sets.ENDED)
    if ended_ns is None:
        if started_ns is None:
            return Unread.OTHER_FORM
        ended_ns = started_ns + duration_ns
    if not method or not target:
        return Unread.NO_REQUEST
    return Entry(
        ended_ns=ended_ns,
        duration_ns=duration_ns,
        method=method,
        path=fields.path(target),
        status=found.get(Sets.STATUS, 0),
        protocol=fields.protocol_version(found.get(Sets.PROTOCOL, protocol)),
        received_bytes=found.get(Sets.RECEIVED),
        sent_bytes=found.get(Sets.SENT),
        agent=found.get(Sets.AGENT, ""),
        version=found.get(Sets.VERSION, ""),
        instance=found.get(Sets.INSTANCE, ""),
    )


def backslashes(text: str) -> str:
    """What nginx and Apache wrote as \\x22, \\u00e9, \\" or \\n."""
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def hexadecimal(text: str) -> str:
    """What HAProxy wrote as #22."""
    if "#" not in text:
        return text
    return _HEXADECIMAL.sub(lambda found: bytes.fromhex(found[0].replace("#", "")).decode("utf-8", "replace"), text)


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return bytes.fromhex(found[1].replace("\\x", "")).decode("utf-8", "replace")
    return chr(int(found[2], 16)) if found[2] else _LETTERS.get(found[3], found[3])


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, dict | list | bool) else str(value)


def _chosen(known: Sequence[Field]) -> list[Field]:
    """Of fields that tell the same, the best one."""
    best: dict[Sets, Field] = {}
    for field in known:
        if field.sets and (field.sets not in best or (best[field.sets].is_rough and not field.is_rough)):
            best[field.sets] = field
    return list(best.values())


def _is_in(field: Field, chosen: list[Field]) -> bool:
    return any(other is field for other in chosen)


def _require_enough(chosen: list[Field]) -> None:
    told = {field.sets for field in chosen}
    missing = []
    if not told & {Sets.ENDED, Sets.STARTED}:
        missing.append("when the request was")
    if not (Sets.REQUEST in told or {Sets.METHOD, Sets.TARGET} <= told):
        missing.append("what was asked for (method and path)")
    if Sets.STATUS not in told:
        missing.append("the status of the answer")
    if missing:
        raise FormatError(
            f"This log format does not tell {', '.join(missing)}: add it, see docs/how-to-access-logs.md."
        )


def _pattern(parts: Sequence[Part], chosen: list[Field], quoted: str) -> str:
    pattern, before = "", ""
    for number, part in enumerate(parts):
        following = parts[number + 1] if number + 1 < len(parts) else ""
        if isinstance(part, str):
            is_swallowed = bool(number) and _vanishes(parts[number - 1]) and part.startswith(" ")
            pattern += re.escape(part[1:] if is_swallowed else part)
            before = part
            continue
        inside = part.pattern or _between(part, before, following, quoted)
        one = f"({inside})" if _is_in(part, chosen) else f"(?:{inside})"
        pattern += f"(?:{one} )?" if part.may_vanish and isinstance(following, str) and following[:1] == " " else one
        before = ""
    return pattern


def _vanishes(part: Part) -> bool:
    return isinstance(part, Field) and part.may_vanish


def _between(field: Field, before: str, following: Part, quoted: str) -> str:
    """What a field may hold that stands between these two."""
    if isinstance(following, Field):
        raise FormatError(
            f"Where does {field.name} end in this log format, and where does {following.name} begin? Put a space or a "
            "quote between them."
        )
    if not following:
        return ".*"
    if before.endswith('"') and following.startswith('"'):
        return quoted
    # Behind the space there may be what tells more than a space can: ` [` or ` "`.
    end = following.lstrip(" \t")[:1]
    return rf"[^{re.escape(end)}]*?" if end else r"\S*+"
