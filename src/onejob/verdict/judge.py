"""The judge of one deployment: a pure fold over batches of counts.

Whatever it knows comes from the batches it was given, in their order; the same batches give the same verdict. So a
restart resumes by folding the stored batches again, and a verdict is recomputed in the same way.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from onejob import __version__
from onejob.model.deployment import Deployment, Strategy
from onejob.model.evidence import Cell, ControlService, EvidenceBatch, JudgeSettings, SignalHistory
from onejob.model.verdict import ArmSummary, FalseAlarms, Missing, Reason, SignalResult, State, Verdict
from onejob.verdict import counts, past_side, report, signals
from onejob.verdict.arms import arm_of, bystanders
from onejob.verdict.clean import Cleaner
from onejob.verdict.counts import CONTROL, TREATMENT, Counts, InstanceKey, instance_key
from onejob.verdict.decide import decide_some, overall
from onejob.verdict.evidence import Evidence
from onejob.verdict.fold import fold
from onejob.verdict.further import Further
from onejob.verdict.intervals import LatencyIntervals
from onejob.verdict.operations import OTHER, Operations
from onejob.verdict.past_side import Found, PastSide
from onejob.verdict.progress import Progress
from onejob.verdict.request_source import said_of
from onejob.verdict.router import RouterEvidence, ShareEvidence
from onejob.verdict.sampling import Sampling
from onejob.verdict.signals import Row
from onejob.verdict.split import STILL_HOLD
from onejob.verdict.start_up import StartUp


class Judge:
    """Give it batches; it gives verdicts."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.settings = JudgeSettings()
        self.next_seq = 0
        self.bins_to: int | None = None
        self._operations = Operations(self.settings.max_operations)
        self._instances: dict[InstanceKey, int] = {}
        self._mature_from: dict[InstanceKey, float] = {}
        self._log_start: int | None = None
        self._cleaner = Cleaner()
        self._evidence = Evidence()
        self._intervals = LatencyIntervals(self.settings.alpha)
        self._router = RouterEvidence()
        self._share = ShareEvidence()
        self._progress = Progress()
        self._start_up = StartUp()
        self._further = Further(self.settings)
        self._sampling = Sampling()
        self._past = PastSide(self.settings)
        self._is_of_past = self._is_at_once  # is the verdict one against the past?
        self._left_out: dict[str, str] = {}
        self._verdict: Verdict | None = None

    def consume(self, batch: EvidenceBatch) -> Verdict:
        """Add one batch and look.

        Raises ValueError when the batch is not the next one: evidence is neither skipped nor counted twice.
        """
        if batch.seq != self.next_seq:
            raise ValueError(f"batch {batch.seq} of {batch.deployment_id} given where {self.next_seq} is next")
        self.next_seq, self.bins_to = batch.seq + 1, batch.bins_to
        batch = self._cleaner.clean(batch)
        if batch.settings is not None:
            self._adopt(batch.settings)
        self._register(batch)
        rows = self._place(batch)
        fold(rows, self._evidence, self._intervals)
        if batch.finished or batch.expectations is not None:  # the old version serves beside it no longer
            self._intervals.close(self._evidence)
        self._router.consume(batch.router, is_load_alike=self._evidence.load.is_alike)
        self._progress.consume(rows, batch)
        young = (c for c in batch.cells if self._is_treatment(c) and self.wonders_about(c))
        self._start_up.consume(rows, young, self._operations.numbers, self._operations.numbers.get(OTHER, 0))
        self._sampling.consume(rows, self._operations.names, batch.router)
        self._consume_share(rows, batch.share)
        self._consume_beyond(rows, batch)
        self._verdict = self._look(batch)
        return self._verdict

    @property
    def lacks_past(self) -> bool:
        """Is there no control but the past, and has it not been given yet?"""
        return self.may_go_on and (self._is_at_once or self._progress.is_left)

    @property
    def may_go_on(self) -> bool:
        """Does the past say more, once no old version serves beside the new one any more?"""
        is_worse = self._verdict is not None and self._verdict.state is State.WORSE
        return not self._past.is_given and (self._is_at_once or not is_worse)

    @property
    def goes_on_until(self) -> int | None:
        """Unix s up to which it is compared with the past after an old version served beside it; None if it is not."""
        is_worse = self._verdict is not None and self._verdict.state is State.WORSE
        return None if self._is_at_once or (is_worse and not self._is_of_past) else self._past.until

    @property
    def controls(self) -> tuple[ControlService, ...]:
        """Services that the deployment did not touch, whose counts it is held against as well."""
        return self._past.controls

    def wonders_about(self, cell: Cell) -> bool:
        """Would it matter whether the cell's instance was warmed up: is it new, or still in its start-up time?"""
        mature_from = self._mature_from.get(instance_key(cell), float("inf"))
        return arm_of(self.deployment, cell) is not None and cell.bin_start < mature_from

    def noise(self) -> tuple[SignalHistory, ...]:
        """What control's instances showed of the noise of each signal."""
        return self._evidence.noise.seen()

    def _adopt(self, settings: JudgeSettings) -> None:
        self.settings = settings
        self._operations = Operations(settings.max_operations)
        self._evidence = Evidence(settings)
        edges = settings.metrics.edges if settings.metrics is not None else ()
        self._intervals = LatencyIntervals(settings.alpha, coarse_edges=edges)
        self._further = Further(settings)
        self._past = PastSide(settings)

    def _register(self, batch: EvidenceBatch) -> None:
        """Give operations and instances their numbers, and instances the moment from which durations count."""
        mine = [c for c in batch.cells if arm_of(self.deployment, c) is not None]
        started = self.deployment.started_at.timestamp()
        self._operations.register(mine, [c for c in mine if self._is_treatment(c) and c.bin_start >= started])
        if self._log_start is None and mine:
            self._log_start = min(c.bin_start for c in mine)
        for cell in sorted(mine, key=lambda c: c.bin_start):
            key = instance_key(cell)
            if key not in self._instances:
                self._instances[key] = len(self._instances)
                self._mature_from[key] = self._maturity(cell)
            if cell.instance in batch.warmed:
                self._mature_from[key] = float("-inf")
        self._evidence.grow(len(self._operations.names), len(self._instances))
        self._intervals.grow(len(self._operations.names))
        if others := bystanders(self.deployment, (c for c in batch.cells if c.bin_start >= started)):
            self._left_out["versions"] = f"Other versions served too and were not compared: {', '.join(others)}."

    def _maturity(self, cell: Cell) -> float:
        """An instance that served when the log begins is old."""
        if cell.bin_start == self._log_start:
            return float("-inf")
        return cell.bin_start + self.settings.warm_up_s

    def _is_treatment(self, cell: Cell) -> bool:
        arm = arm_of(self.deployment, cell)
        return arm is not None and arm.value == "treatment"

    def _place(self, batch: EvidenceBatch) -> Counts:
        where = counts.Placement(
            bins_from=batch.bins_from,
            bins_to=batch.bins_to,
            bin_width_s=batch.bin_width_s,
            operations=self._operations.numbers,
            other=self._operations.numbers.get(OTHER, 0),
            instances=self._instances,
            mature_from=self._mature_from,
        )
        return counts.place(self.deployment, batch.cells, where)

    def _consume_share(self, rows: Counts, share: float | None) -> None:
        """Bins after treatment's first answer, while the router has no counts of its own to go by."""
        if share is None or not 0 < share < 1 or self._router.has_samples or not self._progress.has_answered_before:
            return
        answered = float(rows.requests[rows.arm == TREATMENT].sum())
        self._share.consume(answered, float(rows.requests.sum()), share, self._sampling.heft)

    def _consume_beyond(self, rows: Counts, batch: EvidenceBatch) -> None:
        """Beside an old version, all that spans say; against the past, requests are all that is compared."""
        if not self._is_at_once:
            self._further.consume(self.deployment, batch, rows, len(self._operations.names), self._sampling.heft)
        if batch.expectations is not None:
            self._past.expect(batch.expectations)
        self._past.consume(self.deployment, batch)

    def _look(self, batch: EvidenceBatch) -> Verdict:
        found = self._found()
        rows, decision, state = found.rows, found.decision, found.state
        was_worse = self._verdict is not None and self._verdict.state is State.WORSE
        if was_worse:
            state = State.WORSE  # a crossing is a crossing, whenever it is looked at again
        reason = self._reason() if state is State.UNDECIDED else None
        results = self._results(rows, decision.states, batch)
        if (
            state is State.WORSE
            and self._verdict is not None
            and not any(r.state is state and not r.exploratory for r in results)
        ):
            results = list(self._verdict.signals)
        verdict = self._document(batch, state, reason, tuple(results), decision.log_e[signals.WORSE])
        return replace(verdict, sentence=report.sentence(self.deployment, verdict, is_final=batch.finished))

    def _found(self) -> Found:
        """What the comparison shows that the verdict is about: with the version beside it, or with the past."""
        before = self._verdict.state if self._verdict is not None else None
        of_past = self._past.found(was_worse=before is State.WORSE and self._is_of_past)
        if self._is_at_once:
            return of_past
        beside = self._found_beside()
        has_both = bool(self._progress.requests[TREATMENT] and self._evidence.requests[CONTROL].sum())
        is_of_past = self._past.until is not None and (
            self._is_of_past if before is State.WORSE else past_side.says_more(beside, of_past, has_both=has_both)
        )
        if is_of_past is not self._is_of_past:
            self._progress.forget()
        self._is_of_past = is_of_past
        return of_past if is_of_past else beside

    def _found_beside(self) -> Found:
        rows = self._rows()
        held = [self._holds(row) for row in rows]
        decision = decide_some(rows, held, self.settings.alpha, self._further.budget())
        state = overall(rows, decision.states)
        return Found(rows, decision, State.UNDECIDED if self._is_void and state is not State.WORSE else state)

    def _holds(self, row: Row) -> bool:
        """Can anything be said of the row? Of errors that the arms' samplers treat unlike, sizes still hold."""
        if row.family in STILL_HOLD:
            return True
        if self._further.split.is_void:
            return False
        is_void = self._sampling.why is not None
        if row.family == "errors" and (is_void or self._operations.numbers[row.operation] in self._sampling.waiting):
            return row.is_surely_worse
        return not is_void

    @property
    def _is_void(self) -> bool:
        """Do the arms not get the same requests, or do their spans not show the same of them?"""
        return self._further.split.is_void or self._sampling.why is not None

    @property
    def _is_at_once(self) -> bool:
        return self.deployment.strategy is Strategy.ALL_AT_ONCE

    def _rows(self) -> list[Row]:
        seen = [
            (op, name, self._operations.weight(name))
            for op, name in enumerate(self._operations.names)
            if self._evidence.requests[TREATMENT, op]
        ]
        rows = signals.error_rows(self._evidence, seen, self.settings)
        for op, name, weight in seen:
            if self._evidence.timed[TREATMENT, op]:
                rows += signals.latency_rows(self._evidence, self._intervals, op, name, weight, self.settings)
        if self._router.has_samples:
            rows += signals.router_rows(self._router, self.settings)
        elif self._share.total and not self._sampling.is_chosen:
            rows.append(signals.share_row(self._share, self.settings))
        if self._sampling.is_chosen:
            rows = [signals.without_size(row) if row.family in _OF_SPANS else row for row in rows]
        return rows + self._further.rows(was_load_alike=self._evidence.load.was_alike)

    def _results(self, rows: list[Row], states: Sequence[State], batch: EvidenceBatch) -> list[SignalResult]:
        """The rows as the verdict carries them, worst first."""
        numbers = self._operations.numbers
        waiting = [row for row, state in zip(rows, states, strict=True) if state is State.UNDECIDED]
        is_over = batch.finished or self._progress.is_alone
        rates = [0.0 if is_over else self._rate_per_s(row, numbers.get(row.operation)) for row in waiting]
        missing = iter(self._lacking(waiting, rates))
        results = []
        for row, state in zip(rows, states, strict=True):
            seen_at = self._progress.visible_since(row, batch) if state is State.WORSE else None
            results.append(signals.result(row, state, seen_at, next(missing) if state is State.UNDECIDED else None))
        for row in rows:
            self._progress.remember(row, batch)
        return sorted(results, key=_worst_first)

    def _rate_per_s(self, row: Row, operation: int | None) -> float:
        return self._progress.rate_per_s(operation) if row.rate_per_s is None else row.rate_per_s

    def _lacking(self, waiting: list[Row], rates: list[float]) -> list[Missing]:
        if self._is_of_past:
            return past_side.lacking(waiting)
        return signals.lacking(waiting, self.settings, rates)

    def _reason(self) -> Reason:
        if self._is_of_past:
            return self._past.reason(self._progress.requests[TREATMENT])
        if not self._progress.requests[TREATMENT]:
            return Reason.NO_DATA
        if not self._evidence.requests[CONTROL].sum():
            return Reason.NO_CONTROL
        if self._is_void:
            return Reason.NOT_COMPARABLE
        return Reason.TOO_EARLY

    def _document(
        self,
        batch: EvidenceBatch,
        state: State,
        reason: Reason | None,
        results: tuple[SignalResult, ...],
        log_e: float,
    ) -> Verdict:
        before = self._verdict
        is_same = before is not None and before.state is state
        visible = [r.first_visible_at for r in results if r.first_visible_at is not None]
        first_visible = before.first_visible_at if before and is_same else min(visible, default=None)
        return Verdict(
            deployment_id=self.deployment.id,
            state=state,
            reason=reason,
            sentence="",
            judged_at=batch.judged_at,
            decided_at=_decided_at(before, state, batch.judged_at),
            first_visible_at=first_visible if state is State.WORSE else None,
            control=self._arm(CONTROL),
            treatment=self._arm(TREATMENT),
            signals=results,
            log_evidence=log_e,
            alpha=self.settings.alpha,
            window_start=_time(self._progress.window[0]),
            window_end=_time(self._progress.window[1]),
            left_out=self._said_left_out(),
            engine_version=f"onejob {__version__}",
            mix=() if self._sampling.is_chosen else self._further.mix(),
            false_alarms=self._false_alarms,
            past=self._past.course if self._is_of_past else None,
        )

    @property
    def _false_alarms(self) -> FalseAlarms | None:
        """What placebos of a version beside another showed says nothing of judging against the past."""
        if not self._is_of_past:
            return self.settings.false_alarms
        return self._past.false_alarms

    def _said_left_out(self) -> tuple[str, ...]:
        by_others = (self._cleaner, self._progress, self._evidence.load, self._further)
        if self._is_of_past:
            sampled = self._sampling.noticed()
        else:
            sampled = self._sampling.left_out(self._operations.names, self._progress.spans, self._progress.requests)
        of_past = self._past.left_out() if self._is_of_past else []
        if not self._is_at_once:
            of_past += self._past.goes_on(is_told=self._is_of_past)
        others = [line for one in by_others for line in one.left_out()]
        others += self._start_up.left_out(self._evidence.control_durations, self.settings)
        return (*said_of(self.settings), *self._left_out.values(), *sampled, *others, *of_past)

    def _arm(self, arm: int) -> ArmSummary | None:
        if arm == CONTROL and self._is_of_past:
            return self._past.arm()
        if not self._progress.requests[arm]:
            return None
        mine = self._progress.instances[arm]
        keys = [key for key, number in self._instances.items() if number in mine]
        return ArmSummary(
            kind="concurrent",
            versions=tuple(sorted({version for version, _, _ in keys})),
            instances=tuple(sorted({instance for _, _, instance in keys})),
            requests=self._progress.requests[arm],
        )


def _decided_at(before: Verdict | None, state: State, now: datetime) -> datetime | None:
    if state is State.UNDECIDED:
        return None
    return before.decided_at if before is not None and before.state is state else now


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


_OF_SPANS = ("errors", "latency")  # families of rows that spans alone show
_ORDER = {State.WORSE: 0, State.UNDECIDED: 1, State.NO_WORSE: 2, State.BETTER: 3}


def _worst_first(result: SignalResult) -> tuple[bool, int, float, str, str]:
    """Guardrails before what only asks for a look."""
    return result.exploratory, _ORDER[result.state], -result.log_evidence, result.operation, result.signal
