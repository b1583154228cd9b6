"""The view of the evidence: one row per signal and operation, the worst first, each with its interval plot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onejob import units, words
from onejob.model.verdict import DecidedBy, EffectKind, SignalResult, State, Verdict
from onejob.verdict.basis import decided_by
from onejob.verdict.signals import EVERYWHERE
from onejob.web.charts import interval
from onejob.web.charts.interval import Plot
from onejob.web.charts.scale import Tick
from onejob.web.pages.filters import deployment_link

_FIRST = 12
_ORDER = {State.WORSE: 0, State.UNDECIDED: 1, State.NO_WORSE: 2, State.BETTER: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the address bar says about the evidence: the selected row, the order, and whether all rows are shown."""

    operation: str = ""
    signal: str = ""
    sort: str = ""
    all_rows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """One signal of one operation, in words and as a plot."""

    url: str
    is_selected: bool
    state: str
    state_words: str
    operation: str
    signal: str
    control: str
    treatment: str
    effect: str
    interval: str
    tolerance: str
    is_exploratory: bool
    comment: str
    title: str
    plot: Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A sortable column."""

    name: str
    url: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The whole table; `more_url` shows the rest."""

    rows: list[EvidenceRow]
    total: int
    operations: int
    signals: int
    more_url: str
    heads: dict[str, Head]
    ratio_ticks: list[Tick]
    point_ticks: list[Tick]


def selected(verdict: Verdict | None, choice: Choice) -> SignalResult | None:
    """The row the address names, else the worst one."""
    if verdict is None or not verdict.signals:
        return None
    for signal in verdict.signals:
        if (signal.operation, signal.signal) == (choice.operation, choice.signal):
            return signal
    return worst_first(verdict.signals)[0]


def worst_first(signals: Sequence[SignalResult]) -> list[SignalResult]:
    """By verdict, then by evidence, then by traffic."""
    return sorted(
        signals,
        key=lambda one: (
            one.exploratory,
            _ORDER[one.state],
            one.operation == EVERYWHERE,
            -one.log_evidence,
            -one.treatment_requests,
            one.operation,
        ),
    )


def view(verdict: Verdict, choice: Choice) -> Evidence:
    """The rows, with the selected one always among them."""
    ordered = _ordered(verdict.signals, choice.sort)
    shown = ordered if choice.all_rows else ordered[:_FIRST]
    chosen = selected(verdict, choice)
    if chosen is not None and chosen not in shown:
        shown = [*shown, chosen]
    scale = interval.axis(shown)
    kinds = {signal.effect_kind for signal in shown if interval.has_ticks(signal)}
    return Evidence(
        rows=[_row(verdict, signal, scale, choice, signal is chosen) for signal in shown],
        total=len(ordered),
        operations=len({signal.operation for signal in ordered}),
        signals=len({signal.signal for signal in ordered}),
        more_url=_url(verdict, choice, all="1") if len(shown) < len(ordered) else "",
        heads={name: _head(verdict, choice, name) for name in _KEYS},
        ratio_ticks=interval.ticks(scale, EffectKind.RATIO) if EffectKind.RATIO in kinds else [],
        point_ticks=interval.ticks(scale, EffectKind.DIFFERENCE) if EffectKind.DIFFERENCE in kinds else [],
    )


def _row(
    verdict: Verdict, signal: SignalResult, scale: interval.Axis, choice: Choice, is_selected: bool
) -> EvidenceRow:
    return EvidenceRow(
        url=_url(verdict, choice, operation=signal.operation, signal=signal.signal) + "#evidence",
        is_selected=is_selected,
        state=signal.state.value,
        state_words=signal.state.value.replace("_", " "),
        operation="all requests" if signal.operation == EVERYWHERE else signal.operation,
        signal=units.name(signal),
        control=units.value(signal, signal.control),
        treatment=units.value(signal, signal.treatment),
        effect=units.effect(signal, signal.effect) if is_known(signal) else words.DASH,
        interval=units.interval(signal),
        tolerance=units.tolerance(signal),
        is_exploratory=signal.exploratory,
        comment=_comment(signal),
        title=_title(signal),
        plot=interval.plot(scale, signal),
    )


def charted_operation(signal: SignalResult) -> str:
    """Whose requests are drawn beside the row: of what is not about requests of an operation, all of them."""
    return EVERYWHERE if signal.family in units.BESIDE_REQUESTS else signal.operation


def is_known(signal: SignalResult) -> bool:
    """An estimate is shown with an interval of two ends only: alone it looks surer than it is."""
    return signal.effect is not None and signal.low is not None and signal.high is not None


def _comment(signal: SignalResult) -> str:
    if signal.novelty is not None:
        since = f"since {words.clock(signal.novelty.first_seen_at)}"
        return f"{words.plural(signal.novelty.count, 'request')} {since}; the old version never showed it"
    if signal.state is State.UNDECIDED:
        return words.what_is_missing(signal.missing)
    if decided_by(signal) is DecidedBy.EVIDENCE:
        return words.size_still_open(signal.effect, signal.effect_kind)
    if signal.state is State.BETTER and signal.family in units.BESIDE_REQUESTS:
        return "improved"
    if signal.state is State.BETTER and signal.effect_kind is EffectKind.RATIO and signal.effect:
        return f"{words.plain(round((1 - signal.effect) * 100))} % faster"
    return {State.WORSE: "beyond tolerance", State.NO_WORSE: "within tolerance"}.get(signal.state, "fewer errors")


def _title(signal: SignalResult) -> str:
    """The plot in words, for the screen reader and on hover."""
    known = units.interval(signal) or "nothing known yet"
    requests = f"{words.count(signal.control_requests)} and {words.count(signal.treatment_requests)} requests"
    if decided_by(signal) is DecidedBy.EVIDENCE:
        known = f"decided by its evidence; this interval, from a wider test, is still open: {known}"
    return f"{known}; tolerated {units.tolerance(signal)}; {requests}"


_KEYS: dict[str, Callable[[SignalResult], object]] = {
    "verdict": lambda one: (_ORDER[one.state], -one.log_evidence),
    "operation": lambda one: one.operation,
    "signal": lambda one: one.signal,
    "control": lambda one: (units.unit_of(one), one.control or 0.0),
    "new": lambda one: (units.unit_of(one), one.treatment or 0.0),
    "effect": lambda one: (
        -interval.stretched(one.effect_kind, one.effect, interval.reference_of(one)) if one.effect else 0.0
    ),
}


def _ordered(signals: Sequence[SignalResult], sort: str) -> list[SignalResult]:
    ordered = worst_first(signals)
    name = sort.removeprefix("-")
    if name not in _KEYS:
        return ordered
    return sorted(ordered, key=_KEYS[name], reverse=sort.startswith("-"))  # type: ignore[arg-type]


def _head(verdict: Verdict, choice: Choice, name: str) -> Head:
    current = choice.sort or "verdict"
    direction = {name: "ascending", f"-{name}": "descending"}.get(current, "none")
    following = f"-{name}" if current == name else name
    return Head(name=name, url=_url(verdict, choice, sort=following) + "#evidence", direction=direction)


def _url(verdict: Verdict, choice: Choice, **changes: str) -> str:
    values = {
        "operation": choice.operation,
        "signal": choice.signal,
        "sort": choice.sort,
        "all": "1" if choice.all_rows else "",
        **changes,
    }
    return deployment_link(verdict.deployment_id, **values)
