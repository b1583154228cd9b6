"""The judge's side that looks at the service's own past, where no old version serves beside the new one any more.

`before_after` holds counts against what was expected of them, `confirm` says what of that may be the deployment's
doing. Here is what the judge keeps of both from look to look, and what it says of them in the verdict.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from onejob.model.deployment import Deployment
from onejob.model.evidence import Arm, ControlService, EvidenceBatch, Expectations, JudgeSettings
from onejob.model.verdict import AgainstPast, ArmSummary, FalseAlarms, Missing, Reason, State
from onejob.verdict.arms import arm_of
from onejob.verdict.before_after import KIND, BeforeAfter
from onejob.verdict.confirm import confirm, following
from onejob.verdict.decide import Decision, decide_adjusted, overall
from onejob.verdict.signals import Row


@dataclass(frozen=True, slots=True)
class Found:
    """What a comparison shows at a look."""

    rows: list[Row]
    decision: Decision
    state: State


class PastSide:
    """Knows nothing until it was given expectations."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._settings = settings
        self._past: BeforeAfter | None = None
        self.false_alarms: FalseAlarms | None = None  # that the service's past showed
        self.course: AgainstPast | None = None  # of what is worse
        self._rows: list[Row] = []
        self._rows_of: int | None = None  # steps that had ended

    @property
    def is_given(self) -> bool:
        """Were expectations given, though there may be nothing in them?"""
        return self._past is not None

    @property
    def controls(self) -> tuple[ControlService, ...]:
        """Services that the deployment did not touch, whose counts it is held against as well."""
        return () if self._past is None else self._past.expectations.controls

    @property
    def until(self) -> int | None:
        """Unix s at which the hour that is judged is over; None where nothing is expected of any."""
        if self._past is None or not self._past.expectations.series:
            return None
        known = self._past.expectations
        # A step more than what is judged: the last one must have ended.
        return known.first + (len(known.series[0].rate) + 1) * known.step_s

    def expect(self, expectations: Expectations) -> None:
        """What the past lets expect; before the first counts."""
        self._past = BeforeAfter(expectations)
        self.false_alarms = self._past.false_alarms(self._settings.alpha)

    def consume(self, deployment: Deployment, batch: EvidenceBatch) -> None:
        """Counts of the new version, of other versions, and of controls."""
        if self._past is None:
            return
        mine, others = (
            [],
            [(cell.bin_start, cell.requests) for cell in batch.controls if cell.service == deployment.service],
        )
        for cell in batch.cells:
            if arm_of(deployment, cell) is Arm.TREATMENT:
                mine.append(cell)
            else:
                others.append((cell.bin_start, cell.stands_for[0]))
        self._past.consume(mine, batch.controls, batch.bins_to)
        self._past.consume_others(others)

    def found(self, *, was_worse: bool) -> Found:
        """What this look shows."""
        rows = self._current_rows()
        decision = self._decide(rows, was_worse=was_worse)
        return Found(rows, decision, overall(rows, decision.states))

    def _current_rows(self) -> list[Row]:
        """A row per series; the same again until another step has ended, as no count of it changes any more."""
        if self._past is not None and self._past.elapsed != self._rows_of:
            self._rows, self._rows_of = self._past.rows(self._settings), self._past.elapsed
        return list(self._rows)

    def _decide(self, rows: Sequence[Row], *, was_worse: bool) -> Decision:
        """Of the rows of this look, less what is not the deployment's doing."""
        decision = decide_adjusted(rows, self._settings.alpha)
        if self._past is None:
            return decision
        confirmed = confirm(self._past, rows, decision, self._settings)
        self.course = following(self.course if was_worse else None, confirmed.course)
        return confirmed.decision

    def reason(self, answered: int) -> Reason:
        """Why it is undecided; `answered` are the new version's requests."""
        if self._past is None or not self._past.expectations.series:
            return Reason.NO_CONTROL
        if not answered:
            return Reason.NO_DATA
        found = self.course
        is_excused = found is not None and (found.is_earlier or bool(found.elsewhere))
        is_else = is_excused or self._past.was_moving(self._settings.alpha)
        return Reason.NOT_COMPARABLE if is_else else Reason.TOO_EARLY

    def arm(self) -> ArmSummary | None:
        """What it is compared with."""
        if self._past is None or not self._past.expectations.series:
            return None
        known = self._past.expectations
        return ArmSummary(kind=KIND, versions=known.versions, instances=(), requests=known.requests)

    def left_out(self) -> list[str]:
        """What is not known of the past."""
        return [] if self._past is None else self._past.left_out()

    def goes_on(self, *, is_told: bool) -> list[str]:
        """That it is looked at where an old version ceased to serve; `is_told`: the verdict is about that."""
        if self._past is None or not self._past.expectations.series:
            return []
        since = datetime.fromtimestamp(self._past.expectations.first, UTC)
        found = "this is what that shows" if is_told else "nothing is worse there so far"
        return [
            f"With no old version beside it any more, it is compared with the service's own past for an hour, from "
            f"{since:%H:%M} UTC on: {found}."
        ]


def says_more(beside: Found, of_past: Found, *, has_both: bool) -> bool:
    """Is the past what the verdict is about? `has_both`: did both versions answer.

    What it shows as worse counts in any case. Else two versions side by side are the better comparison, as far as they
    came to a verdict; and while neither did, they say more if there were both.
    """
    if beside.state is State.WORSE or of_past.state is State.WORSE:
        return beside.state is not State.WORSE
    return beside.state is State.UNDECIDED and (of_past.state is not State.UNDECIDED or not has_both)


def lacking(waiting: Iterable[Row]) -> list[Missing]:
    """More requests promise nothing: how far a service strays from its past does not shrink with them."""
    return [Missing(largest_excluded=r.high, requests=None, seconds_p50=None, seconds_p90=None) for r in waiting]
