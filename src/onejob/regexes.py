"""Regular expressions that people write, checked before the engine has to work with them.

It searches with two libraries: RE2, which says what matches, and Hyperscan, which finds quickly where to look at all.
pyarrow brings the first one along.
"""

from __future__ import annotations

import re

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


def _match(text: str, pattern: str) -> bool:
    import pyarrow as pa  # noqa: PLC0415  large, and needed by few
    import pyarrow.compute as pc  # noqa: PLC0415

    try:
        found = pc.match_substring_regex(pa.array([text]), pattern)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{pattern!r} is no regular expression of RE2: {error}") from None
    return bool(found[0].as_py())
