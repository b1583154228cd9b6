"""What each defence against dependent noise does, alone and together, on the kinds of noise it is there for."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.verdict import ours, workers
from bench.verdict.results import Measure, Row, share
from bench.verdict.scenarios import harmless
from bench.verdict.traffic import Traffic, day

from onejob.model.evidence import JudgeSettings
from onejob.verdict.evidence import Evidence

DAYS, DAYS_QUICK = 200, 2
PLACEBOS, PLACEBOS_QUICK = 200, 2
TARGET = 0.01
FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
NOISES = (
    "iid, one instance each",
    "AR(0.8) of each arm, by minutes",
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


def alarms(traffic: Traffic, kind: type[Evidence], settings: JudgeSettings, seed: int) -> bool:
    """Is the harmless deployment of this seed called worse?"""
    return ours.first_worse(day(traffic, seed), settings, kind) is not None


def calibrated(traffic: Traffic, placebos: int) -> JudgeSettings:
    """The fourth defence: phi rises until placebo deployments in the service's past alarm no more often than promised.

    Placebos are days of the same service that the measured days do not contain.
    """
    for factor in FACTORS:
        settings = replace(ours.SETTINGS, phi_factor=factor)
        jobs = range(100_000, 100_000 + placebos)
        if sum(workers.each(partial(alarms, traffic, Evidence, settings), jobs)) <= TARGET * placebos:
            return settings
    return settings


def rows(_: Path, quick: bool) -> list[Row]:
    """The false-alarm rate of each defence on each noise."""
    found = []
    days = range(DAYS_QUICK if quick else DAYS)
    for traffic in (each for each in harmless() if each.name in NOISES):
        settings = calibrated(traffic, PLACEBOS_QUICK if quick else PLACEBOS)
        named = f"self-calibrated (phi x {settings.phi_factor:g})"
        for defence in (*DEFENCES, Defence(named, Evidence, settings)):
            hits = sum(workers.each(partial(alarms, traffic, defence.kind, defence.settings), days))
            found.append(share(Measure.DEFENCES, f"{traffic.name}: {defence.name}", hits, len(days)))
    return found
