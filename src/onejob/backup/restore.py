"""A backup as a data directory again: made beside its place, and put there when it is whole.

The engine takes parts that lie in a table's `detached` folder, and gives them names of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from onejob import __version__
from onejob.backup.archive import Manifest, unpacked
from onejob.backup.errors import BadBackup, TargetInUse
from onejob.config import Settings
from onejob.store.chdb import ChdbEngine
from onejob.store.lock import lock_data_dir
from onejob.store.sql import quote, quote_name

_UNPACKED = "unpacked"


def restore(file: IO[bytes], target: Path) -> Manifest:
    """The data directory `target`, which is not there or empty. Raises BackupError, StoreError."""
    target = target.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TargetInUse(f"{target} is not empty: name a folder that is, or move away what is in it.")
    beside = target.with_name(f".{target.name}.restoring")
    if beside.exists():
        raise TargetInUse(f"{beside} is there, of a restoration that was cut off or is under way: delete it first.")
    beside.mkdir(parents=True, mode=0o700)
    try:
        manifest = _restore_into(file, beside)
        if target.exists():
            target.rmdir()
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return manifest


def _restore_into(file: IO[bytes], folder: Path) -> Manifest:
    source = folder / _UNPACKED
    source.mkdir(mode=0o700)
    manifest = unpacked(file, source)
    if manifest.facts.get("onejob") != __version__:
        raise BadBackup(
            f"The backup was made by onejob {manifest.facts.get('onejob')}, this is {__version__}: restore it with "
            "that release, and upgrade then."
        )
    with _engine(folder) as engine:
        for table in manifest.facts["tables"]:
            engine.execute(table["definition"])
        for table in manifest.facts["tables"]:
            _attach(engine, source / "engine" / table["name"], table["name"])
    shutil.rmtree(source / "engine", ignore_errors=True)
    for left in sorted(source.iterdir()):
        left.rename(folder / left.name)
    source.rmdir()
    os.sync()  # all of it, before it has the name that a server is started with
    return manifest


@contextmanager
def _engine(folder: Path) -> Iterator[ChdbEngine]:
    """Under the lock that every server takes; none of its settings matters to what is stored."""
    lock = lock_data_dir(folder)
    engine = ChdbEngine(Settings(data_dir=folder), on_close=lock.release)
    try:
        yield engine
    finally:
        engine.close()


def _attach(engine: ChdbEngine, parts: Path, table: str) -> None:
    """The engine looks at each file of a part again."""
    if not parts.is_dir():
        return
    sql = (
        f"SELECT data_paths[1] AS path FROM system.tables WHERE database = currentDatabase() AND name = {quote(table)}"  # noqa: S608
    )
    rows: list[dict[str, Any]] = engine.query(sql).to_pylist()
    detached = Path(rows[0]["path"]) / "detached"
    for part in sorted(parts.iterdir()):
        part.rename(detached / part.name)
        engine.execute(f"ALTER TABLE {quote_name(table)} ATTACH PART {quote(part.name)}")
