"""A real database per test."""

import pytest

from changes.traffic import World
from onejob.state.database import Database


@pytest.fixture
def world(sqlite_database: Database) -> World:
    """A service nobody has seen yet."""
    return World(sqlite_database)
