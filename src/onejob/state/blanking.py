"""Takes values that name a customer out of texts, so that what is computed from the texts stays what it was.

A log message is told by its words (`verdict/templates.py`), so a name keeps its shape: `Ada-77 paid` becomes `███-00
paid`. Whoever reads it sees that something was taken out, and not what.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

FORGOTTEN = "[forgotten]"
BLOCK = "\u2588"
_BETWEEN = r"[\W_]+"
_PARTS = re.compile(r"[^\W_]+")


class Names:
    """Values, wherever they stand as words of their own: `acme` is in `tenant_acme`, and not in `acmeville`."""

    def __init__(self, values: Collection[str]) -> None:
        longest_first = sorted((value for value in values if _PARTS.search(value)), key=len, reverse=True)
        self._exactly = _alone([re.escape(value) for value in longest_first])
        self._in_words = _alone([_BETWEEN.join(map(re.escape, _PARTS.findall(value))) for value in longest_first])

    def are_in(self, text: str) -> bool:
        """Is any of them in it?"""
        return self._exactly.search(text) is not None

    def blank(self, text: str) -> str:
        """The text with blocks for letters and zeros for digits of what names somebody.

        >>> Names(["Ada-77"]).blank("Ada-77 paid")
        '███-00 paid'
        """
        return self._exactly.sub(lambda found: "".join(map(_blank, found[0])), text)

    def forget(self, text: str) -> str:
        """The text with a note in the place of each; for what nothing is computed from."""
        return self._exactly.sub(FORGOTTEN, text)

    def blank_words(self, words: Sequence[str], instead: str) -> list[str]:
        """Words of which some name somebody, together or alone: `instead` stands for each of those."""
        text, starts = " ".join(words), [0]
        for word in words:
            starts.append(starts[-1] + len(word) + 1)
        named = [found.span() for found in self._in_words.finditer(text)]
        return [
            instead if any(begin < after - 1 and start < end for begin, end in named) else word
            for word, start, after in zip(words, starts[:-1], starts[1:], strict=True)
        ]


def _alone(patterns: Sequence[str]) -> re.Pattern[str]:
    either = "|".join(patterns) or "(?!)"
    return re.compile(rf"(?<![^\W_])(?:{either})(?![^\W_])")


def _blank(character: str) -> str:
    if character.isdecimal():
        return "0"
    return BLOCK if character.isalnum() else character
