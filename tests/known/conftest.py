"""One engine for all tests, which keep apart by the names of their services; a state database each."""

from collections.abc import Iterator

import pytest

from onejob.config import Settings
from onejob.state.database import Database
from onejob.store.engine import Engine, open_engine
from otlp_builders import a_service

from .builders import Store


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(Settings(data_dir=tmp_path_factory.mktemp("known")))
    yield engine
    engine.close()


@pytest.fixture
def store(engine: Engine, sqlite_database: Database) -> Store:
    return Store(engine, sqlite_database, a_service())
