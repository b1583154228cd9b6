"""A service whose spans do not tell of all requests is judged by the histograms in which it counts them itself."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from onejob.config import Settings
from onejob.model.deployment import Deployment, Strategy
from onejob.model.verdict import State, Verdict
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.store.engine import Engine, open_engine
from otlp_builders import a_service
from store.points import CART, a_point, store

from .judge_loops import a_loop
from .rollups import BEGAN, MINUTE, moment
from .rollups import store as store_rows
from .traffic import a_deployment

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
PER_MINUTE = 300


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("metrics"), rollup_retention_days=400, judge_horizon_s=3_600)


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


def a_series(
    service: str, version: str, minutes: range, rng: np.random.Generator, *, failing: float, slower: float
) -> Iterator[dict[str, object]]:
    """Cumulative points a minute of one instance, failures and successes apart."""
    start = float(BEGAN + minutes[0] * MINUTE)
    held = {"200": np.zeros(len(BOUNDS) + 1, dtype=int), "503": np.zeros(len(BOUNDS) + 1, dtype=int)}
    for minute in minutes:
        failed = int(rng.binomial(PER_MINUTE, failing))
        for status, n in (("200", PER_MINUTE - failed), ("503", failed)):
            seconds = 0.04 * slower * np.exp(rng.normal(0, 0.6, n))
            held[status] += np.bincount(np.searchsorted(BOUNDS, seconds), minlength=len(BOUNDS) + 1)
            yield a_point(
                service,
                start + (minute - minutes[0]) * MINUTE + (37 if version == "1" else 11),
                held[status].tolist(),
                start=start,
                version=version,
                instance=f"i-{version}",
                attributes=CART | {"http.response.status_code": status},
                ExplicitBounds=list(BOUNDS),
            )


def judged(
    engine: Engine,
    settings: Settings,
    database: Database,
    *,
    failing: float = 0.01,
    slower: float = 1.0,
    strategy: Strategy = Strategy.CANARY,
    minutes: int = 20,
    service: str = "",
) -> Verdict:
    """The verdict after so many minutes of an old and a new version side by side."""
    service = service or a_service()
    rng = np.random.default_rng(1)
    store(engine, list(a_series(service, "1", range(-15, minutes), rng, failing=0.01, slower=1.0)))
    store(engine, list(a_series(service, "2", range(minutes), rng, failing=failing, slower=slower)))
    return followed(engine, settings, database, service, strategy, minutes)


def followed(
    engine: Engine, settings: Settings, database: Database, service: str, strategy: Strategy, minutes: int
) -> Verdict:
    deployments = Deployments(database)
    of: Deployment = replace(
        a_deployment(service=service, version="2", previous_version="1", strategy=strategy),
        started_at=datetime.fromtimestamp(BEGAN, UTC),
    )
    deployments.add(of)
    loop, last = a_loop(engine, database, settings), None
    for minute in range(1, minutes + 2):
        for look in loop.tick(moment(minute * MINUTE + settings.watermark_s)):
            if look.deployment.id == of.id:
                last = look.verdict
    assert last is not None
    return last


def test_failures_that_no_span_tells_of_are_found(
    engine: Engine, settings: Settings, sqlite_database: Database
) -> None:
    verdict = judged(engine, settings, sqlite_database, failing=0.06)
    assert verdict.state is State.WORSE, verdict.sentence
    assert verdict.signals[0].signal == "errors"
    assert verdict.control is not None
    assert verdict.control.requests > 10 * PER_MINUTE
    assert "service's own metrics count: its spans tell of 0 % of them" in " ".join(verdict.left_out)


def test_slower_answers_are_found_and_their_size_says_how_coarse_it_is(
    engine: Engine, settings: Settings, sqlite_database: Database
) -> None:
    verdict = judged(engine, settings, sqlite_database, slower=2.0)
    assert verdict.state is State.WORSE, verdict.sentence
    slower = next(one for one in verdict.signals if one.signal == "latency_p50")
    assert slower.effect is not None
    assert slower.low is not None
    assert 1.4 < slower.effect < 2.8
    assert slower.low <= 2.0
    assert slower.high is None or slower.high >= 2.0


@pytest.mark.parametrize("seconds", [0.0, 17.0])
def test_two_versions_that_are_the_same_are_not_blamed_for_counting_at_other_seconds(
    engine: Engine, settings: Settings, sqlite_database: Database, seconds: float
) -> None:
    verdict = judged(engine, settings, sqlite_database, minutes=40 if seconds else 20)
    assert verdict.state is not State.WORSE, verdict.sentence


def test_spans_are_taken_where_they_tell_of_all_requests(
    engine: Engine, settings: Settings, sqlite_database: Database
) -> None:
    service = a_service()
    rows = [
        {
            "ServiceName": service,
            "Environment": "production",
            "Operation": "GET /cart",
            "SpanKind": "Server",
            "Version": version,
            "VersionSource": "service.version",
            "Instance": f"i-{version}",
            "Bin": BEGAN + at,
            "Count": PER_MINUTE // 6,
            "Errors": 0,
            "Buckets": {-150: PER_MINUTE // 6},
        }
        for version, minutes in (("1", range(-15, 20)), ("2", range(20)))
        for at in range(minutes[0] * MINUTE, minutes[-1] * MINUTE, 10)
    ]
    store_rows(engine, map(json.dumps, rows))
    verdict = judged(engine, settings, sqlite_database, failing=0.06, service=service)
    assert verdict.state is not State.WORSE, "what the metrics count is not what is judged"
    assert "metrics" not in " ".join(verdict.left_out)
