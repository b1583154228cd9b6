"""Root cause of 45 injected faults: which service, and what kind of trouble, do spans and metrics name first?

TrainTicket on two days (public data of IntelligentDDS/Nezha): 28 services, three minutes of spans around each injected
fault, a point a minute of each pod's metrics. An incident is what was recorded after the injection; normal is the day's
recording without faults (on the first day made minutes after the first of them), and what was recorded before this and
earlier injections.

Two kinds of fault are told apart. CPU and network faults slow something down. Code faults (an exception, an early
return) were found by their authors in the logs, which are not part of this measure. In 21 of the 24 the service
answered its calls, 7 to 102 of them, without an error page; and in none of 35 figures per service (times, calls,
failures, metrics) it stood out, its mean rank being that of chance. To name it all the same is luck (1 in 28), and the
target on all faults is out of reach of what is recorded.

Constants of ours were chosen with the faults of even number in view (0, 2, ...; in the order of injection). Those of
odd number were first measured when all was chosen.

Beside ours: the service with the most conspicuous series of its own (`peers/services.py`): N-sigma, RobustScorer, and
correlation with the front door. They see of each service, every 15 s, its response time as it answered and as it was
called, its failures and the number of calls, and every minute its pod's metrics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.verdict.nezha_recording import DAYS, FRONT, Bools, Day, Fault, Floats, Ints, Metric, read
from bench.verdict.peers.services import RANKINGS, Series, ranked
from bench.verdict.results import Measure, Row, share

from onejob.explain.causes import Cause, Reading, rank_causes
from onejob.explain.excess import Arms
from onejob.explain.metrics import severity
from onejob.explain.ways import ways
from onejob.model.explanation import CauseKind

INCIDENT_S = 180.0  # after the injection; the recording ends about then
BEFORE_S, CLEAR_S = 120.0, 5.0  # of the normal time before each injection, but for the last seconds, as clocks differ
METRICS = {"CpuUsageRate(%)": CauseKind.CPU, "MemoryUsageRate(%)": CauseKind.MEMORY}
CODE, RESOURCE = ("exception", "return"), ("cpu_contention", "network_delay")
KINDS = {
    "cpu_contention": CauseKind.CPU,
    "network_delay": CauseKind.NETWORK,
    "exception": CauseKind.ERRORS,
    "return": CauseKind.ERRORS,
}
BIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Incident:
    """One fault and everything that may be looked at to find it; `number` in the order of injection."""

    number: int
    day: Day
    fault: Fault
    arms: Arms

    def parts(self, metric: Metric) -> tuple[Bools, Bools]:
        """Which of a metric's points are before the injection, without those of earlier incidents, and during."""
        busy = [fault.at for fault in self.day.faults if fault.at < self.fault.at]
        is_past = (metric.at < self.fault.at) & ~_within(metric.at, busy, 0, INCIDENT_S)
        # A point tells of the minute before it.
        during = (metric.at >= self.fault.at + 30) & (metric.at < self.fault.at + INCIDENT_S)
        return is_past & np.isfinite(metric.value), during & np.isfinite(metric.value)


def rows(data: Path, quick: bool) -> list[Row]:
    """Ours beside the baselines, over all faults and by kind of fault."""
    found = incidents(data / "nezha")[:: 3 if quick else 1]
    ours = [causes(incident) for incident in found]
    rankings = {"onejob": [[cause.node for cause in each] for each in ours]}
    all_series = [series(incident) for incident in found]
    rankings |= {who: [ranked(each, score) for each in all_series] for who, score in RANKINGS.items()}
    out = []
    for name, is_in in GROUPS.items():
        cases = [at for at, incident in enumerate(found) if is_in(incident)]
        for who, ranking in rankings.items():
            for k, target in ((1, 0.60), (3, 0.80)):
                hits = sum(found[at].fault.service in ranking[at][:k] for at in cases)
                row = share(Measure.ROOT_CAUSE, f"{name}: @{k}", hits, len(cases), who=who, note=NOTES.get(name, ""))
                out.append(row.at_least(target) if (who, name) == ("onejob", "all faults") else row)
    resource = [at for at, incident in enumerate(found) if incident.fault.kind in RESOURCE]
    exact = sum(
        [(c.node, c.kind) for c in ours[at][:1]] == [(found[at].fault.service, KINDS[found[at].fault.kind])]
        for at in resource
    )
    return [*out, share(Measure.ROOT_CAUSE, "CPU and network faults: service and kind @1", exact, len(resource))]


def incidents(folder: Path) -> list[Incident]:
    """All of both days, in the order of their injection."""
    out = []
    for day in (read(folder, name) for name in DAYS):
        for number, fault in enumerate(day.faults):
            before = [f.at for f in day.faults[: number + 1]]
            normal = day.is_normal | _within(day.began, before, -BEFORE_S, -CLEAR_S)
            incident = ~day.is_normal & _within(day.began, [fault.at], 0, INCIDENT_S)
            out.append(Incident(len(out), day, fault, Arms.of(incident, normal & ~incident)))
    return out


GROUPS: dict[str, Callable[[Incident], bool]] = {
    "all faults": lambda incident: True,
    "CPU and network faults": lambda incident: incident.fault.kind in RESOURCE,
    "CPU and network faults, half not looked at": lambda i: i.fault.kind in RESOURCE and i.number % 2 == 1,
    "code faults": lambda incident: incident.fault.kind in CODE,
}
NOTES = {"code faults": "they show in the logs, which are not part of this measure"}


def _within(at: Floats, moments: Sequence[float], since: float, until: float) -> Bools:
    found = np.zeros(len(at), dtype=np.bool_)
    for moment in moments:
        found |= (at >= moment + since) & (at < moment + until)
    return found


def causes(incident: Incident) -> list[Cause]:
    """Ours."""
    metrics = [metric for metric in incident.day.metrics if metric.name in METRICS]
    readings = [
        Reading(node=m.service, kind=METRICS[m.name], severity=severity(*(m.value[part] for part in incident.parts(m))))
        for m in metrics
    ]
    return rank_causes(incident.day.forest, incident.arms, readings=readings)


def series(incident: Incident) -> list[Series]:
    """What the baselines see of each service: from spans, as its callers and as it saw the calls; and its metrics."""
    forest = incident.day.forest
    service, spans = forest.spans.service, forest.spans
    entry = np.flatnonzero(ways(forest, service.codes).is_entry)
    seen = {
        "as answered": spans.duration_ns[entry] / 1e9,
        "as called": spans.duration_ns[forest.parent[entry]] / 1e9,
        "failures": spans.is_failed[entry] * 1.0,
    }
    front = _bins(incident, forest.spans.duration_ns[forest.place == 0] / 1e9, forest.request[forest.place == 0])
    out = []
    # Idle pods only have chance to offer: the candidates are what the incident's requests pass through, as for ours.
    busy = np.unique(service.codes[entry[incident.arms.incident[forest.request[entry]]]])
    for code, name in ((code, service.distinct[code]) for code in busy.tolist()):
        mine = service.codes[entry] == code
        found = [_bins(incident, values[mine], forest.request[entry[mine]]) for values in seen.values()]
        counts = {at: float(n) for at, (_, n) in found[0].items()}
        for points in (counts, *({at: mean for at, (mean, _) in each.items()} for each in found)):
            out.append(_of_bins(incident, name, points, {at: mean for at, (mean, _) in front.items()}))
    return out + [each for each in _of_metrics(incident) if each.service in {s.service for s in out}]


def _bins(incident: Incident, values: Floats, request: Ints) -> dict[int, tuple[float, int]]:
    """Mean and number of the values in each bin of normal time and incident."""
    used = (incident.arms.incident | incident.arms.normal)[request]
    at, which, n = np.unique(
        (incident.day.began[request[used]] // BIN_S).astype(np.int64), return_inverse=True, return_counts=True
    )
    means = np.bincount(which, values[used], minlength=len(at)) / np.maximum(1, n)
    return dict(zip(at.tolist(), zip(means.tolist(), n.tolist(), strict=True), strict=True))


def _of_bins(incident: Incident, service: str, points: dict[int, float], front: dict[int, float]) -> Series:
    first = incident.fault.at // BIN_S
    parts = [[at for at in points if (at >= first) is during] for during in (False, True)]
    own = [np.array([points[at] for at in part]) for part in parts]
    doors = [np.array([front[at] for at in part]) for part in parts]
    return Series(service, *own, *doors)


def _of_metrics(incident: Incident) -> list[Series]:
    door = next(m for m in incident.day.metrics if (m.service, m.name) == (FRONT, "LatencyP90(s)"))
    out = []
    for metric in incident.day.metrics:
        if metric.service != FRONT:
            parts = incident.parts(metric)
            doors = [np.interp(metric.at[part], door.at, np.nan_to_num(door.value)) for part in parts]
            out.append(Series(metric.service, *(metric.value[part] for part in parts), *doors))
    return out
