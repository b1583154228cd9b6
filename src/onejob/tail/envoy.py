"""Envoy's access log: the default format, a `text_format`, and JSON (`json_format`, also as Istio sets it)."""

import json
import re
from collections.abc import Callable
from typing import Any

from onejob.tail import fields, times
from onejob.tail.errors import FormatError
from onejob.tail.fields import Field, Sets
from onejob.tail.layout import JsonLayout, Layout, Part, Reader, parts_of

DEFAULT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
)
# What docs/how-to-access-logs.md asks for.
ADVISED = DEFAULT + ' version="%RESP({version})%"'
KEYS = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "user_agent": "%REQ(USER-AGENT)%",
    "upstream_host": "%UPSTREAM_HOST%",
}

_COMMAND = re.compile(r"%(?:([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::\d+)?)?%")
_INTEGER, _DECIMAL = r"\d+|-", r"\d+(?:\.\d+)?|-"

# By command: what it tells, how it looks, how it is read, whether another tells it better.
_COMMANDS: dict[str, tuple[Sets, str, Callable[[str], Any], bool]] = {
    "REQ(:method)": (Sets.METHOD, "", fields.method, False),
    "REQ(x-envoy-original-path?:path)": (Sets.TARGET, "", str, False),
    "REQ(:path)": (Sets.TARGET, "", str, True),
    "PATH": (Sets.TARGET, "", str, False),
    "REQ(user-agent)": (Sets.AGENT, "", str, False),
    "PROTOCOL": (Sets.PROTOCOL, "", str, False),
    "RESPONSE_CODE": (Sets.STATUS, _INTEGER, fields.number, False),
    "DURATION": (Sets.DURATION, _DECIMAL, fields.milliseconds, False),
    "BYTES_RECEIVED": (Sets.RECEIVED, _INTEGER, fields.number, False),
    "BYTES_SENT": (Sets.SENT, _INTEGER, fields.number, False),
    "UPSTREAM_HOST": (Sets.INSTANCE, "", str, False),
    "UPSTREAM_REMOTE_ADDRESS": (Sets.INSTANCE, "", str, True),
    "HOSTNAME": (Sets.INSTANCE, "", str, True),
}


def layout(text: str, version_field: str) -> Reader:
    """`text` is a text_format, or a json_format in JSON. FormatError says what is wrong with it."""
    text = text.removesuffix("\n").removesuffix("\\n")
    if text.lstrip().startswith("{"):
        return JsonLayout(_keys(text, version_field))
    parts = parts_of(text, _COMMAND, lambda found: _part(found, version_field))
    return Layout(parts, str, quoted='[^"]*+')


def defaults(version_field: str) -> list[str]:
    """What is tried where no format is given."""
    version = {fields.plain_name(version_field): f"%RESP({version_field})%"}
    return [ADVISED.replace("{version}", version_field), DEFAULT, json.dumps(KEYS | version)]


def _keys(text: str, version_field: str) -> dict[str, Field]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise FormatError(f"--log-format begins like a json_format, but is no JSON ({error}).") from error
    keys = {}
    for key, value in document.items():
        found = _COMMAND.fullmatch(value) if isinstance(value, str) else None
        if found and found[1]:
            keys[key] = _field(found, version_field)
    return keys


def _part(found: re.Match[str], version_field: str) -> list[Part]:
    return [_field(found, version_field) if found[1] else "%"]


def _field(found: re.Match[str], version_field: str) -> Field:
    text, command, argument = found[0], found[1], (found[2] or "").lower()
    if command in ("RESP", "TRAILER") and fields.is_same_name(argument, version_field):
        return Field(name=text, sets=Sets.VERSION)
    if command in ("START_TIME", "EMIT_TIME"):
        return _time(text, command, argument)
    key = f"{command}({argument})" if command == "REQ" else command
    sets, pattern, read, is_rough = _COMMANDS.get(key, (Sets.NOTHING, "", str, False))
    return Field(name=text, sets=sets, pattern=pattern, read=read, is_rough=is_rough)


def _time(text: str, command: str, form: str) -> Field:
    sets = Sets.ENDED if command == "EMIT_TIME" else Sets.STARTED
    if not form:
        return Field(name=text, sets=sets, pattern=times.ISO, read=times.iso)
    if re.fullmatch(r"%s(?:\.%[369]f)?", form):
        return Field(name=text, sets=sets, pattern=_DECIMAL, read=fields.seconds)
    return Field(name=text)
