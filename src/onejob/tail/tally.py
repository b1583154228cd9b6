"""What became of lines. One that cannot be read is shown once, without what may be a secret."""

import re
from dataclasses import dataclass

from onejob import words
from onejob.tail.entry import Entry, Unread

_SHOWN = 200  # characters of a line
_QUERY = re.compile(r"[?;][^\s\"']*")
_CREDENTIALS = re.compile(r"//[^/\s@]+@")
_SECRET = re.compile(r"(?i)\b(basic|bearer|token|password|passwd|secret|api[_-]?key|cookie)\b[=: ]+[^\s\"',}]+")


@dataclass(slots=True)
class Tally:
    """Since the start."""

    requests: int = 0
    without_request: int = 0
    unreadable: int = 0
    example: str = ""

    @property
    def lines(self) -> int:
        return self.requests + self.without_request + self.unreadable

    @property
    def is_fruitless(self) -> bool:
        """Were there lines, and is none of them in the format?"""
        return self.unreadable > 0 and not self.requests and not self.without_request

    def count(self, line: str, found: Entry | Unread) -> None:
        match found:
            case Entry():
                self.requests += 1
            case Unread.NO_REQUEST:
                self.without_request += 1
            case Unread.OTHER_FORM:
                self.unreadable += 1
                self.example = self.example or without_secrets(line)

    def __str__(self) -> str:
        said = [words.plural(self.requests, "request")]
        if self.without_request:
            said.append(f"{words.plural(self.without_request, 'line')} without a request")
        if self.unreadable:
            said.append(f"{words.plural(self.unreadable, 'line')} that could not be read")
        return ", ".join(said)


def without_secrets(line: str) -> str:
    """The beginning of a line; query strings and what is named like a secret are left out."""
    text = _SECRET.sub(r"\1 ...", _CREDENTIALS.sub("//...@", _QUERY.sub("?...", line)))
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:_SHOWN])
    return shown + ("..." if len(text) > _SHOWN else "")
