"""The view of *How sure*: the statistics in plain words, every figure that a statistician would ask for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onejob import units, words
from onejob.model.verdict import AgainstPast, ArmSummary, DecidedBy, FalseAlarms, SignalResult, State, Verdict
from onejob.verdict.basis import decided_by, excludes_same
from onejob.verdict.before_after import KIND as BEFORE_AFTER
from onejob.verdict.signals import EVERYWHERE

_KINDS = {
    "concurrent": "which served at the same time, so that whatever happened meanwhile happened to both",
    BEFORE_AFTER: "as it was at this time of day on other days and in the two hours before, since no old version "
    "served at the same time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sure:
    """The facts in the order in which a doubter asks for them; what was left out; who computed it."""

    facts: list[Fact]
    left_out: tuple[str, ...]
    engine_version: str


def view(verdict: Verdict, selected: SignalResult | None) -> Sure:
    """Everything behind the verdict, and behind the selected signal."""
    return Sure(
        facts=[*_of_verdict(verdict), *(_of_signal(selected) if selected else ())],
        left_out=verdict.left_out,
        engine_version=verdict.engine_version,
    )


def _of_verdict(verdict: Verdict) -> Iterator[Fact]:
    if verdict.control:
        why = _KINDS.get(verdict.control.kind, verdict.control.kind)
        yield Fact(question="Compared with", answer=f"{_versions(verdict.control)}, {why}.")
    if verdict.control and verdict.treatment:
        yield Fact(question="Requests", answer=_requests(verdict, verdict.control, verdict.treatment))
    if verdict.mix:
        yield Fact(question="Mix of traffic", answer=" ".join(part.sentence for part in verdict.mix))
    bar = words.plain(1 / verdict.alpha)
    yield Fact(
        question="Evidence",
        answer=f"{odds(verdict.log_evidence)} against “no worse”; the bar is {bar} : 1. It may be looked at as often "
        f"as one likes: at most {words.percent(verdict.alpha)} of harmless deployments ever reach it.",
    )
    if verdict.past is not None:
        yield from _of_course(verdict.past)
    if verdict.false_alarms:
        is_of_past = verdict.control is not None and verdict.control.kind == BEFORE_AFTER
        told = _alarms_of_past if is_of_past else _false_alarms
        yield Fact(question="False alarms", answer=told(verdict.false_alarms))


def _false_alarms(measured: FalseAlarms) -> str:
    care = (
        f" Noise is taken {words.plain(measured.phi_factor)} times as large for it." if measured.phi_factor > 1 else ""
    )
    return (
        f"{measured.alarms} of {words.plural(measured.placebos, 'deployment')} of nothing, tried on this service's own "
        f"past until {words.absolute(measured.measured_at)}, were called worse: {words.percent(measured.rate)} "
        f"({words.percent(measured.low)} to {words.percent(measured.high)}).{care}"
    )


def _of_course(past: AgainstPast) -> Iterator[Fact]:
    if past.began_at and past.began_from and past.began_to:
        within = f"with 99 % between {words.absolute(past.began_from)} and {words.absolute(past.began_to)}"
        yield Fact(question="Began", answer=f"Most likely at {words.absolute(past.began_at)}, {within}.")
    if past.controls:
        yield Fact(question="Beside it", answer=_beside(past))
    if past.recovered_at:
        yield Fact(
            question="Over since",
            answer=f"{words.absolute(past.recovered_at)}: had it gone on, it would stand out in the minutes since. It "
            "stays on record as worse, as it hurt while it lasted.",
        )


def _beside(past: AgainstPast) -> str:
    names = words.shorten(", ".join(past.controls), 80)
    alike = f" {words.shorten(', '.join(past.elsewhere), 80)} changed alike." if past.elsewhere else ""
    return (
        f"{names}: not deployed in the two hours before, and neither called by this service nor calling it. Only what "
        f"is beyond what they did in the same minutes counts.{alike}"
    )


def _alarms_of_past(measured: FalseAlarms) -> str:
    return (
        f"{measured.alarms} of {words.plural(measured.placebos, 'hour')} of this service's own past without a change "
        f"rose above the bar that its other hours set: {words.percent(measured.rate)} ({words.percent(measured.low)} "
        f"to {words.percent(measured.high)}). Tolerances and other services, which let some of these pass, are not "
        "counted in."
    )


def _requests(verdict: Verdict, control: ArmSummary, treatment: ArmSummary) -> str:
    if control.kind == BEFORE_AFTER:
        since = f" since {words.absolute(verdict.window_start)}" if verdict.window_start else ""
        past = f"{words.count(control.requests)} of the service's past"
        return f"{past}, and {words.count(treatment.requests)} of {_versions(treatment)}{since}."
    told = (
        f"{words.count(control.requests)} of {_versions(control)} on {_instances(control)} and "
        f"{words.count(treatment.requests)} of {_versions(treatment)} on {_instances(treatment)}"
    )
    if verdict.window_start and verdict.window_end:
        length = (verdict.window_end - verdict.window_start).total_seconds()
        told += f", in the same {words.elapsed(length)} from {words.absolute(verdict.window_start)}"
    return told + "."


def _versions(arm: ArmSummary) -> str:
    return words.shorten(", ".join(arm.versions) or "the old version", 60)


def _instances(arm: ArmSummary) -> str:
    return words.plural(len(arm.instances), "instance")


def _of_signal(signal: SignalResult) -> Iterator[Fact]:
    operation = "All requests" if signal.operation == EVERYWHERE else words.shorten(signal.operation, 40)
    name = f"{operation} {units.name(signal)}"
    yield Fact(
        question="This signal",
        answer=f"{name}: {odds(signal.log_evidence)} for worse, {odds(signal.log_evidence_better)} for better; "
        f"weight {words.percent(signal.weight, 2)}; tolerated {units.tolerance(signal)}.",
    )
    basis = _basis(signal)
    if basis:
        yield Fact(question="Decided by", answer=basis)
    if signal.novelty is not None:
        new = signal.novelty
        yield Fact(
            question="First seen",
            answer=f"{words.absolute(new.first_seen_at)}; since then in {words.percent(new.rate)} of the new version's "
            f"requests, and in none of {words.count(new.control_requests)} of the old version's.",
        )
        yield Fact(
            question="Sample", answer=f"{words.shorten(new.sample, 600)} (trace {words.shorten(new.trace_id, 32)})"
        )
    yield Fact(
        question="Noise",
        answer=f"A request counts as {words.plain(1 / signal.phi if signal.phi else 1.0, 2)} of an independent one "
        f"(phi {words.plain(signal.phi, 3)}), because requests come in clusters.",
    )
    yield Fact(
        question="Instances",
        answer=f"Odds up to {words.plain(signal.theta_0, 3)} times control's are put down to instances that differ "
        "(theta₀); only what is beyond counts as evidence. More instances of both versions make it smaller.",
    )


def _basis(signal: SignalResult) -> str:
    match decided_by(signal):
        case None:
            return ""
        case DecidedBy.INTERVAL:
            where = "within" if signal.state is State.NO_WORSE else "beyond"
            return f"Its interval: all of it lies {where} the tolerance."
    reaches = "the tolerance" if excludes_same(signal) else "“same”"
    has_interval = signal.low is not None or signal.high is not None
    why = f"its interval, from a wider test, still reaches {reaches}" if has_interval else "it has no interval"
    return (
        f"The evidence: chance is excluded, and the estimate is beyond the tolerance. How large it is is open: {why}."
    )


def odds(log_evidence: float) -> str:
    """48,000 : 1; the log is what is stored, because the number itself soon has hundreds of digits."""
    if log_evidence > 20 * math.log(10):
        return f"10^{math.floor(log_evidence / math.log(10))} : 1"
    ratio = math.exp(max(log_evidence, -40.0))
    return f"{words.plain(ratio, 2)} : 1" if ratio >= 1 else f"1 : {words.plain(1 / ratio, 2)}"
