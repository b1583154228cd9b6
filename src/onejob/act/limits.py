"""May an undecided step go on? Only if damage beyond the step's own limits is excluded.

Problem: most harmless canaries stay undecided at first, because excluding the verdict's narrow tolerances takes ten
thousand requests. A step asks for less: at 10 % of the traffic, that a catastrophe is excluded. But "excluded for every
signal of every operation" is never reached by an operation with a request a minute, and waiting for it would block
every rollout for ever; ignoring it would pass it silently.

The rule, for a step with its `error_limit` and `latency_limit` (a limit below the verdict's tolerance counts as the
tolerance: what is tolerable is never a reason to stop):

1. Signals of the arm as a whole (operation `*`: errors and shortfall as the router sees them) must be excluded, always:
   they hold the low-traffic operations too, so nothing can crash or hang unseen. A shortfall that has no interval yet
   goes by its estimate.
2. An operation is *covered* when damage to its errors and to its median duration is excluded, and no tail is seen
   beyond the limit. For a tail the estimate decides, once the new version has had 20 requests in it, n1 (1 - q) >= 20:
   its interval needs many times the median's requests (simulated at 5 to 20 requests/s of log-normal durations, half
   of them treatment's: x1.5 excluded at p95 after 1.5 to 9 minutes, at the median after 0.5 to 2.5), and p99 would
   begin to hold a step just when p95 lets it go. A tail that is really worse ends the rollout by the verdict.
3. Of a team's own KPIs and of web vitals nothing need be excluded: they take far more requests than a step has. One
   that is found worse holds the step: an exploratory one, as it cannot roll back; a guardrail ends the rollout anyway.
4. Operations that are not covered may carry at most a fifth of control's requests, all together, and their errors taken
   together must not be seen beyond the limit. They are named in the transition, so that passing them is never silent.

Lack of data of any other kind (nothing received, no control, not comparable) excludes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from onejob.model.rollout import Step
from onejob.model.verdict import EffectKind, Reason, SignalResult, State, Verdict

WHOLE_ARM = "*"
_MEDIAN = 0.5
_LEAST_IN_TAIL = 20
_MOST_UNCOVERED = 0.20
_MOST_NAMED = 3

_BESIDE = ("kpi", "vitals", "novelty")  # families that need not be excluded, see 3 above

_NOTHING = {
    Reason.NO_DATA: "no data of the new version has arrived",
    Reason.NO_CONTROL: "there is nothing to compare with",
    Reason.NOT_COMPARABLE: "the versions are not comparable",
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """`sentence` says what is excluded, or what is not yet."""

    is_excluded: bool
    sentence: str


def assess(verdict: Verdict | None, step: Step) -> Assessment:
    """Whether effects beyond the step's limits are excluded."""
    if verdict is None:
        return Assessment(False, "there is no verdict yet")
    suspicious = [s for s in verdict.signals if s.family in _BESIDE and s.state is State.WORSE]
    if suspicious:
        return Assessment(False, "; ".join(_suspicion(signal) for signal in suspicious[:_MOST_NAMED]))
    if verdict.state in (State.NO_WORSE, State.BETTER):
        return Assessment(True, f"the verdict is {verdict.state.replace('_', ' ')}")
    if verdict.state is State.WORSE:
        return Assessment(False, verdict.sentence)
    if verdict.reason in _NOTHING:
        return Assessment(False, _NOTHING[verdict.reason])
    return _assess_signals([s for s in verdict.signals if s.family not in _BESIDE], step)


def _assess_signals(signals: Iterable[SignalResult], step: Step) -> Assessment:
    by_operation: dict[str, list[SignalResult]] = {}
    for signal in signals:
        by_operation.setdefault(signal.operation, []).append(signal)
    whole = by_operation.pop(WHOLE_ARM, [])
    if not any(_errors(of_one) for of_one in by_operation.values()):
        return Assessment(False, "no operation has been compared yet")
    open_signals = [signal for signal in whole if not _is_excluded_for_arm(signal, step)]
    if open_signals:
        return Assessment(False, "; ".join(_describe(signal, step) for signal in open_signals))
    return _assess_operations(list(by_operation.values()), step)


def _assess_operations(operations: list[list[SignalResult]], step: Step) -> Assessment:
    total = sum(_requests(of_one) for of_one in operations)
    uncovered = sorted((of_one for of_one in operations if _open(of_one, step)), key=_requests, reverse=True)
    share = sum(map(_requests, uncovered)) / max(1, total)
    named = "; ".join(_describe(_open(of_one, step)[0], step) for of_one in uncovered[:_MOST_NAMED])
    if share > _MOST_UNCOVERED:
        return Assessment(False, named + _and_more(uncovered))
    together = _errors_together(uncovered)
    if together > _limit_of_errors(uncovered, step):
        return Assessment(False, f"operations of little traffic fail {together * 100:+.1f} points more often: {named}")
    limits = f"errors beyond +{step.error_limit * 100:g} points and latency beyond x{step.latency_limit:g}"
    what = limits if step.latency_limit > 1 else "effects beyond the tolerances"
    left = f"; not covered, {share:.1%} of the traffic: {named}{_and_more(uncovered)}" if uncovered else ""
    return Assessment(True, f"{what} are excluded{left}")


def _suspicion(signal: SignalResult) -> str:
    where = "" if signal.operation == WHOLE_ARM else f" of {signal.operation}"
    what = f"new error {signal.novelty.title}" if signal.novelty else signal.signal.replace("_", " ")
    how = "is no guardrail, and a person should look first" if signal.exploratory else "is worse"
    return f"{what}{where} {how}"


def _open(of_one: list[SignalResult], step: Step) -> list[SignalResult]:
    """The signals of an operation that keep it from being covered."""
    return [signal for signal in of_one if not (_is_excluded(signal, step) or _is_harmless_tail(signal, step))]


def _is_harmless_tail(signal: SignalResult, step: Step) -> bool:
    quantile = _quantile(signal)
    known = signal.treatment_requests if signal.treatment_spans is None else signal.treatment_spans
    is_thin = known * (1 - quantile) < _LEAST_IN_TAIL
    return quantile > _MEDIAN and (is_thin or signal.effect is None or signal.effect <= _limit(signal, step))


def _quantile(signal: SignalResult) -> float:
    """0.95 of `latency_p95`, 0.999 of `latency_p99.9`; 0 of a signal that is no quantile."""
    prefix = "latency_p"
    return float(signal.signal.removeprefix(prefix)) / 100 if signal.signal.startswith(prefix) else 0.0


def _limit(signal: SignalResult, step: Step) -> float:
    own = step.latency_limit if signal.effect_kind is EffectKind.RATIO else step.error_limit
    return max(own, signal.tolerance)


def _is_excluded(signal: SignalResult, step: Step) -> bool:
    return signal.high is not None and signal.high <= _limit(signal, step)


def _is_excluded_for_arm(signal: SignalResult, step: Step) -> bool:
    has_interval = signal.high is not None or signal.low is not None
    if signal.signal == "shortfall" and not has_interval:
        return signal.effect is None or signal.effect <= _limit(signal, step)
    return _is_excluded(signal, step)


def _errors(of_one: list[SignalResult]) -> SignalResult | None:
    return next((signal for signal in of_one if signal.signal == "errors"), None)


def _requests(of_one: list[SignalResult]) -> int:
    return max((signal.control_requests for signal in of_one), default=0)


def _errors_together(operations: list[list[SignalResult]]) -> float:
    """Difference of the error rates over all of them, weighted by control's mix; 0 where nothing is known."""
    known = [e for e in map(_errors, operations) if e is not None and e.effect is not None]
    weight = sum(e.control_requests for e in known)
    return sum((e.effect or 0.0) * e.control_requests for e in known) / weight if weight else 0.0


def _limit_of_errors(operations: list[list[SignalResult]], step: Step) -> float:
    return max([step.error_limit, *(e.tolerance for e in map(_errors, operations) if e is not None)])


def _describe(signal: SignalResult, step: Step) -> str:
    name = "the new version" if signal.operation == WHOLE_ARM else signal.operation
    limit = _limit(signal, step)
    if signal.effect_kind is EffectKind.RATIO:
        known = f"up to x{signal.high:.3g}" if signal.high is not None else "of any size"
        return f"{name}: {signal.signal.replace('_', ' ')} {known} is possible, the limit is x{limit:.3g}"
    known = f"up to {signal.high * 100:+.1f} points" if signal.high is not None else "of any size"
    return f"{name}: {signal.signal} {known} are possible, the limit is {limit * 100:+.1f}"


def _and_more(operations: list[list[SignalResult]]) -> str:
    more = len(operations) - _MOST_NAMED
    return f" and {more} more" if more > 0 else ""
