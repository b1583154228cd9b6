"""Regular expressions that people write, checked before the engine has to work with them.

It searches with two libraries: RE2, which says what matches, and Hyperscan, which finds quickly where to look at all.
What is not the engine's to search is searched with the first one here, too.
"""

from __future__ import annotations

import re
from typing import Any

import re2

# Hyperscan looks at many texts joined by line feeds, where the start of a text is the start of a line.
_ONLY_OF_WHOLE_TEXTS = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[AzZ]|\(\?[a-zA-Z]*-[a-zA-Z]*m)")
_PROBES = ("", "a", "a b", "0", "-", "\n")


def check_regex(pattern: str) -> None:
    """Raises ValueError with what is wrong with it, and what to write instead."""
    _match("", pattern)
    if _ONLY_OF_WHOLE_TEXTS.search(pattern):
        raise ValueError(f"the regular expression {pattern!r} has \\A, \\z or (?-m): write ^ and $ instead")
    for probe in _PROBES:
        for at in range(len(probe) + 1):
            if _match(probe, f"^(?s:.{{{at}}})(?:{pattern})(?s:.{{{len(probe) - at}}})$"):
                raise ValueError(f"the regular expression {pattern!r} matches an empty text, and so every text")


def compiled(pattern: str, *, dot_nl: bool = False) -> Any:
    """As RE2 has it. With `dot_nl` a dot is any character, line feeds too. Raises ValueError."""
    options = re2.Options()
    options.log_errors, options.dot_nl = False, dot_nl
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        why = b"".join(part if isinstance(part, bytes) else str(part).encode() for part in error.args)
        raise ValueError(f"{pattern!r} is no regular expression of RE2: {why.decode(errors='replace')}") from None


def _match(text: str, pattern: str) -> bool:
    return compiled(pattern).search(text) is not None
