"""Which service or instance is at the root of it, and what kind of trouble it has: candidates, the likeliest first.

When something is wrong with one service, everything that calls it looks slow or fails as well, so the worst-looking
service is seldom the guilty one. Damage is therefore charged where it arises, and in one currency: the part of what
users lost. A second that a node spends itself, beyond what the same call path took in the normal time, is charged to
it; a second between a caller's call and the callee's work to the network of one of the two (`ways.py`); a failure to
the deepest span that failed. What a node's metrics do beyond their own history counts a little by itself, as it shows
in no request, and decides what kind of trouble it is.

Only what is beyond noise is charged: the lower end of a difference of means per call, with requests (not calls) as
what is independent. Otherwise hundreds of call paths would add up their noise, the busiest service most of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onejob.explain.added_calls import added_calls_s
from onejob.explain.excess import Arms, excess
from onejob.explain.own import own_ns
from onejob.explain.tables import Bools, Column, Floats, Ints
from onejob.explain.tree import Forest
from onejob.explain.ways import blamed, ways
from onejob.model.explanation import CauseKind

# A metric far beyond its history weighs like a tenth of the users' time: more than what chance leaves in the spans,
# less than any trouble worth an alarm that the spans do show.
METRIC_WEIGHT = 0.1
_LEAST = 0.01  # of what users lost: nobody notices less, and noise adds up to that


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A metric of one node: how far it was beyond its own history during the incident, see `metrics.severity`."""

    node: str
    kind: CauseKind
    severity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A candidate. `share` of all that the candidates explain, in 0..1.

    Per request, beyond the normal time: seconds added by its own work (`own_s`), by calls it makes more often than it
    did (`calls_s`), and on the way from or to it (`way_s`); `failures` that began with it. `severity` of its worst
    metric, 0 where none left its history.
    """

    node: str
    kind: CauseKind
    share: float
    own_s: float
    calls_s: float
    way_s: float
    failures: float
    severity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charged:
    """By node, per request of the incident."""

    own_s: Floats
    calls_s: Floats
    way_s: Floats
    failures: Floats
    severity: Floats
    metric: tuple[CauseKind | None, ...]


def rank_causes(
    forest: Forest, arms: Arms, *, nodes: Column | None = None, readings: Sequence[Reading] = ()
) -> list[Cause]:
    """All nodes that explain anything, the likeliest root cause first.

    `nodes` says per span what is to be blamed, its service unless given (instances, zones). `arms` says which requests
    of the forest are from the incident and which from the normal time.
    """
    nodes = nodes or forest.spans.service
    names = tuple(dict.fromkeys((*nodes.distinct, *(reading.node for reading in readings))))
    charged = _charge(forest, arms, nodes.codes, names, readings)
    waited = _waited_s(forest, arms)
    lost = (
        _share_of(charged.own_s + charged.calls_s + charged.way_s, waited)
        + charged.failures
        + METRIC_WEIGHT * charged.severity
    )
    order = sorted(np.flatnonzero(lost >= _LEAST).tolist(), key=lambda at: (-lost[at], names[at]))
    return [_cause(names[at], at, charged, float(lost[at] / lost.sum()), waited) for at in order]


def _charge(forest: Forest, arms: Arms, node: Ints, names: tuple[str, ...], readings: Sequence[Reading]) -> _Charged:
    between = ways(forest, node)
    is_placed, nodes = forest.place >= 0, len(names)
    spot = forest.place * nodes + node
    own_node, own = _excess(forest, arms, is_placed & ~between.is_call, spot, own_ns(forest) / 1e9)
    failed_node, failed = _excess(forest, arms, is_placed, spot, _is_origin(forest) * 1.0)
    way_ends, way = _excess(forest, arms, between.is_entry, spot * nodes + between.caller, between.way_ns / 1e9)
    severity, metric = _worst(readings, names)
    return _Charged(
        own_s=np.bincount(own_node % nodes, own, minlength=nodes) / arms.requests,
        calls_s=added_calls_s(forest, arms, node, nodes) / arms.requests,
        way_s=blamed(way_ends % nodes, way_ends // nodes % nodes, way, nodes) / arms.requests,
        failures=np.bincount(failed_node % nodes, failed, minlength=nodes) / arms.requests,
        severity=severity,
        metric=metric,
    )


def _excess(forest: Forest, arms: Arms, among: Bools, key: Ints, value: Floats) -> tuple[Ints, Floats]:
    """The distinct keys of the spans `among`, and the excess of each; a key lies within one place."""
    rows = np.flatnonzero(among & (arms.incident | arms.normal)[forest.request])
    keys, group = np.unique(key[rows], return_inverse=True)
    return keys, excess(forest.place[rows], group, forest.request[rows], value[rows], arms)


def _is_origin(forest: Forest) -> Bools:
    """Failed spans below which nothing failed: callers only pass failures on."""
    failed = forest.spans.is_failed & (forest.place >= 0)
    below = np.flatnonzero(failed & (forest.parent >= 0))
    passes_on = np.zeros(len(failed), dtype=np.bool_)
    passes_on[forest.parent[below]] = True
    is_origin: Bools = failed & ~passes_on
    return is_origin


def _waited_s(forest: Forest, arms: Arms) -> float:
    """Mean duration of the incident's requests."""
    entry = np.flatnonzero(forest.place == 0)
    entry = entry[arms.incident[forest.request[entry]]]
    weight = arms.weight[forest.request[entry]]
    return float((weight * forest.spans.duration_ns[entry]).sum()) / 1e9 / arms.requests


def _share_of(seconds: Floats, waited: float) -> Floats:
    """Of the time that users waited; the added time of calls side by side may be more than that."""
    share: Floats = seconds / max(waited, float(seconds.sum()), 1e-9)
    return share


def _worst(readings: Sequence[Reading], names: tuple[str, ...]) -> tuple[Floats, tuple[CauseKind | None, ...]]:
    severity: Floats = np.zeros(len(names))
    metric: list[CauseKind | None] = [None] * len(names)
    for reading in readings:
        at = names.index(reading.node)
        if reading.severity > severity[at]:
            severity[at], metric[at] = reading.severity, reading.kind
    return severity, tuple(metric)


def _cause(node: str, at: int, charged: _Charged, share: float, waited: float) -> Cause:
    own, calls, way, failures = (
        float(x[at]) for x in (charged.own_s, charged.calls_s, charged.way_s, charged.failures)
    )
    return Cause(
        node=node, kind=_kind(own, calls, way, failures * waited, charged.metric[at]), share=share,
        own_s=own, calls_s=calls, way_s=way, failures=failures, severity=float(charged.severity[at]),
    )  # fmt: skip


def _kind(own: float, calls: float, way: float, failed: float, metric: CauseKind | None) -> CauseKind:
    """What cost users most, a failed request all of its time; a metric beyond its history says why work is slow."""
    worst = max(own, calls, way, failed)
    if failed == worst > 0:
        return CauseKind.ERRORS
    if metric is not None:
        return metric
    if calls == worst:
        return CauseKind.CALLS
    return CauseKind.NETWORK if way == worst else CauseKind.SLOW
