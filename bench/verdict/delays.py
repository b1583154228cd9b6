"""How long a regression takes to be seen, as a multiple of what a judge who knows everything needs.

One operation of 1, 35 or 350 is hurt, the others are not; requests are independent, so that the oracle is right. The
product is measured as it starts (one instance each, nothing known of the service), with the history of a service whose
instances do not differ, and without its defences against dependent noise (what the evidence itself costs).
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from bench.verdict import ours, workers
from bench.verdict.peers import oracle, rules
from bench.verdict.peers.series import MINUTE, series
from bench.verdict.results import Measure, Row, Unit, share
from bench.verdict.traffic import Traffic, day
from numpy.typing import NDArray

from onejob.model.evidence import SignalHistory
from onejob.verdict.budget import BUDGET
from onejob.verdict.evidence import SIGNAL_NAMES, Evidence

Floats = NDArray[np.float64]

TARGETS = {"errors": 1.3, "latency": 1.75}
POWER = 0.95
PATIENCE = 3  # times the oracle's median delay
RUNS = {1: 60, 35: 12, 350: 3}  # a run of 350 operations takes a minute
RUNS_QUICK = {1: 3, 35: 1}
_RESAMPLES = 2000
# A month of a service with two instances at a time: nothing found beyond independent requests.
_CALM = tuple(SignalHistory(signal=name, phi=1.0, blocks=100_000, s_b=0.0, instances=60) for name in SIGNAL_NAMES)
AS_SHIPPED = "onejob, cold start"
WITH_HISTORY = "onejob, calm history"
EVIDENCE = "onejob's evidence alone"
VARIANTS = {
    AS_SHIPPED: (ours.SETTINGS, Evidence),
    WITH_HISTORY: (replace(ours.SETTINGS, history=_CALM), Evidence),
    EVIDENCE: (ours.SETTINGS, ours.Bare),
}


@dataclass(frozen=True, slots=True)
class Harm:
    """What is wrong with the new version, and on how much traffic it shows."""

    family: str
    traffic: Traffic


def harms(operations: int) -> list[Harm]:
    """Errors tripled (2 to 6 %), or durations up by 30 %, at a canary of 10 % and at half of the traffic."""
    errors = Traffic(name="errors x3", rate_per_s=2.0, errors=0.02, failing=3.0, bins=900, warmed=True)
    slower = Traffic(name="durations +30 %", rate_per_s=1.0, errors=0.0, slower=1.3, bins=360, warmed=True)
    shares = ((0.5, "half"), (0.1, "a tenth")) if operations == 1 else ((0.5, "half"),)
    return [
        Harm(
            family,
            replace(
                traffic,
                name=f"{traffic.name} on {words} of the traffic, {operations} operations",
                operations=operations,
                shares=((0, part),),
                bins=int(traffic.bins * 0.25 / (part * (1 - part))),
            ),
        )
        for family, traffic in (("errors", errors), ("latency", slower))
        for part, words in shares
    ]


@dataclass(frozen=True, slots=True)
class Delays:
    """In bins; infinite for never."""

    oracle: float
    ours: dict[str, float]
    peers: dict[str, float]


def one(harm: Harm, seed: int) -> Delays:
    """Judge the deployment of this seed."""
    drawn = day(harm.traffic, seed)
    alone = harm.traffic.operations == 1
    part = BUDGET[harm.family] / 2 * (float(ours.shares(drawn)[0]) + alone)
    seen = series(drawn, 1, 0)
    if harm.family == "errors":
        path = oracle.errors_path(seen, (harm.traffic.errors, harm.traffic.errors * harm.traffic.failing))
    else:
        path = oracle.durations_path(seen, harm.traffic.slower)
    mine = {name: _or_never(ours.first_worse(drawn, *how)) for name, how in VARIANTS.items()}
    minutes = series(drawn, MINUTE, 0)
    peers = {name: _or_never(peer(minutes)) for name, peer in rules.PEERS.items()} if alone else {}
    return Delays(_or_never(oracle.first(path, part)), mine, peers)


def _or_never(bins: int | None) -> float:
    return np.inf if bins is None else float(bins)


def rows(_: Path, quick: bool) -> list[Row]:
    """Rows for each number of operations and kind of harm."""
    found = []
    for operations, runs in (RUNS_QUICK if quick else RUNS).items():
        for harm in harms(operations):
            delays = workers.each(partial(one, harm), range(runs))
            found += _rows(harm, delays, runs)
    return found


def _rows(harm: Harm, delays: list[Delays], runs: int) -> list[Row]:
    name, target = harm.traffic.name, TARGETS[harm.family]
    known = np.array([d.oracle for d in delays])
    out = [_multiple(f"{name}: oracle's median, minutes", known / MINUTE, np.ones(runs), 0.5, "oracle")]
    for who in delays[0].ours | delays[0].peers:
        mine = np.array([(d.ours | d.peers)[who] for d in delays])
        is_ours = who in VARIANTS
        median = _multiple(f"{name}: median delay / oracle's", mine, known, 0.5, who)
        out.append(median.at_most(target) if is_ours else median)
        out.append(_multiple(f"{name}: p90 delay / oracle's", mine, known, 0.9, who))
        seen = int((mine <= PATIENCE * np.median(known)).sum())
        power = share(Measure.DELAY, f"{name}: seen within 3 x the oracle's median", seen, runs, who=who)
        out.append(power.at_least(POWER) if is_ours else power)
    return out


def _multiple(name: str, mine: Floats, known: Floats, q: float, who: str) -> Row:
    """Ratio of q-quantiles, with a bootstrap interval over runs (percentile method; seed fixed)."""
    rng = np.random.default_rng(1)
    picks = rng.integers(0, len(mine), (_RESAMPLES, len(mine)))
    ratios = _quantile(mine[picks], q) / _quantile(known[picks], q)
    ends = np.quantile(ratios, (0.025, 0.975), method="nearest")
    value, low, high = (float(x) if np.isfinite(x) else None for x in (_quantile(mine, q) / _quantile(known, q), *ends))
    note = "" if value is not None else f"never in {np.isinf(mine).mean():.0%} of the runs"
    unit = Unit.NUMBER if who == "oracle" else Unit.RATIO
    return Row(
        measure=Measure.DELAY, name=name, value=value, low=low, high=high, unit=unit, n=len(mine), who=who, note=note
    )


def _quantile(values: Floats, q: float) -> Floats:
    result: Floats = np.quantile(values, q, axis=-1, method="inverted_cdf")
    return result
