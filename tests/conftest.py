"""Fixtures that more than one part uses; and no skips in CI."""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import doors
from onejob.state.database import Database
from state_postgres import Postgres, running_postgres
from state_sqlite import Template, unsynced

# No test speaks TLS, and reading the certificates of all authorities takes every HTTP client 40 ms: let it find none.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)

# As the server has it: threads of the linear algebra that wait for one another take the time of the tests beside them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

COVERING = ("stats", "verdict")  # where the tests of what decides verdicts are


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(doors.OPTION, action="store_true", help="write docs/doors.md, out of the tests that are run")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[doors.ROWS] = set()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.getoption(doors.OPTION) and exitstatus == 0:
        doors.write(session.config.stash[doors.ROWS])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage takes as long again as what it watches: it is measured on the quick tests of what it is asked of."""
    for item in items:
        if "door" in getattr(item, "fixturenames", ()):
            item.add_marker("door")
        is_traced = not any(item.get_closest_marker(name) for name in ("slow", "untraced"))
        if item.path.parent.name in COVERING and is_traced:
            item.add_marker("covering")


def pytest_collection_finish() -> None:
    """What was collected stays to the end: looking through it for garbage takes 3 % of the time of the tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, a missing component is a failure."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but in CI every component must be there: {report.longrepr}"
    return report


@pytest.fixture
def door(request: pytest.FixtureRequest) -> doors.Said:
    """For tests of a real client to say what it sent, and where."""
    return doors.telling(request.config)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, started when the first test asks for it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """An empty SQLite state database, to be copied."""
    return Template(tmp_path_factory.mktemp("template") / "state.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, template: Template, tmp_path: Path) -> str:
    """The address of an empty database whose tables are up to date, on both kinds."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").emptied())
    return template.copy(tmp_path / "state.db")


@pytest.fixture
def state_database(state_url: str) -> Iterator[Database]:
    """An empty state database, on both kinds."""
    yield from _opened(state_url)


@pytest.fixture
def sqlite_database(template: Template, tmp_path: Path) -> Iterator[Database]:
    """An empty state database, where its kind does not matter."""
    yield from _opened(template.copy(tmp_path / "state.db"))


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield unsynced(database) if database.is_sqlite else database
    database.close()
