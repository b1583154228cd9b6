"""HAProxy's `log-format`, and the format of `option httplog` (HAProxy's manual, 8.2.3 and 8.2.6)."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from onejob.tail import fields, times
from onejob.tail.fields import Field, Sets
from onejob.tail.layout import Layout, Part, hexadecimal, parts_of
from onejob.tail.syslog import PREFIX

HTTPLOG = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
# What docs/how-to-access-logs.md asks for.
ADVISED = HTTPLOG + " version=%[var(txn.{version})]"

_DIRECTIVE = re.compile(r"\s*log-format\s+(.*?)\s*$", re.DOTALL)
_FIELD = re.compile(r"%(?:\{(?P<flags>[^}]*)\})?(?:\[(?P<sample>[^\]]*)\]|(?P<name>[A-Za-z]+)|(?P<percent>%))")
_LOCAL_DAY = rf"{times.DAY}\.\d{{3}}"
_INTEGER, _ADDRESS = r"[+-]?\d+|-", r"[0-9A-Fa-f.:]++|\S+?"

# By name: what it tells, how it looks, how it is read, whether another tells it better.
_NAMES: dict[str, tuple[Sets, str, Callable[[str], Any], bool]] = {
    "tr": (Sets.STARTED, _LOCAL_DAY, times.local_day, False),
    "t": (Sets.STARTED, _LOCAL_DAY, times.local_day, True),
    "trl": (Sets.STARTED, times.ZONED_DAY, times.zoned_day, True),
    "trg": (Sets.STARTED, times.ZONED_DAY, times.zoned_day, True),
    "Tl": (Sets.STARTED, times.ZONED_DAY, times.zoned_day, True),
    "T": (Sets.STARTED, times.ZONED_DAY, times.zoned_day, True),
    "Ts": (Sets.STARTED, r"\d+", fields.seconds, True),
    "r": (Sets.REQUEST, "", fields.request, False),
    "HM": (Sets.METHOD, "", fields.method, False),
    "HU": (Sets.TARGET, "", str, False),
    "HP": (Sets.TARGET, "", str, True),
    "HPO": (Sets.TARGET, "", str, True),
    "HV": (Sets.PROTOCOL, "", str, False),
    "ST": (Sets.STATUS, _INTEGER, fields.number, False),
    "Ta": (Sets.DURATION, _INTEGER, fields.milliseconds, False),
    "Tt": (Sets.DURATION, _INTEGER, fields.milliseconds, True),
    "B": (Sets.SENT, _INTEGER, fields.number, False),
    "U": (Sets.RECEIVED, _INTEGER, fields.number, False),
}
_CAPTURED = ("hr", "hs")  # `{a|b}`, or nothing at all
_ADDRESSES = ("ci", "bi", "fi", "si")
_NO_SERVER = "<NOSRV>"


def layout(text: str, version_field: str) -> Layout:
    """`text` is a log-format's string, or the whole directive. FormatError says what is wrong with it."""
    parts = parts_of(_format_of(text), _FIELD, lambda found: _part(found, version_field))
    return Layout(parts, hexadecimal, quoted='[^"]*+', prefix=PREFIX)


def defaults(version_field: str) -> list[str]:
    """What is tried where no format is given."""
    return [ADVISED.replace("{version}", fields.plain_name(version_field)), HTTPLOG]


def _format_of(text: str) -> str:
    found = _DIRECTIVE.match(text)
    inside = found[1] if found else text
    if len(inside) > 1 and inside[0] == inside[-1] and inside[0] in "\"'":
        inside = inside[1:-1]
    return re.sub(r"\\(.)", r"\1", inside)


def _part(found: re.Match[str], version_field: str) -> list[Part]:
    if found["percent"]:
        return ["%"]
    field = _field(found, version_field)
    if "+Q" not in (found["flags"] or ""):
        return [field]
    return ['"', _cut(field)] if found.end() == len(found.string) else ['"', field, '"']


def _field(found: re.Match[str], version_field: str) -> Field:
    name, text = found["name"] or "", found[0]
    if found["sample"] is not None:
        return _sample(text, found["sample"], version_field)
    if name in _CAPTURED:
        is_version = fields.is_same_name(name, version_field)
        sets = Sets.VERSION if is_version else Sets.NOTHING
        return Field(name=text, sets=sets, pattern=r"\{[^}]*+\}", read=_captured, may_vanish=True)
    if name == "s":
        return Field(name=text, sets=Sets.INSTANCE, read=_server)
    if name in _ADDRESSES:
        return Field(name=text, pattern=_ADDRESS)
    sets, pattern, read, is_rough = _NAMES.get(name, (Sets.NOTHING, "", str, False))
    return Field(name=text, sets=sets, pattern=pattern, read=read, is_rough=is_rough)


def _cut(field: Field) -> Field:
    """The end of a line, which HAProxy cuts off where it becomes too long."""
    return replace(field, pattern='[^"]*+"?', read=lambda text: field.read(text.removesuffix('"')))


def _sample(text: str, sample: str, version_field: str) -> Field:
    """`%[var(txn.x_version)]`, `%[capture.res.hdr(0)]`: the version if it is called so."""
    inside = re.sub(r"^var\((?:\w+\.)?(.*)\)$", r"\1", sample)
    is_version = any(fields.is_same_name(name, version_field) for name in (inside, sample))
    return Field(name=text, sets=Sets.VERSION if is_version else Sets.NOTHING)


def _captured(text: str) -> str:
    return text[1:-1].partition("|")[0]


def _server(text: str) -> str:
    return "" if text == _NO_SERVER else text
