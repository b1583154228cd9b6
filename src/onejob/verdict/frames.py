"""Stack traces as text, taken apart into frames: which function, of which module, and whose code.

Problem: no two languages write a frame alike, and each puts things into it that change without the code changing:
lines, addresses, the folder of an installation, names that a compiler made up for a lambda. Solution: one form per
language, which says where function and file stand, whether the function's name says by itself where it belongs, what in
it is generated, and which functions are libraries'. `Frame.place` is what is left: it stays as long as the function.
Where a sender has marked the frames of libraries, that is gone by.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from onejob.model.telemetry import LIBRARY_MARK
from onejob.verdict.modules import is_minified, is_of_a_library, module_of, shown_file

_Names = tuple[tuple[re.Pattern[str], str], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in code: `file` and `function` as people know it; `place` tells it from others wherever it is installed.

    `is_nameless`: a bundler made the names up, so they say nothing.
    """

    file: str
    function: str
    place: str
    is_library: bool
    is_nameless: bool = False

    @property
    def title(self) -> str:
        """`price (checkout/pricing.py)`."""
        return f"{self.function} ({self.file})" if self.function and self.file else self.function or self.file or "?"


@dataclass(frozen=True, slots=True)
class _Form:
    """How a language writes a frame. `qualified` matches functions whose name says where they belong."""

    pattern: re.Pattern[str]
    qualified: str = r"(?!)"
    generated: _Names = ()
    libraries: str = r"(?!)"
    skipped: str = r"(?!)"  # functions that are glue, under names made up at run time


def _names(*pairs: tuple[str, str]) -> _Names:
    return tuple((re.compile(pattern), instead) for pattern, instead in pairs)


_PYTHON = _Form(
    re.compile(r'^[\s|+]*File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)'),
    generated=_names((r"<(?:lambda|\w*comp|genexpr)>", "")),
)
_JVM = _Form(
    re.compile(
        r"^\s*at (?P<function>[\w.$<>/@ -]+)"
        r"\((?P<file>[\w$-]+\.(?:java|kt|scala|groovy|clj)|SourceFile|Unknown Source|Native Method|<generated>)"
        r"(?::\d+)?\)"
    ),
    qualified=r".*\.",
    generated=_names((r"^.*/", ""), (r"lambda\$(\w+)\$\d+", r"\1"), (r"\$anonfun\$(\w+)\$\d+", r"\1"), (r"\$\d+", "")),
    libraries=r"(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|clojure|akka|reactor|rx|feign|okhttp3"
    r"|org\.(?:springframework|apache|hibernate|eclipse|postgresql|jboss|slf4j|scala)"
    r"|com\.(?:fasterxml|zaxxer|mysql|google\.common)"
    r"|io\.(?:netty|grpc|vertx|micrometer|quarkus|micronaut|ktor|reactivex|opentelemetry))\.",
    skipped=r".*(?:\$\$Lambda|\$\$(?:\w+By|Spring|Fast|_)|\$Proxy\d|Generated\w+Accessor)",
)
_DOTNET = _Form(
    re.compile(
        r"^\s*+at (?P<function>(?=[^\s()]+?\.[^\s()])[^\s()]++\([^()]*+(?:\([^()]*+\)[^()]*+)*+\))"
        r"(?: in (?P<file>.+?):line \d++)?\s*+$"
    ),
    qualified=r".",
    generated=_names(
        (r"<>c(?:__DisplayClass\d+_\d+)?(?:`\d+)?\.", ""),
        (r"<<?(\w+)>?\$?>[a-z]__(\w+)\|[\d_]+", r"\1.\2"),  # a function within a function
        (r"<<?(\w+)>?\$?>[a-z]__[\w|]*", r"\1"),
        (r"<(\w+)>\$", r"\1"),
        (r"\.MoveNext\(\)$", ""),
    ),
    libraries=r"(?:System|Microsoft|Npgsql|Newtonsoft|Grpc|OpenTelemetry|Polly|MediatR|Dapper|Serilog|lambda_method)\b",
)
_V8 = _Form(
    re.compile(r"^\s*at (?:async )?(?:(?P<function>[^()\s][^()]*?) )?\(?(?P<file>[^()\s]+?):\d+:\d+\)?$"),
    generated=_names(
        (r" \[as [^\]]*\]", ""), (r"^(?:async|new) ", ""), (r"(?:^|.*\.)<anonymous>$", ""), (r"\$\d+", "")
    ),
)
_GECKO = _Form(
    re.compile(r"^(?P<function>[^@\s]*)@(?P<file>\S+?):\d+:\d+$"),
    generated=_names((r"^async\*", ""), (r"[/<]+$", ""), (r"\$\d+", "")),
)
_PHP = _Form(
    re.compile(r"^#\d+ (?:(?P<file>\S.*?)\(\d+\)|\[internal function\]): (?P<function>[^(]+)"),
    qualified=r".*(?:->|::|\\)",
    generated=_names((r"\{closure:(.*)", r"\1"), (r"class@anonymous[^-:]*", "class@anonymous")),
)
_RUBY = _Form(
    re.compile(r"^\s*(?:from )?(?P<file>\S+\.(?:rb|erb|haml|slim|rake|ru)):\d+:in [`'](?P<function>[^']+)'"),
    qualified=r"[A-Z].*[#.]",
    generated=_names((r"\b(?:block|rescue|ensure)(?: \(\d+ levels\))? in ", ""), (r"_{2,}-?\d+_\d+$", "")),
)
_GO = _Form(
    re.compile(
        r"^(?:created by )?(?P<function>[\w./*()\[\]~-]+?)(?:\((?:\.\.\.|0x|\{|\)).*|\(\))?(?: in goroutine \d+)?$"
    ),
    qualified=r".",
    generated=_names((r"(?:\.func\d+|\.gowrap\d+|-range\d+|-fm|\[\.\.\.\])(?:\.\d+)*", ""), (r"\.glob\.", "")),
    libraries=r"(?:archive|bufio|bytes|compress|container|context|crypto|database|debug|embed|encoding|errors|expvar|flag"
    r"|fmt|go|hash|html|image|index|internal|io|iter|log|maps|math|mime|net|os|panic|path|plugin|reflect|regexp|runtime"
    r"|slices|sort|strconv|strings|sync|syscall|testing|text|time|unicode|unsafe)(?:[./]|$)",
)
_FORMS = (_PYTHON, _JVM, _V8, _DOTNET, _GECKO, _PHP, _RUBY)
_GO_FILE = re.compile(r"^\s+(?P<file>\S+\.go):\d+")
_LONGEST_LINE = 1_000  # no frame is longer; the forms take a line's length squared where somebody makes one up
_PYTHON_BEGINS = "Traceback (most recent call last)"


def frames_of(stack: str) -> list[Frame]:
    """Innermost first; of a chain of Python's exceptions, those of the one that was thrown last."""
    _, is_python, last = stack.rpartition(_PYTHON_BEGINS)
    frames = list(_frames(last if is_python else stack))
    return frames[::-1] if is_python else frames


def _frames(stack: str) -> Iterator[Frame]:
    called = ""
    is_marked, is_library = f"{LIBRARY_MARK}\n" in f"{stack}\n", False
    for marked in stack.splitlines():
        if len(marked) > _LONGEST_LINE:
            continue
        line = marked.removesuffix(LIBRARY_MARK)
        if found := _GO_FILE.match(line):
            yield _frame(_GO, found["file"], called, is_library if is_marked else None)
            continue
        is_library = len(line) < len(marked)
        form, match = next(((f, m) for f in _FORMS if (m := f.pattern.match(line))), (_GO, None))
        if match is not None:
            if not re.match(form.skipped, match["function"] or ""):
                yield _frame(form, match["file"] or "", match["function"] or "", is_library if is_marked else None)
        elif match := _GO.pattern.match(line):
            called = match["function"]


def _frame(form: _Form, path: str, function: str, is_library: bool | None) -> Frame:
    """`is_library` None: nobody said."""
    name = function.strip()
    for pattern, instead in form.generated:
        name = pattern.sub(instead, name)
    place = name if re.match(form.qualified, name) else f"{module_of(path)} {name}"
    if is_library is None:
        is_library = is_of_a_library(path) or bool(re.match(form.libraries, name))
    return Frame(shown_file(path), name, place, is_library, is_minified(path, name))
