"""Real requests, no change: spans of TrainTicket outside the fault windows, dealt to two arms at random.

Every trace goes to one arm, as a user's request would: a service that is called ten times in a trace sees clusters of
ten. Each service is judged as a deployment of its own, split after split; splits of one recording are not independent
days, so the interval is about this recording. Pods are dealt too where a split has several instances: the recording
has one pod per service, so what differs between real pods is not in it.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from bench.verdict import ours, workers
from bench.verdict.peers import rules
from bench.verdict.peers.series import series
from bench.verdict.results import AbsentError, Measure, Row, share
from bench.verdict.traffic import BIN_S, Day, Traffic
from numpy.typing import NDArray

from onejob.stats import histogram
from onejob.verdict.counts import Counts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

TARGET = 0.01
DAYS = ("2023-01-29", "2023-01-30")
BEFORE_S, CLEAR_S = 120.0, 5.0  # what is taken before each injection, but for the last seconds, as clocks differ
LEAST_REQUESTS = 300  # of a service, to be judged at all
SPLITS, SPLITS_QUICK = 60, 2
SHARES = (0.5, 0.1)
_BASELINE = 0.15  # of the recording
_FETCH = (
    "fetch the spans of IntelligentDDS/Nezha (MIT) and put them there as parquet with the columns trace, span, parent, "
    "pod, op, start_us, dur_us, one file of fault and of normal spans a day, and the faults as tt_DAY_faults.json"
)


@dataclass(frozen=True, slots=True)
class Service:
    """Entry requests of one service in the order of their end; times are bins, gaps of the recording closed."""

    name: str
    trace: Ints
    operation: Ints
    bin: Ints
    position: Ints
    operations: int
    bins: int


def rows(data: Path, quick: bool) -> list[Row]:
    """False alarms over services and splits, by share and number of instances, ours and the peers'."""
    recorded = services(data / "nezha")
    splits = SPLITS_QUICK if quick else SPLITS
    found = []
    for part in SHARES:
        for pods in ((1, 1), (3, 3)):
            name = f"real A/A: TrainTicket's spans dealt at random, {part:.0%}, {pods[0]} + {pods[1]} instances"
            jobs = [(at, seed) for at in range(len(recorded)) for seed in range(splits)]
            outcomes = workers.each(partial(_one, data / "nezha", part, pods), jobs)
            row = share(Measure.FALSE_ALARMS, name, sum(each[ours.__name__] for each in outcomes), len(jobs))
            found.append(row if quick else row.at_most(TARGET, surely=True))
            for peer in rules.PEERS if pods == (1, 1) else ():
                hits = sum(each[peer] for each in outcomes)
                found.append(share(Measure.FALSE_ALARMS, name, hits, len(jobs), who=peer))
    return found


def _one(folder: Path, part: float, pods: tuple[int, int], job: tuple[int, int]) -> dict[str, bool]:
    service = services(folder)[job[0]]
    drawn = split(service, part, pods, job[1])
    out = {ours.__name__: ours.first_worse(drawn) is not None}
    if pods == (1, 1):
        out |= {name: peer(series(drawn)) is not None for name, peer in rules.PEERS.items()}
    return out


@cache
def services(folder: Path) -> tuple[Service, ...]:
    """What was recorded of every service outside the fault windows, both days one after the other."""
    parts = [_clean(folder, day) for day in DAYS]
    trace, pod, op, end, duration = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    bins = np.unique(np.floor(end / BIN_S).astype(np.int64), return_inverse=True)[1]
    index = np.ceil(np.log2(np.maximum(duration, 1.0) / 1e6) * histogram.PER_OCTAVE).astype(np.int64) - 1
    found = []
    for name in np.unique(pod):
        mine = np.flatnonzero(pod == name)
        mine = mine[np.argsort(bins[mine], kind="stable")]
        if len(mine) >= LEAST_REQUESTS:
            operations, operation = np.unique(op[mine], return_inverse=True)
            position = histogram.position(index[mine])
            total = int(bins.max()) + 1
            found.append(Service(str(name), trace[mine], operation, bins[mine], position, len(operations), total))
    return tuple(found)


def _clean(folder: Path, day: str) -> tuple[NDArray[np.generic], ...]:
    """(trace, service, operation, end in s, duration in us) of entry spans well before the next fault."""
    paths = [folder / f"tt_{day}_{kind}_spans.parquet" for kind in ("normal", "fault")]
    faults = folder / f"tt_{day}_faults.json"
    for path in (*paths, faults):
        if not path.exists():
            raise AbsentError(f"no {path}; {_FETCH}")
    clear = _clear_windows(faults)
    columns = []
    for number, path in enumerate(paths):
        table = pq.read_table(path)
        trace, parent, start, duration = (np.array(table[c]) for c in ("trace", "parent", "start_us", "dur_us"))
        pod, op, span = (np.array(table[c]) for c in ("pod", "op", "span"))
        keep = _is_entry(trace, span, parent, pod)
        if number == 1:
            at = start / 1e6
            keep &= np.any([(at >= low) & (at < high) for low, high in clear], axis=0)
        end = (start[keep] + duration[keep]) / 1e6
        # A trace's number is its own within a file only.
        named = trace[keep].astype(np.int64) + (DAYS.index(day) * 2 + number) * 10_000_000
        service = np.array([str(p).rsplit("-", 2)[0] for p in pod[keep]])
        columns.append((named, service, op[keep].astype(str), end, duration[keep].astype(float)))
    return tuple(np.concatenate(c) for c in zip(*columns, strict=True))


def _is_entry(trace: Ints, span: Ints, parent: Ints, pod: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Spans without a parent, or whose parent ran in another pod."""
    key, wanted = trace.astype(np.int64) << 20 | span, trace.astype(np.int64) << 20 | np.maximum(parent, 0)
    order = np.argsort(key)
    at = order[np.minimum(np.searchsorted(key[order], wanted), len(key) - 1)]
    is_known = (parent >= 0) & (key[at] == wanted)
    result: NDArray[np.bool_] = ~is_known | (pod[at] != pod)
    return result


def _clear_windows(path: Path) -> list[tuple[float, float]]:
    """Before each injection; the noted times are UTC like the spans'."""
    faults = [fault for hour in json.loads(path.read_text()).values() for fault in hour]
    times = [datetime.fromisoformat(f["inject_time"]).replace(tzinfo=UTC).timestamp() for f in faults]
    return [(at - BEFORE_S, at - CLEAR_S) for at in times]


def split(service: Service, part: float, pods: tuple[int, int], seed: int) -> Day:
    """Deal traces to arms, and to pods within them, once control has served alone for a while."""
    rng = np.random.default_rng([seed, service.bins])
    start = int(_BASELINE * service.bins)
    traces, which = np.unique(service.trace, return_inverse=True)
    arm = (rng.random(len(traces)) < part).astype(np.int64)[which] * (service.bin >= start)
    pod = np.where(
        arm == 1, pods[0] + rng.integers(0, pods[1], len(traces))[which], rng.integers(0, pods[0], len(traces))[which]
    )
    many = sum(pods)
    key = (service.bin * service.operations + service.operation) * many + pod
    order = np.argsort(key, kind="stable")
    cells, row, count = np.unique(key[order], return_inverse=True, return_counts=True)
    pod_of = cells % many
    counts = Counts(
        arm=(pod_of >= pods[0]).astype(np.int64),
        operation=cells // many % service.operations,
        bin=cells // many // service.operations,
        instance=pod_of,
        count=count.astype(np.int64),
        errors=np.zeros(len(cells), dtype=np.int64),
        timed=count.astype(np.int64),
        bucket_row=row,
        bucket_position=service.position[order],
        bucket_count=np.ones(len(row), dtype=np.int64),
        bins=service.bins,
    )
    told = Traffic(name=service.name, operations=service.operations, pods=pods, bins=service.bins - start, warmed=True)
    return Day(told, counts, start, row, service.position[order], np.zeros((2, service.bins)))
