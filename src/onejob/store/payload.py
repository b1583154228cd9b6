"""The bytes of one batch as a file that the engine can open: in memory where the system can (Linux), else on disk.

Always the same one, because views name it; so one batch at a time.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


class Payload:
    """`path` is the file; it holds something inside `holding`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        if hasattr(os, "memfd_create"):
            self._fd = os.memfd_create("otlp")
            self.path = f"/proc/self/fd/{self._fd}"
        else:
            self.path = str(Path("batch.otlp").resolve())
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    @contextlib.contextmanager
    def holding(self, data: bytes) -> Iterator[None]:
        with self._lock:
            try:
                view, written = memoryview(data), 0
                while written < len(view):
                    written += os.pwrite(self._fd, view[written:], written)
                yield
            finally:
                os.ftruncate(self._fd, 0)
