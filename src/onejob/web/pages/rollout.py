"""The view of a rollout: its steps with their share and time, where it is, what it did and what may be asked of it."""

from dataclasses import dataclass
from datetime import datetime

from onejob import words
from onejob.act.rollout import next_step, waits_for
from onejob.model.deployment import Deployment
from onejob.model.rollout import Mode, Rollout, RolloutState, Transition
from onejob.model.verdict import State, Verdict

_RUNNING = {RolloutState.PENDING, RolloutState.HOLDING, RolloutState.PAUSED, RolloutState.ABORTING}
_COMMANDS = {
    RolloutState.PENDING: ("abort",),
    RolloutState.HOLDING: ("promote", "hold", "abort"),
    RolloutState.PAUSED: ("promote", "resume", "abort"),
}
GIVE_UP = "give up the router"
_MODE_WORDS = {
    Mode.OBSERVE: "observing: it only records what it would do",
    Mode.ADVISE: "advising: it asks, a person decides",
    Mode.ACT: "acting by itself",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of the bar; `grow` is its width in 1..12 parts, `look` a class of the stylesheet."""

    title: str
    detail: str
    look: str
    grow: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happened when, for the log under the bar and the bands of the chart."""

    at: datetime
    clock: str
    what: str
    share: str
    reason: str
    is_dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """The bar, its log and its buttons."""

    id: str
    segments: list[Segment]
    log: list[Step]
    commands: tuple[str, ...]
    mode: str
    promotes_to: str
    waits_for: str | None


def view(rollout: Rollout, deployment: Deployment, verdict: Verdict | None, now: datetime) -> RolloutView:
    """The whole rollout as of now."""
    return RolloutView(
        id=rollout.id,
        segments=[*_steps(rollout, verdict, now), *_end(rollout, deployment)],
        log=[_log(transition) for transition in rollout.transitions],
        commands=_commands(rollout),
        mode=_MODE_WORDS[rollout.plan.mode] if rollout.state in _RUNNING else f"mode: {rollout.plan.mode.value}",
        promotes_to=_promotes_to(rollout),
        waits_for=waits_for(rollout, verdict, now),
    )


def _promotes_to(rollout: Rollout) -> str:
    """What `promote` does to the new version now: one step, never several at once."""
    step = next_step(rollout)
    if step is None:
        return "keeps its traffic, and the rollout ends"
    return f"gets {words.percent(step.share, 2)} of the traffic now"


def _commands(rollout: Rollout) -> tuple[str, ...]:
    is_stuck = rollout.state is RolloutState.ABORTING and rollout.trouble is not None
    return (GIVE_UP,) if is_stuck else _COMMANDS.get(rollout.state, ())


def times_at_steps(rollout: Rollout, now: datetime) -> list[tuple[datetime, datetime, int, float]]:
    """(from, to, step, share) of every stay at a share; the last one ends now, or when the rollout did."""
    stays = []
    moved = [one for one in rollout.transitions if not one.is_dry_run] or list(rollout.transitions)
    for index, transition in enumerate(moved):
        if transition.to_state in _RUNNING and transition.share > 0:
            end = moved[index + 1].at if index + 1 < len(moved) else now
            stays.append((transition.at, end, transition.step, transition.share))
    return stays


def _steps(rollout: Rollout, verdict: Verdict | None, now: datetime) -> list[Segment]:
    spent: dict[int, float] = {}
    for start, end, at, _ in times_at_steps(rollout, now):
        spent[at] = spent.get(at, 0.0) + (end - start).total_seconds()
    longest = max((step.hold_s for step in rollout.plan.steps), default=1.0) or 1.0
    segments = []
    for index, step in enumerate(rollout.plan.steps):
        look = _look(rollout, index, verdict)
        segments.append(
            Segment(
                title=words.percent(step.share, 2),
                detail=_detail(rollout, index, spent.get(index)),
                look=look,
                grow=max(2, min(6, round(step.hold_s / longest * 6))),
            )
        )
    return segments


def _look(rollout: Rollout, index: int, verdict: Verdict | None) -> str:
    is_running = rollout.state in _RUNNING
    if index > rollout.step:
        return "skip"
    if index < rollout.step:
        return "done"
    if rollout.state in {RolloutState.ABORTED, RolloutState.ABORTING, RolloutState.FAILED}:
        return "bad" if verdict and verdict.state is State.WORSE else "done"
    return "now" if is_running else "done"


def _detail(rollout: Rollout, index: int, spent: float | None) -> str:
    step = rollout.plan.steps[index]
    if spent is None:
        is_over = rollout.state not in _RUNNING
        return (
            ("not reached" if is_over else f"then hold {words.elapsed(step.hold_s)}")
            if step.hold_s
            else ("not reached" if is_over and rollout.state is not RolloutState.PROMOTED else "")
        )
    if index == rollout.step and rollout.state is RolloutState.PAUSED:
        return f"{words.elapsed(spent)}, held"
    if index == rollout.step and rollout.state is RolloutState.HOLDING:
        is_due = spent > step.hold_s + 1
        until = ", waiting for evidence" if is_due else f" of {words.elapsed(step.hold_s)}"
        return words.elapsed(spent) + until
    return words.elapsed(spent)


def _end(rollout: Rollout, deployment: Deployment) -> list[Segment]:
    last = rollout.transitions[-1] if rollout.transitions else None
    at = words.clock(last.at) if last else ""
    old = deployment.previous_version or "the old version"
    if rollout.router_is_gone:
        known = f"last known share {words.percent(rollout.share, 2)}"
        return [Segment(title="Router given up", detail=f"{at}, not confirmed; {known}", look="bad", grow=8)]
    if rollout.state is RolloutState.ABORTED:
        dry = last is not None and last.is_dry_run
        title = "Would have rolled back" if dry else "Rolled back"
        return [Segment(title=title, detail=f"{at}, all traffic on {old}" if not dry else at, look="end", grow=8)]
    if rollout.state is RolloutState.ABORTING:
        waits = ", the router does not do it yet" if rollout.trouble else ""
        return [Segment(title="Rolling back", detail=f"to {old}{waits}", look="now", grow=6)]
    if rollout.state is RolloutState.PROMOTED:
        return [Segment(title="Promoted", detail=f"{at}, all traffic on {deployment.version}", look="end", grow=8)]
    if rollout.state is RolloutState.FAILED:
        return [Segment(title="Stopped", detail=last.reason if last else "", look="bad", grow=8)]
    return []


def _log(transition: Transition) -> Step:
    return Step(
        at=transition.at,
        clock=words.clock(transition.at),
        what=f"{transition.from_state.value} → {transition.to_state.value}",
        share=words.percent(transition.share, 3),
        reason=transition.reason,
        is_dry_run=transition.is_dry_run,
    )
