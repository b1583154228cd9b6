"""A server that wants a login, over both kinds of state database, and over one where that does not matter."""

import pytest
from argon2 import PasswordHasher

from onejob.access import passwords
from onejob.state.database import Database

from .site import Site


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing is made to be slow, and these tests hash hundreds; what it really costs has a test of its own."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", cheap)
    passwords.prepare.cache_clear()


@pytest.fixture
def site(sqlite_database: Database) -> Site:
    """Over SQLite, with one user: ada, an admin."""
    site = Site(sqlite_database)
    site.add_user()
    return site


@pytest.fixture
def any_site(state_database: Database) -> Site:
    """Over both, with one user: ada, an admin."""
    site = Site(state_database)
    site.add_user()
    return site
