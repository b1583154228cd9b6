"""A spool, a flusher, an engine that refuses what a test wants it to; and doors that lead into one spool."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onejob.ingest.counters import Counters
from onejob.ingest.door import Door
from onejob.ingest.doors import Doors
from onejob.ingest.flusher import Flusher, FlushPolicy
from onejob.ingest.room import Room
from onejob.ingest.spool import Spool, SpoolLimits
from onejob.own_spans import OwnSpans
from onejob.store.errors import EngineUnavailable, QueryFailed

ROOMY = SpoolLimits(max_bytes=2**30, min_free_disk_bytes=0, retry_digest_s=900)


class FakeEngine:
    """Remembers what it stored, by token, and by table and token; refuses what holds `poison`, but for tables that are
    `tolerant`, or everything while it is down.
    """

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.refused: list[str] = []
        self.is_down = False
        self.poison = b"poison"
        self.tolerant: set[str] = set()
        self.tables: dict[tuple[str, str], bytes] = {}

    def insert(self, table: str, payload: bytes, token: str) -> None:
        if self.is_down:
            raise EngineUnavailable("down")
        if self.poison in payload and table not in self.tolerant:
            self.refused.append(token)
            raise QueryFailed("Code: 1. poisoned")
        self.tables.setdefault((table, token), payload)
        self.stored.setdefault(token, payload)

    def is_up(self) -> bool:
        return not self.is_down


def doors_to(spool: object, *, memory_bytes: int = 2**30) -> Doors:
    """For requests of a mebibyte."""
    counters = Counters()
    doors, memory = Doors(2**20, counters), Room(memory_bytes, takes_one_always=True).part()
    doors.open("default", Door(spool, counters, memory, 2**20))  # type: ignore[arg-type]
    return doors


@contextmanager
def a_spool(path: Path, limits: SpoolLimits = ROOMY) -> Iterator[Spool]:
    spool = Spool(path / "spool.db", limits)
    yield spool
    spool.close()


@contextmanager
def flushing(spool: Spool, engine: FakeEngine, spans: OwnSpans | None = None) -> Iterator[Flusher]:
    policy = FlushPolicy(interval_s=0.01, max_items=1000)
    flusher = Flusher(spool, engine, policy, spans=spans)  # type: ignore[arg-type]
    flusher.start()
    yield flusher
    flusher.stop()
