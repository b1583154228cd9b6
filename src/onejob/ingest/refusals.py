"""Why the spool takes nothing now, and what to do about it; and the look at its disk that one of the reasons needs."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path

from onejob.ingest.dead_letters import Extent
from onejob.ingest.errors import TryLater
from onejob.words import plural

_DISK_LOOK_EVERY_S = 1.0


class FreeDisk:
    """Of the disk that `folder` is on, looked at once a second at most."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._free_bytes, self._looked_at = 0, -_DISK_LOOK_EVERY_S

    def refuse_if_full(self, size: int) -> None:
        """TryLater unless so many bytes more leave the reserve alone."""
        lacking = self._reserve_bytes + size - self._look()
        if lacking > 0:
            raise TryLater(
                f"The disk of {self._folder} is full, but for its reserve (ONEJOB_MIN_FREE_DISK_BYTES): "
                f"free at least {math.ceil(lacking / 1e6)} MB.",
                retry_after_s=30,
                is_overload=False,
            )

    def _look(self) -> int:
        now = time.monotonic()
        if now - self._looked_at > _DISK_LOOK_EVERY_S:
            try:
                self._free_bytes, self._looked_at = shutil.disk_usage(self._folder).free, now
            except OSError as error:
                raise TryLater(
                    f"The spool in {self._folder} cannot be reached ({error.strerror}). Is its disk there?",
                    retry_after_s=30,
                    is_overload=False,
                ) from error
        return self._free_bytes


def stopping() -> TryLater:
    return TryLater("The server, or this project of it, is stopping.", retry_after_s=5, is_overload=False)


def too_much() -> TryLater:
    return TryLater("Too much is being sent at once.", retry_after_s=1, is_overload=True)


def not_writable(folder: Path, error: Exception) -> TryLater:
    return TryLater(
        f"The spool in {folder} cannot be written ({error}). Is its disk full?", retry_after_s=30, is_overload=False
    )


def spool_is_full() -> TryLater:
    return TryLater(
        "The spool is full: telemetry arrives faster than it can be stored (ONEJOB_SPOOL_MAX_BYTES).",
        retry_after_s=10,
        is_overload=True,
    )


def full_of_dead_letters(dead: Extent) -> TryLater:
    return TryLater(
        f"The spool is full of {plural(dead.letters, 'dead letter')}, which the engine refuses "
        f"({math.ceil(dead.bytes / 1e6)} MB): `onejob dead-letters list` says why. Replay or delete them, or give it "
        "more room (ONEJOB_SPOOL_MAX_BYTES).",
        retry_after_s=30,
        is_overload=False,
    )
