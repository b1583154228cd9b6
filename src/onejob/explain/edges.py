"""How services are related: who calls whom, as the spans of some traces show it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onejob.model.explanation import Relation


@dataclass(frozen=True, slots=True)
class Kinship:
    """`steps` is the number of calls on the shortest way; 0 for the service itself."""

    relation: Relation
    steps: int


def kinships(edges: Iterable[tuple[str, str]], service: str) -> dict[str, Kinship]:
    """Every service that `service` calls or that calls it, directly or through others; `edges` are (caller, called).

    What is merely called by the same caller is neither. The shorter way counts, and of two the one down.
    """
    down: dict[str, set[str]] = {}
    up: dict[str, set[str]] = {}
    for caller, called in edges:
        down.setdefault(caller, set()).add(called)
        up.setdefault(called, set()).add(caller)
    found = {name: Kinship(Relation.CALLED, steps) for name, steps in _steps(down, service).items()}
    for name, steps in _steps(up, service).items():
        if name not in found or steps < found[name].steps:
            found[name] = Kinship(Relation.CALLING, steps)
    return found


def _steps(neighbours: Mapping[str, set[str]], start: str) -> dict[str, int]:
    steps = {start: 0}
    frontier = [start]
    while frontier:
        following = sorted({there for here in frontier for there in neighbours.get(here, ()) if there not in steps})
        steps |= dict.fromkeys(following, steps[frontier[0]] + 1)
        frontier = following
    del steps[start]
    return steps
