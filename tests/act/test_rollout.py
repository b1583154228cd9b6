import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.act.builders import T0, a_plan, a_verdict, after, all_excluded

from onejob.act.errors import RolloutRefusedError
from onejob.act.rollout import (
    ENDED,
    advance,
    begin,
    command,
    confirm,
    corrected,
    give_up_router,
    share_to_apply,
    troubled,
    waits_for,
    wanted_share,
)
from onejob.model.rollout import Mode, Rollout, RolloutState
from onejob.model.verdict import State, Verdict

WORSE = a_verdict(State.WORSE, judged_at=T0)


def a_rollout(mode: Mode = Mode.ACT, on_timeout: str = "pause") -> Rollout:
    return begin("rol_x", "dep_x", a_plan(mode, on_timeout=on_timeout), T0)


def holding(mode: Mode = Mode.ACT, on_timeout: str = "pause") -> Rollout:
    """At its first step, 10 % for 60 s, since T0."""
    rollout = a_rollout(mode, on_timeout)
    return advance(rollout, None, T0) if mode is Mode.OBSERVE else confirm(started(rollout), T0)


def started(rollout: Rollout) -> Rollout:
    return command(rollout, "promote", "ada", T0) if rollout.plan.mode is Mode.ADVISE else rollout


def at_the_last_step(mode: Mode = Mode.ACT) -> Rollout:
    rollout = holding(mode)
    for _ in rollout.plan.steps[1:]:
        rollout = confirm(command(rollout, "promote", "ada", T0), T0)
    return rollout


def test_a_new_rollout_wants_its_first_step_and_nothing_has_moved() -> None:
    rollout = a_rollout()

    assert rollout.state is RolloutState.PENDING
    assert rollout.share == 0.0
    assert share_to_apply(rollout) == 0.1


def test_the_hold_begins_when_the_router_has_taken_over() -> None:
    rollout = confirm(a_rollout(), after(45))

    assert rollout.state is RolloutState.HOLDING
    assert rollout.share == 0.1
    assert advance(rollout, all_excluded(after(104)), after(104)) is rollout
    assert advance(rollout, all_excluded(after(105)), after(105)).step == 1


def test_an_undecided_step_is_promoted_when_its_hold_ends_and_its_limits_are_excluded() -> None:
    rollout = advance(holding(), all_excluded(after(60)), after(60))

    assert (rollout.state, rollout.step, rollout.share) == (RolloutState.PENDING, 1, 0.1)
    assert share_to_apply(rollout) == 0.5
    assert "10 % held for 60 s: errors beyond +30 points and latency beyond x3 are excluded" in (
        rollout.transitions[-1].reason
    )


def test_an_undecided_step_whose_limits_are_open_goes_on_holding() -> None:
    rollout = holding()

    assert advance(rollout, a_verdict(judged_at=after(100)), after(100)) is rollout


def test_a_good_verdict_does_not_cut_a_hold_short() -> None:
    rollout = holding()

    assert advance(rollout, a_verdict(State.BETTER, judged_at=after(30)), after(30)) is rollout


@pytest.mark.parametrize("make", [a_rollout, holding, at_the_last_step])
def test_worse_aborts_at_once_wherever_the_rollout_is(make: object) -> None:
    rollout = advance(make(), WORSE, after(1))  # type: ignore[operator]

    assert rollout.state is RolloutState.ABORTING
    assert share_to_apply(rollout) == 0.0
    assert rollout.transitions[-1].reason == WORSE.sentence


def test_worse_aborts_a_paused_rollout_too() -> None:
    paused = command(holding(), "hold", "ada", T0)

    assert advance(paused, WORSE, after(1)).state is RolloutState.ABORTING


def test_an_abort_has_ended_when_the_router_has_taken_over() -> None:
    aborting = advance(holding(), WORSE, after(1))
    aborted = confirm(aborting, after(2))

    assert (aborted.state, aborted.share) == (RolloutState.ABORTED, 0.0)
    assert share_to_apply(aborted) is None


def test_the_last_hold_ends_in_promoted() -> None:
    rollout = at_the_last_step()

    assert advance(rollout, None, after(29)) is rollout
    promoted = advance(rollout, None, after(30))
    assert (promoted.state, promoted.share) == (RolloutState.PROMOTED, 1.0)


@pytest.mark.parametrize(
    ("on_timeout", "state", "step"),
    [
        ("pause", RolloutState.PAUSED, 0),
        ("abort", RolloutState.ABORTING, 0),
        ("promote", RolloutState.PENDING, 1),
    ],
)
def test_a_step_that_cannot_exclude_its_limits_in_time_does_what_the_plan_says(
    on_timeout: str, state: RolloutState, step: int
) -> None:
    rollout = holding(on_timeout=on_timeout)

    assert advance(rollout, a_verdict(judged_at=after(1799)), after(1799)) is rollout
    timed_out = advance(rollout, a_verdict(judged_at=after(1800)), after(1800))
    assert (timed_out.state, timed_out.step) == (state, step)
    assert "timed out after 1800 s: no operation has been compared yet" in timed_out.transitions[-1].reason


def test_a_step_whose_hold_is_over_says_what_it_waits_for() -> None:
    rollout, undecided = holding(), a_verdict(judged_at=after(70))

    assert waits_for(rollout, undecided, after(59)) is None
    assert waits_for(rollout, undecided, after(60)) == "no operation has been compared yet"
    assert waits_for(rollout, None, after(60)) == "there is no verdict yet"
    assert waits_for(rollout, all_excluded(after(70)), after(71)) is None
    assert waits_for(command(rollout, "hold", "ada", after(61)), undecided, after(70)) is None
    assert waits_for(at_the_last_step(), undecided, after(1800)) is None


def test_a_judge_that_has_stopped_looking_promotes_nothing() -> None:
    rollout = holding()

    assert advance(rollout, all_excluded(after(60)), after(91)) is rollout
    assert "has not looked since" in advance(rollout, all_excluded(after(60)), after(1800)).transitions[-1].reason


def test_what_was_seen_before_a_step_does_not_promote_it() -> None:
    second = confirm(command(holding(), "promote", "ada", after(5)), after(300))

    assert advance(second, all_excluded(after(300)), after(420)) is second
    assert advance(second, all_excluded(after(415)), after(420)).step == 2


def test_a_person_can_promote_hold_resume_and_abort() -> None:
    rollout = command(holding(), "hold", "ada", after(1))
    assert rollout.state is RolloutState.PAUSED
    assert advance(rollout, all_excluded(after(600)), after(600)) is rollout

    rollout = command(rollout, "resume", "ada", after(700))
    assert rollout.state is RolloutState.HOLDING
    assert advance(rollout, all_excluded(after(759)), after(759)) is rollout, "the hold begins anew"

    rollout = command(rollout, "promote", "ada", after(760))
    assert (rollout.state, rollout.step) == (RolloutState.PENDING, 1)

    rollout = command(rollout, "abort", "ada", after(761))
    assert rollout.state is RolloutState.ABORTING
    assert [t.reason for t in rollout.transitions[-4:]] == [
        "hold by ada", "resume by ada", "promote by ada", "abort by ada",
    ]  # fmt: skip


def test_a_rollout_held_on_its_way_to_a_step_goes_there_when_resumed() -> None:
    held = command(advance(holding(), all_excluded(after(60)), after(60)), "hold", "ada", after(61))
    assert share_to_apply(held) == 0.1

    resumed = command(held, "resume", "ada", after(62))
    assert (resumed.state, share_to_apply(resumed)) == (RolloutState.PENDING, 0.5)


def test_repeating_a_command_changes_nothing() -> None:
    for name in ("hold", "abort"):
        once = command(holding(), name, "ada", after(1))
        assert command(once, name, "ada", after(2)) is once
    pending = a_rollout()
    assert command(pending, "promote", "ada", after(1)) is pending


def test_a_command_that_does_not_fit_is_refused_with_a_reason() -> None:
    aborting = command(holding(), "abort", "ada", T0)
    for name in ("promote", "hold", "resume"):
        with pytest.raises(RolloutRefusedError):
            command(aborting, name, "ada", T0)
    with pytest.raises(RolloutRefusedError, match="has ended"):
        command(confirm(aborting, T0), "abort", "ada", T0)
    with pytest.raises(RolloutRefusedError, match="not paused"):
        command(holding(), "resume", "ada", T0)
    with pytest.raises(RolloutRefusedError, match="promote, hold, resume, abort"):
        command(holding(), "explode", "ada", T0)


def test_an_observer_records_the_whole_rollout_and_moves_nothing() -> None:
    rollout = a_rollout(Mode.OBSERVE)
    for at in range(0, 260, 5):
        rollout = advance(rollout, all_excluded(after(at)), after(at))
        assert share_to_apply(rollout) is None
        assert rollout.share == 0.0

    assert rollout.state is RolloutState.PROMOTED
    assert all(t.is_dry_run for t in rollout.transitions)
    assert [t.share for t in rollout.transitions if t.to_state is RolloutState.HOLDING] == [0.1, 0.5, 1.0]


def test_an_observer_records_that_it_would_have_aborted() -> None:
    rollout = advance(holding(Mode.OBSERVE), WORSE, after(5))

    assert rollout.state is RolloutState.ABORTED
    assert rollout.transitions[-2].reason == WORSE.sentence
    assert rollout.transitions[-1].is_dry_run


def test_an_adviser_asks_once_and_waits_to_be_told() -> None:
    rollout = a_rollout(Mode.ADVISE)
    assert (rollout.state, share_to_apply(rollout)) == (RolloutState.PAUSED, None)
    assert rollout.transitions[-1].to_state is RolloutState.PENDING
    assert rollout.transitions[-1].is_dry_run

    rollout = command(rollout, "promote", "ada", after(1))
    assert share_to_apply(rollout) == 0.1

    rollout = confirm(rollout, after(2))
    asked = advance(rollout, all_excluded(after(62)), after(62))
    assert (asked.state, asked.step, asked.share) == (RolloutState.HOLDING, 0, 0.1)
    assert (asked.transitions[-1].step, asked.transitions[-1].share) == (1, 0.5)
    assert advance(asked, all_excluded(after(63)), after(63)) is asked

    told = command(asked, "promote", "ada", after(64))
    assert (share_to_apply(told), told.transitions[-1].is_dry_run) == (0.5, False)


def test_an_adviser_asks_for_an_abort_and_does_it_when_told() -> None:
    asked = advance(holding(Mode.ADVISE), WORSE, after(1))
    assert (asked.state, share_to_apply(asked)) == (RolloutState.HOLDING, None)
    assert (asked.transitions[-1].to_state, asked.transitions[-1].is_dry_run) == (RolloutState.ABORTING, True)
    assert advance(asked, WORSE, after(2)) is asked

    assert share_to_apply(command(asked, "abort", "ada", after(3))) == 0.0


def test_trouble_with_the_router_is_recorded_when_it_begins_and_when_it_ends() -> None:
    rollout = holding()
    down = troubled(rollout, "Envoy does not answer", after(1))

    assert down.trouble == "Envoy does not answer"
    assert troubled(down, "Envoy does not answer", after(2)) is down
    up = troubled(down, None, after(3))
    assert up.trouble is None
    assert [t.reason for t in up.transitions[-2:]] == [
        "Envoy does not answer; tried again every second",
        "the router answers again",
    ]


def test_a_router_that_was_given_up_keeps_the_share_it_last_confirmed() -> None:
    aborting = troubled(command(holding(), "abort", "ada", after(1)), "Envoy does not answer", after(2))
    ended = give_up_router(aborting, "ada", "Envoy does not answer", after(3))

    assert (ended.state, ended.share, ended.router_is_gone) == (RolloutState.ABORTED, 0.1, True)
    assert (ended.transitions[-1].share, share_to_apply(ended)) == (0.1, None)
    assert ended.transitions[-1].reason == (
        "the router is gone, says ada: nobody confirmed that its traffic was taken back; its last known share was 10 % "
        "(Envoy does not answer)"
    )


def test_an_abort_that_the_router_confirmed_has_no_trouble_left() -> None:
    aborting = troubled(command(holding(), "abort", "ada", after(1)), "Envoy does not answer", after(2))

    assert confirm(aborting, after(3)).trouble is None


def test_trouble_while_an_adviser_waits_does_not_count_as_being_told() -> None:
    waiting = troubled(a_rollout(Mode.ADVISE), "Envoy does not answer", after(1))

    assert share_to_apply(waiting) is None


def test_a_share_that_somebody_changed_is_recorded_as_put_back() -> None:
    rollout = corrected(holding(), 0.7, after(3))

    assert rollout.transitions[-1].reason == "the router sent 70 % to the new version: put back to 10 %"
    assert rollout.state is RolloutState.HOLDING


def test_confirming_twice_changes_nothing() -> None:
    rollout = holding()

    assert confirm(rollout, after(5)) is rollout


VERDICTS: list[Verdict | None] = [None, WORSE, a_verdict(State.NO_WORSE), a_verdict(), all_excluded()]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["advance", "confirm", "promote", "hold", "resume", "abort", "trouble", "fine"]),
        st.sampled_from(range(len(VERDICTS))),
        st.floats(0, 2000),
    ),
    max_size=40,
)


@given(mode=st.sampled_from(list(Mode)), on_timeout=st.sampled_from(["pause", "abort", "promote"]), events=EVENTS)
def test_whatever_happens_transitions_are_only_added_and_shares_are_the_plans(
    mode: Mode, on_timeout: str, events: list[tuple[str, int, float]]
) -> None:
    rollout, at = a_rollout(mode, on_timeout), 0.0
    allowed = {0.0} | {step.share for step in rollout.plan.steps}
    for what, which, seconds in events:
        at += seconds
        before = rollout
        rollout = _after_event(rollout, what, VERDICTS[which], at)
        assert rollout.transitions[: len(before.transitions)] == before.transitions
        assert (rollout is before) or len(rollout.transitions) > len(before.transitions)
        assert wanted_share(rollout) in allowed
        assert before.state not in ENDED or rollout is before
        if mode is Mode.OBSERVE:
            assert rollout.share == 0.0


def _after_event(rollout: Rollout, what: str, verdict: Verdict | None, at: float) -> Rollout:
    match what:
        case "advance":
            return advance(rollout, verdict, after(at))
        case "confirm":
            return confirm(rollout, after(at)) if share_to_apply(rollout) is not None else rollout
        case "trouble" | "fine":
            return (
                rollout if rollout.state in ENDED else troubled(rollout, what if what == "trouble" else None, after(at))
            )
    try:
        return command(rollout, what, "ada", after(at))
    except RolloutRefusedError:
        return rollout
