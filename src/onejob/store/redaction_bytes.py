"""Can a batch hold anything to hide? Told from its bytes, before the engine reads them.

    requests --one search (RE2)--> nothing --> the statement without redaction (most batches)
                               `-> maybe ----> the statement that looks at each row (redaction_sql)

In protobuf a text is its UTF-8 bytes in one piece, so searching the bytes finds what searching the texts would. Before
and after a text can be anything: expressions are searched without `^`, `$` and `\\b`, and find more for it. A key is
followed by the tag of its value. Numbers become text in the engine only: those that may be of cards are read here.
Arrays and maps are redacted where they are decoded, in both statements.

Whatever this is not sure of may hold something.
"""

from __future__ import annotations

import re
import struct

import numpy as np
from numpy.typing import NDArray

from onejob.store.redaction_defaults import TEXTS, Text, is_card

_TAG_OF_VALUE = r"\x12"  # KeyValue.value (opentelemetry/proto/common/v1)
# Encoders write fields in the order of their numbers. One that does not shows it at the key that all send.
KEY_AFTER_VALUE = r"\x0cservice\.name[^\x12]"
_UNSURE = re.compile(r'"|\\["QxC\[\]{}]')  # maybe of the JSON that arrays and maps become; or not worth understanding
_PARTS = re.compile(
    r"\\[pP]\{[^}]*\}|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\(\?P?<\w+>|\(\?[a-zA-Z-]*[:)]|.", re.DOTALL
)
_ASSERTIONS = {"^", "$", r"\b", r"\B", r"\A", r"\z"}
_IN_NUMBERS = set("0123456789.+-truefalsinf")  # and in what becomes of true, false, inf and nan
_REPEATED = ("?", "*", "{")

# Numbers of 14 to 16 digits in an AnyValue: varints of 7, 8 or, below zero, 10 bytes, and doubles that end in these.
_HIGH_BYTES = (0x42, 0x43, 0xC2, 0xC3)
# The tags of int_value and double_value, and what is right before them: how long the AnyValue is, or the end of a
# length that some encoders write in four bytes.
_INTS, _DOUBLES = (0x18, (8, 9, 11, 0)), (0x21, (9, 0))
_PIECE = 1 << 19  # stays in the processor's cache
_LONGEST = 11  # with its tag
_CARD = re.compile(TEXTS["card_numbers"].pattern)
_MOST_NUMBERS = 2_000  # of a batch; to read more takes longer than the engine would


def of_default(text: Text) -> list[str]:
    """What finds a default's texts in bytes."""
    return [_without_assertions(search) for search in text.in_bytes or text.searches]


def of_pattern(pattern: str) -> str | None:
    """What finds at least what a team's own pattern matches in; None where that is not sure."""
    if _UNSURE.search(pattern) or not _needs_a_letter(_PARTS.findall(pattern)):
        return None
    return _without_assertions(pattern)


def of_key(glob: str) -> str:
    """What finds at least the keys that a glob covers."""
    parts = {"*": "(?s:.*)", "?": "(?s:.)"}
    body = "".join(parts.get(character) or re.escape(character) for character in glob.strip("*"))
    return f"(?i:{body})" + ("" if glob.endswith("*") else _TAG_OF_VALUE)


class ByteSearch:
    """`pattern` is all that is searched for as one; empty: nothing is sure. `has_cards`: of numbers, too."""

    def __init__(self, pattern: str, *, has_cards: bool) -> None:
        self._pattern = pattern
        self._has_cards = has_cards

    def may_find(self, data: bytes) -> bool:
        """Whether there may be something to hide in these requests."""
        return self._may_find_text(data) or (self._has_cards and _has_card(data))

    def _may_find_text(self, data: bytes) -> bool:
        import pyarrow as pa  # noqa: PLC0415  large
        import pyarrow.compute as pc  # noqa: PLC0415

        if not self._pattern:
            return True
        # As a whole it is no UTF-8: RE2 reads bytes, and matches where a text is.
        ends = pa.py_buffer(struct.pack("<qq", 0, len(data)))
        text = pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(data))
        try:
            return bool(pc.match_substring_regex(text, self._pattern)[0].as_py())
        except pa.ArrowInvalid:  # too much for RE2 at once
            self._pattern = ""
            return True


def _has_card(data: bytes) -> bool:
    numbers: list[str] = []
    for start in range(0, len(data), _PIECE):
        piece = np.frombuffer(data[max(0, start - 1) : start + _PIECE + _LONGEST] + bytes(_LONGEST), np.uint8)
        ints, doubles = (_tagged(piece[:-_LONGEST], *which) for which in (_INTS, _DOUBLES))
        ints = ints[(piece[ints[:, None] + np.arange(1, 7)] >= 0x80).all(axis=1)]
        doubles = doubles[_among(piece[doubles + 8], _HIGH_BYTES)]
        numbers += [str(_varint(piece[at + 1 : at + _LONGEST].tolist())) for at in ints.tolist()]
        numbers += [str(piece[at + 1 : at + 9].view("<f8")[0]) for at in doubles.tolist()]
        if len(numbers) > _MOST_NUMBERS:
            return True
    return any(map(_is_of_card, numbers))


def _tagged(piece: NDArray[np.uint8], tag: int, before: tuple[int, ...]) -> NDArray[np.int64]:
    """Where a number may be, but for the first byte."""
    at = np.flatnonzero(piece[1:] == tag) + 1
    return at[_among(piece[at - 1], before)]


def _among(found: NDArray[np.uint8], some: tuple[int, ...]) -> NDArray[np.bool_]:
    is_one = np.zeros(256, dtype=bool)
    is_one[list(some)] = True
    return is_one[found]


def _is_of_card(number: str) -> bool:
    found = _CARD.search(number)
    return found is not None and is_card(found[2])


def _varint(data: list[int]) -> int:
    value = 0
    for place, byte in enumerate(data):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            break
    return value - (1 << 64) if value >> 63 else value


def _without_assertions(pattern: str) -> str:
    """Matches wherever the pattern does, and elsewhere."""
    return "".join(_plain(part) for part in _PARTS.findall(pattern))


def _plain(part: str) -> str:
    if part in _ASSERTIONS:
        return "(?:)"
    return "(" if part.startswith(("(?P<", "(?<")) else part


def _needs_a_letter(parts: list[str]) -> bool:
    """Is there a character in all that matches that no number has? If in doubt, no."""
    depth, needed = 0, False
    for part, after in zip(parts, [*parts[1:], ""], strict=True):
        depth += (part.startswith("(") and not part.endswith(")")) - (part == ")")
        if depth == 0 and part == "|":
            return False
        is_literal = len(part) == 1 and (part.isalnum() or part in "_@#%&=:;,/<>~ -")
        needed |= depth == 0 and is_literal and part.lower() not in _IN_NUMBERS and after not in _REPEATED
    return needed
