"""A real database per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from changes.traffic import World
from onejob.state.database import Database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A service nobody has seen yet, over an empty SQLite database."""
    database = Database(f"sqlite:///{tmp_path}/state.db")
    database.migrate()
    yield World(database)
    database.close()
