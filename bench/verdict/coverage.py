"""Does every interval the judge reports hold the truth, at every look? And what is said when nothing is wrong?

A deployment's interval is right only if it holds the true effect at *all* of its looks: the user may look at any. The
truth of a ratio of durations is the factor that was put in; that of a difference of rates is the difference of the
running means of the requests' own chances, which is what the interval promises to hold when rates drift.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from bench.verdict import ours, workers
from bench.verdict.results import Measure, Row, share
from bench.verdict.scenarios import HOUR, rising
from bench.verdict.traffic import Day, Traffic, Wander, day
from numpy.typing import NDArray

from onejob.model.verdict import EffectKind, SignalResult, State
from onejob.verdict.counts import CONTROL, TREATMENT

Floats = NDArray[np.float64]

RUNS, RUNS_QUICK = 120, 2
BINS, BINS_QUICK = HOUR // 2, 30  # each look costs milliseconds, and there are as many as bins
_FIVE_EACH = {"pods": (5, 5), "rate_per_s": 20.0}
CASES = (
    Traffic(name="no change", **_FIVE_EACH),
    Traffic(name="durations +30 %, errors x3", slower=1.3, failing=3.0, **_FIVE_EACH),
    Traffic(name="durations -20 %", slower=0.8, **_FIVE_EACH),
    Traffic(name="one instance each, a tenth of the traffic", shares=((0, 0.1),), rate_per_s=20.0),
    Traffic(name="errors 0.5 -> 3 % while 10 -> 50 -> 90 %", drift=rising, shares=((0, 0.1), (60, 0.5), (120, 0.9))),
    Traffic(name="pods differ, sd 5 %", pod_sd=0.05, **_FIVE_EACH),
    Traffic(name="AR(0.98) of each pod", wander=Wander(0.98, step=6, of_each="pod"), **_FIVE_EACH),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Per signal, whether it was reported at all and whether it ever missed the truth; and the state at the end."""

    missed: dict[str, bool]
    state: State


def one(traffic: Traffic, seed: int) -> Seen:
    """All looks at the deployment of this seed."""
    drawn = day(replace(traffic, warmed=True), seed)
    truth = true_difference(drawn)
    judge = ours.CountsJudge(drawn, intervals=True)
    verdict, missed = judge.look(drawn.start), {}
    for at in range(drawn.start, drawn.counts.bins):
        verdict = judge.look(at + 1)
        for signal in verdict.signals:
            true = truth[at] if signal.effect_kind is EffectKind.DIFFERENCE else traffic.slower
            missed[signal.signal] = missed.get(signal.signal, False) or not holds(signal, true)
    return Seen(missed, verdict.state)


def holds(signal: SignalResult, truth: float) -> bool:
    """An end that is not known yet excludes nothing."""
    return not (signal.low is not None and truth < signal.low) and not (signal.high is not None and truth > signal.high)


def true_difference(drawn: Day) -> Floats:
    """Of the chances to fail, averaged over the requests so far of each arm in bins where both served; per bin."""
    rows = drawn.counts
    n = np.stack([np.bincount(rows.bin[mine], rows.count[mine], rows.bins) for mine in (rows.arm == 0, rows.arm == 1)])
    n *= (n > 0).all(axis=0)
    with np.errstate(invalid="ignore"):
        means = np.cumsum(n * drawn.chances, axis=1) / np.cumsum(n, axis=1)
    difference: Floats = means[TREATMENT] - means[CONTROL]
    return difference


def rows(_: Path, quick: bool) -> list[Row]:
    """Per case: the share of deployments whose interval was right at every look; none may miss more than alpha."""
    found = []
    for case in CASES:
        runs, bins = (RUNS_QUICK, BINS_QUICK) if quick else (RUNS, BINS)
        seen = workers.each(partial(one, replace(case, bins=bins)), range(runs))
        for signal in sorted({name for each in seen for name in each.missed}):
            mine = [each.missed[signal] for each in seen if signal in each.missed]
            row = share(Measure.COVERAGE, f"{case.name}: {signal}", len(mine) - sum(mine), len(mine))
            found.append(row.at_least(1 - ours.SETTINGS.alpha))
    return found
