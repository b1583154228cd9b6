"""Which errors are the same: a fingerprint that survives shifted lines, new addresses and other requests' data.

An error is its type and where it was thrown: the innermost frames of the service's own code, by file and function. Line
numbers move with every edit, and frames of libraries with every upgrade. Without a stack trace, it is the type and
the message without what differs from request to request. Works on distinct stack traces only, never on spans.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_FRAMES = (
    re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)'),  # Python
    re.compile(r"^\s*at (?P<function>[\w.$<>/@ -]+)\((?P<file>[\w$-]+\.(?:java|kt|scala|groovy))(?::\d+)?\)"),  # JVM
    re.compile(r"^\s*at (?P<function>.+?) in (?P<file>.+?):line \d+"),  # .NET
    re.compile(r"^\s*at (?:async )?(?:(?P<function>[^()\s][^()]*?) )?\(?(?P<file>[^()\s]+?):\d+:\d+\)?$"),  # V8
    re.compile(r"^(?P<function>[^@\s]*)@(?P<file>\S+?):\d+:\d+$"),  # other browsers
    re.compile(r"^#\d+ (?P<file>\S+?)\(\d+\): (?P<function>[^(]+)"),  # PHP
    re.compile(r"^\s*(?:from )?(?P<file>\S+\.rb):\d+:in [`'](?P<function>[^']+)'"),  # Ruby
)
_GO_CALL = re.compile(r"^(?P<function>[\w./*()-]+)\(.*\)$")
_GO_FILE = re.compile(r"^\s+(?P<file>\S+\.go):\d+")
_LIBRARY = re.compile(
    r"site-packages|dist-packages|/lib/python\d|<frozen |<string>|node_modules|node:|internal/|<anonymous>"
    r"|/usr/local/go/|/pkg/mod/|/vendor/|/gems/|\[native code\]"
)
_LIBRARY_CALL = re.compile(
    r"^(?:java|javax|jdk|sun|com\.sun|kotlin|kotlinx|scala|org\.springframework|org\.apache|org\.hibernate|io\.netty"
    r"|reactor|io\.opentelemetry|System|Microsoft|runtime|net/http)[./]"
)
_INNERMOST = 3
_VARYING = (
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "*"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{12,}\b"), "*"),
    (re.compile(r"'[^']{1,200}'|\"[^\"]{1,200}\""), "*"),
    (re.compile(r"\d+"), "*"),
)
_BUILT = re.compile(r"[.-][0-9a-fA-F]{6,}(?=\.\w+$)")  # main.8f3a2b1c.js
_GENERATED = re.compile(r"\$\$Lambda\S*|\$\d+|/0x[0-9a-f]+|\$\$EnhancerBy\S*")
_TITLE_CHARS = 120


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in code: the last two parts of the file's path, and the function."""

    file: str
    function: str
    is_library: bool


def fingerprint(kind: str, message: str, stack: str) -> tuple[str, str]:
    """(fingerprint, title) of an error of type `kind`.

    >>> fingerprint("KeyError", "'sku-17'", "")[1]
    'KeyError: *'
    """
    frames = _innermost(stack)
    if frames:
        where = "\n".join(f"{frame.file} {frame.function}" for frame in frames)
        title = f"{kind or 'error'} in {frames[0].function or '?'} ({frames[0].file})"
    else:
        where = steady(message)
        title = f"{kind or 'error'}: {where}" if where else kind or "error"
    mark = hashlib.sha256(f"{kind}\n{where}".encode("utf-8", "replace")).hexdigest()[:16]
    return mark, title if len(title) <= _TITLE_CHARS else title[: _TITLE_CHARS - 1] + "…"


def steady(text: str) -> str:
    """A message without numbers, addresses, ids and quoted values; its first line."""
    line = text.strip().partition("\n")[0]
    for pattern, mark in _VARYING:
        line = pattern.sub(mark, line)
    return line[:200]


def _innermost(stack: str) -> list[Frame]:
    """The service's own innermost frames, innermost first; the libraries' where there are no others."""
    frames = list(_frames(stack))
    if "Traceback (most recent call last)" in stack:
        frames.reverse()
    own = [frame for frame in frames if not frame.is_library]
    return (own or frames)[:_INNERMOST]


def _frames(stack: str) -> Iterator[Frame]:
    called = ""
    for line in stack.splitlines():
        if found := _GO_FILE.match(line):
            yield _frame(found["file"], called)
            continue
        if found := next((m for pattern in _FRAMES if (m := pattern.match(line))), None):
            yield _frame(found["file"], found["function"] or "")
        elif found := _GO_CALL.match(line):
            called = found["function"]


def _frame(file: str, function: str) -> Frame:
    path = file.replace("\\", "/").partition("?")[0]
    short = _BUILT.sub("", "/".join(path.split("/")[-2:]))
    name = _GENERATED.sub("", function).strip()
    return Frame(short, name, bool(_LIBRARY.search(path) or _LIBRARY_CALL.match(name)))
