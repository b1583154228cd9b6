"""Deployments that overlap with a `worse` one: those that may have done it instead, weighed by its requests.

Only asked when there are others at all. Which requests are read does not depend on which they are, so that one more
that has nothing to do with the service changes nothing.
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
from onejob.store.errors import StoreError

_SHORTLY_BEFORE = timedelta(hours=1)  # the horizon in which a deployment is held to show what it does
_UNTOUCHED = timedelta(minutes=10)  # requests from before, to see what the damage is compared with
_LEVELS = (0.5, 0.75, 0.9, 0.95, 0.99)
_SHORTFALL = "shortfall"
_NO_SPANS = "Deployments that overlap were not weighed: requests that were never answered leave no spans."


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


@dataclass(frozen=True, slots=True)
class Weighed:
    """The suspects, likeliest first, none where no other deployment may have done it; and what could not be said."""

    suspects: tuple[SuspectedDeployment, ...] = ()
    notes: tuple[str, ...] = ()


def weigh(
    engine: Engine,
    deployment: Deployment,
    verdict: Verdict,
    window: Window,
    damage: Damage,
    others: Sequence[Deployment],
) -> Weighed:
    """By the requests of the operation that the damage is in. What the engine cannot answer becomes a note."""
    rivals = [other for other in others if _is_rival(other, deployment, verdict, window)]
    if not rivals:
        return Weighed()
    if damage.carrier.signal == _SHORTFALL:
        return Weighed(notes=(_NO_SPANS,))
    taken_back = [other for other in others if _is_to_forget(other, deployment, window)]
    try:
        traffic = _read(engine, deployment, verdict, window, damage, {o.service for o in (*rivals, *taken_back)})
    except StoreError as error:  # who is hurt, where and by which calls is known all the same
        return Weighed(notes=(f"Deployments that overlap were not weighed: {error}",))
    suspects = _weighed(deployment, verdict, damage, traffic.without(taken_back), rivals)
    return Weighed(suspects=tuple(suspects))


def _weighed(
    deployment: Deployment, verdict: Verdict, damage: Damage, traffic: Traffic, rivals: Sequence[Deployment]
) -> list[SuspectedDeployment]:
    mine = traffic.candidate(deployment, is_judged=True)
    if not mine.exposed.any():
        return []
    possible = [traffic.candidate(rival) for rival in rivals if traffic.is_related(rival)]
    slow_above_s = _quantiles(traffic.served) if damage.is_latency else []
    ranked = rank([mine, *possible], _outcomes(traffic.served, slow_above_s, damage.phi))
    return suspected(ranked, deployment.service, verdict.first_visible_at, slow_above_s)


def _is_rival(other: Deployment, deployment: Deployment, verdict: Verdict, window: Window) -> bool:
    """Not the answer to this one, not what it is compared with, and not over before."""
    since, until = when_others_count(deployment, verdict)
    if deployment.id in (other.id, other.rollback_of) or _is_gone(other, deployment) or other.started_at >= until:
        return False
    if other.status is not Status.IN_PROGRESS and (other.finished_at or other.started_at) < since:
        return False
    return not _is_compared(other, deployment, window)


def _is_compared(other: Deployment, deployment: Deployment, window: Window) -> bool:
    """Did it ship one of the two versions that the verdict compares?"""
    compared = {*window.control, deployment.previous_version, deployment.version}
    return other.service == deployment.service and other.version in compared


def _is_to_forget(other: Deployment, deployment: Deployment, window: Window) -> bool:
    """Its damage is not what is looked for: taken back before, or an attempt that this one replaced.

    What was replaced in other services is what their next versions are compared with, and stays.
    """
    if not _is_gone(other, deployment) or _is_compared(other, deployment, window):
        return False
    is_control_known = bool(window.control or deployment.previous_version)
    return other.status is not Status.SUPERSEDED or (other.service == deployment.service and is_control_known)


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


def _outcomes(served: Served, slow_above_s: Sequence[float], phi: float) -> Outcomes:
    slow: tuple[Bools, ...] = tuple(served.duration_s > limit for limit in slow_above_s)
    return Outcomes(
        at_s=served.start_s, weight=served.weight, bad=slow or (served.is_failed,), phi=phi, version=served.build
    )


def _quantiles(served: Served) -> list[float]:
    """Durations that part the requests of all versions: none of them is favoured by the choice."""
    order = np.argsort(served.duration_s, kind="stable")
    reached = np.cumsum(served.weight[order]) / served.weight.sum()
    at = np.minimum(np.searchsorted(reached, _LEVELS), len(order) - 1)
    return [float(one) for one in np.unique(served.duration_s[order][at])]
