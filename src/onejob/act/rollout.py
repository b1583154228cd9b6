"""The rollout's state machine: pure functions from (rollout, verdict, time) to the rollout as it is next.

Problem: a rollout must survive a kill at any moment, and never move traffic without a record. Solution: a transition
only states what is *wanted* and is stored before anything is done; `share_to_apply` reads from the stored state what
the router must be told; `confirm` records that it was. Doing that once more after a restart changes nothing.

    PENDING --confirm--> HOLDING --limits excluded--> PENDING (next step) ... --last hold ends--> PROMOTED
       |                    |  <--resume-- PAUSED <--hold, timeout--
       +-------- worse, abort, timeout -------> ABORTING --confirm, or a person gives the router up--> ABORTED

In mode `observe` the machine runs on its own and all transitions are dry runs. In mode `advise` it stays where it is
(at first paused, with no traffic) and records what it asks for; a person's command is what moves it. What moves no
traffic (the end of the last hold, a pause) it does itself.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from onejob.act.errors import RolloutRefusedError
from onejob.act.limits import assess
from onejob.act.plan import OnTimeout
from onejob.model.rollout import Mode, Rollout, RolloutPlan, RolloutState, Step, Transition
from onejob.model.verdict import State, Verdict

ENDED = (RolloutState.PROMOTED, RolloutState.ABORTED, RolloutState.FAILED)
_AT_OLD = (RolloutState.ABORTING, RolloutState.ABORTED)
# The judge looks every 10 s by default; three missed looks mean that it does not look at all.
STALE_AFTER = timedelta(seconds=30)


def begin(rollout_id: str, deployment_id: str, plan: RolloutPlan, now: datetime, reason: str = "") -> Rollout:
    """A rollout that wants its first step."""
    rollout = Rollout(
        id=rollout_id,
        deployment_id=deployment_id,
        plan=plan,
        state=RolloutState.PAUSED if plan.mode is Mode.ADVISE else RolloutState.PENDING,
        step=0,
        share=0.0,
        step_started_at=now,
    )
    what = f"{reason}: " if reason else ""
    opening = f"{what}send {percent(plan.steps[0].share)} to the new version"
    return _decided(rollout, RolloutState.PENDING, now, opening)


def advance(rollout: Rollout, verdict: Verdict | None, now: datetime, stale_after: timedelta = STALE_AFTER) -> Rollout:
    """What the verdict and the time make of it; the same rollout if nothing."""
    if rollout.state in ENDED:
        return rollout
    if verdict is not None and verdict.state is State.WORSE and rollout.state is not RolloutState.ABORTING:
        rollout = _decided(rollout, RolloutState.ABORTING, now, verdict.sentence)
    if rollout.plan.mode is Mode.OBSERVE and rollout.state in (RolloutState.PENDING, RolloutState.ABORTING):
        return confirm(rollout, now)
    if rollout.state is RolloutState.HOLDING:
        return _advance_hold(rollout, verdict, now, stale_after)
    return rollout


def share_to_apply(rollout: Rollout) -> float | None:
    """What the router must send to the new version now; None while that is not this rollout's to say."""
    if rollout.plan.mode is Mode.OBSERVE or rollout.state in ENDED:
        return None
    is_moving = rollout.state in (RolloutState.PENDING, RolloutState.ABORTING)
    return wanted_share(rollout) if is_moving or rollout.plan.mode is Mode.ACT else None


def wanted_share(rollout: Rollout) -> float:
    """The share this state stands for; in mode `observe`, the one it would stand for."""
    is_observed = rollout.plan.mode is Mode.OBSERVE and rollout.state not in (*_AT_OLD, RolloutState.FAILED)
    if rollout.state is RolloutState.PENDING or is_observed:
        return _step(rollout).share
    return 0.0 if rollout.state in _AT_OLD and not rollout.router_is_gone else rollout.share


def confirm(rollout: Rollout, now: datetime) -> Rollout:
    """The router sends what was wanted."""
    if rollout.state is RolloutState.ABORTING:
        aborted = _moved(rollout, RolloutState.ABORTED, now, "all traffic is on the old version")
        return replace(aborted, trouble=None)
    if rollout.state is RolloutState.PENDING:
        share = _step(rollout).share
        reason = f"{percent(share)} of the traffic is on the new version"
        told = rollout.share if rollout.plan.mode is Mode.OBSERVE else share  # an observer tells the router nothing
        moved = replace(rollout, share=told, step_started_at=now)
        return _moved(moved, RolloutState.HOLDING, now, reason)
    return rollout


def corrected(rollout: Rollout, found: float | None, now: datetime) -> Rollout:
    """The router did not send what it was told, and was told again."""
    was = "the weights of its own file" if found is None else percent(found)
    reason = f"the router sent {was} to the new version: put back to {percent(rollout.share)}"
    return _moved(rollout, rollout.state, now, reason)


def troubled(rollout: Rollout, trouble: str | None, now: datetime) -> Rollout:
    """The driver cannot do its part (or, with None, can again); said once, not at every try."""
    if trouble == rollout.trouble:
        return rollout
    reason = "the router answers again" if trouble is None else f"{trouble.rstrip('.')}; tried again every second"
    return replace(_moved(rollout, rollout.state, now, reason), trouble=trouble)


def failed(rollout: Rollout, reason: str, now: datetime) -> Rollout:
    """The rollout cannot go on at all."""
    return rollout if rollout.state in ENDED else _moved(rollout, RolloutState.FAILED, now, reason)


def give_up_router(rollout: Rollout, actor: str, trouble: str, now: datetime) -> Rollout:
    """A person says that the router is gone for good: it is aborted, and nobody knows what the router sends."""
    reason = (
        f"the router is gone, says {actor}: nobody confirmed that its traffic was taken back; its last known share was "
        f"{percent(rollout.share)} ({trouble})"
    )
    given_up = replace(rollout, router_is_gone=True, trouble=trouble)
    return _moved(given_up, RolloutState.ABORTED, now, reason)


def way_out(rollout: Rollout) -> str:
    """What is left to a person whose rollout waits for its router; nothing while it does its part."""
    if rollout.trouble is None:
        return ""
    return (
        f" Its router does not do its part ({rollout.trouble.rstrip('.')}). If it is gone for good, abort with "
        "router_is_gone."
    )


def command(rollout: Rollout, name: str, actor: str, now: datetime) -> Rollout:
    """What a person told it to do: promote, hold, resume or abort."""
    commands = {"promote": _promote, "hold": _hold, "resume": _resume, "abort": _abort}
    if name not in commands:
        raise RolloutRefusedError(f"A rollout can {', '.join(commands)}; {name!r} is none of these.")
    if rollout.state in ENDED:
        raise RolloutRefusedError(f"Rollout {rollout.id} has ended ({rollout.state}): start a new one.")
    return commands[name](rollout, f"{name} by {actor}", now)


def over(rollout: Rollout, reason: str, now: datetime) -> Rollout:
    """Somebody outside says that this deployment is over: its traffic is to be taken back."""
    is_going = rollout.state not in (*ENDED, RolloutState.ABORTING)
    return _decided(rollout, RolloutState.ABORTING, now, reason) if is_going else rollout


def _promote(rollout: Rollout, reason: str, now: datetime) -> Rollout:
    if rollout.state is RolloutState.ABORTING:
        told = f"Rollout {rollout.id} is being aborted: start a new one when all traffic is back on the old version."
        raise RolloutRefusedError(told + way_out(rollout))
    if rollout.state is RolloutState.PENDING:
        return rollout
    if not _is_reached(rollout):
        return _moved(rollout, RolloutState.PENDING, now, reason)
    return _next_step(rollout, reason, now)


def _hold(rollout: Rollout, reason: str, now: datetime) -> Rollout:
    if rollout.state is RolloutState.ABORTING:
        raise RolloutRefusedError(f"Rollout {rollout.id} is being aborted: it cannot be held.{way_out(rollout)}")
    return rollout if rollout.state is RolloutState.PAUSED else _moved(rollout, RolloutState.PAUSED, now, reason)


def _resume(rollout: Rollout, reason: str, now: datetime) -> Rollout:
    if rollout.state is not RolloutState.PAUSED:
        raise RolloutRefusedError(f"Rollout {rollout.id} is {rollout.state}, not paused: there is nothing to resume.")
    to = RolloutState.HOLDING if _is_reached(rollout) else RolloutState.PENDING
    return replace(_moved(rollout, to, now, reason), step_started_at=now)


def _abort(rollout: Rollout, reason: str, now: datetime) -> Rollout:
    return rollout if rollout.state is RolloutState.ABORTING else _moved(rollout, RolloutState.ABORTING, now, reason)


def _advance_hold(rollout: Rollout, verdict: Verdict | None, now: datetime, stale_after: timedelta) -> Rollout:
    step = _step(rollout)
    held_s = (now - rollout.step_started_at).total_seconds()
    if held_s < step.hold_s:
        return rollout
    if _is_last(rollout):
        return _moved(rollout, RolloutState.PROMOTED, now, _held(step))
    lacking = _stale(verdict, now, stale_after) or _unseen(rollout, verdict)
    assessment = assess(verdict, step)
    if assessment.is_excluded and lacking is None:
        return _next_step(rollout, f"{_held(step)}: {assessment.sentence}", now, decided=True)
    if held_s >= step.timeout_s:
        return _timed_out(rollout, lacking or assessment.sentence, now)
    return rollout


def waits_for(rollout: Rollout, verdict: Verdict | None, now: datetime) -> str | None:
    """What a step lacks whose hold is over; None where it is not, or where nothing is lacking."""
    is_due = rollout.state is RolloutState.HOLDING and not _is_last(rollout)
    step = _step(rollout)
    if not is_due or (now - rollout.step_started_at).total_seconds() < step.hold_s:
        return None
    assessment = assess(verdict, step)
    return _unseen(rollout, verdict) or (None if assessment.is_excluded else assessment.sentence)


def _stale(verdict: Verdict | None, now: datetime, stale_after: timedelta) -> str | None:
    """A step is never promoted by a judge that has stopped looking."""
    if verdict is None or now - verdict.judged_at <= stale_after:
        return None
    return f"the judge has not looked since {verdict.judged_at:%H:%M:%S}"


def _unseen(rollout: Rollout, verdict: Verdict | None) -> str | None:
    """A step is never promoted on what the judge saw before it."""
    if verdict is None or verdict.window_end is None or verdict.window_end > rollout.step_started_at:
        return None
    return "the judge has seen nothing of this step yet"


def _timed_out(rollout: Rollout, lacking: str, now: datetime) -> Rollout:
    step = _step(rollout)
    reason = f"{percent(step.share)} timed out after {step.timeout_s:g} s: {lacking}"
    match rollout.plan.on_timeout:
        case OnTimeout.ABORT:
            return _decided(rollout, RolloutState.ABORTING, now, reason)
        case OnTimeout.PROMOTE:
            return _next_step(rollout, reason, now, decided=True)
    return _moved(rollout, RolloutState.PAUSED, now, reason)


def _next_step(rollout: Rollout, reason: str, now: datetime, *, decided: bool = False) -> Rollout:
    if _is_last(rollout):
        return _moved(rollout, RolloutState.PROMOTED, now, reason)
    move = _decided if decided else _moved
    return move(rollout, RolloutState.PENDING, now, reason, step=rollout.step + 1)


def _decided(rollout: Rollout, to: RolloutState, now: datetime, reason: str, *, step: int | None = None) -> Rollout:
    """The machine's own decision; in mode `advise` it only asks, once."""
    moved = _moved(rollout, to, now, reason, step=step)
    if rollout.plan.mode is not Mode.ADVISE:
        return moved
    asked = replace(moved.transitions[-1], is_dry_run=True)
    return rollout if _has_asked(rollout, asked) else replace(rollout, transitions=(*rollout.transitions, asked))


def _has_asked(rollout: Rollout, wanted: Transition) -> bool:
    """Has the same been asked for since somebody last did something?"""
    for made in reversed(rollout.transitions):
        if not made.is_dry_run:
            return False
        if (made.to_state, made.step) == (wanted.to_state, wanted.step):
            return True
    return False


def _moved(
    rollout: Rollout,
    to: RolloutState,
    now: datetime,
    reason: str,
    *,
    step: int | None = None,
) -> Rollout:
    after = replace(rollout, state=to, step=rollout.step if step is None else step)
    transition = Transition(
        at=now,
        from_state=rollout.state,
        to_state=to,
        step=after.step,
        share=wanted_share(after),
        reason=reason,
        is_dry_run=rollout.plan.mode is Mode.OBSERVE,
    )
    ends_at = transition.share if to is RolloutState.ABORTED else after.share
    return replace(after, share=ends_at, transitions=(*rollout.transitions, transition))


def _step(rollout: Rollout) -> Step:
    return rollout.plan.steps[rollout.step]


def next_step(rollout: Rollout) -> Step | None:
    """The step that `promote` goes to: the present one until its share is reached; None after the last."""
    steps, at = rollout.plan.steps, rollout.step + _is_reached(rollout)
    return steps[at] if at < len(steps) else None


def _is_reached(rollout: Rollout) -> bool:
    """Is the share of the present step the one the router was told?"""
    return rollout.plan.mode is Mode.OBSERVE or rollout.share == _step(rollout).share


def _is_last(rollout: Rollout) -> bool:
    return rollout.step == len(rollout.plan.steps) - 1


def _held(step: Step) -> str:
    return f"{percent(step.share)} held for {step.hold_s:g} s"


def percent(share: float) -> str:
    """`0.125` as `12.5 %`."""
    return f"{share * 100:.4g} %"
