"""The sentence that leads a verdict: what a developer who never read a statistics book needs to know."""

from collections.abc import Sequence
from datetime import datetime

from onejob.model.deployment import Deployment, Strategy
from onejob.model.explanation import CallChange, CallKind, Explanation
from onejob.model.verdict import Reason, SignalResult, State, Verdict
from onejob.verdict.before_after import KIND as BEFORE_AFTER
from onejob.verdict.blame import others_to_blame
from onejob.verdict.phrases import change, percent
from onejob.verdict.signals import EVERYWHERE
from onejob.verdict.split import NOT_COMPARABLE

_LONGEST_ETA_S = 7 * 86_400
# Damage shows with the requests that meet it: what surely began this long after the deployment may have other causes.
_LATE_S = 1_200
_WITHOUT_REQUESTS = ("kpi", "vitals", "novelty")  # families that an explanation by requests does not explain


def sentence(
    deployment: Deployment, verdict: Verdict, explanation: Explanation | None = None, *, is_final: bool = False
) -> str:
    """One sentence; more is known with an explanation. `is_final`: no more evidence will come."""
    subject = f"{deployment.service} {deployment.version}"
    leading = leader(verdict.signals, verdict.state)
    is_of_past = verdict.control is not None and verdict.control.kind == BEFORE_AFTER
    if verdict.state is State.WORSE and leading:
        why = "" if leading.family in _WITHOUT_REQUESTS else _because(explanation) + others_to_blame(explanation)
        how, when = _course(deployment, verdict)
        return f"{subject} {how}: {change(leading, is_of_past=is_of_past)}{why}{when}{_open(verdict)}."
    beside = _beside(verdict.signals)
    if verdict.state is State.BETTER and leading:
        return f"{subject} is better: {change(leading, is_of_past=is_of_past)}; nothing is worse so far{beside}."
    if verdict.state is State.NO_WORSE:
        mine = [s for s in verdict.signals if not s.exploratory]
        operations = len({s.operation for s in mine})
        return f"{subject} is no worse: all {len(mine)} signals of {operations} operations within tolerance{beside}."
    return f"{subject} is undecided: {_undecided(deployment, verdict, is_final)}{beside}."


def _course(deployment: Deployment, verdict: Verdict) -> tuple[str, str]:
    """How to say that it is worse, and what follows of when that began and ended."""
    past = verdict.past
    if past is None:
        return "is worse", ""
    began_at = max(past.began_at or deployment.started_at, deployment.started_at)
    if past.recovered_at is not None:
        lasted = _between(began_at, past.recovered_at)
        return f"was worse for {lasted}", f"; transient: it is as usual again since {past.recovered_at:%H:%M} UTC"
    if past.elsewhere:
        return "is worse", f"; but {_and(past.elsewhere)} changed alike and nobody deployed those"
    if past.is_earlier and past.began_at is not None:
        return "is worse", f"; but that began about {_between(past.began_at, deployment.started_at)} before it"
    if past.began_from is not None and (past.began_from - deployment.started_at).total_seconds() > _LATE_S:
        late = _between(deployment.started_at, began_at)
        return "is worse", f"; it began about {late} after the deployment, so something else may have done it"
    return "is worse", ""


def _between(begin: datetime, end: datetime) -> str:
    return duration((end - begin).total_seconds())


def leader(signals: Sequence[SignalResult], state: State) -> SignalResult | None:
    """The signal the verdict leads with: of its state, the strongest; a named operation before the arm as a whole."""
    mine = [s for s in signals if s.state is state and not s.exploratory]
    if not mine:
        return None
    return max(mine, key=lambda s: (s.operation != EVERYWHERE, _strength(s, state)))


def _strength(signal: SignalResult, state: State) -> float:
    return signal.log_evidence if state is State.WORSE else signal.log_evidence_better


def _beside(signals: Sequence[SignalResult]) -> str:
    """What is worse and is no guardrail."""
    found = sorted((s for s in signals if s.exploratory and s.state is State.WORSE), key=lambda s: -s.log_evidence)
    if not found:
        return ""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"; no guardrail, but worth a look: {change(found[0])}{more}"


def _because(explanation: Explanation | None) -> str:
    if explanation is None:
        return ""
    who = ""
    if explanation.attributes:
        first = explanation.attributes[0]
        who = f" for {first.name} = {first.value}"
    # An operation that fails or is slow by itself is no cause of itself.
    cause = next((call for call in explanation.calls if call.is_cause and len(call.path) > 1), None)
    return who + (f", because {_cause(cause)}" if cause else "")


def _cause(call: CallChange) -> str:
    name = call.path[-1]
    if call.kind is CallKind.MORE:
        return f"{_calls(call.calls_control)} of {name} became {_calls(call.calls_treatment)}"
    if call.kind is CallKind.FAILING:
        return f"{name} fails {percent(call.error_rate_treatment)} of the time"
    if call.kind is CallKind.WAITING:
        return f"{name} waits {call.added_s * 1000:.3g} ms longer"
    return f"{name} takes {call.each_treatment_s * 1000:.3g} ms instead of {call.each_control_s * 1000:.3g} ms"


def _calls(n: float) -> str:
    return f"{n:.0f}" if n >= 0.95 else f"{n:.2g}"


def _open(verdict: Verdict) -> str:
    waiting = [s for s in verdict.signals if s.state is State.UNDECIDED and s.signal == "errors"]
    decided = leader(verdict.signals, verdict.state)
    mine = [s for s in waiting if decided and s.operation == decided.operation]
    if not mine or mine[0].missing is None or mine[0].missing.seconds_p50 is None:
        return ""
    return f"; undecided: its error rate (about {duration(mine[0].missing.seconds_p50)} more)"


def _undecided(deployment: Deployment, verdict: Verdict, is_final: bool) -> str:
    if verdict.reason is Reason.NO_CONTROL:
        if deployment.strategy is Strategy.ALL_AT_ONCE:
            return "it was shipped all at once, and too little of the service's past is known to compare it with"
        served = "served" if is_final else "serves"
        return f"no old version {served} beside it, so there is nothing to compare with"
    if verdict.reason is Reason.NO_DATA:
        return "no request to it was seen" if is_final else "no request to it has been seen yet"
    if verdict.reason is Reason.NOT_COMPARABLE and verdict.control is not None and verdict.control.kind == BEFORE_AFTER:
        return _changed_before(deployment, verdict)
    if verdict.reason is Reason.NOT_COMPARABLE:
        why = [line.removeprefix(NOT_COMPARABLE).rstrip(".") for line in verdict.left_out if NOT_COMPARABLE in line]
        return f"{why[0] if why else 'traffic is not split as it was meant to be'}, so the versions are not comparable"
    return _excluded(verdict) + _eta(verdict)


def _changed_before(deployment: Deployment, verdict: Verdict) -> str:
    past = verdict.past
    if past is not None and past.elsewhere:
        return f"it is worse than usual, but {_and(past.elsewhere)} changed alike and nobody deployed those"
    if past is None or past.began_at is None:
        return "something was changing in the hour before it already, so what came after may not be its doing"
    early = _between(past.began_at, deployment.started_at)
    return f"what got worse began about {early} before it, so it may not be its doing"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _excluded(verdict: Verdict) -> str:
    errors = [s.high for s in verdict.signals if s.signal == "errors" and s.high is not None]
    medians = [s.high for s in verdict.signals if s.signal == "latency_p50" and s.high is not None]
    parts = []
    if errors:
        parts.append(f"errors rose by less than {max(errors) * 100:.2g} points")
    if medians:
        parts.append(f"medians by less than {percent(max(medians) - 1)}")
    return f"nothing is worse so far, and for sure {' and '.join(parts)}" if parts else "too few requests so far"


def _eta(verdict: Verdict) -> str:
    lacking = [s.missing for s in verdict.signals if s.missing and not s.exploratory]
    etas = [missing.seconds_p50 for missing in lacking if missing.seconds_p50 is not None]
    if not etas:
        return ""
    longest = max(etas)
    if longest > _LONGEST_ETA_S:
        return "; this traffic would take more than a week to settle the rest"
    return f"; about {duration(longest)} more of this traffic would settle the rest"


def duration(seconds: float) -> str:
    """A duration in the unit people would say it in."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {unit}" + ("s" if count != 1 else "")
    return f"{max(1, round(seconds))} s"
