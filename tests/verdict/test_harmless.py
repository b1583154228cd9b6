"""The very same code twice, with every signal on: nothing is worse, whatever noise the signals have."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from onejob.model.evidence import EvidenceBatch, JudgeSettings, NoveltyCell, ValueCell
from onejob.model.kpi import Direction, Kpi, KpiKind
from onejob.model.verdict import State, Verdict
from onejob.verdict.fingerprints import mark
from onejob.verdict.judge import Judge
from verdict.said import a_kpi, looks, novelty, value_cell, vitals
from verdict.traffic import START, Scenario, a_deployment

KPIS: tuple[Kpi, ...] = (
    a_kpi(name="revenue"),
    a_kpi(name="conversion", kind=KpiKind.YES_NO, unit=""),
    a_kpi(name="orders", kind=KpiKind.THROUGHPUT, unit=""),
    a_kpi(name="queue_depth", direction=Direction.LOWER_IS_BETTER, per_instance=True),
    a_kpi(name="temperature", direction=Direction.EITHER, per_instance=True, guardrail=False),
    a_kpi(name="memory", kind=KpiKind.SLOPE, direction=Direction.LOWER_IS_BETTER, per_instance=True),
)
MESSAGES = ("payment declined", "no stock left", "login failed", "slow answer of the bank", "cache is cold")
CUSTOMERS = [a + b for a in ("an", "ber", "cle", "do", "em") for b in ("na", "t", "o", "ra", "il", "bo", "mi", "lu")]
RARE_ERRORS = 40  # each in one of a thousand requests, so that either version may be the first to show it


@dataclass
class Harmless:
    """One service; its levels remember four fifths of the second before, each instance for itself."""

    seed: int
    share: float
    seconds: int
    rng: np.random.Generator = field(init=False)
    _levels: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def batches(self) -> Iterator[EvidenceBatch]:
        made = Scenario(
            rates={"POST /orders": 30.0, "GET /cart": 10.0},
            share=lambda _: self.share,
            seconds=self.seconds,
            baseline_s=40,
            control_instances=2,
        )
        for batch in made.batches(self.seed, JudgeSettings(kpis=KPIS)):
            versions = ("1", "2") if batch.bins_from >= START else ("1",)
            requests = {v: sum(c.count for c in batch.cells if c.version == v) for v in versions}
            yield replace(
                batch,
                values=tuple(c for v in versions for c in self._values(v, batch.bins_from, requests[v])),
                vitals=tuple(one for v in versions for one in vitals(self.rng, batch.bins_from, v, 1.0, 0.0)),
                novelties=tuple(c for v in versions for c in self._errors(v, batch.bins_from, requests[v])),
            )

    def _values(self, version: str, at: int, requests: int) -> list[ValueCell]:
        instance, n = f"{version}-0", self.rng.binomial(requests, 0.3)
        level = self._level(instance)
        of_kpi = {
            "revenue": self.rng.lognormal(3, 1, n),
            "conversion": self.rng.random(requests) < 0.3,
            "orders": np.ones(n),
            "queue_depth": np.maximum(0, 10 + 4 * level + self.rng.normal(0, 1, 2)),
            "temperature": 60 + 5 * level + self.rng.normal(0, 1, 2),
            "memory": 500 + 20 * level + self.rng.normal(0, 1, 2),
        }
        return [value_cell(name, version, instance, at, some) for name, some in of_kpi.items() if len(some)]

    def _level(self, instance: str) -> float:
        before = self._levels.get(instance, self.rng.normal())
        self._levels[instance] = 0.8 * before + 0.6 * self.rng.normal()
        return self._levels[instance]

    def _errors(self, version: str, at: int, requests: int) -> list[NoveltyCell]:
        counts = self.rng.binomial(requests, 0.001, RARE_ERRORS)
        errors = [novelty(version, at, int(n), fingerprint=f"f{k}") for k, n in enumerate(counts) if n]
        return [*errors, *self._lines(version, at, requests)]

    def _lines(self, version: str, at: int, requests: int) -> list[NoveltyCell]:
        """Seldom messages, each of one of many customers."""
        said = [
            f"{MESSAGES[self.rng.integers(len(MESSAGES))]} for {self.rng.choice(CUSTOMERS)}"
            for _ in range(self.rng.binomial(requests, 0.01))
        ]
        return [
            novelty(version, at, 1, kind="log_template", fingerprint=mark(line), title=line, sample=line)
            for line in set(said)
        ]


def verdicts(run: Harmless) -> list[Verdict]:
    judge = Judge(a_deployment())
    return [judge.consume(batch) for batch in looks(run.batches(), bins=8)]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_same_code_is_never_worse_with_every_signal_on(share: float) -> None:
    worse = [v.sentence for seed in range(2) for v in verdicts(Harmless(seed, share, 400)) if v.state is State.WORSE]
    assert worse == []
