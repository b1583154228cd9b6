"""Which calls: did the calls at a place become slower, more, failing, or does their caller wait between them?

Added time is attributed where it arises. A place's own time (not covered by the calls below it) that grew is *slower*
at a leaf and *waiting* elsewhere. Where calls per call of the parent grew, the time of the added calls, all below them
included, is *more*; a caller's growing time between the calls of a loop is part of what the loop costs, so it is
credited to the loop when the cause is chosen. What a place merely inherits, because its parent is called more often, is
no change of its own.

The cause of failures is the deepest place whose excess failures could account for those of the request.
"""

from dataclasses import dataclass

import numpy as np

from onejob.explain.nodes import ArmNodes, Rate
from onejob.explain.tables import Bools, Floats, Ints
from onejob.explain.tree import Place
from onejob.model.explanation import CallChange, CallKind

MAX_CALLS = 40
_SURE_Z = 3.0
_MIN_TIME_SHARE = 0.03  # of the time the whole request gained
_MIN_TIME_OF_REQUEST = 0.01
_MIN_MORE = 1.25
_MIN_FAILURES = 0.01  # per request
_FAILS_AS_OFTEN = 0.5  # as the place with most excess failures
_RARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changes:
    """By place, in seconds (or failures) per request; `sure_*` say whether a difference exceeds its noise."""

    own: Floats
    more: Floats
    credit: Floats
    failures: Floats
    sure_own: Bools
    sure_more: Bools
    sure_failures: Bools
    floor_s: float
    is_leaf: Bools


def call_changes(
    places: tuple[Place, ...], control: ArmNodes, treatment: ArmNodes, *, is_latency: bool
) -> list[CallChange]:
    """The places worth showing, the cause first, then by how much they changed; ancestors are kept with them."""
    if not places or not control.requests or not treatment.requests:
        return []
    changes = _changes(places, control, treatment)
    kinds = [_kind(changes, p) for p in range(len(places))]
    cause = _slow_cause(changes) if is_latency else _failing_cause(changes, places)
    if cause is not None and not is_latency:
        kinds[cause] = CallKind.FAILING
    elif cause is not None and kinds[cause] in (CallKind.UNCHANGED, CallKind.FAILING):
        kinds[cause] = _slowness(changes, cause)
    added = treatment.own_s.mean - control.own_s.mean
    shown = _shown(places, kinds, cause, added, np.maximum(control.touched, treatment.touched))
    return [_call_change(places[p], kinds[p], p, control, treatment, is_cause=p == cause) for p in shown]


def _changes(places: tuple[Place, ...], control: ArmNodes, treatment: ArmNodes) -> _Changes:
    parent = np.array([place.parent for place in places], dtype=np.int64)
    expected = _expected_calls(parent, control.calls.mean, treatment.calls.mean)
    added_calls = treatment.calls.mean - expected
    sure_more = _is_sure(control.calls, treatment.calls) & (added_calls > 0)
    sure_more &= treatment.calls.mean > _MIN_MORE * expected
    own_each = _ratio(treatment.own_s.mean, treatment.calls.mean) - _ratio(control.own_s.mean, control.calls.mean)
    credit = np.where(sure_more, np.maximum(0.0, treatment.gap_s.mean - control.gap_s.mean), 0.0)
    has_parent = parent >= 0
    credited = np.bincount(parent[has_parent], credit[has_parent], minlength=len(places))
    inside_each = _ratio(treatment.inside_s.mean, treatment.calls.mean)
    gained = float(treatment.inside_s.mean[0] - control.inside_s.mean[0])
    return _Changes(
        own=control.calls.mean * own_each - credited,
        more=np.where(sure_more, added_calls * inside_each, 0.0),
        credit=credit,
        failures=treatment.failures.mean - control.failures.mean,
        sure_own=_is_sure(control.own_s, treatment.own_s),
        sure_more=sure_more,
        sure_failures=_is_sure(control.failures, treatment.failures),
        floor_s=max(_MIN_TIME_SHARE * abs(gained), _MIN_TIME_OF_REQUEST * float(control.inside_s.mean[0])),
        is_leaf=~np.isin(np.arange(len(places)), parent),
    )


def _expected_calls(parent: Ints, control: Floats, treatment: Floats) -> Floats:
    """Calls there would be had only the parent's number changed; below a parent new with the version, all of them."""
    up = np.maximum(parent, 0)
    inherited = np.where(control[up] > 0, _ratio(control, control[up]) * treatment[up], treatment)
    return np.where(parent >= 0, inherited, treatment)


def _is_sure(control: Rate, treatment: Rate) -> Bools:
    noise = np.hypot(control.error, treatment.error)
    return np.abs(treatment.mean - control.mean) > _SURE_Z * noise + 1e-12


def _ratio(upper: Floats, lower: Floats) -> Floats:
    return np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 0)


def _kind(changes: _Changes, place: int) -> CallKind:
    if changes.sure_failures[place] and changes.failures[place] > _MIN_FAILURES:
        return CallKind.FAILING
    if changes.sure_more[place] and changes.more[place] >= changes.own[place]:
        return CallKind.MORE
    if changes.sure_own[place] and changes.own[place] > changes.floor_s:
        return _slowness(changes, place)
    return CallKind.UNCHANGED


def _slowness(changes: _Changes, place: int) -> CallKind:
    if changes.more[place] > changes.own[place]:
        return CallKind.MORE
    return CallKind.SLOWER if changes.is_leaf[place] else CallKind.WAITING


def _slow_cause(changes: _Changes) -> int | None:
    """The place that added most time, if any did beyond noise; failing that, the one that seems to."""
    blame = np.maximum(changes.more + changes.credit, changes.own)
    sure = np.where(changes.sure_more | changes.sure_own, blame, 0.0)
    for candidates in (sure, blame):
        if candidates.max() > 0:
            return int(np.argmax(candidates))
    return None


def _failing_cause(changes: _Changes, places: tuple[Place, ...]) -> int | None:
    excess = np.where(changes.sure_failures, changes.failures, 0.0)
    if excess.max() <= 0:
        excess = changes.failures
    if excess.max() <= 0:
        return None
    often = np.flatnonzero(excess >= _FAILS_AS_OFTEN * excess.max()).tolist()
    return int(max(often, key=lambda p: (len(places[p].path), excess[p])))


def _shown(
    places: tuple[Place, ...], kinds: list[CallKind], cause: int | None, added: Floats, touched: Floats
) -> list[int]:
    """Most telling first: the cause, what changed by time added, the rest; rare places are left out."""
    frequent = [p for p in range(len(places)) if touched[p] >= _RARE or p == cause]
    ranked = sorted(frequent, key=lambda p: (p != cause, kinds[p] is CallKind.UNCHANGED, -abs(float(added[p])), p))
    kept: dict[int, None] = {}
    for place in ranked[:MAX_CALLS]:
        kept[place] = None
    for place in list(kept):
        above = places[place].parent
        while above >= 0:
            kept[above] = None
            above = places[above].parent
    return list(kept)


def _call_change(
    place: Place, kind: CallKind, at: int, control: ArmNodes, treatment: ArmNodes, *, is_cause: bool
) -> CallChange:
    return CallChange(
        path=place.path,
        service=place.service,
        kind=kind,
        added_s=float(treatment.own_s.mean[at] - control.own_s.mean[at]),
        calls_control=float(control.calls.mean[at]),
        calls_treatment=float(treatment.calls.mean[at]),
        each_control_s=_each(control.inside_s, control.calls, at),
        each_treatment_s=_each(treatment.inside_s, treatment.calls, at),
        error_rate_control=_each(control.failures, control.calls, at),
        error_rate_treatment=_each(treatment.failures, treatment.calls, at),
        is_cause=is_cause,
    )


def _each(total: Rate, calls: Rate, at: int) -> float:
    return float(total.mean[at] / calls.mean[at]) if calls.mean[at] > 0 else 0.0
