"""What the engine refuses is kept, told, and stored exactly once when it is tried again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf.message import Message

from onejob.ingest.dead_letters import Extent
from onejob.ingest.errors import TryLater
from onejob.ingest.letter_contents import Contents, contents_of
from onejob.ingest.service import Intake
from onejob.ingest.spool import Spool
from onejob.model.telemetry import Kind
from onejob.store.engine import Engine
from otlp_builders import a_log_request, a_metric_request, a_payload, a_record, a_request, a_service, a_span

from .conftest import some_settings
from .spools import ROOMY, FakeEngine, a_spool, flushing
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


def test_dead_letters_take_the_spools_room_and_none_makes_way_for_another(tmp_path: Path) -> None:
    engine = FakeEngine()
    limits = replace(ROOMY, max_bytes=70)  # of two letters with their errors, and a little more
    with a_spool(tmp_path, limits) as spool, flushing(spool, engine):
        for payload in (b"poison 1", b"poison 2"):
            spool.append(payload, 1).result()
            wait_until(lambda: spool.requests == 0, "refusing")
        assert (spool.dead.letters, spool.dead.bytes) == (2, 2 * (8 + len("Code: 1. poisoned")))

        with pytest.raises(TryLater, match="full of 2 dead letters") as refusal:
            spool.append(bytes(21), 1)

        assert not refusal.value.is_overload, "sending less does not help"
        assert [letter.size_bytes for letter in spool.dead_letters()] == [8, 8]
    with a_spool(tmp_path, replace(limits, max_bytes=50)) as spool, flushing(spool, engine):
        assert "dead letters" not in spool.trouble(), "just fits"
        with pytest.raises(TryLater, match="full of 2 dead letters"):
            spool.append(b"b", 1)
        engine.poison = NOTHING
        assert spool.replay() == 2, "which takes no room that is not theirs already"
        wait_until(lambda: spool.requests == 0, "storing")
        assert (spool.dead, spool.trouble()) == (Extent(), "")
        spool.append(b"b", 1).result()
    assert sorted(engine.stored.values())[-2:] == [b"poison 1", b"poison 2"]


def test_what_is_deleted_is_gone_and_gives_its_room_back(tmp_path: Path) -> None:
    engine = FakeEngine()
    with with_dead_letters(tmp_path, engine, *(b"poison %d" % number for number in range(250))) as spool:
        first, second, *others = (letter.id for letter in spool.dead_letters())
        assert spool.delete_dead_letters([first, 12345]) == 1
        assert spool.delete_dead_letters([first]) == 0
        assert [letter.id for letter in spool.dead_letters()] == [second, *others]
        assert spool.delete_dead_letters() == 249
        assert (spool.dead_letters(), spool.dead, spool.replay()) == ([], Extent(), 0)
    with a_spool(tmp_path) as spool:
        assert spool.dead == Extent()


def test_they_are_kept_for_good_unless_a_setting_says_for_how_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with with_dead_letters(tmp_path, FakeEngine(), b"poison 1", b"poison 2") as spool:
        aged = "UPDATE dead_letters SET died_at = died_at - 86400 * 3650 WHERE id = ?"
        old, young = spool.dead_letters()
        spool._submit(lambda connection: connection.execute(aged, (old.id,)).rowcount).result()
    with a_spool(tmp_path) as spool:
        spool.append(b"anything", 1).result()
        assert len(spool.dead_letters()) == 2
    with a_spool(tmp_path, replace(ROOMY, dead_letters_s=86400.0)) as spool:
        spool.append(b"anything else", 1).result()
        assert spool.dead_letters() == [young]
        assert spool.dead.letters == 1
    assert "1 dead letter was deleted, as ONEJOB_DEAD_LETTERS_RETENTION_DAYS says" in caplog.text


def test_the_retention_is_kept_while_nothing_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onejob.ingest.spool._PURGE_EVERY_S", 0.01)
    with with_dead_letters(tmp_path, FakeEngine(), b"poison") as spool:
        assert spool.dead.letters == 1
    with a_spool(tmp_path, replace(ROOMY, dead_letters_s=0.0)) as spool:
        wait_until(lambda: spool.dead_letters() == [], "expiring")


@pytest.mark.parametrize(
    ("kind", "request_", "first_name"),
    [
        ("traces", a_request(a_span(name="GET /basket"), a_span(), service="cart"), "GET /basket"),
        ("logs", a_log_request(a_record("secret-4711", event_name="order.failed"), service="cart"), "order.failed"),
        ("metrics", a_metric_request(service="cart"), "queue.depth"),
    ],
)
def test_a_letter_says_whose_it_is_and_what_its_first_item_is_called(
    kind: Kind, request_: Message, first_name: str
) -> None:
    contents = contents_of(kind, request_.SerializeToString())
    assert contents == Contents(("cart",), first_name)
    assert contents_of(kind, b"\xff") == Contents()


def test_a_list_reads_no_more_than_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = a_payload(a_span(name="poison"), service="cart")
    with with_dead_letters(tmp_path, FakeEngine(), payload, a_payload(a_span(name="poison"), service="cart")) as spool:
        monkeypatch.setattr("onejob.ingest.dead_letters._READ_BYTES", len(payload) + 1)
        first, second = spool.dead_letters()
        assert (first.services, first.first_name) == (("cart",), "poison")
        assert (second.services, second.first_name) == ((), None)


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
        (letter,) = intake.dead_letters()
        assert "refused" in letter.error
        assert letter.services == (service,)
        assert intake.stats().dead_letter_bytes > letter.size_bytes
        engine.execute(f"ALTER TABLE {table} DROP CONSTRAINT refused")

        assert intake.replay_dead_letters() == 1

        wait_until(lambda: intake.stats().spooled_requests == 0, "storing")
        assert (intake.stats().dead_letters, intake.stats().stored_spans) == (0, 1)
    finally:
        intake.stop()
    assert (stored(engine, service), counted(engine, service)) == (1, 1)
