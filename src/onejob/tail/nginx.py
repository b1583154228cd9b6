"""nginx's `log_format` (ngx_http_log_module), as text or as JSON with `escape=json`."""

import re
from collections.abc import Callable
from typing import Any

from onejob.tail import fields, times
from onejob.tail.errors import FormatError
from onejob.tail.fields import Field, Sets
from onejob.tail.layout import Layout, Part, backslashes, parts_of
from onejob.tail.syslog import PREFIX

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
COMMON = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
# What docs/how-to-access-logs.md asks for.
ADVISED = COMBINED + ' end=$msec duration=$request_time upstream="$upstream_addr" version="$upstream_http_{version}"'

_VARIABLE = re.compile(r"\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))", re.IGNORECASE)
_DIRECTIVE = re.compile(r"\s*log_format\s+(\S+)\s+(?:escape=\w+\s+)?(.*?);?\s*$", re.DOTALL)
_PIECE = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|(\S+)", re.DOTALL)
_INTEGER, _DECIMAL = r"\d+|-", r"\d+(?:\.\d+)?|-"
_LIST = r"-|[^\s,\"]+(?:(?:,| :) [^\s,\"]+)*+"  # a value for each server that was tried


def _field(
    sets: Sets, pattern: str = "", read: Callable[[str], Any] = str, *, is_rough: bool = False
) -> Callable[[str], Field]:
    return lambda name: Field(name=name, sets=sets, pattern=pattern, read=read, is_rough=is_rough)


_VARIABLES = {
    "msec": _field(Sets.ENDED, r"\d+(?:\.\d+)?", fields.seconds),
    "time_local": _field(Sets.ENDED, times.ZONED_DAY, times.zoned_day, is_rough=True),
    "time_iso8601": _field(Sets.ENDED, times.ISO, times.iso, is_rough=True),
    "request": _field(Sets.REQUEST, read=fields.request),
    "request_method": _field(Sets.METHOD, read=fields.method),
    "request_uri": _field(Sets.TARGET),
    "uri": _field(Sets.TARGET, is_rough=True),
    "document_uri": _field(Sets.TARGET, is_rough=True),
    "server_protocol": _field(Sets.PROTOCOL),
    "status": _field(Sets.STATUS, _INTEGER, fields.number),
    "request_time": _field(Sets.DURATION, _DECIMAL, fields.seconds),
    "upstream_response_time": _field(Sets.DURATION, _LIST, fields.total, is_rough=True),
    "bytes_sent": _field(Sets.SENT, _INTEGER, fields.number),
    "body_bytes_sent": _field(Sets.SENT, _INTEGER, fields.number, is_rough=True),
    "request_length": _field(Sets.RECEIVED, _INTEGER, fields.number),
    "http_user_agent": _field(Sets.AGENT),
    "upstream_addr": _field(Sets.INSTANCE, _LIST, fields.last),
    "hostname": _field(Sets.INSTANCE, is_rough=True),
}
_HEADERS = ("upstream_http_", "sent_http_", "upstream_trailer_", "sent_trailer_")


def layout(text: str, version_field: str) -> Layout:
    """`text` is a log_format's string, or the whole directive. FormatError says what is wrong with it."""
    parts = parts_of(_format_of(text), _VARIABLE, lambda found: _part(found, version_field))
    return Layout(parts, backslashes, prefix=PREFIX)


def defaults(version_field: str) -> list[str]:
    """What is tried where no format is given."""
    return [ADVISED.replace("{version}", fields.plain_name(version_field)), COMBINED, COMMON]


def _format_of(text: str) -> str:
    found = _DIRECTIVE.match(text)
    if not found:
        return text
    if found[1] in ("combined", "common"):
        raise FormatError(f"{found[1]} is a format of its own: leave out --log-format.")
    return "".join(re.sub(r"\\(.)", r"\1", "".join(piece)) for piece in _PIECE.findall(found[2]))


def _part(found: re.Match[str], version_field: str) -> list[Part]:
    return [_variable((found[1] or found[2]).lower(), version_field)]


def _variable(name: str, version_field: str) -> Field:
    header = next((name.removeprefix(kind) for kind in _HEADERS if name.startswith(kind)), name)
    pattern = _LIST if name.startswith("upstream_") else ""
    if fields.is_same_name(header, version_field) or fields.is_same_name(name, version_field):
        return Field(name=f"${name}", sets=Sets.VERSION)
    known = _VARIABLES.get(name)
    if known:
        return known(f"${name}")
    return Field(name=f"${name}", pattern=pattern if not name.startswith("upstream_http_") else "")
