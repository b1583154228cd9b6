"""Is the traffic split as it was meant to be? If not, the arms do not get the same requests, and no comparison holds.

Too few answers of the new version are a *shortfall*: damage, not a flaw of the comparison. So only a surplus voids it,
or a mismatch that the router confirms: it counted the requests it sent, whatever became of them. Both are tested as
likelihood ratios of binomial counts at every look. What came through the router itself (failed and unanswered requests)
still counts: it is about requests that were sent.

Declared shares are rough (sticky sessions, keep-alive), and sessions move whole: odds may be off by a quarter, and ten
requests count as one. A surplus below half as much again is put up with.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import Arm, RouterCount
from onejob.stats import core_test, mixture
from onejob.verdict.router import is_possible, share_phi

Floats = NDArray[np.float64]

# Families of rows that hold although the arms are not comparable.
STILL_HOLD = ("router", "shortfall")
NOT_COMPARABLE = "The versions are not comparable: "
_SLACK = 1.25
_LEAST_RATIO = 1.5


class _Share:
    """Evidence that an arm's share of requests is larger than its odds allow."""

    def __init__(self) -> None:
        self._log_e: Floats = np.zeros(len(core_test.LOG_RATIOS))
        self.expected = 0.0
        self.seen = 0.0
        self.total = 0.0

    def add(self, mine: float, total: float, share: float, heft: float = 1.0) -> None:
        odds = share / (1 - share) * _SLACK
        more = odds * np.exp(core_test.LOG_RATIOS)
        null, bet = odds / (1 + odds), more / (1 + more)
        log_ratio = mine * np.log(bet / null) + (total - mine) * np.log((1 - bet) / (1 - null))
        self._log_e += log_ratio / share_phi(heft)
        self.expected += share * total
        self.seen += mine
        self.total += total

    def is_too_large(self, alpha: float) -> bool:
        """Beyond doubt, and by much."""
        is_sure = float(mixture.log_mean(self._log_e)) >= np.log(1 / alpha)
        return is_sure and self.seen > _LEAST_RATIO * self.expected


class TrafficSplit:
    """Once voided, a comparison stays void: what was counted until then is in its evidence."""

    def __init__(self) -> None:
        self._answers = _Share()
        self._sent = {arm: _Share() for arm in Arm}
        self.why: str | None = None

    def consume(
        self,
        answered: tuple[float, float],
        share: float | None,
        router: Iterable[RouterCount],
        alpha: float,
        heft: float = 1.0,
    ) -> None:
        """Add a batch: answers of (control, treatment), treatment's declared share, and the router's own counts.

        `heft`: for how many requests a span stands.
        """
        pairs: dict[object, dict[Arm, RouterCount]] = {}
        for sample in router:
            pairs.setdefault(sample.sampled_at, {})[sample.arm] = sample
        for pair in pairs.values():
            if len(pair) == len(Arm) and all(is_possible(sample) for sample in pair.values()):
                self._add_sent(pair)
        if share is not None and 0 < share < 1 and not self._sent[Arm.TREATMENT].total:
            self._answers.add(answered[1], sum(answered), share, heft)
        self.why = self.why or self._reason(alpha)

    @property
    def is_void(self) -> bool:
        """Is the comparison void?"""
        return self.why is not None

    def _add_sent(self, pair: dict[Arm, RouterCount]) -> None:
        total = sum(sample.requests for sample in pair.values())
        for arm, sample in pair.items():
            if 0 < sample.share < 1:
                self._sent[arm].add(sample.requests, total, sample.share)

    def _reason(self, alpha: float) -> str | None:
        for arm, sent in self._sent.items():
            if sent.is_too_large(alpha / len(self._sent)):
                whose = "the new version" if arm is Arm.TREATMENT else "the old version"
                got, meant = sent.seen / sent.total, sent.expected / sent.total
                return f"the router sent {whose} {got:.0%} of the requests, where {meant:.0%} were meant for it"
        if self._answers.is_too_large(alpha):
            got, meant = (n / self._answers.total for n in (self._answers.seen, self._answers.expected))
            return f"it answered {got:.0%} of the requests, where {meant:.0%} were meant for it"
        return None
