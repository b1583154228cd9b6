"""Fixtures that more than one part uses; and no skips in CI."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from onejob.state.database import Database
from state_postgres import Postgres, running_postgres


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, a missing component is a failure."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but in CI every component must be there: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, started when the first test asks for it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database whose tables are up to date, on both kinds."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").emptied())
    url = f"sqlite:///{tmp_path}/state.db"
    database = Database(url)
    database.migrate()
    database.close()
    return url


@pytest.fixture
def state_database(state_url: str) -> Iterator[Database]:
    """An empty state database, on both kinds."""
    database = Database(state_url)
    if database.is_sqlite:  # no test pulls the plug, and waiting for the disk is most of what they would do
        event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    yield database
    database.close()
