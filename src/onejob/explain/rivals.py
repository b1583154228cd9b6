"""Deployments that overlap with a `worse` one: those that may have done it instead, weighed by its requests.

Only asked when there are others at all. What is read does not depend on which they are, so that one more that has
nothing to do with the service changes nothing.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from onejob.explain.edges import kinships
from onejob.explain.exposure import Traffic, began_at
from onejob.explain.overlap import Outcomes, rank
from onejob.explain.overlap_reading import Served, read_edges, read_passages, read_served
from onejob.explain.reading import Window
from onejob.explain.suspicion import suspected
from onejob.explain.tables import Bools
from onejob.model.deployment import Deployment, Status
from onejob.model.explanation import CarryingOperation, SuspectedDeployment
from onejob.model.verdict import Verdict
from onejob.store.engine import Engine

_SHORTLY_BEFORE = timedelta(hours=1)  # the horizon in which a deployment is held to show what it does
_UNTOUCHED = timedelta(minutes=10)  # requests from before, to see what the damage is compared with
_LEVELS = (0.5, 0.75, 0.9, 0.95, 0.99)
_SHORTFALL = "shortfall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What is to be explained: where it is, and the design effect of the signal that shows it."""

    carrier: CarryingOperation
    phi: float

    @property
    def is_latency(self) -> bool:
        return self.carrier.signal.startswith("latency")


def when_others_count(deployment: Deployment, verdict: Verdict) -> tuple[datetime, datetime]:
    """Deployments that went on or began in this time may have done it."""
    since = min(began_at(deployment), verdict.window_start or deployment.started_at)
    return since - _SHORTLY_BEFORE, verdict.window_end or verdict.judged_at


def weigh(
    engine: Engine,
    deployment: Deployment,
    verdict: Verdict,
    window: Window,
    damage: Damage,
    others: Sequence[Deployment],
) -> list[SuspectedDeployment]:
    """The suspects, likeliest first; none where no other deployment may have done it.

    Requests that were never answered leave no spans, so a shortfall is not weighed.
    """
    rivals = [other for other in others if _is_rival(other, deployment, verdict, window)]
    if not rivals or damage.carrier.signal == _SHORTFALL:
        return []
    gone = [other for other in others if _is_gone(other, deployment)]
    traffic = _read(engine, deployment, verdict, window, damage, {other.service for other in (*rivals, *gone)})
    traffic = traffic.without(gone)
    mine = traffic.candidate(deployment, is_judged=True)
    if not mine.exposed.any():
        return []
    ranked = rank([mine, *map(traffic.candidate, rivals)], _outcomes(traffic.served, damage))
    return suspected(ranked, deployment.service, verdict.first_visible_at, "slow" if damage.is_latency else "failed")


def _is_rival(other: Deployment, deployment: Deployment, verdict: Verdict, window: Window) -> bool:
    """Not the answer to this one, not what it is compared with, and not over before."""
    since, until = when_others_count(deployment, verdict)
    if deployment.id in (other.id, other.rollback_of) or _is_gone(other, deployment) or other.started_at >= until:
        return False
    if other.status is not Status.IN_PROGRESS and (other.finished_at or other.started_at) < since:
        return False
    compared = {*window.control, deployment.previous_version, deployment.version}
    return other.service != deployment.service or other.version not in compared


def _is_gone(other: Deployment, deployment: Deployment) -> bool:
    """Taken back or replaced before this one began."""
    ended = other.status not in (Status.IN_PROGRESS, Status.FINISHED)
    return ended and (other.finished_at or other.started_at) <= began_at(deployment)


def _read(
    engine: Engine, deployment: Deployment, verdict: Verdict, window: Window, damage: Damage, services: Set[str]
) -> Traffic:
    since = min(began_at(deployment), window.since, verdict.window_start or window.since) - _UNTOUCHED
    wide = replace(window, since=since)
    served = read_served(engine, wide, [damage.carrier.operation])
    if not len(served):  # what the verdict calls `*` or `other` is no operation of a span
        served = read_served(engine, wide, [])
    related = kinships(read_edges(engine, wide, served.trace_ids), deployment.service)
    passages = read_passages(engine, wide, served.trace_ids, sorted(services & related.keys()))
    return Traffic(service=deployment.service, served=served, passages=passages, related=related)


def _outcomes(served: Served, damage: Damage) -> Outcomes:
    bad: tuple[Bools, ...] = (served.is_failed,)
    if damage.is_latency:
        bad = tuple(served.duration_s > limit for limit in sorted(set(_quantiles(served))))
    return Outcomes(at_s=served.start_s, weight=served.weight, bad=bad, phi=damage.phi)


def _quantiles(served: Served) -> list[float]:
    """Durations that part the requests of all versions: none of them is favoured by the choice."""
    if not len(served):
        return [0.0]
    order = np.argsort(served.duration_s, kind="stable")
    reached = np.cumsum(served.weight[order]) / served.weight.sum()
    at = np.minimum(np.searchsorted(reached, _LEVELS), len(order) - 1)
    return [float(one) for one in served.duration_s[order][at]]
