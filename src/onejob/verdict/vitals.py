"""Web vitals: what users' browsers measured of page views, judged as durations are.

Largest Contentful Paint (LCP) and Interaction to Next Paint (INP) are durations. Cumulative Layout Shift (CLS) has no
unit and is mostly zero, so its buckets are of 0.1 + CLS: then a ratio of r at c means a difference of c (r - 1). A
browser is no instance; in place of instances stand a few groups of sessions, among which clusters show just as well.
The quantile is p75, as the vitals' own thresholds are. As with requests, better counts only where both versions had
about as many page views (see `load`): a server that has less to do is faster, and so are its pages.
"""

from dataclasses import replace

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch, JudgeSettings
from onejob.model.verdict import EffectKind
from onejob.stats import histogram
from onejob.verdict import counts, signals, tolerances
from onejob.verdict.arms import compared_arm
from onejob.verdict.counts import TREATMENT, Counts, InstanceKey, instance_key
from onejob.verdict.evidence import Evidence
from onejob.verdict.fold import fold
from onejob.verdict.intervals import LatencyIntervals
from onejob.verdict.operations import OTHER, Operations
from onejob.verdict.signals import Row

CLS_OFFSET = 0.1
NAMES = ("lcp", "inp", "cls")
_TOLERANCES = {"lcp": 1.10, "inp": 1.10, "cls": 0.02}
_P75 = 0.75
_AROUND = (1, 2, 3)  # thresholds at p50, p75 and p90: index 0 of the evidence is errors
_MOST_PAGES = 50


class Vitals:
    """The three vitals, each with evidence of its own; pages take the place of operations."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._settings = settings
        self._vitals = {name: _Vital(name, settings) for name in NAMES}
        self._is_guardrail: bool | None = None

    @property
    def are_guardrails(self) -> bool:
        """Whether they share alpha: if control showed any before the new version's first page view."""
        return bool(self._is_guardrail)

    def consume(self, deployment: Deployment, batch: EvidenceBatch, rows: Counts) -> None:
        """Add a batch's page views; `rows` are its requests."""
        is_served = bool((rows.arm == TREATMENT).any())
        for vital in batch.vitals:
            arms = [(c, compared_arm(deployment, c, batch.bin_width_s)) for c in vital.cells]
            is_served |= any(arm == TREATMENT for _, arm in arms)
            if vital.name in self._vitals:
                mine = tuple(c for c, arm in arms if arm is not None)
                self._vitals[vital.name].consume(deployment, replace(batch, cells=mine))
        if self._is_guardrail is None and is_served:
            self._is_guardrail = any(one.has_control for one in self._vitals.values())

    def rows(self) -> list[Row]:
        """p75 per vital and page."""
        return [
            replace(row, exploratory=not self.are_guardrails, weight=row.weight / len(NAMES))
            for vital in self._vitals.values()
            for row in vital.rows()
        ]


class _Vital:
    """One vital: the same fold as of durations."""

    def __init__(self, name: str, settings: JudgeSettings) -> None:
        self._name = name
        self._settings = settings
        self._pages = Operations(_MOST_PAGES)
        self._groups: dict[InstanceKey, int] = {}
        # History is of requests between instances, not of page views between groups of sessions.
        self._evidence = Evidence(replace(settings, history=()))
        self._intervals = LatencyIntervals(settings.alpha, reported=(_P75,))
        self.has_control = False

    def consume(self, deployment: Deployment, batch: EvidenceBatch) -> None:
        """Add the page views of a batch."""
        treatment = [c for c in batch.cells if compared_arm(deployment, c, batch.bin_width_s) == TREATMENT]
        self._pages.register(batch.cells, treatment)
        self.has_control |= len(treatment) < len(batch.cells)
        for cell in batch.cells:
            self._groups.setdefault(instance_key(cell), len(self._groups))
        self._evidence.grow(len(self._pages.names), len(self._groups))
        self._intervals.grow(len(self._pages.names))
        fold(self._place(deployment, batch), self._evidence, self._intervals)
        if batch.finished or batch.expectations is not None:
            self._intervals.close(self._evidence)

    def rows(self) -> list[Row]:
        """One row per page that both versions showed, and whose quantile is known."""
        phi, log_theta_0 = self._evidence.phi(), self._evidence.log_theta_0()
        return [
            self._row(page, name, (phi[page], log_theta_0[page]))
            for page, name in enumerate(self._pages.names)
            if self._evidence.timed[TREATMENT, page] and self._intervals.edges[page, 0] >= 0
        ]

    def _place(self, deployment: Deployment, batch: EvidenceBatch) -> Counts:
        where = counts.Placement(
            bins_from=batch.bins_from,
            bins_to=batch.bins_to,
            bin_width_s=batch.bin_width_s,
            operations=self._pages.numbers,
            other=self._pages.numbers.get(OTHER, 0),
            instances=self._groups,
            mature_from=dict.fromkeys(self._groups, float("-inf")),
        )
        return counts.place(deployment, batch.cells, where)

    def _row(self, page: int, name: str, noise: tuple[signals.Floats, signals.Floats]) -> Row:
        signal = f"{self._name}_p75"
        told = tolerances.told(self._settings, signal, name)
        row = signals.duration_row(
            self._evidence,
            self._intervals,
            (page, 0),
            noise,
            family="vitals",
            operation=name,
            signal=signal,
            tolerance=_TOLERANCES[self._name] if told is None else told,
            weight=self._pages.weight(name),
            around=_AROUND,
        )
        row = replace(row, stream=f"{self._name} {name}")
        if self._name != "cls":
            return row
        return _as_difference(row, histogram.upper_edge_s(int(self._intervals.edges[page, 0]) + histogram.LOWEST))


def _as_difference(row: Row, at: float) -> Row:
    """CLS: ratios at 0.1 + control's CLS, told as differences of CLS."""

    def difference(ratio: float | None) -> float | None:
        return None if ratio is None else at * (ratio - 1)

    def plain(value: float | None) -> float | None:
        return None if value is None else max(0.0, value - CLS_OFFSET)

    return replace(
        row,
        kind=EffectKind.DIFFERENCE,
        control=plain(row.control),
        treatment=plain(row.treatment),
        effect=difference(row.effect),
        low=difference(row.low),
        high=difference(row.high),
        unit="",
        says_what_is_missing=False,
    )


def cls_seconds(value: float) -> float:
    """What a CLS is put into duration buckets as."""
    return CLS_OFFSET + value
