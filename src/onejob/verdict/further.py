"""Every signal beyond errors, latency and what the router saw, behind one face for the judge."""

from collections.abc import Mapping

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch, JudgeSettings
from onejob.model.verdict import MixShift
from onejob.verdict.budget import shares
from onejob.verdict.counts import CONTROL, TREATMENT, Counts
from onejob.verdict.kpis import Kpis
from onejob.verdict.mix import Mix
from onejob.verdict.novelties import Novelties
from onejob.verdict.signals import Row
from onejob.verdict.split import NOT_COMPARABLE, TrafficSplit
from onejob.verdict.vitals import Vitals


class Further:
    """KPIs, web vitals, novelties, the mix of traffic and its split."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._alpha = settings.alpha
        self._kpis = Kpis(settings)
        self._vitals = Vitals(settings)
        self._novelties = Novelties(settings)
        self._mix = Mix()
        self.split = TrafficSplit()

    def consume(self, deployment: Deployment, batch: EvidenceBatch, rows: Counts, operations: int, heft: float) -> None:
        """Add a batch; `rows` are its requests, already placed; a span stands for `heft` of them."""
        self._kpis.consume(deployment, batch, rows)
        self._vitals.consume(deployment, batch, rows)
        self._novelties.consume(deployment, batch, rows)
        self._mix.consume(rows, operations)
        answered = tuple(float(rows.requests[rows.arm == arm].sum()) for arm in (CONTROL, TREATMENT))
        self.split.consume((answered[0], answered[1]), batch.share, batch.router, self._alpha, heft)

    def rows(self, *, was_load_alike: bool) -> list[Row]:
        """Rows of all of them; `was_load_alike`: did the arms' instances have about as many requests each?"""
        return [*self._kpis.rows(was_load_alike=was_load_alike), *self._vitals.rows(), *self._novelties.rows()]

    def budget(self) -> Mapping[str, float]:
        """How alpha is shared with them."""
        return shares(has_kpis=self._kpis.has_guardrails, has_vitals=self._vitals.are_guardrails)

    def mix(self) -> tuple[MixShift, ...]:
        """How much of the overall change is other traffic."""
        return self._mix.parts()

    def left_out(self) -> list[str]:
        """Sentences about what was not compared."""
        void = [f"{NOT_COMPARABLE}{self.split.why}."] if self.split.why else []
        return [*void, *self._novelties.left_out()]
