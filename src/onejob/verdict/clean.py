"""Counts as they should be: what telemetry sends is not always possible.

Problem: clocks jump, a store is read twice, numbers are broken on their way; a judge that trusts them counts a bin
twice, or stops with an exception, and a deployment without a verdict looks like one without a problem. Solution: what
cannot be is left out before it is counted, and the verdict says how much that was.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import TypeVar

from onejob.model.evidence import Cell, EvidenceBatch, NoveltyCell, ValueCell
from onejob.stats.octaves import can_be_sum

_ROUNDING = 1e-6  # of sums of floating-point numbers

Counted = TypeVar("Counted", Cell, ValueCell, NoveltyCell)

_SENTENCES = {
    "outside": "{} requests of bins that had been judged before, or lie in the future, were left out.",
    "twice": "{} requests came twice and were counted once.",
    "impossible": "{} cells had impossible numbers, such as negative counts, and were corrected or left out.",
    "other outside": "{} KPI values, page views and errors of bins that had been judged before, or lie in the future, "
    "were left out.",
    "other twice": "{} KPI values, page views and errors came twice and were counted once.",
}


class Cleaner:
    """Remembers up to where bins were consumed, and how much was left out."""

    def __init__(self) -> None:
        self._consumed_to: int | None = None
        self._left_out: Counter[str] = Counter()

    def clean(self, batch: EvidenceBatch) -> EvidenceBatch:
        """The batch with what can be true, each once, and without bins that an earlier batch had."""
        since = batch.bins_from if self._consumed_to is None else max(batch.bins_from, self._consumed_to)
        self._consumed_to = max(since, batch.bins_to)
        batch = replace(batch, bins_from=since, bins_to=self._consumed_to)
        return replace(
            batch,
            cells=self._cells(batch, batch.cells),
            values=self._each(batch, batch.values, self._possible_values, _key_of_values, "other "),
            vitals=tuple(replace(one, cells=self._cells(batch, one.cells, "other ")) for one in batch.vitals),
            novelties=self._each(batch, batch.novelties, self._possible_novelty, _key_of_novelty, "other "),
        )

    def _cells(self, batch: EvidenceBatch, cells: Iterable[Cell], what: str = "") -> tuple[Cell, ...]:
        return self._each(batch, cells, self._possible, _key, what)

    def _each(
        self,
        batch: EvidenceBatch,
        counted: Iterable[Counted],
        possible: Callable[[Counted], Counted | None],
        key: Callable[[Counted], Hashable],
        what: str,
    ) -> tuple[Counted, ...]:
        """Those in the batch's bins that are possible; of two that say the same, the one that saw more."""
        kept: dict[Hashable, Counted] = {}
        for one in counted:
            if not batch.bins_from <= one.bin_start < batch.bins_to:
                self._left_out[f"{what}outside"] += max(0, _size(one))
                continue
            corrected = possible(one)
            if corrected is None:
                continue
            name = key(corrected)
            known = kept.get(name)
            if known is not None:
                self._left_out[f"{what}twice"] += min(_size(known), _size(corrected))
                corrected = max(known, corrected, key=_size)
            kept[name] = corrected
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
        if not _can_be_sampled(cell):
            self._left_out["impossible"] += 1
            cell = replace(cell, adjusted=None, adjusted_errors=None, adjusted_sq=None, tail_sampled=0)
        return cell if cell.count > 0 else None

    def _possible_values(self, cell: ValueCell) -> ValueCell | None:
        """Without the octaves whose sum cannot be that of so many values of their size."""
        wrong = [k for k, n in cell.counts.items() if n < 0 or not can_be_sum(k, n, cell.sums.get(k))]
        if wrong:
            self._left_out["impossible"] += 1
            counts = {k: n for k, n in cell.counts.items() if k not in wrong}
            cell = replace(cell, counts=counts, sums={k: total for k, total in cell.sums.items() if k in counts})
        return cell if any(cell.counts.values()) else None

    def _possible_novelty(self, cell: NoveltyCell) -> NoveltyCell | None:
        """What is known beforehand is so without any occurrence."""
        if cell.count < 0:
            self._left_out["impossible"] += 1
        return cell if cell.count > 0 or cell.is_known else None


def _can_be_sampled(cell: Cell) -> bool:
    """A span stands for itself at least, and the sum of squares is what the spans of some sizes can have."""
    if cell.tail_sampled < 0:
        return False
    if cell.adjusted is None:
        return True
    n, x = cell.count, cell.errors
    a, b, squares = cell.stands_for
    if not all(map(math.isfinite, (a, b, squares))):
        return False
    least, most = 1 - _ROUNDING, 1 + _ROUNDING
    is_size = n * least <= a and x * least <= b and n - x <= (a - b) * most + _ROUNDING * a
    return is_size and a * a * least <= squares * max(1, n) and squares <= a * a * most


def _size(one: Cell | ValueCell | NoveltyCell) -> int:
    return sum(one.counts.values()) if isinstance(one, ValueCell) else one.count


def _key(cell: Cell) -> Hashable:
    return cell.operation, cell.version, cell.build, cell.instance, cell.bin_start


def _key_of_values(cell: ValueCell) -> Hashable:
    return cell.kpi, cell.version, cell.build, cell.instance, cell.bin_start


def _key_of_novelty(cell: NoveltyCell) -> Hashable:
    return cell.kind, cell.fingerprint, cell.version, cell.build, cell.bin_start, cell.is_known
