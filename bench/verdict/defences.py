"""What each defence against dependent noise does, alone and together, on the kinds of noise it is there for."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path

from bench.verdict import ours, workers
from bench.verdict.results import Measure, Row, share
from bench.verdict.scenarios import harmless
from bench.verdict.traffic import Traffic, day

from onejob.model.evidence import JudgeSettings
from onejob.verdict.evidence import Evidence

DAYS, DAYS_QUICK = 20, 1
PLACEBOS, PLACEBOS_QUICK = 100, 1  # of a hundred one may alarm
_FIRST_PLACEBO = 100_000  # seeds of days that are not measured
TARGET = 0.01
FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
NOISES = (
    "iid, one instance each",
    "AR(0.98) of each arm, by minutes",
    "AR(0.98) of each arm, 5 pods each",
    "1 pod of 10, sd 5 %",
    "3 pods of 10, sd 10 %",
    "one tenant's bursts",
    "one tenant's bursts, 1 pod of 10",
)


@dataclass(frozen=True, slots=True)
class Defence:
    """A way to run the judge."""

    name: str
    kind: type[Evidence]
    settings: JudgeSettings = ours.SETTINGS


DEFENCES = (
    Defence("none", ours.Bare),
    Defence("phi alone", ours.WithoutTheta0),
    Defence("theta_0 alone", ours.WithoutPhi),
    Defence("phi and theta_0", Evidence),
)


def alarms(traffic: Traffic, defences: Sequence[Defence], seed: int) -> list[bool]:
    """Is the harmless deployment of this seed called worse, by defence?"""
    drawn = day(traffic, seed)
    return [ours.first_worse(drawn, each.settings, each.kind) is not None for each in defences]


def calibrated(traffic: Traffic, placebos: int) -> Defence:
    """The fourth defence: phi rises until placebo deployments in the service's past alarm no more often than promised.

    Placebos are days of the same service that the measured days do not contain.
    """
    needed = workers.each(partial(factor_needed, traffic), range(_FIRST_PLACEBO, _FIRST_PLACEBO + placebos))
    enough = [f for f in FACTORS if sum(each > f for each in needed) <= TARGET * placebos]
    factor = enough[0] if enough else FACTORS[-1]
    name = f"self-calibrated (phi x {factor:g}{'' if enough else ', not enough'})"
    return Defence(name, Evidence, replace(ours.SETTINGS, phi_factor=factor))


def factor_needed(traffic: Traffic, seed: int) -> float:
    """The least of the factors with which the placebo of this seed is not called worse; infinite if with all it is."""
    drawn = day(traffic, seed)

    def is_quiet(factor: float) -> bool:
        return ours.first_worse(drawn, replace(ours.SETTINGS, phi_factor=factor)) is None

    if is_quiet(FACTORS[0]):
        return FACTORS[0]
    return (*FACTORS, inf)[bisect_left(FACTORS, True, lo=1, key=is_quiet)]


def rows(_: Path, quick: bool) -> list[Row]:
    """The false-alarm rate of each defence on each noise."""
    found = []
    days = range(DAYS_QUICK if quick else DAYS)
    known = {traffic.name: traffic for traffic in harmless()}
    for traffic in (known[name] for name in NOISES[:: 3 if quick else 1]):
        defences = (*DEFENCES, calibrated(traffic, PLACEBOS_QUICK if quick else PLACEBOS))
        called = workers.each(partial(alarms, traffic, defences), days)
        for defence, hits in zip(defences, zip(*called, strict=True), strict=True):
            found.append(share(Measure.DEFENCES, f"{traffic.name}: {defence.name}", sum(hits), len(days)))
    return found
