"""A real PostgreSQL for the tests of the state: one server, emptied for every test."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import text

from onejob.demo.postgres import Cluster, prepare
from onejob.state.database import Database
from onejob.state.tables import metadata

_START_TIMEOUT_S = 30
_MIGRATED = "onejob"


class Postgres:
    """A running server."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._numbers = count()
        self._execute(f"CREATE DATABASE {_MIGRATED}")
        database = Database(self.url(_MIGRATED))
        database.migrate()
        with database.read() as connection:
            self._head = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        database.close()

    def url(self, name: str) -> str:
        """SQLAlchemy's address of a database."""
        return f"postgresql+psycopg://shop@/{name}?host={self._cluster.socket}"

    def fresh(self) -> str:
        """The address of a new database without any table."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def emptied(self) -> str:
        """The address of the one database whose tables are up to date, emptied: making one takes half a second."""
        database = Database(self.url(_MIGRATED))
        with database.write() as connection:
            names = ", ".join(metadata.tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": self._head})
        database.close()
        return self.url(_MIGRATED)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._cluster.uri, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server under a short path of its own (its socket must fit in 107 bytes) and stop it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="onejob-pg-", dir="/tmp"))
    folder.chmod(0o755)
    cluster = prepare(folder / "pg")
    process = subprocess.Popen(
        cluster.command(), user=cluster.owner, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(cluster, process)
        yield Postgres(cluster)
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: no waiting for connections, no last checkpoint
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(cluster: Cluster, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(cluster.uri, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
