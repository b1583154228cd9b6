"""Exceptions as stack traces in text, as their language writes them: so they are read and told apart as all others are.

Frames come outermost first, exceptions of a chain with the one that was thrown last at the end. The frames nearest to
where it was thrown are kept; what is too long loses the others, and its causes first. Frames that the SDK knows to be
no code of the service's own are marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from onejob.ingest.sentry.values import fields, listed, number, text
from onejob.model.telemetry import LIBRARY_MARK

_MOST_CHARS = 7_500  # a little less than is read of a stack trace
_MOST_FRAMES = 100
_MOST_CAUSES = 5
_NAME_CHARS = 300
_PYTHON_CHAIN = "\n\nThe above exception was the direct cause of the following exception:\n\n"
_JVM_FILE = re.compile(r"[\w$-]+\.(?:java|kt|scala|groovy|clj)")
_SPACES = re.compile(r"\s+")

Frame = Mapping[str, Any]


def exceptions_of(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Of an event, the one thrown last at the end."""
    found = event.get("exception")
    values = fields(found).get("values", found)
    return [one for one in (values if isinstance(values, list) else [values]) if isinstance(one, dict) and one]


def said_of(exception: Mapping[str, Any]) -> str:
    """`ValueError: card declined`."""
    kind, value = text(exception.get("type"), _NAME_CHARS), text(exception.get("value"), _MOST_CHARS // 4)
    return f"{kind}: {value}" if kind and value else kind or value


def stack_of(exceptions: Sequence[Mapping[str, Any]], platform: str) -> str:
    """Of a chain; empty where there are no frames."""
    *causes, last = exceptions
    if not _frames(last):
        return ""
    written = _written(last, platform, _MOST_CHARS)
    for cause in causes[: -_MOST_CAUSES - 1 : -1]:
        room = _MOST_CHARS - len(written) - 100
        if room < 500:
            break
        more = _written(cause, platform, room)
        written = more + _PYTHON_CHAIN + written if platform == "python" else f"{written}\nCaused by: {more}"
    return written


def _written(exception: Mapping[str, Any], platform: str, most_chars: int) -> str:
    said = said_of(exception)[:most_chars]
    write, is_python = _WRITERS.get(platform, _javascript), platform == "python"
    kept: list[str] = []
    room = most_chars - len(said) - 50
    for frame in reversed(_frames(exception)[-_MOST_FRAMES:]):
        line = _marked(write(frame), frame)
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    if is_python:
        return "\n".join(["Traceback (most recent call last):", *reversed(kept), said])
    return "\n".join([said, *kept])


def _frames(exception: Mapping[str, Any]) -> list[Frame]:
    trace = fields(exception.get("stacktrace"))
    return [frame for frame in listed(trace.get("frames")) if isinstance(frame, dict)]


def _marked(written: str, frame: Frame) -> str:
    """In the line of the function."""
    if frame.get("in_app") is not False:
        return written
    first, newline, rest = written.partition("\n")
    return first + LIBRARY_MARK + newline + rest


def _python(frame: Frame) -> str:
    line = f'  File "{_path(frame)}", line {_number(frame, "lineno")}, in {_function(frame)}'
    code = text(frame.get("context_line"), 200).strip()
    return f"{line}\n    {code}" if code else line


def _javascript(frame: Frame) -> str:
    place = re.sub(r"[\s()]", "_", _path(frame).partition("?")[0])
    place += f":{_number(frame, 'lineno')}:{_number(frame, 'colno')}"
    function = _function(frame).partition("(")[0]
    return f"    at {function} ({place})" if function != "?" else f"    at {place}"


def _jvm(frame: Frame) -> str:
    file = text(frame.get("filename"), _NAME_CHARS)
    place = f"{file}:{_number(frame, 'lineno')}" if _JVM_FILE.fullmatch(file) else "Unknown Source"
    return f"\tat {_qualified(frame, '.')}({place})"


def _dotnet(frame: Frame) -> str:
    function, _, arguments = text(frame.get("function"), _NAME_CHARS).partition("(")
    name = function.split()[-1] if function.split() else "?"
    module = _module(frame)
    called = name if not module or name.startswith(module) else f"{module}.{name}"
    line = f"   at {called}({arguments or ')'}"
    path = text(frame.get("abs_path") or frame.get("filename"), _NAME_CHARS)
    return f"{line} in {path}:line {_number(frame, 'lineno')}" if path else line


def _go(frame: Frame) -> str:
    return f"{_qualified(frame, '.')}(...)\n\t{_path(frame)}:{_number(frame, 'lineno')}"


def _php(frame: Frame) -> str:
    return f"#0 {_path(frame)}({_number(frame, 'lineno')}): {_function(frame).partition('(')[0]}()"


def _ruby(frame: Frame) -> str:
    return f"\tfrom {_path(frame)}:{_number(frame, 'lineno')}:in '{_function(frame)}'"


_WRITERS: dict[str, Callable[[Frame], str]] = {
    "python": _python,
    "java": _jvm,
    "csharp": _dotnet,
    "go": _go,
    "php": _php,
    "ruby": _ruby,
}


def _path(frame: Frame) -> str:
    """Where it is installed, which tells libraries; else what the SDK calls it."""
    return _first(text(frame.get(name), _NAME_CHARS) for name in ("abs_path", "filename", "module")) or "<unknown>"


def _function(frame: Frame) -> str:
    return _SPACES.sub("", text(frame.get("function"), _NAME_CHARS)) or "?"


def _module(frame: Frame) -> str:
    return _SPACES.sub("", text(frame.get("module"), _NAME_CHARS))


def _qualified(frame: Frame, between: str) -> str:
    module = _module(frame)
    return f"{module}{between}{_function(frame)}" if module else _function(frame)


def _number(frame: Frame, name: str) -> int:
    return max(0, int(number(frame.get(name)) or 0))


def _first(values: Iterable[str]) -> str:
    return next(filter(None, values), "")
