"""Which formats there are, and how lines of an unknown one are read."""

from collections.abc import Callable
from types import ModuleType

from onejob.tail import apache, envoy, haproxy, nginx
from onejob.tail.entry import Entry, Unread
from onejob.tail.errors import FormatError
from onejob.tail.kind import Format
from onejob.tail.layout import Reader

_MODULES: dict[Format, ModuleType] = {
    Format.NGINX: nginx,
    Format.HAPROXY: haproxy,
    Format.APACHE: apache,
    Format.ENVOY: envoy,
}


class AnyOf:
    """Whichever reads the line; the one that read the last line is asked first."""

    def __init__(self, readers: list[Reader]) -> None:
        self._readers = readers
        self._of_last = readers[0]

    @property
    def has_duration(self) -> bool:
        """Does the format of the line before tell how long requests took?"""
        return self._of_last.has_duration

    def read(self, line: str) -> Entry | Unread:
        for reader in (self._of_last, *self._readers):
            found = reader.read(line)
            if found is not Unread.OTHER_FORM:
                self._of_last = reader
                return found
        return Unread.OTHER_FORM


def reader_of(kind: Format, log_format: str | None, version_field: str) -> Reader:
    """FormatError says what is wrong with `log_format`."""
    if log_format is not None:
        if kind is Format.AUTO:
            raise FormatError("--log-format is written in the words of one server: say which, with --format.")
        layout: Callable[[str, str], Reader] = _MODULES[kind].layout
        return layout(log_format, version_field)
    modules = _MODULES.values() if kind is Format.AUTO else [_MODULES[kind]]
    return AnyOf([m.layout(text, version_field) for m in modules for text in m.defaults(version_field)])
