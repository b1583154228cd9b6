"""Not enough data: is the time said to be missing the time it takes, and how many harmless deployments end so?"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from bench.verdict import ours, workers
from bench.verdict.results import Measure, Row, quantile, share
from bench.verdict.scenarios import HOUR
from bench.verdict.traffic import BIN_S, Traffic, day

from onejob.model.verdict import State, Verdict

RUNS, RUNS_QUICK = 60, 1
ASKED_AT = (30, 90)  # bins after the start: after 5 and 15 minutes
STEP = 6  # a look each minute: what is asked is how long it takes, in minutes and hours
MANY = Traffic(name="ten pods each, 20 requests/s", pods=(10, 10), rate_per_s=20.0, bins=8 * HOUR, warmed=True)
LEFT_OPEN = (
    Traffic(name="one instance each, 10 requests/s"),
    Traffic(name="ten pods each, 10 requests/s", pods=(10, 10)),
    Traffic(name="1 pod of 10, 30 requests/s", pods=(9, 1), shares=((0, 0.1),), rate_per_s=30.0),
    Traffic(name="one instance each, 1 request a minute", rate_per_s=1 / 60),
)
OPEN_RUNS, OPEN_RUNS_QUICK = 40, 1


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was said at one moment of one signal, and what came: seconds from then on (infinite for never seen)."""

    signal: str
    asked_at: int
    p50: float
    p90: float
    actual: float


def forecasts(traffic: Traffic, seed: int) -> list[Forecast]:
    """Of the deployment of this seed: every undecided row that was given a time."""
    drawn = day(traffic, seed)
    judge = ours.CountsJudge(drawn, intervals=True)
    judge.skip(drawn.start)
    said: dict[tuple[str, int], tuple[float, float]] = {}
    settled: dict[tuple[str, int], float] = {}  # the first time after it was asked
    for at in range(STEP, traffic.bins + 1, STEP):
        verdict = judge.look(drawn.start + at)
        done = {s.signal for s in verdict.signals if s.state is State.NO_WORSE}
        settled |= {key: float(at * BIN_S) for key in said if key[0] in done and key not in settled}
        if at in ASKED_AT:
            said |= {(signal, at): times for signal, times in asked(verdict).items()}
        if at > max(ASKED_AT) and len(settled) == len(said):
            break
    return [
        Forecast(signal, at, p50, p90, settled.get((signal, at), np.inf) - at * BIN_S)
        for (signal, at), (p50, p90) in said.items()
    ]


def asked(verdict: Verdict) -> dict[str, tuple[float, float]]:
    """The times that undecided rows are given."""
    return {
        s.signal: (s.missing.seconds_p50, s.missing.seconds_p90 or np.inf)
        for s in verdict.signals
        if s.missing is not None and s.missing.seconds_p50 is not None
    }


def at_the_end(traffic: Traffic, seed: int) -> State:
    """The state after a day, taken in hour by hour as after an outage: sizes need not every look."""
    drawn = day(traffic, seed)
    judge = ours.CountsJudge(drawn, intervals=True)
    verdict = judge.look(drawn.start)
    for until in range(drawn.start + HOUR, drawn.counts.bins + 1, HOUR):
        verdict = judge.look(until)
    return verdict.state


def rows(_: Path, quick: bool) -> list[Row]:
    """Shares of actual times within what was said, by moment and signal; then shares of deployments left undecided."""
    runs = range(RUNS_QUICK if quick else RUNS)
    traffic = replace(MANY, bins=HOUR // 2) if quick else MANY
    all_said = [f for found in workers.each(partial(forecasts, traffic), runs) for f in found]
    found = [row for key in sorted({(f.asked_at, f.signal) for f in all_said}) for row in _calibration(all_said, *key)]
    for case in LEFT_OPEN:
        cases = range(OPEN_RUNS_QUICK if quick else OPEN_RUNS)
        states = workers.each(partial(at_the_end, replace(case, bins=HOUR) if quick else case), cases)
        found.append(share(Measure.UNDECIDED, case.name, states.count(State.UNDECIDED), len(states)))
    return found


def _calibration(forecasts: list[Forecast], asked_at: int, signal: str) -> list[Row]:
    mine = [f for f in forecasts if (f.asked_at, f.signal) == (asked_at, signal)]
    name = f"{signal} after {asked_at * BIN_S // 60} min"
    ratios = [f.actual / f.p50 for f in mine]
    return [
        share(Measure.ETA, f"{name}: settled by the p50 time", sum(f.actual <= f.p50 for f in mine), len(mine)),
        share(Measure.ETA, f"{name}: settled by the p90 time", sum(f.actual <= f.p90 for f in mine), len(mine)),
        quantile(Measure.ETA, f"{name}: median of actual / p50 time", ratios, 0.5),
    ]
