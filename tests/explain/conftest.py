"""One real engine for all tests of this folder; each test has an environment of its own in it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from onejob.config import Settings
from onejob.explain.service import explain
from onejob.model.explanation import Explanation
from onejob.model.verdict import SignalResult
from onejob.store.engine import Engine, open_engine

from .builders import START, ASpan, Traffic, a_deployment, a_verdict, store

Explain = Callable[..., Explanation]


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data_dir: Path = tmp_path_factory.mktemp("explain")
    return Settings(data_dir=data_dir)


@pytest.fixture(scope="session")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


@pytest.fixture
def traffic(request: pytest.FixtureRequest) -> Traffic:
    return Traffic(environment=request.node.name)


@pytest.fixture
def explained(engine: Engine, settings: Settings, traffic: Traffic) -> Explain:
    """Stores spans, and explains a `worse` verdict on them."""

    def act(spans: Iterable[ASpan], *signals: SignalResult, **verdict_fields: object) -> Explanation:
        store(engine, spans, token=traffic.environment)
        verdict = a_verdict(*signals, **verdict_fields)
        return explain(engine, a_deployment(traffic.environment), verdict, settings=settings, now=START)

    return act
