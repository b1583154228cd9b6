"""Which telemetry is hidden before it is stored: rules by the name of an attribute or by how a text looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onejob.model.kpi import matches

# What is hidden unless a rule says otherwise; `*` is all of them.
DEFAULTS = ("authorization", "cookies", "secrets", "email", "card_numbers")
MASK = "[redacted]"  # the note
# Without these no verdict can be told.
_NEEDED = ("service.name", "service.version")


class Action(StrEnum):
    """`drop` leaves nothing, `hash` what equal values have in common, `mask` a note; `keep` what others would hide."""

    DROP = "drop"
    HASH = "hash"
    MASK = "mask"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionRule:
    """One rule; raises ValueError when it contradicts itself. Exactly one of these says what it is about:

    `key`, a glob over attributes' names, whatever their case; `pattern`, an RE2 regular expression over texts; or
    `default`, one of DEFAULTS, whose own action this replaces. Of rules about keys the first that fits decides.
    """

    action: Action
    key: str = ""
    pattern: str = ""
    default: str = ""

    def __post_init__(self) -> None:
        for wrong in _contradictions(self):
            raise ValueError(wrong)


def key_fits(glob: str, key: str) -> bool:
    """Does a rule's glob cover the attribute?

    >>> key_fits("*password*", "db.Password")
    True
    """
    return matches(glob.lower(), key.lower())


def _contradictions(rule: RedactionRule) -> list[str]:
    hides = rule.action is not Action.KEEP
    needed = next((name for name in _NEEDED if hides and rule.key and key_fits(rule.key, name)), "")
    checks = (
        (
            sum(map(bool, (rule.key, rule.pattern, rule.default))) != 1,
            "one of `key`, `pattern`, `default` is wanted",
        ),
        (not hides and bool(rule.pattern), "`keep` goes with a `key` or a `default`, not with a `pattern`"),
        (
            bool(rule.default) and rule.default not in (*DEFAULTS, "*"),
            f"no default is called {rule.default!r}; there are {', '.join(DEFAULTS)}, and * for all",
        ),
        (bool(needed), f"`key` {rule.key!r} covers {needed}, without which nothing can be judged: narrow it"),
    )
    return [wrong for is_wrong, wrong in checks if is_wrong]
