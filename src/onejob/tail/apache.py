"""Apache's `LogFormat` (mod_log_config, mod_logio)."""

import re
from collections.abc import Callable
from typing import Any

from onejob.tail import fields, times
from onejob.tail.fields import Field, Sets
from onejob.tail.layout import Layout, Part, backslashes, parts_of
from onejob.tail.syslog import PREFIX

COMMON = '%h %l %u %t "%r" %>s %b'
COMBINED = COMMON + ' "%{Referer}i" "%{User-Agent}i"'
WITH_HOST = "%v:%p " + COMBINED
# What docs/how-to-access-logs.md asks for.
ADVISED = COMBINED + ' end=%{end:usec}t duration=%D version="%{{version}}o"'

_DIRECTIVE = re.compile(r"\s*LogFormat\s+\"((?:[^\"\\]|\\.)*)\"\s*\S*\s*$", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(
    r"%(?P<mod>(?:[<>]|!?\d{3}(?:,\d{3})*)*)(?:\{(?P<arg>[^}]*)\})?(?P<mod2>[<>]?)(?P<name>\^t[io]|[A-Za-z%])"
)
_INTEGER = r"\d+|-"
_UNITS = {"": fields.seconds, "s": fields.seconds, "ms": fields.milliseconds, "us": fields.microseconds}
_CLOCKS = {"sec": fields.seconds, "msec": fields.milliseconds, "usec": fields.microseconds}

# By letter: what it tells, how it looks, how it is read, whether another tells it better.
_LETTERS: dict[str, tuple[Sets, str, Callable[[str], Any], bool]] = {
    "r": (Sets.REQUEST, "", fields.request, False),
    "m": (Sets.METHOD, r"\S*+", fields.method, False),
    "U": (Sets.TARGET, r"[^?\s\"]*+", str, False),
    "q": (Sets.NOTHING, r"(?:\?[^\s\"]*+)?", str, False),
    "H": (Sets.PROTOCOL, r"[^\s\"]*+", str, False),
    "b": (Sets.SENT, _INTEGER, fields.number, True),
    "B": (Sets.SENT, _INTEGER, fields.number, True),
    "O": (Sets.SENT, _INTEGER, fields.number, False),
    "I": (Sets.RECEIVED, _INTEGER, fields.number, False),
    "D": (Sets.DURATION, _INTEGER, fields.microseconds, False),
}


def layout(text: str, version_field: str) -> Layout:
    """`text` is a LogFormat's string, or the whole directive. FormatError says what is wrong with it."""
    parts = parts_of(_format_of(text), _FIELD, lambda found: _part(found, version_field))
    return Layout(parts, backslashes, prefix=PREFIX)


def defaults(version_field: str) -> list[str]:
    """What is tried where no format is given."""
    return [ADVISED.replace("{version}", version_field), WITH_HOST, COMBINED, COMMON]


def _format_of(text: str) -> str:
    found = _DIRECTIVE.match(text)
    inside = found[1] if found else text
    return re.sub(r'\\(["\\])', r"\1", inside).replace("\\t", "\t")


def _part(found: re.Match[str], version_field: str) -> list[Part]:
    return ["%" if found["name"] == "%" else _field(found, version_field)]


def _field(found: re.Match[str], version_field: str) -> Field:
    name, letter, argument = found[0], found["name"], found["arg"]
    if letter in ("o", "e", "n", "i") and argument is not None:
        return _named(name, letter, argument, version_field)
    if letter == "s":
        is_last = ">" in found["mod"] + found["mod2"]
        return Field(name=name, sets=Sets.STATUS, pattern=_INTEGER, read=fields.number, is_rough=not is_last)
    if letter == "t":
        return _time(name, argument or "")
    if letter == "T" and (argument or "") in _UNITS:
        return _duration(name, argument or "")
    sets, pattern, read, is_rough = _LETTERS.get(letter, (Sets.NOTHING, "", str, False))
    return Field(name=name, sets=sets, pattern=pattern, read=read, is_rough=is_rough)


def _named(name: str, letter: str, argument: str, version_field: str) -> Field:
    """A header (i, o), a variable of the environment (e) or a note (n)."""
    is_version = letter != "i" and fields.is_same_name(argument, version_field)
    if is_version or fields.is_same_name(f"{argument}_{letter}", version_field):
        return Field(name=name, sets=Sets.VERSION)
    if letter == "i" and fields.is_same_name(argument, "User-Agent"):
        return Field(name=name, sets=Sets.AGENT)
    if letter == "e" and argument == "BALANCER_WORKER_NAME":
        return Field(name=name, sets=Sets.INSTANCE)
    return Field(name=name)


def _duration(name: str, unit: str) -> Field:
    return Field(name=name, sets=Sets.DURATION, pattern=_INTEGER, read=_UNITS[unit], is_rough=unit in ("", "s"))


def _time(name: str, argument: str) -> Field:
    """At the beginning of the request, unless it says that it is the end."""
    sets = Sets.ENDED if argument.startswith("end") else Sets.STARTED
    form = re.sub(r"^(?:begin|end):?", "", argument)
    if form in _CLOCKS:
        return Field(name=name, sets=sets, pattern=r"\d+", read=_CLOCKS[form], is_rough=form == "sec")
    if form:
        return Field(name=name)
    return Field(name=name, sets=sets, pattern=rf"\[{times.ZONED_DAY}\]", read=_bracketed, is_rough=True)


def _bracketed(text: str) -> int:
    return times.zoned_day(text[1:-1])
