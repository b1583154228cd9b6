"""Before/after in a generated fleet: is what hits all services blamed on the one that was deployed?

Five services with a day in their traffic and two kinds of noise in their error rates, both slow (AR(0.9), sd 20 %
each): one that all of them share, and one of their own. One is deployed after two weeks; the others are its controls.
The hour after is harmless, or an event makes errors of all services four times as many (give or take 30 % from one to
the next, as no outage is alike for all), or the deployment does so to its own alone. Judged are error rates in steps of
five minutes at alpha = 1 %, against the past alone and with controls, on the same numbers. Nothing here was used to
choose anything in `stats.controls`.

The last rows tell of `stats.onset`: how often the minutes in which damage may have begun hold the one in which it did.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench.verdict.results import Measure, Row, share
from numpy.typing import NDArray

from onejob.stats import controls, onset, replay, scan
from onejob.stats.expectation import Residuals, Series
from onejob.stats.replay import Frame

Floats = NDArray[np.float64]

ALPHA = 0.01
STEP_S, DAY, HORIZON = 300, 288, 12
STEPS = 14 * DAY
SERVICES = 5
_MEMORY, _SD = 0.9, 0.2
_TIMES, _UNLIKE = 4.0, 0.3
_CASES, _QUICK_CASES = 1_000, 20
_ONSETS, _QUICK_ONSETS = 2_000, 200
_SURE = 0.99


@dataclass(frozen=True, slots=True)
class Fleet:
    """Requests and error rates of shape (services, steps); the last hour is the one after the deployment."""

    requests: Floats
    rates: Floats


def rows(data: Path, quick: bool) -> list[Row]:
    """The table; see verdict.results. Needs no data."""
    cases = [judged(seed) for seed in range(_QUICK_CASES if quick else _CASES)]
    found = []
    for event in ("harmless", "fleet", "own"):
        for who, number in (("the past alone", 0), ("onejob", 1)):
            hits = sum(case[event][number] <= ALPHA for case in cases)
            row = share(Measure.BEFORE_AFTER, _NAMES[event], hits, len(cases), who=who)
            found.append(row.at_most(ALPHA, surely=not quick) if event == "harmless" and number else row)
    tried = _QUICK_ONSETS if quick else _ONSETS
    held = sum(holds_the_minute(seed) for seed in range(tried))
    return [*found, share(Measure.BEFORE_AFTER, "minute of onset within its 99 %", held, tried).at_least(_SURE)]


_NAMES = {
    "harmless": f"generated fleet: harmless called worse at alpha = {ALPHA:.0%}",
    "fleet": "generated fleet: what hits all services blamed on one",
    "own": "generated fleet: damage of the deployed one found",
}


def a_fleet(rng: np.random.Generator) -> Fleet:
    """Nothing has happened yet."""
    steps = STEPS + HORIZON
    day = 1 + 0.6 * np.sin(2 * np.pi * np.arange(steps) / DAY)
    busy = rng.uniform(300, 1_500, SERVICES)
    rate = rng.uniform(0.005, 0.02, SERVICES)
    noise = _slow(rng, steps) + np.array([_slow(rng, steps) for _ in range(SERVICES)])
    requests = rng.poisson(busy[:, None] * day).astype(float)
    return Fleet(requests, rate[:, None] * np.exp(noise))


def judged(seed: int) -> dict[str, tuple[float, float]]:
    """Per event: p-values of the first service being worse, against the past alone and with the others as controls."""
    rng = np.random.default_rng(seed)
    fleet = a_fleet(rng)
    past = _errors(fleet, rng)
    where = Frame(STEPS, 0, HORIZON, STEP_S, np.arange(DAY + 24, STEPS - HORIZON, 3))
    mine, *others = (Series(x, n, STEP_S) for x, n in zip(past, fleet.requests, strict=True))
    known = [replay.control(one, where) for one in others]
    alone, beyond = (replay.replay(mine, where, beside) for beside in (None, replay.together(known, where)))
    usual = np.array([one.rate for one in known])
    unlike = rng.lognormal(0.0, _UNLIKE, SERVICES)
    times = {
        "harmless": np.ones(SERVICES),
        "fleet": _TIMES * unlike,
        "own": np.where(np.arange(SERVICES) == 0, _TIMES, 1.0),
    }
    return {
        event: _p_values(alone, beyond, usual, where, np.concatenate([past[:, :STEPS], hour], axis=1))
        for event, factor in times.items()
        for hour in (_errors(_hour_of(fleet, factor), rng),)
    }


def holds_the_minute(seed: int) -> bool:
    """Does the interval of when damage began hold the minute? Of an hour before and up to one after."""
    rng = np.random.default_rng(seed)
    began, steps = int(rng.integers(20, 90)), 100
    expected = np.full(steps, rng.uniform(2.0, 30.0))
    factor = np.where(np.arange(steps) >= began, rng.uniform(1.5, 4.0), 1.0)
    found = onset.onset(rng.poisson(expected * factor).astype(float), expected, side=scan.UP, phi=1.0)
    return found is not None and found.earliest <= began <= found.latest


def _hour_of(fleet: Fleet, factor: Floats) -> Fleet:
    return Fleet(fleet.requests[:, STEPS:], fleet.rates[:, STEPS:] * factor[:, None])


def _errors(fleet: Fleet, rng: np.random.Generator) -> Floats:
    found: Floats = rng.binomial(fleet.requests.astype(int), np.minimum(fleet.rates, 1.0)).astype(float)
    return found


def _p_values(
    alone: replay.Replay, beyond: replay.Replay, usual: Floats, where: Frame, errors: Floats
) -> tuple[float, float]:
    """`usual` are the controls' expected errors of the hour after, `errors` those of all services, all the time."""
    now = replay.since(replace(alone, series=replace(alone.series, events=errors[0])), where)
    beside = controls.beside(errors[1:, None, STEPS:], usual[:, None, :], scan.widths(STEP_S, HORIZON))
    against_past = _p_value(now, alone, where)
    return against_past, max(against_past, _p_value(replace(now, beside=beside), beyond, where))


def _p_value(now: Residuals, one: replay.Replay, where: Frame) -> float:
    height = float(scan.heights(now, one.scale, STEP_S)[scan.UP, 0])
    return scan.null(one.heights[scan.UP], where.independent).exceedance(height)


def _slow(rng: np.random.Generator, steps: int) -> Floats:
    """AR(1) noise."""
    found = np.empty(steps)
    value = rng.normal(0, _SD)
    for step, shock in enumerate(rng.normal(0, _SD * np.sqrt(1 - _MEMORY**2), steps)):
        value = _MEMORY * value + shock
        found[step] = value
    return found
