"""The same spans, judged live tick by tick and judged again from history, give the same documents."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from onejob.changes.detect_loop import DetectLoop
from onejob.config import Settings
from onejob.history.backtest import Period
from onejob.history.errors import PeriodError
from onejob.history.presence import Presence
from onejob.history.scratch import scratch_database
from onejob.model.deployment import Deployment, Status
from onejob.model.kpi import Direction, Kpi, KpiKind, KpiSource
from onejob.model.verdict import State, Verdict
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.events import Events
from onejob.state.returns import WaitingReturns
from onejob.state.rollouts import Rollouts
from onejob.state.versions import KnownVersions
from onejob.store.engine import Engine, open_engine
from onejob.store.rollup import VersionSeen, versions_seen
from otlp_builders import a_service
from verdict.judge_loops import a_loop
from verdict.traffic import a_deployment

from .reports import backtested, past
from .traffic import BEGAN, Arm, Says, at, store

SECONDS = 150  # of new version and old together, at most
TICK_S = 6  # a divisor of BEGAN, as the replay ticks at multiples of it
SELLING = "sells less, and throws what the old version never threw"
_VALUE = {"service": "shop-*", "direction": Direction.HIGHER_IS_BETTER}
KPIS = (
    Kpi(name="total", kind=KpiKind.MEAN, attribute="order.total", guardrail=True, **_VALUE),
    Kpi(name="paid", kind=KpiKind.YES_NO, attribute="order.paid", **_VALUE),
    Kpi(name="orders", kind=KpiKind.THROUGHPUT, attribute="order.total", **_VALUE),
    Kpi(name="sales", kind=KpiKind.THROUGHPUT, source=KpiSource.METRIC, metric="sales", every_s=3, **_VALUE),
    Kpi(name="queue", kind=KpiKind.MEAN, source=KpiSource.METRIC, metric="queue", every_s=3, **_VALUE),
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("past"),
        bin_width_s=1,
        tick_s=TICK_S,
        watermark_s=3,
        warm_up_s=10,
        judge_horizon_s=120,
        kpis=KPIS,
    )


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


def a_shop() -> str:
    """A service whose KPIs are judged."""
    return f"shop-{a_service()}"


def presence_of(engine: Engine, settings: Settings, service: str) -> Presence:
    rows = past(engine, settings).presence(service, BEGAN - 3600, BEGAN + 3600)
    return Presence(service, settings.bin_width_s, tuple(rows))


@dataclass
class Live:
    """The live detection and the live judge, with a clock of ours; spans are seen when their bin is complete."""

    engine: Engine
    settings: Settings
    database: Database
    service: str
    now: float = 0.0

    def __post_init__(self) -> None:
        deployments, rollouts = Deployments(self.database), Rollouts(self.database)
        known = KnownVersions(self.database)
        self.presence = presence_of(self.engine, self.settings, self.service)
        self.detector = DetectLoop(
            deployments, rollouts, known, WaitingReturns(self.database), Events(), self.look, self.settings
        )
        self.judging = a_loop(self.engine, self.database, self.settings)

    def look(self, since: int, until: int) -> list[VersionSeen]:
        arrived = int(BEGAN + self.now - self.settings.watermark_s)
        return self.presence.seen(since, min(until, arrived))

    def run(self, first: int, last: int) -> dict[str, list[Verdict]]:
        """Every verdict of every deployment."""
        said: dict[str, list[Verdict]] = {}
        for t in range(first, last, TICK_S):
            self.now = t
            self.detector.tick(at(t))
            for look in self.judging.tick(at(t)):
                said.setdefault(look.deployment.id, []).append(look.verdict)
        return said


def decisive(verdicts: list[Verdict], one: Verdict) -> Verdict:
    """What was said live at that look, which may take several batches; and no later look came to another state."""
    then = [verdict for verdict in verdicts if verdict.judged_at == one.judged_at and verdict.state is one.state]
    assert {verdict.state for verdict in verdicts if verdict.judged_at > one.judged_at} <= {one.state}
    return then[-1 if one.state is State.UNDECIDED else 0]


def bare(deployment: Deployment) -> Deployment:
    """Without what chance or an end that came later adds."""
    return replace(
        deployment, id="", rollback_of=None, notes=(), first_seen_at=None, status=Status.IN_PROGRESS, finished_at=None
    )


SCENARIOS = {
    "failing canary": (Arm("1", (-120, 150), instances=2), Arm("2", (0, 120), failing=0.3)),
    "harmless canary": (Arm("1", (-120, 150), instances=2), Arm("2", (0, 120))),
    "rolled out within half a minute": (Arm("1", (-120, 30), instances=2), Arm("2", (0, 150), instances=2)),
    "all at once": (Arm("1", (-120, 0)), Arm("2", (0, 150), failing=0.3)),
    "taken back": (Arm("1", (-120, 20)), Arm("2", (0, 80), failing=0.1), Arm("1", (70, 150))),
    SELLING: (
        Arm("1", (-120, 150), 2, says=Says()),
        Arm("2", (0, 120), says=Says(total=20, throws_in="discount")),
    ),
    "another build of the same version": (Arm("1", (-120, 150), build="a"), Arm("1", (0, 120), build="b", slower=3.0)),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_live_equals_backtest_on_the_same_spans(name: str, engine: Engine, settings: Settings) -> None:
    service = store(engine, *SCENARIOS[name], service=a_shop() if name == SELLING else "")
    with scratch_database() as database:
        live = Live(engine, settings, database, service)
        said = live.run(-8 * TICK_S, SECONDS + 61)
        known = [one for one in Deployments(database).of_service(service, "production") if one.id in said]
    report = backtested(engine, settings, service, until=SECONDS + 60)
    assert [bare(one.deployment) for one in report.deployments] == [
        bare(one) for one in sorted(known, key=lambda one: one.started_at)
    ]
    for one in report.deployments:
        mine = next(found for found in known if bare(found) == bare(one.deployment))
        document = replace(one.verdict, deployment_id=mine.id)
        assert document == decisive(said[mine.id], one.verdict)


def test_a_backtest_judges_what_spans_say_beyond_requests(engine: Engine, settings: Settings) -> None:
    service = store(engine, *SCENARIOS[SELLING], service=a_shop())
    (one,) = backtested(engine, settings, service, until=SECONDS + 60).deployments
    assert "total fell" in one.verdict.sentence
    names = {signal.signal for signal in one.verdict.signals}
    assert names >= {"total", "paid", "orders", "sales", "queue", "lcp_p75", "errors"}
    new = [signal.operation for signal in one.verdict.signals if signal.signal == "new_error"]
    assert new == ["KeyError in discount (app/pricing.py)"]


def test_who_served_is_answered_in_memory_as_by_the_store(engine: Engine, settings: Settings) -> None:
    service = store(engine, Arm("1", (-20, 30)), Arm("2", (0, 10), build="a"), Arm("2", (20, 25), build="b"))
    presence = presence_of(engine, settings, service)
    for since, until in ((-30, 60), (0, 10), (5, 21), (24, 25), (40, 60)):
        asked = {"since": BEGAN + since, "until": BEGAN + until}
        stored = [replace(one, instances=()) for one in versions_seen(engine, **asked) if one.service == service]
        assert presence.seen(**asked) == stored


def test_a_time_without_deployments_and_a_service_that_is_not_there_are_said(
    engine: Engine, settings: Settings
) -> None:
    service = store(engine, Arm("1", (-60, 60)))
    (said,) = backtested(engine, settings, service, until=60).notes
    assert said.startswith("No deployment was found")
    (said,) = backtested(engine, settings, "nope", until=60).notes
    assert said.startswith("nope answered nothing in this time. Services that did: ")
    (said,) = backtested(engine, settings, service, since=-30_000_000, until=-29_000_000).notes
    assert said.startswith("No service answered anything in this time")


def test_what_was_reported_is_judged_as_reported(engine: Engine, settings: Settings, sqlite_database: Database) -> None:
    service = store(engine, *SCENARIOS["failing canary"])
    stored = a_deployment(service=service, version="2", previous_version="1", started_at=at(-5), finished_at=at(60))
    Deployments(sqlite_database).add(replace(stored, status=Status.FAILED))
    (one,) = backtested(engine, settings, service, until=150, state=sqlite_database).deployments
    assert (one.deployment.id, one.deployment.started_at, one.verdict.state) == (stored.id, at(-5), State.WORSE)
    assert one.said_then is None  # nobody was there


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [(10, 10, "The time is empty"), (-40_000_000, 0, "longer than 400 days"), (-BEGAN, 0, "from before 1971")],
)
def test_a_time_that_makes_no_sense_is_refused(since: float, until: float, said: str) -> None:
    with pytest.raises(PeriodError, match=said):
        Period(since=at(since), until=at(until))
