"""What becomes of a replay of history whose past changes under way."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from onejob.config import Settings
from onejob.history.jobs import Job, Jobs
from onejob.history.service import History
from onejob.model.backtest import Backtest
from onejob.state.backtests import Backtests
from onejob.state.calibrations import Calibrations
from onejob.state.codec import pack
from onejob.state.database import Database
from onejob.state.errors import ForgottenMeanwhileError
from onejob.state.forgotten import nothing_older
from onejob.store import lanes
from onejob.store.engine import open_engine
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


def test_a_replay_runs_on_a_server_that_has_secrets_and_is_told_none(
    tmp_path: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "secret_key": SecretStr("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        "hook_secret": SecretStr("0123456789abcdef0123456789abcdef"),
        "oidc_client_secret": SecretStr("s3cret"),
    }
    told: list[object] = []
    send = lanes.send
    monkeypatch.setattr(lanes, "send", lambda lane, head, body=b"": (told.append(head), send(lane, head, body)))
    settings, backtests = Settings(data_dir=tmp_path, **secrets), Backtests(sqlite_database)
    engine = open_engine(settings)
    jobs = Jobs(engine, settings, sqlite_database.url.render_as_string(hide_password=False))
    history = History(jobs, backtests, Calibrations(sqlite_database), settings, lambda: NOW)
    job = history.start_backtest(NOW - timedelta(days=1))
    jobs.wait(60)
    engine.close()
    ended = jobs.get(job.id)
    assert ended is not None
    assert (ended.state, ended.error) == ("done", "")
    assert backtests.latest() is not None
    assert not any(secret.get_secret_value() in str(told) for secret in secrets.values())
