"""What is acknowledged is on disk, and a full or damaged disk loses none of it."""

import contextlib
import random
import re
import shutil
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from onejob.ingest.errors import PortInUse, TryLater
from onejob.ingest.service import Intake
from onejob.ingest.spool import SpoolLimits
from onejob.store.engine import Engine
from onejob.store.errors import EngineOutOfRoom
from otlp_builders import a_payload, a_service, a_span

from .conftest import some_settings
from .server_process import ServerProcess
from .spools import FakeEngine, a_spool, flushing
from .waiting import wait_until

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_data_is_on_disk_before_the_reply(tmp_path: Path, protocol: str) -> None:
    """A system-call trace: the request's bytes are written to the log, the log is synced, then the reply is sent."""
    log, marker = tmp_path / "strace.log", b"durable-marker-durable-marker"
    traced = "trace=write,pwrite64,pwritev,writev,sendto,sendmsg,fsync,fdatasync,recvfrom,recvmsg,read"
    server = ServerProcess(
        "strace", "-f", "-y", "-ttt", "-s", "70000", "-e", traced, "-o", str(log),
        data_dir=str(tmp_path / "data"), otlp_grpc_port=0, otlp_http_port=0, flush_interval_s=3600,
    )  # fmt: skip
    _send(server, protocol, a_payload(a_span(marker.decode())))
    server.stop()

    lines = log.read_text(errors="replace").splitlines()
    # A call that another thread's interrupts ends on a line of its own: "<... read resumed>".
    came = next(i for i, line in enumerate(lines) if marker.decode() in line and re.search(r"recv|read[( ]", line))
    written = next(i for i, line in enumerate(lines) if i > came and marker.decode() in line and "spool.db-wal" in line)
    synced = next(i for i, line in enumerate(lines) if i > written and "sync" in line and "spool.db-wal" in line)
    replied = next(i for i, line in enumerate(lines) if i > came and _is_reply(line, protocol))
    assert came < written < synced < replied


def _send(server: ServerProcess, protocol: str, payload: bytes) -> None:
    import grpc

    from .conftest import EXPORT

    if protocol == "http":
        url = f"http://127.0.0.1:{server.http_port}/v1/traces"
        assert httpx.post(url, content=payload, headers=PROTOBUF, timeout=60).status_code == 200
        return
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        assert channel.unary_unary(EXPORT)(payload, timeout=60) == b""


def _is_reply(line: str, protocol: str) -> bool:
    if not re.search(r"(sendto|sendmsg|write|writev)\(\d+<(TCP|socket)", line):
        return False
    return "HTTP/1.1 200" in line if protocol == "http" else "grpc-status" in line or "application/grpc" in line


def test_requests_survive_in_the_spool_and_are_not_taken_twice(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        assert spool.append(b"one", 1).result() is True
        assert spool.append(b"one", 1).result() is False
    with a_spool(tmp_path) as spool:
        assert spool.append(b"one", 1).result() is False
        assert (spool.requests, spool.spans, spool.size_bytes) == (1, 1, 3)


def test_a_waiter_that_gives_up_does_not_stop_the_spool(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        waiting = spool.append(b"a", 1)
        assert not waiting.cancel()
        assert waiting.result(10)
        assert spool.append(b"b", 1).result(10)


def test_whatever_fails_in_a_commit_the_next_one_is_tried(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        with pytest.raises(TryLater):
            spool.append(b"a", 2**70).result(10)  # no number of SQLite's: an OverflowError, not an sqlite3.Error
        assert spool.append(b"b", 1).result(10)


def test_a_disk_that_is_gone_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    with a_spool(tmp_path) as spool:
        monkeypatch.setattr(shutil, "disk_usage", gone)
        with pytest.raises(TryLater, match="Is its disk there"):
            spool.append(b"a", 1)


def test_a_digest_is_forgotten_after_its_time(tmp_path: Path) -> None:
    limits = SpoolLimits(max_bytes=2**30, min_free_disk_bytes=0, retry_digest_s=0)
    with a_spool(tmp_path, limits) as spool:
        assert spool.append(b"one", 1).result() is True
    with a_spool(tmp_path, limits) as spool:
        spool.append(b"other", 1).result()
        assert spool.append(b"one", 1).result() is True


def test_a_batch_begun_before_a_crash_is_repeated_under_its_token(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        for payload in (b"a", b"b", b"c"):
            spool.append(payload, 1).result()
        begun = spool.claim(max_items=2, max_bytes=100)
        assert begun is not None
    engine = FakeEngine()

    with a_spool(tmp_path) as spool:
        assert [batch.token for batch in spool.unfinished_batches()] == [begun.token]
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "flushing")

    assert engine.stored[begun.token] == b"ab"
    assert sorted(engine.stored.values()) == [b"ab", b"c"]


def test_an_engine_that_is_away_is_waited_for(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.is_down = True
    with a_spool(tmp_path) as spool, flushing(spool, engine) as flusher:
        spool.append(b"a", 1).result()
        wait_until(lambda: flusher.trouble == "down", "noticing")
        engine.is_down = False
        wait_until(lambda: spool.requests == 0, "flushing")
    assert list(engine.stored.values()) == [b"a"]


def test_an_engine_without_room_is_waited_for_however_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullEngine(FakeEngine):
        refusals = 0

        def insert(self, table: str, payload: bytes, token: str) -> None:
            if self.refusals < 30:
                self.refusals += 1
                raise EngineOutOfRoom("Code: 243. not enough space")
            super().insert(table, payload, token)

    monkeypatch.setattr("onejob.ingest.flusher._MAX_PAUSE_S", 0.001)
    engine = FullEngine()
    with a_spool(tmp_path) as spool, flushing(spool, engine):
        spool.append(b"a", 1).result(10)
        wait_until(lambda: spool.requests == 0, "storing")
        assert spool.dead.letters == 0
    assert list(engine.stored.values()) == [b"a"]


def test_a_poisoned_request_becomes_a_dead_letter_and_the_rest_is_stored(tmp_path: Path) -> None:
    engine = FakeEngine()
    payloads = [b"<%d>" % number for number in range(20)]  # which are no protobuf, so that nobody writes them anew
    with a_spool(tmp_path) as spool:
        for number, payload in enumerate(payloads):
            spool.append(b"poison" if number == 7 else payload, 1).result()
        with flushing(spool, engine) as flusher:
            wait_until(lambda: spool.requests == 0, "flushing")
        assert flusher.stored["traces"] == 19
        (letter,) = spool.dead_letters()
        assert (letter.error, letter.items, letter.size_bytes) == ("Code: 1. poisoned", 1, len(b"poison"))
    assert b"".join(engine.stored.values()) == b"".join(payloads[:7] + payloads[8:])


def test_a_full_spool_refuses_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    limits = SpoolLimits(max_bytes=10, min_free_disk_bytes=0, retry_digest_s=900)
    with a_spool(tmp_path, limits) as spool:
        spool.append(b"12345678", 1).result()
        with pytest.raises(TryLater, match="spool is full"):
            spool.append(b"abc", 1)
        with flushing(spool, FakeEngine()):
            wait_until(lambda: spool.requests == 0, "flushing")
        assert spool.append(b"abc", 1).result() is True


def test_a_nearly_full_disk_is_refused_before_it_is_full(tmp_path: Path) -> None:
    limits = SpoolLimits(max_bytes=2**30, min_free_disk_bytes=2**60, retry_digest_s=900)
    with a_spool(tmp_path, limits) as spool, pytest.raises(TryLater, match="is full, but for its reserve") as refusal:
        spool.append(b"abc", 1)
    assert not refusal.value.is_overload


def test_a_disk_that_fills_up_refuses_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged = []
    with a_spool(tmp_path) as spool:
        spool._writer.execute("PRAGMA max_page_count = 40")  # SQLite's own ENOSPC
        for number in range(100):
            payload = b"%03d" % number + bytes(20_000)
            try:
                spool.append(payload, 1).result()
            except TryLater as refusal:
                problem = str(refusal)
                assert spool.trouble() == problem, "until something is written again"
                break
            acknowledged.append(payload)
        else:
            pytest.fail("the disk never filled up")
    engine = FakeEngine()
    with a_spool(tmp_path) as spool, flushing(spool, engine):
        wait_until(lambda: spool.requests == 0, "flushing")
    assert b"".join(engine.stored.values()) == b"".join(acknowledged)
    assert len(acknowledged) > 5
    assert "cannot be written" in problem


def some_payloads(count: int = 50, size: int = 20_000) -> list[bytes]:
    return [b"%03d" % number + bytes([number]) * size for number in range(count)]


def cut_off(path: Path, payloads: list[bytes]) -> None:
    """A spool as kill -9 leaves it behind: these are acknowledged, the log is not in the file yet."""
    (path / "alive").mkdir()
    with a_spool(path / "alive") as spool:
        for payload in payloads:
            spool.append(payload, 1).result()
        for suffix in ("", "-wal"):
            shutil.copy(path / f"alive/spool.db{suffix}", path / f"spool.db{suffix}")


def in_the_file(path: Path) -> Path:
    """All that was in the log as well."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def place_of(payload: bytes, file: Path) -> int:
    """Somewhere within it, where it was written last."""
    return file.read_bytes().rindex(payload[:1000]) + 500


def overwrite(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def stored_of(path: Path, payloads: list[bytes]) -> set[bytes]:
    """What of these is stored, each once and whole, when a server starts with that spool and gets all once more."""
    engine = FakeEngine()
    with a_spool(path) as spool:
        again = {payload for payload in payloads if spool.append(payload, 1).result()}
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "flushing")
        assert spool.dead.letters == 0
    stored = b"".join(engine.stored.values())
    assert [stored.count(payload) for payload in payloads] == [1] * len(payloads), "each once, if it is sent again"
    return set(payloads) - again


@pytest.mark.parametrize("is_log", [True, False], ids=["in the log", "in the file"])
@pytest.mark.parametrize("damage", ["a bit", "a page"])
def test_damage_costs_the_requests_it_hit_and_these_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_log: bool, damage: str
) -> None:
    payloads = some_payloads()
    cut_off(tmp_path, payloads)
    file = tmp_path / "spool.db-wal" if is_log else in_the_file(tmp_path / "spool.db")
    overwrite(file, place_of(payloads[20], file), b"\x00" if damage == "a bit" else b"\xff" * 16384)

    kept = stored_of(tmp_path, payloads)

    lost = len(payloads) - len(kept)
    assert 1 <= lost <= (1 if damage == "a bit" else 4)
    assert payloads[20] not in kept
    told = f"{len(kept)} requests could be read and {lost} request{'' if lost == 1 else 's'} could not"
    assert [told in message for message in caplog.messages] == [True]
    assert list(tmp_path.glob("spool-damaged-*.db"))


def test_whatever_frame_of_the_log_is_damaged_what_was_stored_is_not_stored_again(tmp_path: Path) -> None:
    """Of two batches, one was done with, and the other was with the engine when the server was killed."""
    engine, payloads, whole = FakeEngine(), some_payloads(12), tmp_path / "whole"
    with a_spool(tmp_path) as spool:
        for payload in payloads:
            spool.append(payload, 1, kind="logs").result()
        for is_done in (True, False):
            batch = spool.claim(kind="logs", max_items=4, max_bytes=2**30)
            assert batch is not None
            engine.insert("otel_logs", b"".join(request.payload for request in batch.requests), batch.token)
            if is_done:
                spool.finish(batch, {})
        shutil.copytree(tmp_path, whole)
    frames = ((whole / "spool.db-wal").stat().st_size - 32) // 16408

    for frame in range(frames):
        folder, again = tmp_path / str(frame), FakeEngine()
        shutil.copytree(whole, folder)
        overwrite(folder / "spool.db-wal", 32 + frame * 16408, b"\xff" * 24)
        again.stored = dict(engine.stored)
        with a_spool(folder) as spool, flushing(spool, again):
            wait_until(lambda spool=spool: spool.requests == 0, "flushing")  # type: ignore[misc]
        stored = b"".join(again.stored.values())
        assert max(stored.count(payload) for payload in payloads) == 1, f"damage in frame {frame} stored some twice"
        shutil.rmtree(folder)


def test_numbers_are_not_given_out_again_after_the_spool_was_deleted(tmp_path: Path) -> None:
    engine, payloads = FakeEngine(), some_payloads(3)
    with a_spool(tmp_path) as spool, flushing(spool, engine):
        spool.append(payloads[0], 1).result()
        wait_until(lambda: spool.requests == 0, "flushing")
    for file in tmp_path.glob("spool.db*"):
        file.unlink()
    with a_spool(tmp_path) as spool:
        spool.append(payloads[1], 1).result()
    with a_spool(tmp_path) as spool, flushing(spool, engine):
        wait_until(lambda: spool.requests == 0, "flushing")
    assert payloads[1] in b"".join(engine.stored.values())


def test_what_is_half_written_at_the_end_of_the_log_is_no_damage(tmp_path: Path) -> None:
    payloads = some_payloads()
    cut_off(tmp_path, payloads)
    log = tmp_path / "spool.db-wal"
    overwrite(log, place_of(payloads[-1], log), b"never written")

    assert stored_of(tmp_path, payloads) == set(payloads[:-1])
    assert not list(tmp_path.glob("spool-damaged-*.db"))


def test_wherever_a_page_is_damaged_nothing_is_stored_twice_or_changed(tmp_path: Path) -> None:
    payloads = some_payloads(6)
    cut_off(tmp_path, payloads)
    pages = in_the_file(tmp_path / "spool.db").stat().st_size // 16384
    least = len(payloads)
    for page in range(1, pages):
        folder = tmp_path / str(page)
        folder.mkdir()
        shutil.copy(tmp_path / "spool.db", folder)
        overwrite(folder / "spool.db", page * 16384, random.Random(page).randbytes(16384))
        least = min(least, len(stored_of(folder, payloads)))
    assert least < len(payloads)


def test_a_start_that_was_cut_off_while_it_rescued_loses_nothing(tmp_path: Path) -> None:
    payloads = some_payloads(5)
    cut_off(tmp_path, payloads)
    (tmp_path / "spool-rescued.db").write_bytes(b"half of it")
    assert stored_of(tmp_path, payloads) == set(payloads)
    (tmp_path / "spool.db").rename(tmp_path / "spool-rescued.db")  # all of it, and not in its place yet
    with a_spool(tmp_path) as spool:
        assert spool.append(payloads[0], 1).result() is False


def test_a_batch_begun_before_the_damage_keeps_its_token_and_no_other_gets_it(tmp_path: Path) -> None:
    payloads, tokens = some_payloads(6), []
    for _ in range(2):
        with a_spool(tmp_path) as spool:
            for payload in payloads:
                spool.append(payload, 1).result()
            begun = spool.claim(max_items=3, max_bytes=2**20)
            assert begun is not None
            tokens.append(begun.token)
        overwrite(tmp_path / "spool.db", place_of(payloads[1], tmp_path / "spool.db"), b"\x00")
        with a_spool(tmp_path) as spool:
            (again,) = spool.unfinished_batches()
            assert (again.token, [request.payload for request in again.requests]) == (
                begun.token,
                [payloads[0], payloads[2]],
            )
            spool.append(payloads[1], 1).result()
            assert spool.claim(max_items=1, max_bytes=2**20) is not None
        (tmp_path / "spool.db").unlink()
    assert len(set(tokens)) == 2


def test_no_jump_of_the_clock_makes_it_forget_what_it_has_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for jump_s in (0, 7200, -7200):
        clock = SimpleNamespace(time=lambda jump_s=jump_s: time.time() + jump_s, monotonic=time.monotonic)
        monkeypatch.setattr("onejob.ingest.spool.time", clock)
        with a_spool(tmp_path) as spool:
            assert spool.append(b"one", 1).result() is (jump_s == 0)
            monkeypatch.setattr("onejob.ingest.spool.time", SimpleNamespace(time=time.time, monotonic=time.monotonic))
            assert spool.append(b"one", 1).result() is False


def test_a_file_that_is_no_spool_at_all_does_not_stop_the_server(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"garbage" * 10_000)
    with a_spool(tmp_path) as spool:
        assert spool.append(b"new", 1).result() is True
    assert sqlite3.connect(tmp_path / "spool.db").execute("SELECT count(*) FROM requests").fetchone() == (1,)


def test_overload_is_told_with_when_to_come_back(tmp_path: Path, engine: Engine) -> None:
    intake = Intake(some_settings(tmp_path, spool_max_bytes=1), engine)
    intake.start()
    try:
        url = f"http://127.0.0.1:{intake.http_port}/v1/traces"
        answer = httpx.post(url, content=a_payload(a_span(), service=a_service()), headers=PROTOBUF)
    finally:
        intake.stop()
    retry = RetryInfo()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "10")
    assert Status.FromString(answer.content).details[0].Unpack(retry)
    assert intake.stats().refused == {"TryLater": 1}


def test_a_full_disk_is_503_and_the_status_and_the_log_say_what_to_do(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000))
        full.setattr("onejob.ingest.refusals._DISK_LOOK_EVERY_S", 0)
        intake = Intake(some_settings(tmp_path, min_free_disk_bytes=20_000_000), engine)
        intake.start()
        url = f"http://127.0.0.1:{intake.http_port}/v1/traces"
        answers = [httpx.post(url, content=a_payload(a_span()), headers=PROTOBUF) for _ in range(3)]
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "30")}
        told = f"The disk of {tmp_path / 'spool'} is full, but for its reserve"
        assert told in intake.stats().trouble
        assert intake.stats().trouble.endswith("free at least 17 MB.")
        assert [told in message for message in caplog.messages] == [True], "once, not for each request"

        full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=30_000_000))
        assert intake.stats().trouble == "", "without anybody having sent anything"
        assert httpx.post(url, content=a_payload(a_span()), headers=PROTOBUF).status_code == 200
        intake.stop()


@pytest.mark.parametrize("field", ["otlp_grpc_port", "otlp_http_port"])
def test_a_port_in_use_says_which_setting_to_change(tmp_path: Path, engine: Engine, intake: Intake, field: str) -> None:
    taken = intake.grpc_port if field == "otlp_grpc_port" else intake.http_port
    with pytest.raises(PortInUse, match=f"{taken}.*ONEJOB_{field.upper()}"):
        Intake(some_settings(tmp_path, **{field: taken}), engine)


def test_start_and_stop_may_be_called_twice(tmp_path: Path, engine: Engine) -> None:
    intake = Intake(some_settings(tmp_path), engine)
    intake.start()
    intake.start()
    intake.stop()
    intake.stop()
    assert intake.stats().spooled_requests == 0


def test_spans_do_not_wait_for_a_clock_that_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    with a_spool(tmp_path) as spool:
        spool.append(b"before", 1).result()
        set_back = SimpleNamespace(time=lambda: time.time() - 3600, monotonic=time.monotonic)
        monkeypatch.setattr("onejob.ingest.flusher.time", set_back)
        with flushing(spool, engine):
            wait_until(lambda: spool.requests == 0, "storing")
    assert list(engine.stored.values()) == [b"before"]
