"""Errors and log templates that control never showed.

Every fingerprint that a treatment shows first is followed from then on; the bin it is first seen in names it and is no
evidence. One that control has shown too, now or before the deployment, is not new and has no row. An error comes with
its fingerprint; which message a line of a log is, is found out here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch, JudgeSettings, NoveltyCell
from onejob.model.verdict import EffectKind, NewThing
from onejob.stats import design_effect, novelty
from onejob.stats.confidence import running_mean_interval
from onejob.stats.core_test import LOG_RATIOS
from onejob.verdict.arms import compared_arm
from onejob.verdict.counts import CONTROL, TREATMENT, Counts
from onejob.verdict.log_messages import KIND as LOG_MESSAGE
from onejob.verdict.log_messages import LogMessages
from onejob.verdict.signals import Row
from onejob.verdict.values import Floats

SIGNALS = {"error": "new_error", LOG_MESSAGE: "new_log_template"}
# Beyond these a version is noisy rather than novel: their number alone says so.
_MOST_FOLLOWED = 50


@dataclass(slots=True)
class _Followed:
    """A fingerprint since it was first seen; pairs are (control, treatment)."""

    cell: NoveltyCell
    first_seen: int
    is_new: bool
    log_e: Floats = field(default_factory=lambda: np.zeros(len(LOG_RATIOS)))
    requests: list[int] = field(default_factory=lambda: [0, 0])
    count: list[int] = field(default_factory=lambda: [0, 0])


class Novelties:
    """What the new version shows for the first time."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._settings = settings
        self._followed: dict[tuple[str, str], _Followed] = {}
        self._known: set[tuple[str, str]] = set()
        self._passed_over: set[tuple[str, str]] = set()
        self._messages = LogMessages()

    def consume(self, deployment: Deployment, batch: EvidenceBatch, rows: Counts) -> None:
        """Add a batch, bin by bin: what is followed is fixed before a bin is looked at."""
        requests = np.zeros((2, rows.bins), dtype=np.int64)
        np.add.at(requests, (rows.arm, rows.bin), rows.count)
        found: dict[int, list[tuple[int, NoveltyCell]]] = {}
        for cell in batch.novelties:
            if cell.is_known:
                known = self._messages.learn(cell) if cell.kind == LOG_MESSAGE else cell
                if known is not None:
                    self._make_known((known.kind, known.fingerprint))
                continue
            arm = compared_arm(deployment, cell, batch.bin_width_s)
            if arm is not None:
                found.setdefault((cell.bin_start - batch.bins_from) // batch.bin_width_s, []).append((arm, cell))
        for at in range(rows.bins):
            cells = self._told_apart(found.get(at, ()))
            self._weigh((int(requests[0, at]), int(requests[1, at])), _per_fingerprint(cells))
            self._note(cells, requests[:, at])

    def rows(self) -> list[Row]:
        """One row per fingerprint that only the treatment has shown, most evidence first."""
        new = [one for one in self._followed.values() if one.is_new and min(one.requests)]
        rows = [self._row(one, *ends) for one, ends in zip(new, self._intervals(new), strict=True)]
        return sorted(rows, key=lambda row: -row.log_e[0])

    def left_out(self) -> list[str]:
        """Sentences about what was not followed."""
        if not self._passed_over:
            return []
        return [
            f"{len(self._passed_over)} more errors or log templates were new; the first {_MOST_FOLLOWED} are judged."
        ]

    def _told_apart(self, cells: Iterable[tuple[int, NoveltyCell]]) -> list[tuple[int, NoveltyCell]]:
        """Cells of a bin, in any order, with the messages that lines are of; control's first: they make them known."""
        errors = [(arm, cell) for arm, cell in cells if cell.kind != LOG_MESSAGE]
        lines = sorted(
            ((arm, cell) for arm, cell in cells if cell.kind == LOG_MESSAGE),
            key=lambda line: (line[0], line[1].fingerprint, line[1].build),
        )
        told = [(arm, (self._messages.learn if arm == CONTROL else self._messages.see)(cell)) for arm, cell in lines]
        return [*errors, *((arm, cell) for arm, cell in told if cell is not None)]

    def _weigh(self, requests: tuple[int, int], counts: Mapping[tuple[str, str], list[int]]) -> None:
        n0, n1 = (np.array([float(n)]) for n in requests)
        for key, one in self._followed.items():
            x = counts.get(key, [0, 0])
            x0, x1 = (min(float(a), float(b)) for a, b in zip(x, requests, strict=True))
            if x0 or x1:
                one.log_e += novelty.added_evidence(n0, n1, np.array([x0]), np.array([x1]))
            one.requests = [a + b for a, b in zip(one.requests, requests, strict=True)]
            one.count = [one.count[0] + int(x0), one.count[1] + int(x1)]

    def _note(self, cells: Iterable[tuple[int, NoveltyCell]], requests: NDArray[np.int64]) -> None:
        """What is seen for the first time: known if control shows it in the same bin, or has before."""
        by_arm: tuple[dict[tuple[str, str], NoveltyCell], ...] = ({}, {})
        for arm, cell in cells:
            key = (cell.kind, cell.fingerprint)
            by_arm[arm].setdefault(key, cell)
            if arm == CONTROL:
                self._make_known(key)
        for key, cell in by_arm[TREATMENT].items():
            if key in self._followed or key in self._known or key in self._passed_over:
                continue
            if len(self._followed) >= _MOST_FOLLOWED:
                self._passed_over.add(key)
                continue
            first = _Followed(cell, cell.bin_start, is_new=True)
            first.requests = [int(n) for n in requests]
            seen = sum(c.count for a, c in cells if a == TREATMENT and (c.kind, c.fingerprint) == key)
            first.count = [0, min(seen, first.requests[TREATMENT])]
            self._followed[key] = first

    def _make_known(self, key: tuple[str, str]) -> None:
        self._known.add(key)
        if key in self._followed:
            self._followed[key].is_new = False

    def _intervals(self, new: list[_Followed]) -> list[tuple[float, float]]:
        if not new:
            return []
        phi = self._phi()
        events = np.array([one.count for one in new], dtype=float) / phi
        requests = np.array([one.requests for one in new], dtype=float) / phi
        ends = running_mean_interval(events.ravel(), requests.ravel(), self._settings.alpha / 2)
        low, high = (end.reshape(-1, 2) for end in ends)
        return [
            (float(a[TREATMENT] - b[CONTROL]), float(b[TREATMENT] - a[CONTROL])) for a, b in zip(low, high, strict=True)
        ]

    def _phi(self) -> float:
        return design_effect.PRIOR_PHI * self._settings.phi_factor

    def _row(self, one: _Followed, low: float, high: float) -> Row:
        phi, rate = self._phi(), one.count[TREATMENT] / one.requests[TREATMENT]
        log_e = novelty.log_evidence(one.log_e, phi)
        return Row(
            family="novelty",
            operation=one.cell.title or one.cell.fingerprint,
            signal=SIGNALS.get(one.cell.kind, "new_error"),
            kind=EffectKind.DIFFERENCE,
            control=0.0,
            treatment=rate,
            effect=rate,
            low=low,
            high=high,
            tolerance=0.0,
            log_e=(log_e, 0.0),
            own_log_e=(log_e, 0.0),
            weight=0.0,
            phi=phi,
            theta_0=1.0,
            requests=(one.requests[CONTROL], one.requests[TREATMENT]),
            events=(one.count[CONTROL], one.count[TREATMENT]),
            exploratory=True,
            stream=f"{one.cell.kind} {one.cell.fingerprint}",
            novelty=NewThing(
                kind=one.cell.kind,
                fingerprint=one.cell.fingerprint,
                title=one.cell.title,
                sample=one.cell.sample,
                trace_id=one.cell.trace_id,
                first_seen_at=datetime.fromtimestamp(one.first_seen, UTC),
                count=one.count[TREATMENT],
                rate=rate,
                control_requests=one.requests[CONTROL],
            ),
            says_what_is_missing=False,
        )


def _per_fingerprint(cells: Iterable[tuple[int, NoveltyCell]]) -> dict[tuple[str, str], list[int]]:
    counts: dict[tuple[str, str], list[int]] = {}
    for arm, cell in cells:
        counts.setdefault((cell.kind, cell.fingerprint), [0, 0])[arm] += cell.count
    return counts
