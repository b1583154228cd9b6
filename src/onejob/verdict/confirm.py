"""What stands out after a deployment is its doing only if it did not begin before; and it may be over.

Problem: an alarm says that the hour after is unlike the hours without a change, of which a deployment is one cause of
several. Solution: what was moving in the hour before already, or surely began earlier, is not held against it; when
it began and whether all of it is as usual again stands in the verdict, so that what went away by itself is told from
what did not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from onejob.model.evidence import JudgeSettings
from onejob.model.verdict import AgainstPast, State
from onejob.stats.onset import Onset
from onejob.verdict import course
from onejob.verdict.before_after import BeforeAfter
from onejob.verdict.decide import Decision
from onejob.verdict.signals import BETTER, WORSE, Row
from onejob.verdict.window_rows import ROWS, Size

# Migrations, and old instances that go, come before the first request to the new version: they are the deployment's.
PREPARED_S = 180
_SIDES = {State.WORSE: WORSE, State.BETTER: BETTER}


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A decision less what is not the deployment's doing; `course` is of what is worse, or would be but for that."""

    decision: Decision
    course: AgainstPast | None = None


def confirm(past: BeforeAfter, rows: Sequence[Row], decision: Decision, settings: JudgeSettings) -> Confirmed:
    """`rows` are those of the last look at `past`."""
    if past.was_moving(settings.alpha):
        return Confirmed(_open(decision, [state in _SIDES for state in decision.states]))
    if not any(one.before for one in past.expectations.series):
        return Confirmed(decision)  # stored before this was known: the same document again
    pairs = list(zip(rows, decision.states, strict=True))
    is_earlier = [state in _SIDES and _is_earlier(past, row, _SIDES[state], settings) for row, state in pairs]
    worse, earlier = (
        [row for (row, state), is_it in zip(pairs, is_earlier, strict=True) if state is State.WORSE and is_it is asked]
        for asked in (False, True)
    )
    return Confirmed(
        _open(decision, is_earlier), _of_controls(past, rows, worse, _course(past, worse, earlier, settings))
    )


def following(before: AgainstPast | None, now: AgainstPast | None) -> AgainstPast | None:
    """The course of what was `worse` before, too: damage that comes back began when it first came, not now."""
    if before is None or now is None:
        return before or now
    if before.began_to is None or (now.began_at is not None and now.began_at <= before.began_to):
        return now
    return replace(now, began_at=before.began_at, began_from=before.began_from, began_to=before.began_to)


def _open(decision: Decision, is_excused: Sequence[bool]) -> Decision:
    states = zip(decision.states, is_excused, strict=True)
    return replace(decision, states=tuple(State.UNDECIDED if is_it else state for state, is_it in states))


def _is_earlier(past: BeforeAfter, row: Row, side: int, settings: JudgeSettings) -> bool:
    began = _began(past, row, side, settings)
    return began is not None and began.latest * past.expectations.step_s < -PREPARED_S


def _of_controls(
    past: BeforeAfter, rows: Sequence[Row], worse: list[Row], found: AgainstPast | None
) -> AgainstPast | None:
    """The same with the services it was compared with, and those that did alike where nothing is worse but for them."""
    names = past.controls.names
    if not names:
        return found
    alike = [row for row in rows if past.looked[row.operation, row.signal].is_elsewhere and row.is_beyond(WORSE)]
    elsewhere = {name for row in alike for name in _alike(past, row)} if not worse else set()
    return replace(found or AgainstPast(), controls=names, elsewhere=tuple(sorted(elsewhere)))


def _alike(past: BeforeAfter, row: Row) -> tuple[str, ...]:
    """Controls that changed as the row did, in the same minutes; all of them where none did so by half."""
    looked = past.looked[row.operation, row.signal]
    where = Size(looked.seen, looked.peaks[WORSE], 0.0, 0.0)
    return past.controls.alike(row.signal, where.where, where.events, where.expected) or past.controls.names


def _course(past: BeforeAfter, worse: list[Row], earlier: list[Row], settings: JudgeSettings) -> AgainstPast | None:
    leading = max(worse or earlier, key=lambda row: row.log_e[WORSE], default=None)
    if leading is None:
        return None
    began = _began(past, leading, WORSE, settings)
    recovered_at = _recovered_at(past, worse, settings)
    if began is None:
        return AgainstPast(recovered_at=recovered_at)
    gap = _gap(past, settings)
    return AgainstPast(
        began_at=_time(past, began.best - gap),
        began_from=_time(past, began.earliest - gap),
        began_to=_time(past, began.latest - gap),
        is_earlier=not worse,
        recovered_at=recovered_at,
    )


def _began(past: BeforeAfter, row: Row, side: int, settings: JudgeSettings) -> Onset | None:
    """In steps from the deployment."""
    looked = past.looked[row.operation, row.signal]
    return course.began(looked.one, looked.seen, looked.peaks[side], looked.seen.sides[side], _gap(past, settings))


def _gap(past: BeforeAfter, settings: JudgeSettings) -> int:
    """Steps after the deployment that are not judged, as many as were left out of what is expected."""
    if past.expectations.gap is not None:
        return past.expectations.gap
    return math.ceil(settings.warm_up_s / past.expectations.step_s)


def _time(past: BeforeAfter, judged_step: int) -> datetime:
    return datetime.fromtimestamp(past.expectations.first + judged_step * past.expectations.step_s, UTC)


def _recovered_at(past: BeforeAfter, worse: list[Row], settings: JudgeSettings) -> datetime | None:
    """Since when all of these are as usual again; None while one is not."""
    quiet = [_quiet_from(past, row, settings) for row in worse]
    steps = [step for step in quiet if step is not None]
    return _time(past, max(steps)) if steps and len(steps) == len(quiet) else None


def _quiet_from(past: BeforeAfter, row: Row, settings: JudgeSettings) -> int | None:
    looked = past.looked[row.operation, row.signal]
    seen, step_s = looked.seen, past.expectations.step_s
    quiet = course.ended(seen, looked.peaks[WORSE], seen.sides[WORSE], past.elapsed, step_s)
    if quiet is None:
        return None
    now = ROWS[row.signal](looked.one, Size(seen, quiet, 0.0, 0.0), row.log_e, settings)
    return None if now.is_beyond(WORSE) else quiet.first
