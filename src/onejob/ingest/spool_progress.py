"""How far the spool's requests have been stored, told a second time in a small file beside it.

Problem: damage can bring back what the spool had deleted, or take away under which token a batch is being stored: a
page of its log is gone, and an older one is read. Stored anew, both would be there twice. Solution: of each kind, the
last request that is done with, and the batch at hand, written down here as well before the engine is told of it.

What it said stays true, so it does no harm that it is not synced: an older one only says less.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from onejob.model.telemetry import KINDS, Kind

NAME = "progress.json"


@dataclass(frozen=True, slots=True)
class Reached:
    """Of one kind: all requests up to `done` are stored or dead letters; the batch at hand is those from `first` to
    `last`, under `token`. 0 and '' where there is none.
    """

    done: int = 0
    first: int = 0
    last: int = 0
    token: str = ""


class SpoolProgress:
    """For one thread. A file that cannot be written is left as it was: it says less, and nothing wrong."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.kinds: dict[Kind, Reached] = {kind: Reached() for kind in KINDS}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            sums, _, body = self._path.read_text().partition("\n")
            if sums == _sum_of(body):
                self.kinds |= {kind: Reached(**told) for kind, told in json.loads(body).items() if kind in KINDS}

    def begin(self, kind: Kind, first: int, last: int, token: str) -> None:
        """A batch is about to be stored."""
        self._write(kind, replace(self.kinds[kind], first=first, last=last, token=token))

    def end(self, kind: Kind, last: int) -> None:
        """It is out of the spool, and with it all that came before."""
        self._write(kind, Reached(done=max(last, self.kinds[kind].done)))

    def _write(self, kind: Kind, reached: Reached) -> None:
        self.kinds[kind] = reached
        body = json.dumps({name: asdict(told) for name, told in self.kinds.items()})
        made = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            made.write_text(f"{_sum_of(body)}\n{body}")
            made.replace(self._path)


def _sum_of(body: str) -> str:
    return hashlib.blake2b(body.encode(), digest_size=16).hexdigest()
