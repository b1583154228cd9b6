"""Traffic for the judge: cells of two versions, request by request, from a seed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.model.evidence import Arm, Cell, EvidenceBatch, JudgeSettings, RouterCount, Vital
from onejob.model.verdict import Verdict
from onejob.verdict.judge import Judge

START = 1_800_000_000
WARMED = ("b-0", "b-1", "b-2")
Outcome = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def a_deployment(**changes: object) -> Deployment:
    values: dict[str, object] = {
        "id": "dep_1",
        "service": "checkout",
        "environment": "production",
        "version": "2",
        "previous_version": "1",
        "strategy": Strategy.CANARY,
        "source": Source.REPORTED,
        "status": Status.IN_PROGRESS,
        "started_at": datetime.fromtimestamp(START, UTC),
    }
    return Deployment(**(values | changes))  # type: ignore[arg-type]


def a_cell(seconds: np.ndarray, failed: np.ndarray, **changes: object) -> Cell:
    index = np.ceil(np.log2(np.maximum(seconds, 1e-9)) * 32).astype(int) - 1
    buckets, counts = np.unique(index, return_counts=True)
    values: dict[str, object] = {
        "operation": "POST /orders",
        "version": "1",
        "instance": "a-0",
        "bin_start": START,
        "count": len(seconds),
        "errors": int(failed.sum()),
        "buckets": dict(zip(buckets.tolist(), counts.tolist(), strict=True)),
    }
    return Cell(**(values | changes))  # type: ignore[arg-type]


def unchanged(_: np.random.Generator, values: np.ndarray) -> np.ndarray:
    return values


@dataclass(frozen=True)
class Scenario:
    """Requests/s per operation, the canary's share over time, and what treatment does to durations and failures."""

    rates: Mapping[str, float] = field(default_factory=lambda: {"POST /orders": 20.0, "GET /cart": 15.0})
    share: Callable[[int], float] = lambda t: 0.1 if t < 20 else 0.5
    baseline_s: int = 20
    seconds: int = 80
    slower: Outcome = unchanged
    failing: Outcome = unchanged
    hurt: str = "POST /orders"
    control_instances: int = 1
    treatment_instances: int = 1
    base_errors: float = 0.001
    spread: float = 0.3
    is_answering: bool = True
    router: Callable[[int, int, int], tuple[RouterCount, ...]] | None = None
    declared_share: bool = False

    def batches(self, seed: int, settings: JudgeSettings | None = None) -> Iterator[EvidenceBatch]:
        """One batch a second."""
        rng = np.random.default_rng(seed)
        for seq, t in enumerate(range(-self.baseline_s, self.seconds)):
            share = 0.0 if t < 0 else self.share(t)
            cells, sent = self._second(rng, t, share)
            yield EvidenceBatch(
                deployment_id="dep_1",
                seq=seq,
                judged_at=datetime.fromtimestamp(START + t, UTC) + timedelta(seconds=4),
                bins_from=START + t,
                bins_to=START + t + 1,
                bin_width_s=1,
                cells=tuple(cells),
                router=self.router(t, *sent) if self.router and t >= 0 else (),
                warmed=WARMED,
                share=share if self.declared_share and t >= 0 else None,
                settings=(settings or JudgeSettings()) if seq == 0 else None,
            )

    def _second(self, rng: np.random.Generator, t: int, share: float) -> tuple[list[Cell], tuple[int, int]]:
        cells: list[Cell] = []
        sent = [0, 0]
        arms = ((0, "1", "a", self.control_instances, 1 - share), (1, "2", "b", self.treatment_instances, share))
        for operation, rate in self.rates.items():
            for arm, version, name, instances, part in arms:
                for i in range(instances):
                    n = int(rng.poisson(rate * part / instances))
                    seconds = 0.03 * np.exp(rng.normal(0, self.spread, n))
                    failed = rng.random(n) < self.base_errors
                    if arm and operation == self.hurt:
                        seconds, failed = self.slower(rng, seconds), self.failing(rng, failed)
                    sent[arm] += n
                    if n and (self.is_answering or not arm):
                        where = {"operation": operation, "version": version, "instance": f"{name}-{i}"}
                        cells.append(a_cell(seconds, failed, bin_start=START + t, **where))
        return cells, (sent[0], sent[1])


def looks(batches: Iterable[EvidenceBatch], bins: int = 5) -> list[EvidenceBatch]:
    """The same bins, several to a look: what is said of them is the same, and the tests are faster."""
    found: list[EvidenceBatch] = []
    ahead = list(batches)
    for seq, at in enumerate(range(0, len(ahead), bins)):
        some = ahead[at : at + bins]
        vital_names = sorted({vital.name for batch in some for vital in batch.vitals})
        vital_cells = {n: tuple(c for b in some for v in b.vitals if v.name == n for c in v.cells) for n in vital_names}
        found.append(
            replace(
                some[-1],
                seq=seq,
                bins_from=some[0].bins_from,
                settings=some[0].settings,
                vitals=tuple(Vital(name=name, cells=cells) for name, cells in vital_cells.items()),
                **{
                    name: tuple(one for batch in some for one in getattr(batch, name))
                    for name in ("cells", "router", "values", "novelties")
                },
            )
        )
    return found


def judged(scenario: Scenario, seed: int = 1, deployment: Deployment | None = None, bins: int = 4) -> Verdict:
    """The verdict after all of the scenario, looked at after every `bins` seconds."""
    judge = Judge(deployment or a_deployment())
    return [judge.consume(batch) for batch in looks(scenario.batches(seed), bins)][-1]


def router_counts(t: int, control: tuple[int, int], treatment: tuple[int, int]) -> tuple[RouterCount, ...]:
    """One sample of both arms: (requests, unanswered)."""
    at = datetime.fromtimestamp(START + t, UTC)
    return tuple(
        RouterCount(arm=arm, sampled_at=at, requests=n, errors_5xx=x, resets=x, timeouts=0, share=0.5)
        for arm, (n, x) in ((Arm.CONTROL, control), (Arm.TREATMENT, treatment))
    )
