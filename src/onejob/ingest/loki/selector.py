"""The labels of a stream in Loki's protobuf: `{app="shop", level="error"}`, with values quoted as Go quotes them."""

from __future__ import annotations

import re

_MOST_CHARS = 100_000  # Loki's own limits are far lower
_PAIR = re.compile(r'\s*([a-zA-Z_][\w.]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)\s*(,|\Z)', re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


def labels_of(text: str) -> dict[str, str]:
    """Raises ValueError."""
    text = text.strip()
    if len(text) > _MOST_CHARS:
        raise ValueError(f"labels of {len(text)} characters")
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError(f"labels {text[:100]!r} without braces")
    inside, labels, at = text[1:-1].strip(), {}, 0
    while at < len(inside):
        pair = _PAIR.match(inside, at)
        if pair is None or pair[1] in labels:
            raise ValueError(f"labels that go wrong at {inside[at : at + 50]!r}")
        labels[pair[1]] = pair[3] if pair[3] is not None else _ESCAPE.sub(_unescaped, pair[2])
        at = pair.end()
    return labels


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1]
    if code in _LETTERS:
        return _LETTERS[code]
    if len(code) == 1:
        raise ValueError(f"labels with the unknown escape \\{code}")
    return chr(int(code, 8) if code[0].isdigit() else int(code[1:], 16))
