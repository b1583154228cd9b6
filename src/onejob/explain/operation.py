"""One operation that got worse, looked into: who is hurt, which calls do it, and two traces that show it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from onejob.explain.calls import call_changes
from onejob.explain.causes import rank_causes
from onejob.explain.excess import Arms
from onejob.explain.exemplars import exemplar_traces
from onejob.explain.membership import Membership, membership
from onejob.explain.nodes import arm_nodes
from onejob.explain.reading import Requests, Window, read_spans, read_trace_sizes
from onejob.explain.sampling import order_by_turns, reweighted, within_budget
from onejob.explain.tables import Bools
from onejob.explain.tree import MAX_DEPTH, Forest, build_forest
from onejob.explain.where import Badness, ways_to_be_bad
from onejob.explain.who import MIN_SCORE, Concentration, concentrations
from onejob.model.explanation import AttributeValue, CallChange, ExemplarTrace, ServiceAtFault
from onejob.store.engine import Engine

_COMPARABLE_REQUESTS = 5  # of each arm; below, all requests are compared instead
_COMPARABLE_COVERAGE = 0.5
_MANY_ORPHANS = 0.02
_MOST_SERVICES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFindings:
    """The parts of an Explanation that one operation contributes."""

    attributes: tuple[AttributeValue, ...] = ()
    calls: tuple[CallChange, ...] = ()
    traces: tuple[ExemplarTrace, ...] = ()
    notes: tuple[str, ...] = ()
    services: tuple[ServiceAtFault, ...] = ()


def explain_operation(
    engine: Engine,
    window: Window,
    requests: Requests | None,
    *,
    operation: str,
    signal: str,
    preferred: Sequence[str],
    is_leading: bool,
) -> OperationFindings:
    """`requests` are those of the operation, None when the store has none; `is_leading` lets its cause be marked."""
    note = _why_not(requests, operation, signal)
    if note or requests is None:
        return OperationFindings(notes=(note,))
    ways = ways_to_be_bad(requests, is_latency=signal.startswith("latency"))
    if not ways:
        return OperationFindings(notes=(f"{operation}: the spans in the store show no difference in {signal}.",))
    bad = ways[0].bad
    order = order_by_turns(requests, bad)
    sizes = read_trace_sizes(engine, window, [requests.trace_id[row] for row in order.tolist()])
    rows = within_budget(requests, order, sizes)
    sample = reweighted(requests, bad, rows)
    forest = build_forest(read_spans(engine, window, sample.trace_id), sample)
    found = _look(forest, sample, [way.at(rows) for way in ways], signal, preferred, is_leading=is_leading)
    return replace(found, notes=(*found.notes, *_reading_notes(forest, sample, requests)))


def _look(
    forest: Forest, sample: Requests, ways: list[Badness], signal: str, preferred: Sequence[str], *, is_leading: bool
) -> OperationFindings:
    members = membership(forest, sample)
    way, who = _sharpest([(way, concentrations(sample, way.bad, members, preferred)) for way in ways])
    comparable, note = _comparable(sample, who)
    control = arm_nodes(forest, sample, comparable & ~sample.is_treatment)
    treatment = arm_nodes(forest, sample, comparable & sample.is_treatment)
    calls = call_changes(forest.places, control, treatment, is_latency=signal.startswith("latency"))
    cause = next((call.path for call in calls if call.is_cause), None)
    return OperationFindings(
        attributes=tuple(_attribute(sample.operation, signal, found) for found in who),
        calls=tuple(calls if is_leading else (replace(call, is_cause=False) for call in calls)),
        traces=tuple(exemplar_traces(forest, sample, way.bad, members, comparable, cause)),
        notes=(_definition(sample.operation, way), *_who_notes(sample.operation, who, members), *note),
        services=_services(forest, sample, comparable) if is_leading else (),
    )


def _services(forest: Forest, sample: Requests, comparable: Bools) -> tuple[ServiceAtFault, ...]:
    arms = Arms(
        incident=comparable & sample.is_treatment, normal=comparable & ~sample.is_treatment, weight=sample.weight
    )
    return tuple(
        ServiceAtFault(
            operation=sample.operation,
            service=cause.node,
            kind=cause.kind,
            share=cause.share,
            own_s=cause.own_s,
            calls_s=cause.calls_s,
            way_s=cause.way_s,
            failures=cause.failures,
        )
        for cause in rank_causes(forest, arms)[:_MOST_SERVICES]
    )


def _sharpest(found: list[tuple[Badness, list[Concentration]]]) -> tuple[Badness, list[Concentration]]:
    """The reading of "bad" under which one value stands out most; the first where none does.

    Others than the first pay for having been tried.
    """
    price = np.log(len(found))
    scores = [who[0].score - (price if place else 0.0) if who else 0.0 for place, (_, who) in enumerate(found)]
    best = int(np.argmax(scores))
    return found[best] if scores[best] >= MIN_SCORE else found[0]


def _why_not(requests: Requests | None, operation: str, signal: str) -> str:
    if signal == "shortfall":
        return f"{operation or 'The new version'}: requests that were never answered leave no spans to look into."
    if requests is None or not len(requests):
        return f"{operation}: no traces of either version are in the store for the time of the verdict."
    for is_there, arm in ((~requests.is_treatment, "old"), (requests.is_treatment, "new")):
        if not is_there.any():
            return f"{operation}: no traces of the {arm} version are in the store for the time of the verdict."
    return ""


def _comparable(sample: Requests, who: list[Concentration]) -> tuple[Bools, tuple[str, ...]]:
    """Calls are compared among requests of the hurt kind, so that a change is not diluted by those it spares."""
    everyone = np.ones(len(sample), dtype=np.bool_)
    if not who or who[0].coverage < _COMPARABLE_COVERAGE:
        return everyone, ()
    has = who[0].has
    if min(np.count_nonzero(has & arm) for arm in (sample.is_treatment, ~sample.is_treatment)) < _COMPARABLE_REQUESTS:
        return everyone, ()
    return has, (f"{sample.operation}: calls are compared among requests with {_named(who[0].literals)}.",)


def _attribute(operation: str, signal: str, found: Concentration) -> AttributeValue:
    return AttributeValue(
        operation=operation,
        signal=signal,
        name=" & ".join(name for name, _ in found.literals),
        value=" & ".join(value for _, value in found.literals),
        lift=found.lift,
        coverage=found.coverage,
        rest_share=found.rest_share,
        bad=found.bad,
        total=found.total,
        is_new=found.is_new,
        customers=found.customers,
    )


def _named(literals: Sequence[tuple[str, str]]) -> str:
    return " and ".join(f"{name}={value}" for name, value in literals)


def _definition(operation: str, way: Badness) -> str:
    if way.above_ns is None:
        return f"{operation}: bad requests are those that failed."
    return f"{operation}: bad requests are those slower than {way.above_ns / 1e6:.3g} ms, where the versions part."


def _who_notes(operation: str, who: list[Concentration], members: Membership) -> tuple[str, ...]:
    if not members.values:
        return (f"{operation}: the spans carry no attributes that could say who is hurt.",)
    if not who:
        return (f"{operation}: no attribute value concentrates the damage; it seems to hit everyone alike.",)
    return tuple(
        f"{operation}: {_named(found.literals)} and {_named(found.twins)} are the same requests, not separable."
        for found in who
        if found.twins
    )


def _reading_notes(forest: Forest, sample: Requests, requests: Requests) -> tuple[str, ...]:
    notes = []
    all_requests = round(float(requests.weight.sum()))
    if len(sample) < all_requests:
        notes.append(f"{sample.operation}: {len(sample):,} of {all_requests:,} requests were looked into.")
    if forest.orphans > _MANY_ORPHANS * len(forest.spans):
        notes.append(f"{sample.operation}: {forest.orphans:,} spans have parents that are not in the store (yet).")
    if forest.is_cut:
        notes.append(f"{sample.operation}: calls nested deeper than {MAX_DEPTH} were not looked at.")
    return tuple(notes)
