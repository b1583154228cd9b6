"""The database itself: its tables follow the code, and what goes wrong says what to do."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, text

from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.errors import SchemaTooNewError, StateError, StateUnavailableError
from onejob.state.leases import Leases
from onejob.state.tables import leases, metadata
from state.builders import NOW, a_deployment
from state_postgres import Postgres


def test_the_migrations_make_exactly_the_tables_the_code_uses(state_database: Database) -> None:
    with state_database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(state_database: Database) -> None:
    deployment = a_deployment()
    Deployments(state_database).add(deployment)
    state_database.migrate()
    assert Deployments(state_database).get(deployment.id) == deployment


def test_several_processes_may_migrate_at_once(postgres: Postgres) -> None:
    url = postgres.fresh()
    databases = [Database(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(Database.migrate, databases))
    assert Deployments(databases[0]).count() == 0
    for database in databases:
        database.close()


def test_a_database_of_a_newer_onejob_is_refused(state_database: Database) -> None:
    with state_database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError, match="newer onejob"):
        state_database.migrate()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://localhost/x", "postgresql"])
def test_other_databases_are_refused_with_what_to_set(url: str) -> None:
    with pytest.raises(StateError, match="ONEJOB_STATE_URL"):
        Database(url)


def test_a_database_that_does_not_answer_says_so(tmp_path: Path) -> None:
    for url in (f"postgresql+psycopg://nobody@/nothing?host={tmp_path}", f"sqlite:///{tmp_path}/missing/state.db"):
        database = Database(url)
        with pytest.raises(StateUnavailableError, match="Check that it runs"):
            database.migrate()


def test_what_raises_is_not_stored(state_database: Database) -> None:
    def store_and_fail() -> None:
        with state_database.write() as connection:
            connection.execute(insert(leases).values(name="judge", holder="a", expires_at=NOW))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store_and_fail()
    assert Leases(state_database, clock=lambda: NOW).acquire("judge", "b", 1)


def test_readers_and_writers_of_many_threads_do_not_lock_each_other_out(state_database: Database) -> None:
    deployments = Deployments(state_database)

    def work(number: int) -> None:
        deployment = a_deployment(version=str(number))
        deployments.add(deployment)
        assert deployments.get(deployment.id) == deployment
        deployments.update(deployment.id, actor="mo")

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(work, range(60)))
    assert deployments.count() == 60


def test_a_file_that_is_damaged_says_what_to_do(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/state.db")
    database.migrate()
    database.close()
    (tmp_path / "state.db").write_bytes(b"\x00\xffgarbage" * 1000)
    with pytest.raises(StateUnavailableError, match="Put a backup in its place"):
        database.ping()


def test_a_folder_in_its_place_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailableError, match="is a folder: move it away"):
        Database(f"sqlite:///{tmp_path}").migrate()


def test_a_full_disk_is_told_as_one_and_what_was_stored_stays(sqlite_database: Database) -> None:
    facts, known = Deployments(sqlite_database), a_deployment()
    facts.add(known)
    with sqlite_database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite's own ENOSPC: no page more than there are
    with pytest.raises(StateUnavailableError, match=r"the disk of .* is full \(\d+ MB free\)\. Free some space"):
        facts.note(known.id, "x" * 100_000)
    assert facts.get(known.id) == known
    assert "Free some space" in sqlite_database.trouble, "until something is written again"

    with sqlite_database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert sqlite_database.trouble == ""
