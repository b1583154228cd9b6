"""What one check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """A problem keeps onejob from its work; a warning makes it know less than it could."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`remedy` is what to do; empty where there is nothing to be done."""

    check: str
    health: Health
    says: str
    remedy: str = ""


def ok(check: str, says: str) -> Finding:
    return Finding(check=check, health=Health.OK, says=says)


def warning(check: str, says: str, remedy: str) -> Finding:
    return Finding(check=check, health=Health.WARNING, says=says, remedy=remedy)


def problem(check: str, says: str, remedy: str) -> Finding:
    return Finding(check=check, health=Health.PROBLEM, says=says, remedy=remedy)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Nothing keeps it from its work."""
    return all(finding.health is not Health.PROBLEM for finding in findings)


def some(names: Iterable[str], most: int = 5) -> str:
    """`a, b and 3 more`."""
    listed = list(dict.fromkeys(names))
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
