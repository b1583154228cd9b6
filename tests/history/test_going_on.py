"""What is compared with the past after an old version served beside the new one is the same live and in a backtest."""

from datetime import timedelta
from pathlib import Path

import pytest

from onejob.config import Settings
from onejob.model.deployment import Status, Strategy
from onejob.model.verdict import State
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.store.engine import open_engine
from otlp_builders import a_service
from verdict import rollups
from verdict.judge_loops import a_loop
from verdict.rollups import DAY, MINUTE, Service, moment
from verdict.traffic import a_deployment

from . import traffic
from .reports import backtested

FINISHED_S = 90
TICK_S, UNTIL_S = 5 * MINUTE, 75 * MINUTE


@pytest.mark.untraced
@pytest.mark.parametrize("is_reported_finished", [True, False])
def test_live_equals_backtest_after_the_old_version_is_gone(
    is_reported_finished: bool, sqlite_database: Database, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, bin_width_s=MINUTE, tick_s=TICK_S, watermark_s=3, judge_horizon_s=2 * 3_600)
    engine, name = open_engine(settings), a_service()
    try:
        rollups.store(engine, Service(days=0.6, errors=6.0, since=20 * MINUTE).rows(name, 1))
        deployments = Deployments(sqlite_database)
        one = a_deployment(id=f"dep_{name}", service=name, strategy=Strategy.ROLLING, started_at=moment(0))
        deployments.add(one)
        loop, live = a_loop(engine, sqlite_database, settings), []
        for now in (moment(at) for at in range(0, UNTIL_S, TICK_S)):
            if is_reported_finished and now - one.started_at >= timedelta(seconds=FINISHED_S):
                deployments.update(one.id, status=Status.FINISHED, finished_at=moment(FINISHED_S))
            live += [look.verdict for look in loop.tick(now)]
        ago = rollups.BEGAN - traffic.BEGAN
        report = backtested(engine, settings, name, since=ago - DAY / 4, until=ago + UNTIL_S, state=sqlite_database)
    finally:
        engine.close()
    (again,) = report.deployments
    assert again.verdict.state is State.WORSE
    assert again.verdict.past is not None
    assert again.verdict == next(said for said in live if said.state is State.WORSE)
