"""Evidence from outside the versions: a canary that crashes or hangs emits no server spans to be judged by.

Two sources, the better one first. The router's own counts: requests it failed for an arm (all 5xx), and those of them
that nobody answered (resets, timeouts, refused connections). Where there is no router, the declared share of traffic:
treatment answering far fewer requests than its share is a shortfall too, once it has answered at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import Arm, RouterCount
from onejob.stats import core_test, design_effect, mixture
from onejob.stats.confidence import running_mean_interval

Floats = NDArray[np.float64]

# Declared shares are rough (sticky sessions, keep-alive): less than four fifths of the share is a shortfall.
_SHARE_SLACK = 0.8
# Sessions move whole, so a split's counts scatter far more than single requests would.
SHARE_PHI = 10.0


@dataclass(slots=True)
class Outcomes:
    """Running totals and evidence of one yes/no outcome seen by the router; side 0 worse, 1 better."""

    log_e: Floats = field(default_factory=lambda: np.zeros((2, len(core_test.LOG_RATIOS))))
    requests: list[int] = field(default_factory=lambda: [0, 0])
    events: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, requests: tuple[int, int], events: tuple[int, int], *, is_load_alike: bool) -> None:
        """One interval between samples, (control, treatment); without like load (see `load`) only for worse."""
        n0, n1, x0, x1 = (np.array([v], dtype=np.int64) for v in (*requests, *events))
        bins = core_test.Bins(n0, n1, x0 + x1, x1, np.array([LOG_THETA_0]))
        added = core_test.log_evidence(bins, np.zeros(1, dtype=np.int64), 1)
        sides = 2 if is_load_alike else 1
        self.log_e[:sides] += added[:sides, 0] / design_effect.PRIOR_PHI
        if min(requests) > 0:
            self.requests = [a + b for a, b in zip(self.requests, requests, strict=True)]
            self.events = [a + b for a, b in zip(self.events, events, strict=True)]

    def log_evidence(self, side: int) -> float:
        """Log of the mixture over ratios."""
        return float(mixture.log_mean(self.log_e[side]))


LOG_THETA_0 = design_effect.log_theta_0(None, 1, 1)


class RouterEvidence:
    """`failed` counts every 5xx the router gave; `unanswered` those of them the upstream never answered."""

    def __init__(self) -> None:
        self.failed = Outcomes()
        self.unanswered = Outcomes()
        self.has_samples = False

    def consume(self, samples: Iterable[RouterCount], *, is_load_alike: bool) -> None:
        """Samples come in pairs taken at one moment; one without its pair says nothing about a difference."""
        pairs: dict[object, dict[Arm, RouterCount]] = {}
        for sample in samples:
            pairs.setdefault(sample.sampled_at, {})[sample.arm] = sample
        for pair in pairs.values():
            if len(pair) == 2 and all(is_possible(sample) for sample in pair.values()):
                self._add(pair[Arm.CONTROL], pair[Arm.TREATMENT], is_load_alike)

    def _add(self, control: RouterCount, treatment: RouterCount, is_load_alike: bool) -> None:
        self.has_samples = True
        requests = (control.requests, treatment.requests)
        self.failed.add(requests, (_failed(control), _failed(treatment)), is_load_alike=is_load_alike)
        self.unanswered.add(requests, (_unanswered(control), _unanswered(treatment)), is_load_alike=is_load_alike)


def is_possible(sample: RouterCount) -> bool:
    """A counter that was reset between two samples gives a negative difference: such a sample says nothing."""
    return min(sample.requests, sample.errors_5xx, sample.resets, sample.timeouts) >= 0


def _failed(sample: RouterCount) -> int:
    return min(sample.requests, sample.errors_5xx)


def _unanswered(sample: RouterCount) -> int:
    return min(sample.requests, sample.resets + sample.timeouts)


def share_phi(heft: float) -> float:
    """How far a split's counts scatter where a span stands for `heft` requests."""
    return SHARE_PHI + heft - 1


class ShareEvidence:
    """Treatment's answers against the share of traffic it was declared to get, in bins after its first answer."""

    def __init__(self) -> None:
        self._log_e: Floats = np.zeros(len(core_test.LOG_RATIOS))
        self.expected = 0.0
        self.answered = 0.0
        self.total = 0.0
        self._scatter = 0.0  # phi summed over requests

    def consume(self, answered: float, total: float, share: float, heft: float = 1.0) -> None:
        """`answered` of `total` requests were treatment's, of which `share` in (0, 1) was expected.

        A span that stands for w requests brings its own chance with it: thinned by 1/w, counts that scatter phi times
        as much as independent ones do so phi + w - 1 times. `heft` is that w.
        """
        phi = share_phi(heft)
        odds = share / (1 - share) * _SHARE_SLACK
        null = odds / (1 + odds)
        fewer = odds * np.exp(-core_test.LOG_RATIOS)
        alternative = fewer / (1 + fewer)
        log_ratio = answered * np.log(alternative / null) + (total - answered) * np.log((1 - alternative) / (1 - null))
        self._log_e += log_ratio / phi
        self.expected += share * total
        self.answered += answered
        self.total += total
        self._scatter += phi * total

    @property
    def phi(self) -> float:
        """The design effect, averaged over requests."""
        return self._scatter / self.total if self.total else SHARE_PHI

    def log_evidence(self) -> float:
        """Log of the mixture over ratios."""
        return float(mixture.log_mean(self._log_e))

    def interval(self, alpha: float) -> tuple[float | None, float | None]:
        """Of the missing answers, as a fraction of the expected ones: valid at every look at once.

        Of all requests, treatment answered the fraction p; its running mean lies in [L, U] of a time-uniform confidence
        sequence, and s was declared, on average: 1 - p / s lies in [1 - U / s, 1 - L / s].
        """
        if not self.expected:
            return None, None
        events, requests = np.array([self.answered]) / self.phi, np.array([self.total]) / self.phi
        low, high = running_mean_interval(events, requests, alpha)
        share = self.expected / self.total
        return 1 - float(high[0]) / share, 1 - float(low[0]) / share
