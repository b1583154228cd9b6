"""Redaction in Python, of what is few: inside arrays and maps, which reach the engine's SQL as one text each, and of
resources.

Such values go through Python anyway (`any_value`). Here they are still what was sent: what is hidden leaves a list a
list and a map a map, and escapes of JSON hide nothing from a pattern. RE2 as in the engine: what matches there is what
matches here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from onejob.model.redaction import MASK, Action
from onejob.regexes import compiled
from onejob.store.redaction import SPARE, Plan, Step, hashed
from onejob.store.redaction_defaults import is_card

Json = None | bool | int | float | str | list[Any] | dict[str, Any]
_REMEMBERED, _USUAL_KEY = 8192, 256  # keys, characters
_GONE = object()
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class NestedRedaction:
    """What `plan` says, of what is below one attribute or in one body."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rules = [(rule.action, re.compile(rule.regex, re.IGNORECASE | re.DOTALL)) for rule in plan.keys]
        self._remembered = lru_cache(_REMEMBERED)(self._first_action)
        # As one, but for those that give names to groups, which must differ.
        alone = [search for search in plan.searches if "(?P<" in search or "(?<" in search]
        joined = "|".join(f"(?:{search})" for search in plan.searches if search not in alone)
        # Over lines as steps go, or they would find less than what a step changes.
        self._searches = [compiled(search, dot_nl=True) for search in (*alone, *([joined] if joined else []))]
        self._steps = [(step, compiled(step.pattern)) for step in plan.steps]

    def redact(self, value: Json, key: str) -> Json:
        """`key` is the attribute's, empty for a body."""
        if not self._plan.hides:
            return value
        changes = self._may_match("\n".join(_leaves(value)))
        action = self._action(key) if key else ""
        changed = self._value(value, key, action, changes=changes) if action in ("", SPARE) else value
        return None if changed is _GONE else changed

    def redact_pairs(self, listed: str) -> str:
        """Lists of pairs of a key and a text, and the same redacted, as JSON; the first one has texts without a key."""
        texts, *attributes = json.loads(listed)
        first = [["", self._text_or_gone("", text, "")[1] or ""] for _, text in texts]
        others = [[self._text_or_gone(key, text, self._action(key)) for key, text in pairs] for pairs in attributes]
        left = [[[key, text] for key, text in pairs if key is not None and text is not None] for pairs in others]
        return json.dumps([first, *left])

    def _text_or_gone(self, key: str, text: str, action: str) -> tuple[str | None, str | None]:
        """None is gone."""
        if action == Action.KEEP:
            return key, text
        if action == Action.DROP:
            return None, None
        if action in (Action.MASK, Action.HASH):
            return self._plain(key, ""), MASK if action == Action.MASK else hashed(self._plan.hash_key, text)
        return self._plain(key, ""), self._plain(text, action)

    def _plain(self, text: str, action: str) -> str | None:
        changed = self._leaf(text, action)
        return None if changed is _GONE else str(changed)

    # --- by key ----------------------------------------------------------------------------------------------------

    def _action(self, key: str) -> str:
        return self._remembered(key) if len(key) <= _USUAL_KEY else self._first_action(key)

    def _first_action(self, key: str) -> str:
        return next((action for action, regex in self._rules if regex.fullmatch(key)), "")

    def _value(self, value: Json, path: str, action: str, *, changes: bool) -> Any:
        if isinstance(value, list):
            items = [self._value(item, path, action, changes=changes) for item in value]
            return [item for item in items if item is not _GONE]
        if isinstance(value, dict):
            return self._map(value, path, action, changes=changes)
        return self._leaf(value, action) if changes else value

    def _map(self, entries: dict[str, Json], path: str, above: str, *, changes: bool) -> dict[str, Json]:
        """An entry is known by its own key, and by the keys that lead to it with dots between."""
        redacted: dict[str, Json] = {}
        for key, value in entries.items():
            below = f"{path}.{key}" if path else key
            action = self._action(key) or self._action(below) or above
            if action == Action.KEEP:
                redacted[key] = value
                continue
            name = self._leaf(key, "") if changes else key
            left = self._below_key(value, below, action, changes=changes)
            if name is not _GONE and left is not _GONE:
                redacted[str(name)] = left
        return redacted

    def _below_key(self, value: Json, path: str, action: str, *, changes: bool) -> Any:
        match action:
            case Action.DROP:
                return _GONE
            case Action.MASK:
                return MASK
            case Action.HASH:
                return hashed(self._plan.hash_key, _text(value))
            case _:
                return self._value(value, path, action, changes=changes)

    # --- by text ---------------------------------------------------------------------------------------------------

    def _may_match(self, text: str) -> bool:
        return any(search.search(text) for search in self._searches)

    def _leaf(self, value: Json, action: str) -> Any:
        text = changed = _text(value)
        if not self._may_match(text):
            return value
        for step, regex in self._steps:
            if step.is_default and action == SPARE:
                continue
            if step.action != Action.DROP:
                changed = self._changed(step, regex, changed)
            elif self._changed(step, regex, text) != text:
                return _GONE
        return value if changed == text else changed

    def _changed(self, step: Step, regex: Any, text: str) -> str:
        def left(match: Any) -> str:
            found = match.group(2 if step.is_card else 0)
            if step.is_card and not is_card(found):
                return str(match.group())
            hidden = hashed(self._plan.hash_key, found) if step.action == Action.HASH else MASK
            return str(match.expand(step.rewrite.format(hidden))) if step.is_card or hidden == MASK else hidden

        return str(regex.sub(left, text))


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _leaves(item)
    else:
        yield _text(value)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else _encode(value)
