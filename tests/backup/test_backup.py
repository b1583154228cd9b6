"""A server is backed up while it serves, and restored: everything is there, and nothing is overwritten."""

import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from onejob import __version__
from onejob.backup.archive import MANIFEST, SEAL, written
from onejob.backup.errors import BackupError, BadBackup, TargetInUse
from onejob.backup.restore import restore
from onejob.backup.snapshot import snapshot, sweep
from onejob.config import Settings
from onejob.model.telemetry import POINTS
from onejob.store.engine import Engine, open_engine
from onejob.store.hash_key import hash_key
from otlp_builders import a_log_request, a_metric_request, a_payload, a_record, a_span
from servers import RunningServer, running_server
from waiting import wait_until

PROTOBUF = {"content-type": "application/x-protobuf"}
TABLES = (
    "otel_traces", "otel_logs", *(f"otel_metrics_{kind}" for kind in POINTS), "operation_rollup", "clock_skew",
    "onejob_migrations",
)  # fmt: skip
SERVICES = ("before", "after")


def contents(engine: Engine) -> dict[str, Any]:
    """All rows of all tables, whatever their order; the rollup is merged as it is read."""
    rows = {}
    for table in TABLES:
        final = " FINAL" if table in ("operation_rollup", "clock_skew") else ""
        found = engine.query(f"SELECT * FROM {table}{final}").to_pylist()  # noqa: S608
        rows[table] = sorted(json.dumps(row, default=str, sort_keys=True) for row in found)
    return rows


def rows_of(database: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(database)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}  # noqa: S608


@dataclass(frozen=True)
class Made:
    """A backup over the API, the server it is of, and what its tables had when it was made."""

    server: RunningServer
    backup: bytes
    before: dict[str, Any]


class HeldStill:
    """Somebody else has paused the intake."""

    @contextmanager
    def paused(self, timeout_s: float) -> Iterator[bool]:
        yield True


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("server") / "data"
    with running_server(folder, flush_interval_s=0.1, tick_s=3600) as server:
        hash_key(folder)
        engine, intake = server.services.engine, server.services.intake
        assert engine is not None
        assert intake is not None
        for service in SERVICES:
            for kind, body in (
                ("traces", a_payload(a_span(), a_span(start_ns=1), service=service, resource={"service.version": "7"})),
                ("logs", a_log_request(a_record(), service=service).SerializeToString()),
                ("metrics", a_metric_request(service).SerializeToString()),
            ):
                url = f"http://127.0.0.1:{intake.http_port}/v1/{kind}"
                assert httpx.post(url, content=body, headers=PROTOBUF).status_code == 200
            assert intake.settle(60)
        httpx.post(f"{server.url}/api/v1/deployments", json={"service": "s", "version": "2"}).raise_for_status()
        answer = httpx.post(f"{server.url}/api/v1/backup", timeout=120)
        assert answer.status_code == 200, answer.text
        yield Made(server, answer.content, contents(engine))


def test_everything_is_there_again_and_serves(made: Made, tmp_path: Path) -> None:
    source = made.server.services.settings.data_dir
    target = tmp_path / "restored"

    manifest = restore(io.BytesIO(made.backup), target)

    assert manifest.facts["onejob"] == __version__
    assert rows_of(target / "state.db")["deployments"] == rows_of(source / "state.db")["deployments"]
    assert (target / "hash-key").read_bytes() == (source / "hash-key").read_bytes()
    assert {path.name for path in target.iterdir()} >= {"engine", "spool", "state.db", "hash-key"}
    assert not [path for path in source.iterdir() if path.name.startswith("backup_")]
    with running_server(target, flush_interval_s=0.1, tick_s=3600) as server:
        assert server.services.intake is not None
        assert server.services.engine is not None
        assert server.services.intake.settle(60)  # the spool's rest
        assert contents(server.services.engine) == made.before
        assert httpx.get(f"{server.url}/api/v1/deployments").json()["items"][0]["service"] == "s"


def test_what_waits_in_the_spool_is_in_it_and_not_in_the_tables(made: Made, tmp_path: Path) -> None:
    services = made.server.services
    intake: Any = services.intake
    with intake.paused(60):
        url = f"http://127.0.0.1:{intake.http_port}/v1/traces"
        assert httpx.post(url, content=a_payload(a_span(), service="waiting"), headers=PROTOBUF).status_code == 200
        wait_until(lambda: intake.stats().spooled_requests == 1, "spooling")
        with snapshot(services.settings, services.engine, HeldStill(), services.clock()) as held:
            backup = b"".join(written(held.files, held.facts))

    restore(io.BytesIO(backup), tmp_path / "restored")

    ((payload,),) = [row[-1:] for row in rows_of(tmp_path / "restored" / "spool" / "spool.db")["requests"]]
    assert b"waiting" in payload
    engine = open_engine(Settings(data_dir=tmp_path / "restored"))
    assert engine.query("SELECT count() AS n FROM otel_traces WHERE ServiceName = 'waiting'").to_pylist() == [{"n": 0}]
    engine.close()


def test_a_folder_with_something_in_it_is_left_alone(made: Made, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(TargetInUse, match="is not empty"):
        restore(io.BytesIO(made.backup), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def changed(backup: bytes, name: str, change: Any) -> io.BytesIO:
    """The same backup with one file in it changed."""
    result, manifest = io.BytesIO(), b""
    with tarfile.open(fileobj=io.BytesIO(backup)) as old, tarfile.open(fileobj=result, mode="w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name == name:
                data = change(data)
            if name == MANIFEST and change is of_another_release and member.name == SEAL:
                data = f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()
            manifest = data
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    result.seek(0)
    return result


def of_another_release(manifest: bytes) -> bytes:
    return json.dumps(json.loads(manifest) | {"onejob": "9.9.9"}).encode()


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("manifest.json", of_another_release, "made by onejob 9.9.9, this is"),
        ("manifest.json", lambda data: data.replace(b"otel_traces", b"otel_tracez", 1), "manifest.json is not as it"),
        ("manifest.json.sha256", lambda data: b"", "manifest.json is not as it was"),
        ("state.db", flipped, "state.db is not as it was backed up"),
        ("hash-key", lambda data: data[:-1], "hash-key is not as it was"),
    ],
)
def test_what_is_damaged_or_of_another_release_is_refused(
    made: Made, tmp_path: Path, name: str, change: Any, said: str
) -> None:
    with pytest.raises(BadBackup, match=said):
        restore(changed(made.backup, name, change), tmp_path / "restored")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_what_is_cut_off_is_refused(made: Made, tmp_path: Path, share: float) -> None:
    with pytest.raises(BadBackup, match=r"no whole backup|cut off"):
        restore(io.BytesIO(made.backup[: int(len(made.backup) * share)]), tmp_path / "restored")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_would_lie_elsewhere_is_refused(tmp_path: Path) -> None:
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as archive:
        member = tarfile.TarInfo("../../evil")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    evil.seek(0)
    with pytest.raises(BadBackup, match="lies outside"):
        restore(evil, tmp_path / "restored")
    assert list(tmp_path.iterdir()) == []


def test_a_restored_store_has_the_settings_of_its_own(made: Made, tmp_path: Path) -> None:
    """It is a data directory like any other: another bin width is refused as ever."""
    restore(io.BytesIO(made.backup), tmp_path / "restored")
    with pytest.raises(Exception, match="in bins of 10 s"):
        open_engine(Settings(data_dir=tmp_path / "restored", bin_width_s=5))


def leftovers(data_dir: Path) -> list[Path]:
    shadows = data_dir / "engine" / "chdb" / "shadow"
    return [*data_dir.glob("backup_*"), *shadows.glob("backup_*")]


def test_one_backup_is_made_at_a_time_and_a_client_that_goes_away_ends_its_own(made: Made) -> None:
    url, data_dir = f"{made.server.url}/api/v1/backup", made.server.services.settings.data_dir
    services = made.server.services
    with snapshot(services.settings, services.engine, HeldStill(), services.clock()):
        assert leftovers(data_dir)
        refused = httpx.post(url, timeout=60)
        assert (refused.status_code, "being made already" in refused.json()["detail"]) == (409, True)
        with pytest.raises(BackupError), snapshot(services.settings, services.engine, HeldStill(), services.clock()):
            pass
    with httpx.stream("POST", url, timeout=60) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_bytes())
    wait_until(lambda: httpx.post(url, timeout=60).status_code == 200, "letting go")
    wait_until(lambda: leftovers(data_dir) == [], "sweeping")


def test_what_a_killed_server_has_left_of_a_backup_is_deleted(tmp_path: Path) -> None:
    for folder in ("backup_1", "engine/chdb/shadow/backup_1/store"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "state.db").touch()
    sweep(Settings(data_dir=tmp_path))
    assert leftovers(tmp_path) == []
    assert (tmp_path / "state.db").exists()
