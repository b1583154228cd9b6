"""Self-calibration: how often this very service would have had a false alarm, and how careful to be so that it has few.

    some placebos:   what instances of one version differ by, and how requests cluster  ->  history
    the others:      false alarms with that history in place                            ->  the rate that is shown

Is the rate above the target, phi_factor rises until it is not, and the rate is measured anew on placebos that have had
no part in the choice: a factor always fits those that chose it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import numpy as np

from onejob.config import Settings
from onejob.history.facts import Facts
from onejob.history.noise import pooled
from onejob.history.placebo import Placebo, Window, draw, judged, quiet_windows
from onejob.history.presence import by_environment
from onejob.model.calibration import Calibration
from onejob.model.evidence import JudgeSettings, SignalHistory
from onejob.model.kpi import NO_OUTCOMES, Outcomes
from onejob.store.past import Past
from onejob.verdict.batches import BASELINE_S, judge_settings
from onejob.verdict.false_alarms import rate_of

# Each divides the evidence by about a quarter more than the one before; beyond ten, nothing would ever be found.
FACTORS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0, 10.0)
FEWEST = 20  # placebos, for a rate to say anything
_CHOSE_ITSELF = (
    "The rate was measured on the placebos that chose the factor, as there were no others: it may be a little higher."
)
_SEED = 20_240_311  # the same past gives the same calibration

Progress = Callable[[int, int, str, int], None]  # placebos judged, of how many, the service, alarms among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which service, which past, and how much work."""

    service: str
    environment: str
    since: datetime
    until: datetime
    placebos: int


def calibrate(
    past: Past, facts: Facts, settings: Settings, asked: Asked, progress: Progress, named: Outcomes = NO_OUTCOMES
) -> Calibration:
    """Measure the service's false alarms, and find the factor that keeps them at most at the target, alpha."""
    began = time.monotonic()
    found = _Measuring(past, facts, settings, asked, progress, named).run()
    return replace(found, took_s=time.monotonic() - began)


@dataclass
class _Measuring:
    """One calibration at work."""

    past: Past
    facts: Facts
    settings: Settings
    asked: Asked
    progress: Progress
    named: Outcomes
    done: int = 0
    alarms: int = 0
    windows: int = 0
    served: bool = False

    def run(self) -> Calibration:
        deck = self._deck()
        learnt = list(islice(deck, self.asked.placebos // 4))
        fresh = list(islice(deck, self.asked.placebos - len(learnt)))
        if len(fresh) < FEWEST:
            return self._result(JudgeSettings(), note=self._why_not(len(learnt) + len(fresh)))
        told = judge_settings(self.settings, self.asked.service, named=self.named)
        history = pooled([self._judge(placebo, told)[1] for placebo in learnt])
        told, seen, alarming = replace(told, history=history), 0, list[Placebo]()
        while True:
            found = self._alarming(fresh, told)
            if len(found) <= self._allowed(len(fresh)) or told.phi_factor >= FACTORS[-1]:
                return self._result(told, len(found), len(fresh))
            seen, alarming = seen + len(fresh), [*self._alarming(alarming, told), *found]
            told, alarming = self._raised(told, alarming, seen)
            fresh = list(islice(deck, len(fresh)))
            if len(fresh) < FEWEST:
                return self._result(told, len(alarming), seen, _CHOSE_ITSELF)

    def _allowed(self, placebos: int) -> float:
        return self.settings.alpha * placebos

    def _raised(self, told: JudgeSettings, alarming: list[Placebo], seen: int) -> tuple[JudgeSettings, list[Placebo]]:
        """The next factor with which few enough of the `seen` placebos alarm, and those that do."""
        for factor in FACTORS[FACTORS.index(told.phi_factor) + 1 :]:
            told = replace(told, phi_factor=factor)
            alarming = self._alarming(alarming, told)
            if len(alarming) <= self._allowed(seen):
                break
        return told, alarming

    def _alarming(self, placebos: Sequence[Placebo], told: JudgeSettings) -> list[Placebo]:
        return [placebo for placebo in placebos if self._judge(placebo, told)[0]]

    def _judge(self, placebo: Placebo, told: JudgeSettings) -> tuple[bool, tuple[SignalHistory, ...]]:
        is_alarm, judge = judged(placebo, self.past, told, self.settings)
        self.done, self.alarms = self.done + 1, self.alarms + is_alarm
        self.progress(self.done, max(self.done, self.asked.placebos), self.asked.service, self.alarms)
        return is_alarm, judge.noise()

    def _deck(self) -> Iterator[Placebo]:
        """Placebos in a random order."""
        asked = self.asked
        rng = np.random.default_rng(_SEED)
        windows = self._windows()
        self.windows = len(windows)
        for at in rng.permutation(len(windows)):
            placebo = draw(windows[at], self.past, asked.service, asked.environment, rng)
            if placebo is not None:
                yield placebo

    def _windows(self) -> list[Window]:
        asked, settings = self.asked, self.settings
        width = settings.bin_width_s
        since, until = (int(moment.timestamp()) // width * width for moment in (asked.since, asked.until))
        rows = self.past.presence(asked.service, since, until)
        presence = by_environment(asked.service, rows, settings.default_environment, settings.bin_width_s)
        self.served = asked.environment in presence
        if not self.served:
            return []
        facts = self.facts.of(asked.service, asked.environment, asked.since, asked.until)
        length_s = BASELINE_S + round(settings.calibrate_placebo_s / settings.bin_width_s) * settings.bin_width_s
        starts = [fact.deployment.started_at for fact in facts]
        return quiet_windows(presence[asked.environment], since, until, length_s, starts)

    def _why_not(self, drawn: int) -> str:
        minutes = f"{self.settings.calibrate_placebo_s / 60:g} minutes"
        if not self.served:
            return (
                f"No request to {self.asked.service} in {self.asked.environment} is stored of this time: compare both "
                "names with service.name and deployment.environment.name in its telemetry."
            )
        if not self.windows:
            return (
                f"There was no time of {minutes} in which one version of {self.asked.service} served and nothing was "
                "deployed: nothing to try deployments of nothing on."
            )
        if not drawn:
            return (
                f"{self.asked.service} runs on one instance, so there are no two to compare at the same time. What can "
                "be calibrated is judging before against after, not a version beside another."
            )
        return (
            f"Only {drawn} of {self.windows} times of {minutes} had two instances that served all through: too few for "
            f"a rate. It takes {FEWEST} and a quarter more."
        )

    def _result(self, told: JudgeSettings, alarms: int = 0, placebos: int = 0, note: str = "") -> Calibration:
        asked = self.asked
        measured_at = asked.until
        return Calibration(
            service=asked.service,
            environment=asked.environment,
            measured_at=measured_at,
            since=asked.since,
            until=asked.until,
            placebo_s=self.settings.calibrate_placebo_s,
            target=self.settings.alpha,
            phi_factor=told.phi_factor,
            false_alarms=rate_of(alarms, placebos, told.phi_factor, measured_at) if placebos else None,
            history=told.history,
            note=note,
        )
