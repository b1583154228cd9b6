"""Which operations are judged one by one, and how much of alpha each may spend.

Weights are fixed when treatment is first seen, from control's traffic until then, and 10 % are kept for operations
that appear later. Half of the weight is shared evenly, so that a rare operation that breaks altogether is not starved.
"""

from collections.abc import Sequence

from onejob.model.evidence import Cell

OTHER = "other"
_KEPT_FOR_LATER = 0.1


class Operations:
    """Numbers operations in the order of their first batch, busiest first; beyond `most` they are one: `other`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.names: list[str] = []
        self.numbers: dict[str, int] = {}
        self._control: dict[str, int] = {}
        self._weights: dict[str, float] | None = None
        self._late = 0

    def register(self, cells: Sequence[Cell], treatment: Sequence[Cell]) -> None:
        """Take note of a batch's operations; `treatment` are its cells of the new version."""
        traffic: dict[str, int] = {}
        for cell in cells:
            traffic[cell.operation] = traffic.get(cell.operation, 0) + cell.count
        for name in sorted(traffic, key=lambda n: (-traffic[n], n)):
            self._add(name)
            known = name if name in self.numbers else OTHER
            self._control[known] = self._control.get(known, 0) + traffic[name]
        if treatment and self._weights is None:
            self._weights = self._fix()

    def weight(self, name: str) -> float:
        """The operation's share of a family's budget."""
        return (self._weights or {}).get(name, 0.0)

    def _add(self, name: str) -> None:
        if name in self.numbers:
            return
        if len(self.names) >= self._most:
            name = OTHER
            if name in self.numbers:
                return
        self.numbers[name] = len(self.names)
        self.names.append(name)
        if self._weights is not None:
            self._late += 1
            self._weights[name] = _KEPT_FOR_LATER / 2**self._late

    def _fix(self) -> dict[str, float]:
        total = sum(self._control.values()) or 1
        even = 1 / len(self._control)
        return {name: (1 - _KEPT_FOR_LATER) * (even + count / total) / 2 for name, count in self._control.items()}
