"""One server per data directory. The engine and the spool each refuse or corrupt under two owners, and the engine's own
refusal is an empty message; so one lock file comes before them all and names who holds it.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from onejob.store.errors import DataDirLocked, StoreError

LOCK_FILE = "onejob.lock"


@dataclass
class DataDirLock:
    """Held until `release`, or until the process ends, however it ends."""

    path: Path
    fd: int = -1

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def lock_data_dir(data_dir: Path) -> DataDirLock:
    """Creates the directory if needed. Raises DataDirLocked with the owner's process id."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = data_dir.resolve() / LOCK_FILE
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"Cannot use the data directory {data_dir}: {error.strerror}. "
            "Set ONEJOB_DATA_DIR to a directory that can be written."
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise DataDirLocked(
            f"The data directory {path.parent} is in use by another onejob server (process {owner}). "
            "Stop that one, or set ONEJOB_DATA_DIR to another directory."
        ) from error
    lock = DataDirLock(path, fd)
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        lock.release()
        raise StoreError(
            f"Cannot write to the data directory {data_dir}: {error.strerror}. "
            "Make room on its disk, or set ONEJOB_DATA_DIR to another one."
        ) from error
    return lock
