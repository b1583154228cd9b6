"""Both engines, each started once; tests keep apart by service names of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from onejob.config import Settings
from onejob.store.engine import Engine, open_engine

from .clickhouse_node import ClickHouseNode

ENGINES = ("chdb", "clickhouse")


@pytest.fixture(scope="session")
def clickhouse_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseNode]:
    node = ClickHouseNode(tmp_path_factory.mktemp("clickhouse"))
    yield node
    node.stop()


@pytest.fixture(scope="session", params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def engine(kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(settings_for(kind, request, tmp_path_factory.mktemp(kind), database="shared"))
    yield engine
    engine.close()


@pytest.fixture
def own_settings(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """For tests that open, close and reopen a store of their own."""
    return settings_for(kind, request, tmp_path, database=f"own_{abs(hash(request.node.name))}")


def settings_for(kind: str, request: pytest.FixtureRequest, data_dir: Path, *, database: str) -> Settings:
    if kind == "chdb":
        return Settings(data_dir=data_dir)
    node: ClickHouseNode = request.getfixturevalue("clickhouse_node")
    return Settings(data_dir=data_dir, store_url=f"{node.url}/{database}")
