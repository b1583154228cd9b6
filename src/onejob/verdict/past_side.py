"""The judge's side that looks at the service's own past, where no old version serves beside the new one.

`before_after` holds counts against what was expected of them, `confirm` says what of that may be the deployment's
doing. Here is what the judge keeps of both from look to look, and what it says of them in the verdict.
"""

from collections.abc import Iterable, Sequence

from onejob.model.evidence import Cell, ControlCell, ControlService, Expectations, JudgeSettings
from onejob.model.verdict import AgainstPast, ArmSummary, FalseAlarms, Missing, Reason
from onejob.verdict.before_after import KIND, BeforeAfter
from onejob.verdict.confirm import confirm, following
from onejob.verdict.decide import Decision, decide_adjusted
from onejob.verdict.signals import Row


class PastSide:
    """Knows nothing until it was given expectations."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._settings = settings
        self._past: BeforeAfter | None = None
        self.false_alarms: FalseAlarms | None = None  # that the service's past showed
        self.course: AgainstPast | None = None  # of what is worse

    @property
    def is_given(self) -> bool:
        """Were expectations given, though there may be nothing in them?"""
        return self._past is not None

    @property
    def controls(self) -> tuple[ControlService, ...]:
        """Services that the deployment did not touch, whose counts it is held against as well."""
        return () if self._past is None else self._past.expectations.controls

    def expect(self, expectations: Expectations) -> None:
        """What the past lets expect; before the first counts."""
        self._past = BeforeAfter(expectations)
        self.false_alarms = self._past.false_alarms(self._settings.alpha)

    def consume(self, cells: Iterable[Cell], controls: Iterable[ControlCell], bins_to: int) -> None:
        """Counts of the new version and of controls; see `BeforeAfter.consume`."""
        if self._past is not None:
            self._past.consume(cells, controls, bins_to)

    def rows(self) -> list[Row]:
        """A row per series."""
        return [] if self._past is None else self._past.rows(self._settings)

    def decide(self, rows: Sequence[Row], *, was_worse: bool) -> Decision:
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


def lacking(waiting: Iterable[Row]) -> list[Missing]:
    """More requests promise nothing: how far a service strays from its past does not shrink with them."""
    return [Missing(largest_excluded=r.high, requests=None, seconds_p50=None, seconds_p90=None) for r in waiting]
