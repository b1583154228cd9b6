"""The view of an explanation: what carries the damage, which span it is in, and one trace of each arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from onejob import words
from onejob.model.explanation import (
    AttributeValue,
    CallChange,
    CallKind,
    CauseKind,
    ExemplarTrace,
    Explanation,
    ServiceAtFault,
)
from onejob.web.charts import waterfall
from onejob.web.pages import suspects
from onejob.web.pages.filters import deployment_link
from onejob.web.pages.sentence import calls, short_label

_SLOWER = "added time per request, by call path"
_BAR = 92.0
_MOST_ATTRIBUTES = 8
_MOST_CALLS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRow:
    """A value among the bad requests and among the rest; `bad` and `rest_bar` are widths of bars."""

    name: str
    value: str
    whole: str
    bad_bar: float
    rest_bar: float
    coverage: str
    rest: str
    lift: str
    requests: str
    customers: str
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """A node of the call tree; `depth` indents it."""

    label: str
    whole: str
    service: str
    depth: int
    bar: float
    added: str
    change: str
    remark: str
    kind: str
    is_bad: bool
    is_cause: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSide:
    """What is said above a trace."""

    id: str
    duration: str
    is_error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Everything below *What carries it*."""

    attributes: list[AttributeRow]
    bad_word: str
    carried_by: str
    calls: list[CallRow]
    calls_caption: str
    arises: str
    pair: waterfall.Pair | None
    control_trace: TraceSide | None
    treatment_trace: TraceSide | None
    other_pairs: list[tuple[str, str, bool]]
    notes: tuple[str, ...]
    suspects: suspects.Suspects | None


def view(explanation: Explanation, opened: int) -> Explained:
    """`opened` is the number of the pair of traces to show, from 0."""
    control, treatment = (_of(explanation, arm) for arm in ("control", "treatment"))
    count = max(len(control), len(treatment))
    opened = opened if 0 <= opened < count else 0
    left, right = (_pick(traces, opened) for traces in (control, treatment))
    cause = next((call.path for call in explanation.calls if call.is_cause), ())
    return Explained(
        attributes=[_attribute(one) for one in explanation.attributes[:_MOST_ATTRIBUTES]],
        bad_word=_bad_word(explanation),
        carried_by=_carried_by(explanation),
        calls=call_rows(explanation.calls),
        calls_caption="calls that fail, by call path" if _is_failing(explanation.calls) else _SLOWER,
        arises=_arises(explanation.services),
        pair=waterfall.draw(left, right, cause) if left or right else None,
        control_trace=_side(left),
        treatment_trace=_side(right),
        other_pairs=_others(explanation, count, opened),
        notes=explanation.notes,
        suspects=suspects.view(explanation.suspects),
    )


def _of(explanation: Explanation, arm: str) -> list[ExemplarTrace]:
    return [trace for trace in explanation.traces if trace.arm == arm]


def _pick(traces: Sequence[ExemplarTrace], index: int) -> ExemplarTrace | None:
    return traces[min(index, len(traces) - 1)] if traces else None


def _side(trace: ExemplarTrace | None) -> TraceSide | None:
    if trace is None:
        return None
    return TraceSide(id=trace.trace_id, duration=words.seconds(trace.duration_s), is_error=trace.is_error)


def _others(explanation: Explanation, count: int, opened: int) -> list[tuple[str, str, bool]]:
    if count < 2:
        return []
    address = explanation.deployment_id
    return [
        (str(index + 1), deployment_link(address, trace=str(index)) + "#traces", index == opened)
        for index in range(count)
    ]


def _bad_word(explanation: Explanation) -> str:
    signals = [one.signal for one in explanation.attributes] + [one.signal for one in explanation.operations]
    return "failed" if signals and not words.is_latency(signals[0]) else "slow"


def _carried_by(explanation: Explanation) -> str:
    named = [
        f"{words.shorten(one.operation, 60)} carries {words.percent(min(one.share, 1.0), 2)} of it"
        for one in explanation.operations[:2]
    ]
    return "; ".join(named)


def _arises(services: Sequence[ServiceAtFault]) -> str:
    """In which services the damage arises, whoever it shows at."""
    named = [
        f"{words.shorten(one.service, 40)} ({words.percent(min(one.share, 1.0), 2)}, {_trouble(one)})"
        for one in services
    ]
    return f"It arises in {'; then '.join(named)}." if named else ""


def _trouble(one: ServiceAtFault) -> str:
    """What costs users most there."""
    if one.kind is CauseKind.ERRORS:
        return f"{words.percent(one.failures, 2)} of the requests fail there"
    what = {CauseKind.NETWORK: "on the way to or from it", CauseKind.CALLS: "of calls it makes more often"}
    seconds = {CauseKind.NETWORK: one.way_s, CauseKind.CALLS: one.calls_s}.get(one.kind, one.own_s)
    return f"{words.added(seconds)} {what.get(one.kind, 'of its own work')}"


def _attribute(one: AttributeValue) -> AttributeRow:
    return AttributeRow(
        name=words.shorten(one.name, 40),
        value=words.shorten(one.value, 40) or "(empty)",
        whole=f"{words.shorten(one.name, 200)} = {words.shorten(one.value, 300)}",
        bad_bar=max(_BAR * min(one.coverage, 1.0), 0.5),
        rest_bar=max(_BAR * min(one.rest_share, 1.0), 0.5),
        coverage=words.percent(one.coverage, 2),
        rest=words.percent(one.rest_share, 2),
        lift=f"{words.plain(one.lift)}×",
        requests=f"{words.count(one.bad)} of {words.count(one.total)}",
        customers=f"≥ {words.count(one.customers)}" if one.customers else words.DASH,
        is_new=one.is_new,
    )


def call_rows(changes: Sequence[CallChange]) -> list[CallRow]:
    """The tree from the entry operation down; the biggest change first among brothers."""
    nodes = {change.path: change for change in changes}
    ordered = sorted(nodes, key=lambda path: _place(path, nodes))
    if len(ordered) > _MOST_CALLS:
        kept = _kept(nodes)
        ordered = [path for path in ordered if path in kept]
    of = _added_failures if _is_failing(changes) else _added_time
    most = max((abs(of(change)) for change in changes), default=0.0) or 1.0
    shallow = min((len(path) for path in ordered), default=1)
    return [_call(nodes[path], len(path) - shallow, of(nodes[path]) / most) for path in ordered]


def _place(path: tuple[str, ...], nodes: dict[tuple[str, ...], CallChange]) -> list[tuple[float, str]]:
    prefixes = [path[: depth + 1] for depth in range(len(path))]
    return [(-abs(nodes[prefix].added_s) if prefix in nodes else 0.0, prefix[-1]) for prefix in prefixes]


def _kept(nodes: dict[tuple[str, ...], CallChange]) -> set[tuple[str, ...]]:
    """The cause with its callers, then what changed most."""
    ranked = sorted(nodes, key=lambda path: (not nodes[path].is_cause, -abs(nodes[path].added_s)))
    kept: set[tuple[str, ...]] = set()
    for path in ranked:
        if len(kept) >= _MOST_CALLS:
            break
        kept |= {path[: depth + 1] for depth in range(len(path)) if path[: depth + 1] in nodes}
    return kept


def _is_failing(changes: Sequence[CallChange]) -> bool:
    return any(change.is_cause and change.kind is CallKind.FAILING for change in changes)


def _added_time(change: CallChange) -> float:
    return change.added_s


def _added_failures(change: CallChange) -> float:
    return change.error_rate_treatment - change.error_rate_control


def _call(change: CallChange, depth: int, part: float) -> CallRow:
    return CallRow(
        label=short_label(change.path[-1]) if change.path else "",
        whole=" › ".join(words.shorten(label, 200) for label in change.path),
        service=change.service,
        depth=min(depth, 8),
        bar=max(_BAR * 0.87 * abs(part), 0.5),
        added=words.added(change.added_s),
        change=_change(change),
        remark=_remark(change),
        kind=change.kind.value,
        is_bad=part > 0 and change.kind is not CallKind.UNCHANGED,
        is_cause=change.is_cause,
    )


def _change(change: CallChange) -> str:
    if change.kind is CallKind.MORE:
        return f"{calls(change.calls_control)} → {calls(change.calls_treatment)} calls"
    if change.kind is CallKind.FAILING:
        before, after = (words.percent(rate, 2) for rate in (change.error_rate_control, change.error_rate_treatment))
        return f"{before} → {after} fail"
    if change.kind is CallKind.SLOWER:
        return f"{words.seconds(change.each_control_s)} → {words.seconds(change.each_treatment_s)} each"
    return "waiting" if change.kind is CallKind.WAITING else ""


def _remark(change: CallChange) -> str:
    if change.kind is CallKind.MORE and change.each_control_s > 0:
        ratio = change.each_treatment_s / change.each_control_s
        if 0.8 <= ratio <= 1.25:
            return "each as fast"
        return f"{words.seconds(change.each_control_s)} → {words.seconds(change.each_treatment_s)} each"
    if change.kind is CallKind.WAITING:
        return "between its calls"
    return ""
