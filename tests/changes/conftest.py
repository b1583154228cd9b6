"""A real database per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from onejob.state.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    database = Database(f"sqlite:///{tmp_path}/state.db")
    database.migrate()
    yield database
    database.close()
