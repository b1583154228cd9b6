"""What a metric said, in bins of its own.

Problem: a process tells of a metric once a minute, at a second of its own, and bins are seconds wide: two versions
would hardly ever be in one together. And a step of a counter is of all the time since its last point: held against the
requests of one bin, it would be wrong whenever traffic moves from one version to the other. Solution: bins as wide as
points are apart, and a step over what the same process did in just that time: the requests it answered, or the seconds.

    points of an instance    ......3..........4.....         orders
    its requests             1 2 1 2 3 1 2 1 1 2 1 ..   ->   3 of ..., then 4 of 3 + 1 + 2 + 1 + 1 requests
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch
from onejob.model.kpi import Kpi, KpiKind
from onejob.stats.octaves import ZERO, octave
from onejob.verdict.arms import compared_arm
from onejob.verdict.counts import CONTROL, TREATMENT, InstanceKey, instance_key
from onejob.verdict.value_cells import together
from onejob.verdict.values import Bin, Seen

Served = Mapping[InstanceKey, tuple[int, float]]  # arm and requests of who answered any in a bin

# An instance that answers and does not tell for so many times as long as points are apart, counts nothing: an SDK that
# sends what was added sends no zeros, nor does a counter that was never used.
_PATIENCE = 2


def served_of(deployment: Deployment, batch: EvidenceBatch) -> dict[int, dict[InstanceKey, tuple[int, float]]]:
    """Per bin, who answered how many requests; where spans are sampled, those that they stand for."""
    found: dict[int, dict[InstanceKey, tuple[int, float]]] = {}
    for cell in batch.cells:
        arm = compared_arm(deployment, cell, batch.bin_width_s)
        if arm is not None:
            of_bin, key = found.setdefault(cell.bin_start, {}), instance_key(cell)
            of_bin[key] = (arm, of_bin.get(key, (arm, 0.0))[1] + cell.stands_for[0])
    return found


class MetricBins:
    """Of one KPI: gathers bins until they are as wide as its points are apart."""

    def __init__(self, kpi: Kpi) -> None:
        self._every_s = kpi.every_s
        self._steps = _Steps(kpi) if kpi.kind is KpiKind.THROUGHPUT else None
        self._open: dict[int, dict[InstanceKey, Seen]] = {}

    def width_s(self, bin_width_s: int) -> int:
        """Of the bins that come out: a multiple of those that come in."""
        return -(-self._every_s // bin_width_s) * bin_width_s

    def consume(
        self,
        deployment: Deployment,
        batch: EvidenceBatch,
        said: Mapping[int, Sequence[Seen]],
        served: Mapping[int, Served],
    ) -> list[Bin]:
        """The bins that are complete with the batch; `said` and `served` are per bin of the batch."""
        width = self.width_s(batch.bin_width_s)
        if self._steps is not None:
            self._steps.started_s = deployment.started_at.timestamp()
        for start, one in self._seen(batch, said, served):
            gathered = self._open.setdefault(start // width * width, {})
            before = gathered.get(one.instance, replace(one, counts={}, sums={}))
            gathered[one.instance] = replace(
                one, counts=together(before.counts, one.counts), sums=together(before.sums, one.sums)
            )
        complete = sorted(start for start in self._open if start + width <= batch.bins_to)
        return [_bin(start, self._open.pop(start)) for start in complete]

    def _seen(
        self, batch: EvidenceBatch, said: Mapping[int, Sequence[Seen]], served: Mapping[int, Served]
    ) -> Iterator[tuple[int, Seen]]:
        for start in range(batch.bins_from, batch.bins_to, batch.bin_width_s):
            seen = said.get(start, ())
            if self._steps is not None:
                seen = self._steps.consume(start, batch.bin_width_s, served.get(start, {}), seen)
            yield from ((start, one) for one in seen)


def _bin(start: int, seen: Mapping[InstanceKey, Seen]) -> Bin:
    return Bin(start=start, seen=[seen[key] for key in sorted(seen)], requests=(0, 0), instances=(0, 0))


@dataclass(slots=True)
class _Since:
    """What an instance did since it last told, which was at `at`, in Unix s."""

    arm: int
    at: int
    requests: float = 0.0


class _Steps:
    """Steps of a counter as means over what its process did meanwhile."""

    def __init__(self, kpi: Kpi) -> None:
        self._is_per_s = kpi.per_instance
        self._every_s = kpi.every_s
        self._since: dict[InstanceKey, _Since] = {}
        self._waiting: dict[InstanceKey, float] = {}  # steps of who answered nothing meanwhile
        self._known: set[InstanceKey] = set()
        self._mute: set[InstanceKey] = set()
        self._began: int | None = None
        self._is_told = False  # did control tell, under the names of instances that answer requests?
        self.started_s = 0.0  # what the new version did before is not looked at

    def consume(self, start: int, width_s: int, served: Served, said: Sequence[Seen]) -> list[Seen]:
        """What one bin has to say; bins in their order."""
        if self._began is None and (served or said):
            self._began = start
        for key, (arm, requests) in served.items():
            self._since.setdefault(key, _Since(arm, start)).requests += requests
        end = start + width_s
        stepped = [step for one in said if (step := self._step(one, end)) is not None]
        return stepped + self._silent(end)

    def _step(self, one: Seen, end: int) -> Seen | None:
        key, since = one.instance, self._since.pop(one.instance, None)
        is_first = key not in self._known
        self._known.add(key)
        self._mute.discard(key)
        if self._is_per_s:
            self._since[key] = _Since(one.arm, end)
        if is_first and (since is None or self._was_there(since)):
            return None  # of how long a time it is, nobody saw
        total = sum(one.sums.values()) + self._waiting.pop(key, 0.0)
        did = 0.0 if since is None else self._did(since, end)
        if not did:
            self._waiting[key] = total
            return None
        self._is_told |= one.arm == CONTROL
        return self._mean(one.arm, key, total, did)

    def _silent(self, end: int) -> list[Seen]:
        """Who answered, and did not tell for long."""
        found = []
        for key, since in list(self._since.items()):
            if end - since.at < self._every_s * (1 if key in self._mute else _PATIENCE):
                continue
            del self._since[key]
            self._mute.add(key)
            if self._is_told and since.requests:
                found.append(self._mean(since.arm, key, 0.0, self._did(since, end)))
        return found

    def _was_there(self, since: _Since) -> bool:
        """Did it serve before what is looked at begins, as far as anybody can tell?"""
        began = self.started_s if since.arm == TREATMENT else self._began
        return began is None or since.at < began + self._every_s

    def _did(self, since: _Since, end: int) -> float:
        return float(end - since.at) if self._is_per_s else since.requests

    def _mean(self, arm: int, key: InstanceKey, total: float, did: float) -> Seen:
        if self._is_per_s:
            total, weight = total / did, 1
        else:
            weight = max(1, round(did))
        k = octave(total / weight)
        return Seen(arm, key, {k: weight}, {} if k == ZERO else {k: total})
