"""One moment of a running server, held still for as long as it takes to be read.

While nothing is moved from the spool into the engine, a transaction of the state database is begun, the engine's tables
are cloned (hard links, see `telemetry`), and the spool is copied: a batch is in the engine or in the spool, and in no
case in both. Telemetry is acknowledged meanwhile. The facts' moment comes first: what they say was read of telemetry is
in it.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from onejob import __version__
from onejob.backup import facts, telemetry
from onejob.backup.errors import BackupError
from onejob.backup.telemetry import PREFIX, Clones
from onejob.config import Settings
from onejob.state.codec import iso
from onejob.state.database import Database
from onejob.state.projects import Projects
from onejob.store.engine import Engine
from onejob.store.hash_key import KEY_FILE

PAUSE_WAIT_S = 60.0
SPOOL = "spool.db"
_ONE_AT_A_TIME = threading.Lock()


class SpoolPause(Protocol):
    """What of the intake this needs."""

    def paused(self, timeout_s: float) -> AbstractContextManager[bool]:
        """While it is open nothing is stored; False if what is under way takes longer than that."""


@dataclass(frozen=True, slots=True)
class Place:
    """A project of a running server: its facts, its telemetry, and what waits to be stored. `settings` are its own."""

    name: str
    settings: Settings
    database: Database
    engine: Engine | None
    intake: SpoolPause | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`members` are names in the archive, and what is there or where it is; they can be read once."""

    members: Iterator[tuple[str, bytes | Path]]
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Held:
    """A place at the moment."""

    name: str
    reading: ExitStack  # of the facts
    connection: Connection
    clones: Clones
    spool: Path
    told: dict[str, Any]

    def members(self) -> Iterator[tuple[str, bytes | Path]]:
        yield f"{self.name}/{self.spool.name}", self.spool
        for number, (table, piece) in enumerate(facts.pieces(self.connection), 1):
            yield f"{self.name}/state/{table}/{number:06}.json.zst", piece
        self.reading.close()  # telemetry may take hours, for which no database should have to keep what it deletes
        for number, (table, piece) in enumerate(self.clones.pieces(), 1):
            yield f"{self.name}/telemetry/{table}/{number:06}.native.zst", piece


@contextlib.contextmanager
def snapshot(settings: Settings, places: Sequence[Place], now: datetime) -> Iterator[Snapshot]:
    """`places` are of all projects, `default` first. Raises BackupError, StoreError, StateError."""
    _refuse_without_all(places)
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise BackupError("A backup is being made already: wait until it is.")
    copies = settings.data_dir.resolve() / f"{PREFIX}{secrets.token_hex(8)}"
    try:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, copies, ignore_errors=True)
            held = [stack.enter_context(_hold(place, copies / place.name)) for place in places]
            yield Snapshot(_members(settings, held), _told(settings, held, now))
    finally:
        _ONE_AT_A_TIME.release()


def _refuse_without_all(places: Sequence[Place]) -> None:
    running = {place.name for place in places}
    for project in Projects(places[0].database).all():
        if project.removed_at is None and project.name not in running:
            raise BackupError(
                f"The project {project.name} does not run, and a backup would not be whole without it: `onejob doctor` "
                "says why."
            )


def sweep(settings: Settings, engine: Engine) -> None:
    """Delete what a backup that was cut off has left."""
    for left in settings.data_dir.glob(f"{PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    telemetry.sweep(engine, settings)


@contextlib.contextmanager
def _hold(place: Place, folder: Path) -> Iterator[_Held]:
    if place.engine is None or place.intake is None:
        raise BackupError("This process keeps no telemetry: ask the server that telemetry is sent to.")
    clones, spool = Clones(place.engine), folder / SPOOL
    with ExitStack() as stack:
        stack.callback(clones.drop)
        clones.make()
        with place.intake.paused(PAUSE_WAIT_S) as is_paused:
            if not is_paused:
                raise BackupError(
                    "The engine does not finish what it stores: try again once `onejob doctor` is content."
                )
            reading = stack.enter_context(ExitStack())
            connection = reading.enter_context(place.database.frozen())
            state = facts.told_of(connection)
            clones.fill()
            _copy(place.settings.data_dir.resolve() / "spool" / "spool.db", spool)
        told = {"name": place.name, "state": state, "telemetry": clones.told()}
        yield _Held(place.name, reading, connection, clones, spool, told)


def _copy(spool: Path, target: Path) -> None:
    """As it is at one moment, whatever is written meanwhile."""
    try:
        target.parent.mkdir(parents=True, mode=0o700)
        with contextlib.closing(sqlite3.connect(spool)) as old, contextlib.closing(sqlite3.connect(target)) as new:
            old.backup(new)
        target.chmod(0o600)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{target} cannot be written ({error}): make room for a copy of {spool}.") from error


def _members(settings: Settings, held: Sequence[_Held]) -> Iterator[tuple[str, bytes | Path]]:
    if (settings.data_dir / KEY_FILE).exists():
        yield KEY_FILE, settings.data_dir / KEY_FILE
    for place in held:
        yield from place.members()


def _told(settings: Settings, held: Sequence[_Held], now: datetime) -> dict[str, Any]:
    return {
        "onejob": __version__,
        "made_at": iso(now),
        "bin_width_s": settings.bin_width_s,
        "places": [place.told for place in held],
    }
