"""What the engine refuses is kept, told, and stored exactly once when it is tried again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onejob.ingest.errors import TryLater
from onejob.ingest.service import Intake
from onejob.ingest.spool import Spool
from onejob.store.engine import Engine
from otlp_builders import a_payload, a_service, a_span

from .conftest import some_settings
from .spools import FakeEngine, a_spool, flushing
from .waiting import counted, stored, wait_until

NOTHING = b"a poison that is in nothing"


@contextmanager
def with_dead_letters(path: Path, engine: FakeEngine, *payloads: bytes) -> Iterator[Spool]:
    """A spool whose requests were all refused."""
    with a_spool(path) as spool:
        with flushing(spool, engine):
            for payload in payloads:
                spool.append(payload, 1).result()
            wait_until(lambda: spool.requests == 0, "refusing")
        yield spool


def test_a_dead_letter_is_tried_again_under_the_token_it_was_refused_under(tmp_path: Path) -> None:
    engine = FakeEngine()
    with with_dead_letters(tmp_path, engine, b"poison 1", b"poison 2") as spool:
        last = engine.refused[-1]
        engine.poison = NOTHING

        assert spool.replay() == 2
        assert spool.replay() == 0

        assert (spool.dead_letters(), spool.requests, spool.spans, spool.size_bytes) == ([], 2, 2, 16)
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "storing")
        assert (spool.spans, spool.size_bytes) == (0, 0)
    assert sorted(engine.stored.values()) == [b"poison 1", b"poison 2"]
    assert engine.stored[last] == b"poison 2"


def test_other_requests_are_not_stored_under_a_dead_letters_token(tmp_path: Path) -> None:
    engine = FakeEngine()
    with with_dead_letters(tmp_path, engine, b"poison") as spool:
        engine.poison = NOTHING
        spool.append(b"before", 1).result()
        spool.replay()
        spool.append(b"after", 1).result()
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "storing")
    assert list(engine.stored.values()) == [b"before", b"poison", b"after"]


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_replay_that_a_crash_interrupts_goes_on_under_the_same_token(tmp_path: Path, is_begun: bool) -> None:
    engine = FakeEngine()
    with with_dead_letters(tmp_path, engine, b"poison") as spool:
        spool.replay()
        if is_begun:
            spool.claim(max_items=10, max_bytes=100)
    engine.poison = NOTHING
    with a_spool(tmp_path) as spool, flushing(spool, engine):
        wait_until(lambda: spool.requests == 0, "storing")
        assert spool.dead_letters() == []
    assert engine.stored == {engine.refused[-1]: b"poison"}


def test_only_those_asked_for_are_tried_and_what_is_refused_again_is_kept_again(tmp_path: Path) -> None:
    engine = FakeEngine()
    with with_dead_letters(tmp_path, engine, b"poison 1", b"poison 2") as spool:
        first, second = spool.dead_letters()

        assert spool.replay([second.id, 12345]) == 1

        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "refusing")
        kept, again = spool.dead_letters()
        assert kept == first
        assert (again.error, again.size_bytes) == (second.error, second.size_bytes)


def test_only_the_last_of_very_many_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onejob.ingest.dead_letters.MOST_KEPT", 2)
    with with_dead_letters(tmp_path, FakeEngine(), b"poison", b"poison 22", b"poison 333") as spool:
        assert [letter.size_bytes for letter in spool.dead_letters()] == [9, 10]


def test_a_spool_that_is_closed_replays_nothing(tmp_path: Path) -> None:
    with with_dead_letters(tmp_path, FakeEngine(), b"poison") as spool:
        spool.close()
        with pytest.raises(TryLater):
            spool.replay()


def test_the_spool_of_an_earlier_release_is_taken_over(tmp_path: Path) -> None:
    engine = FakeEngine()
    with with_dead_letters(tmp_path, engine, b"poison") as spool:
        spool.append(b"waiting", 1).result()
        begun = spool.claim(max_items=1, max_bytes=100)
        assert begun is not None
    later = {
        "requests": ("token", "kind", "tables", "digest"),
        "dead_letters": ("token", "kind", "tables"),
        "batches": ("kind", "token"),
    }
    with sqlite3.connect(tmp_path / "spool.db") as file:
        file.execute("DROP INDEX requests_by_kind")
        file.execute("CREATE INDEX requests_kind ON requests (id)")
        file.execute("CREATE TABLE identity (name TEXT NOT NULL)")
        file.execute("INSERT INTO identity VALUES ('earlier')")
        for table, columns in later.items():
            for column in columns:
                file.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    file.close()
    (tmp_path / "progress.json").unlink()
    engine.poison = NOTHING
    with a_spool(tmp_path) as spool, flushing(spool, engine):
        assert spool.replay() == 1
        wait_until(lambda: spool.requests == 0, "storing")
    assert b"".join(engine.stored.values()) == b"waitingpoison"
    assert engine.stored[f"earlier-{begun.id}"] == b"waiting"


@pytest.mark.parametrize("table", ["otel_traces", "operation_rollup"])
def test_what_the_engine_refused_is_in_the_table_and_in_the_counts_once(
    tmp_path: Path, engine: Engine, table: str
) -> None:
    """The counts are refused after the spans were taken, or before: either way nothing is there twice."""
    service = a_service()
    engine.execute(f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK ServiceName != '{service}'")
    intake = Intake(some_settings(tmp_path), engine)
    intake.start()
    try:
        waiting = intake._spool.append(a_payload(a_span(), service=service), 1)
        assert waiting.result()
        wait_until(lambda: intake.stats().dead_letters == 1, "refusing")
        assert "refused" in intake.dead_letters()[0].error
        engine.execute(f"ALTER TABLE {table} DROP CONSTRAINT refused")

        assert intake.replay_dead_letters() == 1

        wait_until(lambda: intake.stats().spooled_requests == 0, "storing")
        assert (intake.stats().dead_letters, intake.stats().stored_spans) == (0, 1)
    finally:
        intake.stop()
    assert (stored(engine, service), counted(engine, service)) == (1, 1)
