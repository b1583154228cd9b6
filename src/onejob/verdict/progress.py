"""What a look needs to say beyond the evidence: requests so far, the window compared, present traffic, first signs."""

from collections import Counter, deque
from datetime import UTC, datetime

import numpy as np

from onejob.model.evidence import EvidenceBatch
from onejob.verdict.counts import CONTROL, TREATMENT, Counts
from onejob.verdict.signals import WORSE, Row

_RATE_WINDOW_S = 60
# A control that was not seen for so long, while treatment was, is gone: longer than quiet spells at low traffic.
SILENT_S = 120


class Progress:
    """Totals over all bins of both arms, whether or not the other arm served in them."""

    def __init__(self) -> None:
        self.requests = [0, 0]
        self.spans = [0, 0]  # which stand for them
        self._exact = [0.0, 0.0]
        self.instances: tuple[set[int], set[int]] = (set(), set())
        self.window: tuple[int | None, int | None] = (None, None)
        self.has_answered_before = False
        self._last_answer: list[int | None] = [None, None]  # end of the last bin with requests
        self._recent: deque[tuple[int, int, dict[int, int]]] = deque()
        self._rates: Counter[int] = Counter()  # the sum of the recent ones
        self._lowest: dict[tuple[str, str, str], tuple[float, int]] = {}

    def consume(self, rows: Counts, batch: EvidenceBatch) -> None:
        """Count a batch."""
        self.has_answered_before = self.requests[TREATMENT] > 0
        for arm in (CONTROL, TREATMENT):
            mine = rows.arm == arm
            if arm == TREATMENT or self.requests[TREATMENT] or (rows.arm == TREATMENT).any():
                self.spans[arm] += int(rows.count[mine].sum())
                self._exact[arm] += float(rows.requests[mine].sum())
                self.requests[arm] = round(self._exact[arm])
                self.instances[arm].update(rows.instance[mine].tolist())
            if mine.any():
                self._last_answer[arm] = batch.bins_from + (int(rows.bin[mine].max()) + 1) * batch.bin_width_s
        treatment = rows.arm == TREATMENT
        if treatment.any():
            at = batch.bins_from + rows.bin[treatment] * batch.bin_width_s
            first = self.window[0] if self.window[0] is not None else int(at.min())
            self.window = (first, int(at.max()) + batch.bin_width_s)
        self._remember_rate(rows, batch)

    def _remember_rate(self, rows: Counts, batch: EvidenceBatch) -> None:
        mine = rows.arm == TREATMENT
        by_operation = np.bincount(rows.operation[mine], weights=rows.requests[mine]) if mine.any() else np.zeros(0)
        seen = dict(enumerate(np.rint(by_operation).astype(int).tolist()))
        self._recent.append((batch.bins_from, batch.bins_to, seen))
        self._rates.update(seen)
        while len(self._recent) > 1 and self._recent[0][1] < batch.bins_to - _RATE_WINDOW_S:
            self._rates.subtract(self._recent.popleft()[2])

    def rate_per_s(self, operation: int | None) -> float:
        """Treatment's requests per second of late; of all operations when None."""
        span = self._recent[-1][1] - max(self._recent[0][0], self.window[0] or 0) if self._recent else 0
        if span <= 0:
            return 0.0
        return (self._rates.total() if operation is None else self._rates[operation]) / span

    def remember(self, row: Row, batch: EvidenceBatch) -> None:
        """Keep where the evidence was lowest: it has been rising for good since then."""
        key = (row.operation, row.family, row.stream)
        lowest = self._lowest.get(key)
        if lowest is None or row.log_e[WORSE] <= lowest[0]:
            self._lowest[key] = (row.log_e[WORSE], batch.bins_to)

    def visible_since(self, row: Row, batch: EvidenceBatch) -> datetime:
        """End of the first bin in which the row's evidence began to rise for good."""
        since = self._lowest.get((row.operation, row.family, row.stream), (0.0, batch.bins_to - batch.bin_width_s))[1]
        return datetime.fromtimestamp(min(since + batch.bin_width_s, batch.bins_to), UTC)

    @property
    def is_alone(self) -> bool:
        """Has control ceased to serve beside treatment?"""
        control, treatment = self._last_answer
        return control is not None and treatment is not None and treatment - control >= SILENT_S

    @property
    def is_left(self) -> bool:
        """Does treatment serve with no control beside it: has it ceased to, or never been seen?"""
        treatment, first = self._last_answer[TREATMENT], self.window[0]
        if self._last_answer[CONTROL] is not None or treatment is None or first is None:
            return self.is_alone
        return treatment - first >= SILENT_S

    def forget(self) -> None:
        """Look for first signs anew: rows are of another comparison from now on."""
        self._lowest.clear()

    def left_out(self) -> list[str]:
        """Sentences about what was not compared."""
        sentences = []
        control = self._last_answer[CONTROL]
        if self.is_alone and control is not None:
            since = datetime.fromtimestamp(control, UTC)
            sentences.append(
                f"The old version has not answered since {since:%H:%M:%S} UTC; the two are not compared since then."
            )
        return sentences
