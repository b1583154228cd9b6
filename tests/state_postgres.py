"""A real PostgreSQL for the tests of the state: one server, a fresh database per test."""

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

from onejob.demo.postgres import Cluster, prepare
from onejob.state.database import Database

_START_TIMEOUT_S = 30
_TEMPLATE = "template_onejob"


class Postgres:
    """A running server that copies databases from a migrated template."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._numbers = count()
        self._execute(f"CREATE DATABASE {_TEMPLATE}")
        database = Database(self.url(_TEMPLATE))
        database.migrate()
        database.close()

    def url(self, name: str) -> str:
        """SQLAlchemy's address of a database."""
        return f"postgresql+psycopg://shop@/{name}?host={self._cluster.socket}"

    def fresh(self, *, migrated: bool = True) -> str:
        """The address of a database of its own."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if migrated else 'template0'}")
        return self.url(name)

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
        process.send_signal(signal.SIGINT)  # "fast": SIGTERM would wait for every pooled connection
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
