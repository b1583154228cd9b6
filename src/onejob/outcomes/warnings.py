"""What keeps a KPI from ever saying what it is named for: redaction that hides its values, too small a tolerance."""

import re

from onejob.config import Settings
from onejob.model.kpi import Kpi, KpiKind, KpiSource
from onejob.store.redaction import key_rules

# Counts bet on no change smaller than a tenth, and what they refute is 2 % apart (`stats/throughput.py`): with however
# many events, and instances that are all alike, they exclude no change smaller than this.
LEAST_COUNTED = 0.07
_DONE = {"mask": "masks", "hash": "hashes", "drop": "drops"}


def counts(kpi: Kpi) -> bool:
    """Are spans or events counted for it?"""
    return kpi.kind is KpiKind.THROUGHPUT and kpi.source is not KpiSource.METRIC


def too_small(kpi: Kpi) -> str:
    """Why its tolerance can never be shown to hold; empty if it can."""
    if not counts(kpi) or kpi.tolerance >= LEAST_COUNTED:
        return ""
    return (
        f"How many spans or events there are is never told to within {kpi.tolerance * 100:g} %, however many come: "
        f"it can be worse, but never no worse. The least tolerance that makes sense is {LEAST_COUNTED:g} "
        f"({LEAST_COUNTED * 100:g} %)"
    )


def hidden(kpi: Kpi, settings: Settings) -> str:
    """That a rule of redaction hides what it reads, by its name; empty if none does."""
    rules = (rule for rule in key_rules(settings) if re.fullmatch(rule.regex, kpi.attribute, re.IGNORECASE | re.DOTALL))
    first = next(rules, None) if kpi.attribute else None
    done = _DONE.get(first.action) if first else None
    if done is None:
        return ""
    return (
        f"Redaction {done} {kpi.attribute} before it is stored, so this KPI will never see its value: add "
        f'{{"action": "keep", "key": "{kpi.attribute}"}} to ONEJOB_REDACTION, before the rule that hides it, or send '
        "the value by another name."
    )


def of(kpi: Kpi, settings: Settings) -> tuple[str, ...]:
    """All of them, as sentences."""
    small = too_small(kpi)
    return tuple(filter(None, (hidden(kpi, settings), f"{small}." if small else "")))
