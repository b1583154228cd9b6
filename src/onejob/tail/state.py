"""How far logs were read, in a file that survives us.

A batch is written down before it is sent, together with the positions behind it, and struck out when it is
acknowledged. So after a crash exactly its bytes are sent again, which a server of onejob recognises for a quarter of an
hour, and reading goes on behind it.
"""

import base64
import binascii
import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from onejob.tail.errors import StateError
from onejob.tail.logfile import Mark
from onejob.tail.sources import Marks


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`named` are the prefixes of routes that have too many words; `pending` is the batch that is on its way."""

    marks: Marks = field(default_factory=dict)
    named: tuple[str, ...] = ()
    pending: bytes = b""


class StateFile:
    """Only whoever holds the lock writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """StateError if another process has it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._cannot(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise StateError(
                f"Another onejob tail keeps its place in {self.path}: end it, or give this one a file of its own with "
                "--state."
            ) from error
        finally:
            os.close(descriptor)

    def load(self) -> State:
        """What is known; nothing at first."""
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise self._cannot(error) from error
        try:
            return _state_of(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, zlib.error, binascii.Error) as error:
            raise StateError(
                f"{self.path} is damaged ({error}): delete it, and reading begins anew (--from-start for all there is)."
            ) from error

    def save(self, state: State) -> None:
        """On disk when it returns, whole or not at all."""
        document = {
            "marks": {name: [asdict(mark) for mark in marks] for name, marks in state.marks.items()},
            "named": list(state.named),
            "pending": base64.b64encode(zlib.compress(state.pending, 1)).decode() if state.pending else "",
        }
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            descriptor = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> StateError:
        return StateError(
            f"How far the log was read cannot be kept in {self.path} ({error.strerror}): name another file with "
            "--state."
        )


def _state_of(document: dict[str, object]) -> State:
    marks, named, pending = document["marks"], document["named"], document["pending"]
    if not isinstance(marks, dict) or not isinstance(named, list) or not isinstance(pending, str):
        raise ValueError("it is of another kind")
    return State(
        marks={name: tuple(Mark(**mark) for mark in of_file) for name, of_file in marks.items()},
        named=tuple(map(str, named)),
        pending=zlib.decompress(base64.b64decode(pending)) if pending else b"",
    )
