"""How bad a line is: what a sender says in words, as OpenTelemetry's severity numbers.

Loki keeps the word it is told or finds as `detected_level`; syslog's words are mapped as in the appendix of
OpenTelemetry's logs data model.
"""

from __future__ import annotations

from collections.abc import Mapping

_NUMBERS = {
    "trace": 1, "verbose": 1, "debug": 5, "dbg": 5, "info": 9, "inf": 9, "information": 9, "informational": 9,
    "notice": 10, "warn": 13, "wrn": 13, "warning": 13, "error": 17, "err": 17, "eror": 17, "critical": 18, "crit": 18,
    "alert": 19, "fatal": 21, "panic": 21, "emerg": 21, "emergency": 21,
}  # fmt: skip
_KEYS = ("severity_text", "detected_level", "level", "severity", "lvl", "log_level", "loglevel")


def severity_of(metadata: Mapping[str, str], labels: Mapping[str, str]) -> tuple[str, int]:
    """The word and its number, 0 for one that is not known; the entry's own go before the stream's."""
    text = next((found[key] for found in (metadata, labels) for key in _KEYS if found.get(key)), "")
    number = metadata.get("severity_number", "")
    if number.isascii() and number.isdigit() and 1 <= int(number[:3]) <= 24:
        return text, int(number[:3])
    return text, _NUMBERS.get(text.lower(), 0)
