"""Cells as they should be: what telemetry sends is not always possible.

Problem: clocks jump, a store is read twice, numbers are broken on their way; a judge that trusts them counts a bin
twice, or stops with an exception, and a deployment without a verdict looks like one without a problem. Solution: what
cannot be is left out before it is counted, and the verdict says how much that was.
"""

import math
from collections import Counter
from dataclasses import replace

from onejob.model.evidence import Cell, EvidenceBatch

_SENTENCES = {
    "outside": "{} requests of bins that had been judged before, or lie in the future, were left out.",
    "twice": "{} requests came twice and were counted once.",
    "impossible": "{} cells had impossible numbers, such as negative counts, and were corrected or left out.",
}


class Cleaner:
    """Remembers up to where bins were consumed, and how much was left out."""

    def __init__(self) -> None:
        self._consumed_to: int | None = None
        self._left_out: Counter[str] = Counter()

    def clean(self, batch: EvidenceBatch) -> tuple[Cell, ...]:
        """The batch's cells that can be true, each once, in no bin that an earlier batch had."""
        since = batch.bins_from if self._consumed_to is None else max(batch.bins_from, self._consumed_to)
        self._consumed_to = max(since, batch.bins_to)
        kept: dict[tuple[str, str, str, str, int], Cell] = {}
        for cell in batch.cells:
            if not since <= cell.bin_start < batch.bins_to:
                self._left_out["outside"] += max(0, cell.count)
                continue
            possible = self._possible(cell)
            if possible is not None:
                self._keep(possible, kept)
        return tuple(kept.values())

    def left_out(self) -> list[str]:
        """Sentences about what was not counted."""
        return [words.format(self._left_out[what]) for what, words in _SENTENCES.items() if self._left_out[what]]

    def _possible(self, cell: Cell) -> Cell | None:
        """The cell with its numbers in their ranges; None when there is nothing left of it."""
        buckets = cell.buckets
        if any(count < 0 for count in buckets.values()):
            buckets = {index: count for index, count in buckets.items() if count >= 0}
        sums = [value if math.isfinite(value) and value >= 0 else 0.0 for value in (cell.sum_s, cell.sum_sq_s2)]
        errors, zeros = min(max(cell.errors, 0), max(cell.count, 0)), max(cell.zeros, 0)
        if (errors, zeros, *sums) != (
            cell.errors,
            cell.zeros,
            cell.sum_s,
            cell.sum_sq_s2,
        ) or buckets is not cell.buckets:
            self._left_out["impossible"] += 1
            cell = replace(cell, errors=errors, zeros=zeros, sum_s=sums[0], sum_sq_s2=sums[1], buckets=buckets)
        elif cell.count < 0:
            self._left_out["impossible"] += 1
        return cell if cell.count > 0 else None

    def _keep(self, cell: Cell, kept: dict[tuple[str, str, str, str, int], Cell]) -> None:
        """Of two that say the same, the one that saw more."""
        key = (cell.operation, cell.version, cell.build, cell.instance, cell.bin_start)
        known = kept.get(key)
        if known is None:
            kept[key] = cell
            return
        self._left_out["twice"] += min(known.count, cell.count)
        kept[key] = max(known, cell, key=lambda one: one.count)
