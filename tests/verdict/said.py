"""What spans say beyond requests, generated: KPI values, web vitals, errors, and what a router counted."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from onejob.model.evidence import Arm, Cell, EvidenceBatch, NoveltyCell, RouterCount, ValueCell, Vital
from onejob.model.kpi import Direction, Kpi, KpiKind
from onejob.model.verdict import Verdict
from onejob.stats.octaves import octave
from onejob.verdict.judge import Judge
from verdict.traffic import START, Scenario, a_cell, a_deployment, looks

CALM = Scenario(rates={"POST /orders": 8.0}, share=lambda _: 0.5, seconds=90, baseline_s=40)
Values = Callable[[np.random.Generator, int], np.ndarray]


def a_kpi(**changes: object) -> Kpi:
    values: dict[str, object] = {
        "name": "revenue",
        "kind": KpiKind.MEAN,
        "direction": Direction.HIGHER_IS_BETTER,
        "attribute": "order.total",
        "unit": "EUR",
        "guardrail": True,
    }
    return Kpi(**(values | changes))  # type: ignore[arg-type]


def value_cell(kpi: str, version: str, instance: str, at: int, values: Iterable[float]) -> ValueCell:
    counts: dict[int, int] = {}
    sums: dict[int, float] = {}
    for value in map(float, values):
        k = octave(value)
        counts[k], sums[k] = counts.get(k, 0) + 1, sums.get(k, 0.0) + value
    return ValueCell(kpi=kpi, version=version, instance=instance, bin_start=at, counts=counts, sums=sums)


def last_verdict(batches: Iterable[EvidenceBatch], bins: int = 5) -> Verdict:
    judge = Judge(a_deployment())
    return [judge.consume(batch) for batch in looks(batches, bins)][-1]


def novelty(version: str, at: int, count: int = 1, **changes: object) -> NoveltyCell:
    values: dict[str, object] = {
        "kind": "error",
        "fingerprint": "f1",
        "version": version,
        "bin_start": at,
        "count": count,
        "title": "KeyError in price",
        "sample": "Traceback ...",
        "trace_id": "t1",
    }
    return NoveltyCell(**(values | changes))  # type: ignore[arg-type]


def vitals(rng: np.random.Generator, at: int, version: str, slower: float, shift: float) -> tuple[Vital, ...]:
    """Twenty page views in four groups of sessions."""
    cells: dict[str, list[Cell]] = {"lcp": [], "cls": [], "unknown": []}
    for group in range(4):
        seconds = 1.5 * slower * rng.lognormal(0, 0.3, 10)
        layout = 0.1 + np.where(rng.random(10) < 0.4, rng.exponential(0.1, 10), 0.0) + shift
        for name, values in (("lcp", seconds), ("cls", layout), ("unknown", seconds)):
            where = {"operation": "/cart", "version": version, "instance": f"group {group}", "bin_start": at}
            cells[name].append(a_cell(values, np.zeros(10, dtype=bool), **where))
    return tuple(Vital(name=name, cells=tuple(some)) for name, some in cells.items())


def routed(t: int, control: int, treatment: int, share: float, failed: int = 0) -> tuple[RouterCount, ...]:
    at = datetime.fromtimestamp(START + t, UTC)
    return tuple(
        RouterCount(arm=arm, sampled_at=at, requests=n, errors_5xx=x, resets=0, timeouts=0, share=part)
        for arm, n, x, part in ((Arm.CONTROL, control, 0, 1 - share), (Arm.TREATMENT, treatment, failed, share))
    )


def everything(batch: EvidenceBatch, rng: np.random.Generator) -> EvidenceBatch:
    at = batch.bins_from
    versions = ("1", "2") if at >= START else ("1",)
    values = [
        value_cell(kpi.name, version, f"{version}-0", at, rng.lognormal(3, 1, 5) > 20 if kpi.kind is KpiKind.YES_NO
                   else rng.lognormal(3, 1, 5))
        for kpi in ALL_KINDS for version in versions
    ]  # fmt: skip
    seen = tuple(v for version in versions for v in vitals(rng, at, version, 1.0, 0.0))
    return replace(batch, values=tuple(values), vitals=seen, novelties=tuple(novelty(v, at) for v in versions[1:]))


ALL_KINDS = tuple(
    a_kpi(name=f"k_{kind.value}", kind=kind, guardrail=kind is KpiKind.MEAN, per_instance=kind is KpiKind.SLOPE)
    for kind in KpiKind
)
