"""Texts as people and pipelines send them: bounded, and storable everywhere."""

from urllib.parse import urlsplit

from onejob.changes.errors import InvalidReportError

MAX_NAME_CHARS = 200  # as the store bounds names in telemetry: a longer one could never match
MAX_TEXT_CHARS = 2000
_PRINTABLE_FROM = " "


def read_name(value: str, field: str) -> str:
    """A service, environment or version."""
    name = read_text(value, field, MAX_NAME_CHARS)
    if not name:
        raise InvalidReportError(field, f"{field} is empty: name it as your telemetry does.")
    return name


def read_text(value: str, field: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Any other text. Control characters (PostgreSQL refuses NUL) and lone surrogates are refused, not stripped."""
    text = value.strip()
    if len(text) > max_chars:
        raise InvalidReportError(field, f"{field} has {len(text)} characters: send at most {max_chars}.")
    if any(char < _PRINTABLE_FROM or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in text):
        raise InvalidReportError(field, f"{field} holds a control character or broken Unicode: send printable text.")
    return text


def read_url(value: str, field: str) -> str:
    """A link that is safe to show as one."""
    url = read_text(value, field)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidReportError(field, f"{field} is not a link: send one that begins with https:// or http://.")
    return url
