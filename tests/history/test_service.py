"""What becomes of a replay of history whose past changes under way."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from onejob.config import Settings
from onejob.history.jobs import Job
from onejob.history.service import History
from onejob.model.backtest import Backtest
from onejob.state.backtests import Backtests
from onejob.state.calibrations import Calibrations
from onejob.state.codec import pack
from onejob.state.database import Database
from onejob.state.errors import ForgottenMeanwhileError
from onejob.state.forgotten import nothing_older
from state.builders import NOW


class UnderWay:
    """Jobs that end when a test says so."""

    def start(self, job: Job, request: Mapping[str, Any], keep: Callable[[bytes], None]) -> Job:
        self.keep = keep
        return job


def test_a_backtest_in_which_a_customer_is_forgotten_is_not_kept(sqlite_database: Database) -> None:
    jobs, backtests = UnderWay(), Backtests(sqlite_database)
    history = History(jobs, backtests, Calibrations(sqlite_database), Settings(), lambda: NOW)  # type: ignore[arg-type]
    made = {"made_at": NOW, "since": NOW, "until": NOW, "source": "here", "took_s": 1.0, "engine_version": "1"}
    report = pack(Backtest(id="b1", services=(), deployments=(), notes=(), **made))  # type: ignore[arg-type]
    history.start_backtest(NOW - timedelta(days=1))
    nothing_older(sqlite_database, NOW)
    with pytest.raises(ForgottenMeanwhileError, match="read it again"):
        jobs.keep(report)
    assert backtests.latest() is None

    history.start_backtest(NOW - timedelta(days=1))
    jobs.keep(report)
    assert backtests.latest() is not None
