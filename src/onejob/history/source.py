"""Counts for the replay of one deployment: read ahead in pieces, handed out bin by bin as the live judge gets them."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from onejob.model.deployment import Deployment, Strategy
from onejob.model.evidence import (
    Cell,
    ControlCell,
    ControlService,
    Expectations,
    JudgeSettings,
    NoveltyCell,
    RouterCount,
)
from onejob.model.rollout import Rollout
from onejob.store.engine import Reader
from onejob.store.past import Past
from onejob.verdict import past, start_up
from onejob.verdict.reading import read_known, read_said
from onejob.verdict.request_source import choose, relation_of
from onejob.verdict.said import Said, Scope, kpis_of
from onejob.verdict.untouched import Untouched, find, tally
from onejob.verdict.warm_up import warmed_instances

_AHEAD_BINS = 360  # an hour of 10 s bins: few queries, and few cells in memory
_SAID_AHEAD_BINS = 120  # of what comes with stack traces


@dataclass(slots=True)
class PastSource:
    """See `Source`. `rolled_out` and `samples` are what the state has of the deployment's rollout.

    KPI values, web vitals and exceptions are in the spans only, as are warm-up requests: where those are gone, or do
    not say it, there were none.
    """

    past: Past
    told: JudgeSettings
    spans: Reader | None = None
    rolled_out: Rollout | None = None
    samples: Sequence[RouterCount] = ()
    _taken: int = 0
    _bins: tuple[int, int] = (0, 0)
    _cells: list[Cell] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _control_bins: tuple[int, int] = (0, 0)
    _controls: list[ControlCell] = field(default_factory=list)
    _said_bins: tuple[int, int] = (0, 0)
    _said: Said = field(default_factory=Said)

    def cells(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> Sequence[Cell]:
        low, high = self._bins
        if not low <= since <= until <= high:
            self._read(deployment, told, since, max(until, since + _AHEAD_BINS * self.past.bin_width_s))
        return self._cells[bisect_left(self._starts, since) : bisect_left(self._starts, until)]

    def _read(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> None:
        past = self.past if told.metrics is None else replace(self.past, metrics_bin_s=told.metrics.bin_width_s)
        self._cells = past.cells(deployment.service, deployment.environment, since, until)
        self._starts = [cell.bin_start for cell in self._cells]
        self._bins = (since, until)

    def said(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> Said:
        if not self.past.has_events:
            return Said()
        low, high = self._said_bins
        if not low <= since <= until <= high:
            self._said_bins = (since, max(until, since + _SAID_AHEAD_BINS * self.past.bin_width_s))
            scope = replace(self._scope(deployment, *self._said_bins), metrics_bin_s=self._metrics_bin_s(told))
            self._said = read_said(self.past.engine, scope, kpis_of(told))
        return self._said.between(since, until)

    def _metrics_bin_s(self, told: JudgeSettings) -> int | None:
        if self.past.table:
            return None
        return self.past.bin_width_s if told.metrics is None else told.metrics.bin_width_s

    def known(self, deployment: Deployment, since: int) -> tuple[NoveltyCell, ...]:
        if not self.past.has_events:
            return ()
        return read_known(self.past.engine, self._scope(deployment, since, since), deployment)

    def _scope(self, deployment: Deployment, since: int, until: int) -> Scope:
        return Scope(
            service=deployment.service,
            environment=deployment.environment,
            default_environment=self.past.default_environment,
            since=since,
            until=until,
            width_s=self.past.bin_width_s,
            relation=self.past.spans,
            has_logs=not self.past.table,
        )

    def controls(
        self, deployment: Deployment, known: Sequence[ControlService], since: int, until: int
    ) -> Sequence[ControlCell]:
        low, high = self._control_bins
        if not low <= since <= until <= high:
            self._control_bins = (since, max(until, since + _AHEAD_BINS * self.past.bin_width_s))
            self._controls = sorted(
                (
                    cell
                    for one in known
                    for cell in tally(one, self.past.cells(one.service, deployment.environment, *self._control_bins))
                ),
                key=lambda cell: cell.bin_start,
            )
        return [cell for cell in self._controls if since <= cell.bin_start < until]

    def router(self, deployment: Deployment, until: datetime) -> Sequence[RouterCount]:
        first = self._taken
        while self._taken < len(self.samples) and self.samples[self._taken].sampled_at < until:
            self._taken += 1
        return self.samples[first : self._taken]

    def warmed(self, deployment: Deployment, since: int, until: int) -> tuple[str, ...]:
        if self.spans is None:
            return ()
        return warmed_instances(self.spans, deployment.service, since=since, until=until)

    def rollout(self, deployment: Deployment, now: datetime) -> Rollout | None:
        if self.rolled_out is None:
            return None
        made = tuple(one for one in self.rolled_out.transitions if one.at <= now)
        if not made:
            return None
        last = made[-1]
        return replace(
            self.rolled_out, state=last.to_state, share=last.share, step=last.step, transitions=made, trouble=None
        )

    def judge_settings(self, deployment: Deployment) -> JudgeSettings:
        if self.past.table:
            return self.told
        chosen = choose(self.past.engine, deployment, self.past.default_environment, self.past.bin_width_s)
        told = replace(self.told, metrics=chosen)
        return start_up.learn(
            self.past.engine,
            deployment,
            told,
            default_environment=self.past.default_environment,
            bin_width_s=self.past.bin_width_s if chosen is None else chosen.bin_width_s,
            relation=relation_of(told),
        )

    @property
    def follows(self) -> bool:
        """Is a version compared with the past when an old one ceased to serve beside it? Of somebody's spans two weeks
        would have to be counted for each.
        """
        return not self.past.table

    def expectations(self, deployment: Deployment, told: JudgeSettings, judged_from: int) -> Expectations | None:
        if not self.follows and deployment.strategy is not Strategy.ALL_AT_ONCE:
            return None
        return past.read(
            self.past.engine,
            deployment,
            default_environment=self.past.default_environment,
            bin_width_s=self.past.bin_width_s if told.metrics is None else told.metrics.bin_width_s,
            warm_up_s=told.warm_up_s,
            judged_from=judged_from,
            relation=self.past.relation if told.metrics is None else relation_of(told),
            untouched=self._untouched(deployment),
        )

    def _untouched(self, deployment: Deployment) -> list[Untouched]:
        if self.past.table:
            return []  # rows made of somebody's spans are made for one service at a time
        return find(self.past.engine, deployment, default_environment=self.past.default_environment)
