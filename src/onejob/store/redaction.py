"""The rules of redaction as the engine needs them: worked out once, from the settings, for its process.

    settings --plan_of--> Plan --(JSON, when the process starts)--> redaction_sql (columns), redaction_nested (values
                                                                    inside arrays and maps)

What is hidden stays so for good: nothing keeps the original but the spool, for the seconds until it is stored, and the
dead letters.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onejob.model.kpi import regex_of
from onejob.model.redaction import DEFAULTS, Action, RedactionRule
from onejob.store import redaction_bytes
from onejob.store.hash_key import hash_key
from onejob.store.redaction_defaults import KEYS, SPARED, TEXTS, Text

if TYPE_CHECKING:
    from onejob.config import Settings

HASHED = "hash:"
HASH_BYTES = 16
SPARE = "spare"  # the action of keys that only a team's own patterns are about


@dataclass(frozen=True, slots=True)
class KeyRule:
    """What becomes of attributes whose whole key matches `regex`, in any case. Of several the first one decides."""

    action: str
    regex: str


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a text that `pattern` matches; see `redaction_defaults.Text`."""

    action: str
    pattern: str
    rewrite: str = "{}"
    is_card: bool = False
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`searches` find at least the texts that a step changes, `key_searches` at least the keys of a rule, both in texts
    joined by line feeds. `byte_search` finds at least both in requests as they are sent; empty if nothing surely does.
    `hash_key` is in hex."""

    keys: tuple[KeyRule, ...] = ()
    steps: tuple[Step, ...] = ()
    searches: tuple[str, ...] = ()
    key_searches: tuple[str, ...] = ()
    byte_search: str = ""
    hash_key: str = ""

    @property
    def hides(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps or self.key_searches)

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> Plan:
        """Back from what `dataclasses.asdict` and JSON made of one."""
        return cls(
            keys=tuple(KeyRule(**rule) for rule in document["keys"]),
            steps=tuple(Step(**step) for step in document["steps"]),
            searches=tuple(document["searches"]),
            key_searches=tuple(document["key_searches"]),
            byte_search=document["byte_search"],
            hash_key=document["hash_key"],
        )


def plan_of(settings: Settings) -> Plan:
    """The team's own rules before the defaults. Raises StoreError where the key of the hashes is damaged."""
    rules = settings.redaction
    defaults = _defaults(rules)
    keys = _hiding(settings)
    own = [rule for rule in rules if rule.pattern]
    steps = [Step(rule.action.value, f"(?s:{rule.pattern})") for rule in own]
    steps += [_step(TEXTS[name], action) for name, action in defaults.items() if name in TEXTS]
    hidden = [glob for action, glob in keys if action != Action.KEEP]
    hashes = Action.HASH in {*(action for action, _ in keys), *(step.action for step in steps)}
    return Plan(
        keys=key_rules(settings),
        steps=tuple(steps),
        searches=tuple(
            f"(?m){search}"
            for search in (
                *(f"(?s:{rule.pattern})" for rule in own),
                *(search for name in defaults if name in TEXTS for search in TEXTS[name].searches),
            )
        ),
        key_searches=tuple(dict.fromkeys(map(_key_search, hidden))),
        byte_search=_byte_search([rule.pattern for rule in own], [TEXTS[n] for n in defaults if n in TEXTS], hidden),
        hash_key=hash_key(settings.data_dir) if hashes else "",
    )


def key_rules(settings: Settings) -> tuple[KeyRule, ...]:
    """What becomes of attributes by their names alone."""
    read = (kpi.attribute for kpi in settings.kpis if kpi.attribute)
    needed = (*SPARED, *settings.customer_attributes, *settings.promoted_attributes, *read)
    return tuple(_joined([*_hiding(settings), *((SPARE, glob) for glob in needed)]))


def hashed(key: str, value: str) -> str:
    """What is stored for a value that is hashed with the `key`, in hex: equal for equal values, and for nobody to try
    out who has not the key (HMAC-SHA-256, cut to 128 bits)."""
    return HASHED + hmac.digest(bytes.fromhex(key), value.encode(), hashlib.sha256)[:HASH_BYTES].hex()


def _defaults(rules: Sequence[RedactionRule]) -> dict[str, str]:
    """What is done by each default that is on; of several rules about one the last holds."""
    actions = dict.fromkeys(DEFAULTS, Action.MASK)
    for rule in rules:
        if rule.default:
            actions |= dict.fromkeys(DEFAULTS if rule.default == "*" else (rule.default,), rule.action)
    return {name: action.value for name, action in actions.items() if action is not Action.KEEP}


def _byte_search(patterns: Iterable[str], texts: Iterable[Text], globs: Sequence[str]) -> str:
    own = [redaction_bytes.of_pattern(pattern) for pattern in patterns]
    found = [*own, *(search for text in texts for search in redaction_bytes.of_default(text))]
    found += [*map(redaction_bytes.of_key, globs), *([redaction_bytes.KEY_AFTER_VALUE] if globs else [])]
    sure = [search for search in dict.fromkeys(found) if search is not None]
    return "" if None in own else "(?s)" + "|".join(f"(?:{search})" for search in sure)


def _step(text: Text, action: str) -> Step:
    return Step(action, text.pattern, text.rewrite, text.is_card, is_default=True)


def _hiding(settings: Settings) -> list[tuple[str, str]]:
    """Actions and globs of keys: the team's own before the defaults."""
    defaults = _defaults(settings.redaction)
    own = [(rule.action.value, rule.key) for rule in settings.redaction if rule.key]
    return own + [(defaults[name], glob) for name, globs in KEYS.items() if name in defaults for glob in globs]


def _joined(keys: Iterable[tuple[str, str]]) -> list[KeyRule]:
    """Neighbours of one action as one regular expression."""
    grouped: list[tuple[str, list[str]]] = []
    for action, glob in keys:
        if not grouped or grouped[-1][0] != action:
            grouped.append((action, []))
        grouped[-1][1].append(regex_of(glob).removeprefix("(?s)^").removesuffix("$"))
    return [KeyRule(action, "|".join(regexes)) for action, regexes in grouped]


def _key_search(glob: str) -> str:
    """Finds at least the keys that the glob covers, as lines of a text."""
    core = glob.strip("*")
    start = "" if glob.startswith("*") else "^"
    end = "" if glob.endswith("*") else "$"
    parts = {"*": "(?s:.*)", "?": "(?s:.)"}
    body = "".join(parts.get(character) or re.escape(character) for character in core)
    return f"(?mi){start}{body}{end}"
