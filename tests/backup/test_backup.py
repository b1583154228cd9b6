"""A server is backed up while it serves, and restored: everything is there, and nothing is overwritten."""

import hashlib
import io
import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from backup.conftest import PROTOBUF
from backup.installations import HeldStill, Made, as_file, opened, rows_of
from onejob.backup.archive import MANIFEST, SEAL, check, written
from onejob.backup.errors import BackupError, BadBackup, TargetInUse
from onejob.backup.facts import FactsBack
from onejob.backup.pieces import packed
from onejob.backup.restore import restore
from onejob.backup.snapshot import Place, snapshot
from onejob.config import Settings
from onejob.ingest.service import Intake
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.errors import TargetTakenError
from onejob.web.services import Services
from otlp_builders import a_payload, a_span
from state.builders import NOW
from state_postgres import Postgres
from waiting import wait_until


def places_of(services: Services) -> list[Place]:
    found = services.with_projects().items()
    return [Place(name, its.settings, its.database, its.engine, HeldStill()) for name, its in found]


def test_what_waits_in_the_spool_is_in_it_and_not_in_the_tables(made: Made, tmp_path: Path) -> None:
    """A batch is in one of the two; a dead letter says what nobody knows of it any more; and what comes, or is merged,
    while a backup is read is not in it.
    """
    services = made.server.services
    engine, intake = services.engine, services.intake
    assert engine is not None
    assert isinstance(intake, Intake)
    letter = "INSERT INTO dead_letters (died_at, spans, error, payload) VALUES (1, 1, 'It is wrong.', x'')"
    with intake.paused(60):
        url = f"http://127.0.0.1:{intake.http_port}/v1/traces"
        assert httpx.post(url, content=a_payload(a_span(), service="waiting"), headers=PROTOBUF).status_code == 200
        wait_until(lambda: intake.stats().spooled_requests == 1, "spooling")
        with closing(sqlite3.connect(services.settings.data_dir / "spool" / "spool.db")) as spool:
            spool.execute(letter)
            spool.commit()
            with snapshot(services.settings, places_of(services), services.clock()) as held:
                engine.execute("INSERT INTO error_counts SELECT 'e', now('UTC') - 60, '7', 5")
                engine.execute("OPTIMIZE TABLE error_counts FINAL")
                backup = b"".join(written(held.members, held.told))
            spool.execute("DELETE FROM dead_letters")
            spool.commit()
    target = Settings(data_dir=tmp_path / "restored")

    restore(as_file(backup), target)

    found = rows_of(target.data_dir / "spool" / "spool.db")
    ((*_, payload),) = found["requests"]
    assert b"waiting" in payload
    ((_, _, _, error, *_),) = found["dead_letters"]
    assert error.startswith("Restored from a backup: if the engine had kept a part of it, a replay stores that part")
    assert error.endswith("It is wrong.")
    files = target.data_dir / "hash-key", target.data_dir / "spool" / "spool.db"
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (target.data_dir / "hash-key").read_bytes() == (services.settings.data_dir / "hash-key").read_bytes()
    with opened(target) as installation:
        assert installation.kept == made.kept


def test_a_folder_with_something_in_it_is_left_alone(made: Made, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(TargetInUse, match="is not empty"):
        restore(as_file(made.backup), Settings(data_dir=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_databases_with_something_in_them_are_left_alone(made: Made, postgres: Postgres, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "restored", state_url=SecretStr(postgres.emptied()))
    with pytest.raises(TargetTakenError, match="There are facts already"):
        restore(as_file(made.backup), settings)
    assert [path.name for path in settings.data_dir.iterdir()] == ["onejob.lock"]


def changed(backup: bytes, name: str, change: Any) -> io.BytesIO:
    """The same backup with the first file of that name changed; its manifest, if that is changed, sealed again."""
    result, manifest, is_done = io.BytesIO(), b"", False
    with tarfile.open(fileobj=io.BytesIO(backup)) as old, tarfile.open(fileobj=result, mode="w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            data = content.read()
            if not is_done and member.name.startswith(name):
                data, is_done = change(data), True
            if change in SEALED and member.name == SEAL:
                data = f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()
            manifest = data
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    result.seek(0)
    return result


def of_a_newer_schema(manifest: bytes) -> bytes:
    told = json.loads(manifest)
    told["places"][0]["telemetry"]["schema"] = 9999
    return json.dumps(told | {"onejob": "9.9.9"}).encode()


def of_a_newer_state(manifest: bytes) -> bytes:
    told = json.loads(manifest)
    told["places"][0]["state"]["revision"] = "9999"
    return json.dumps(told | {"onejob": "9.9.9"}).encode()


def of_another_format(manifest: bytes) -> bytes:
    return json.dumps(json.loads(manifest) | {"format": 1}).encode()


def of_another_bin_width(manifest: bytes) -> bytes:
    return json.dumps(json.loads(manifest) | {"bin_width_s": 5}).encode()


def with_a_table_of_its_own(manifest: bytes) -> bytes:
    return manifest.replace(b'"name": "otel_logs"', b'"name": "users"')


SEALED = (of_a_newer_schema, of_a_newer_state, of_another_format, of_another_bin_width, with_a_table_of_its_own)


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("manifest.json", of_a_newer_schema, r"a newer onejob \(9.9.9\)"),
        ("manifest.json", of_a_newer_state, r"a newer onejob \(9.9.9\)"),
        ("manifest.json", of_another_format, "format is 1, this release reads 2"),
        ("manifest.json", of_another_bin_width, "set it to 5"),
        ("manifest.json", with_a_table_of_its_own, "which this release does not know"),
        ("manifest.json", lambda data: data.replace(b"otel_traces", b"otel_tracez", 1), "manifest.json is not as it"),
        ("manifest.json.sha256", lambda data: b"", "manifest.json is not as it was"),
        ("default/state/deployments/", flipped, "deployments/.* is not as it was backed up"),
        ("default/telemetry/otel_traces", flipped, "otel_traces/.* is not as it was backed up"),
        ("default/spool.db", flipped, "spool.db is not as it was backed up"),
        ("hash-key", lambda data: data[:-1], "hash-key is not as it was"),
    ],
)
def test_what_is_damaged_or_does_not_fit_is_refused(
    made: Made, tmp_path: Path, name: str, change: Any, said: str
) -> None:
    with pytest.raises(BackupError, match=said):
        restore(changed(made.backup, name, change), Settings(data_dir=tmp_path / "restored"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_what_is_cut_off_is_refused(made: Made, share: float) -> None:
    with pytest.raises(BadBackup, match=r"no whole backup|cut off"):
        check(io.BytesIO(made.backup[: int(len(made.backup) * share)]))


def test_a_file_that_is_no_part_of_a_backup_is_refused(made: Made, tmp_path: Path) -> None:
    extra = b"".join(written([("../../evil", b"x")], check(as_file(made.backup)).facts))
    with pytest.raises(BadBackup, match="which this release does not know"):
        restore(as_file(extra), Settings(data_dir=tmp_path / "restored"))
    assert list(tmp_path.iterdir()) == []


def test_facts_of_an_earlier_release_become_those_of_this_one(tmp_path: Path) -> None:
    columns = ["id", "service", "environment", "version", "strategy", "source", "status", "notes", "verdict_state"]
    row = ["dep_1", "checkout", "production", "2", "canary", "reported", "in_progress", "[]", "undecided"]
    kinds = [*([name, "plain"] for name in columns), ["started_at", "moment"]]
    told = {"revision": "0001", "tables": [{"name": "deployments", "columns": kinds, "rows": 1}]}
    database = Database(f"sqlite:///{tmp_path / 'state.db'}")
    back = FactsBack(database, told)

    back.begin()
    back.add("deployments", packed(json.dumps([[*row, "2026-03-01T12:00:00.123456Z"]]).encode()))
    back.end()

    (found,) = Deployments(database).open()
    assert (found.service, found.started_at.microsecond) == ("checkout", 123456)
    database.close()


def test_a_project_that_does_not_run_is_not_left_out(made: Made) -> None:
    services = made.server.services
    without = places_of(services)[:1]
    with pytest.raises(BackupError, match="The project shop does not run"), snapshot(services.settings, without, NOW):
        pass


def clones(made: Made) -> list[Any]:
    sql = "SELECT name FROM system.tables WHERE startsWith(name, 'backup_')"
    engine = made.server.services.engine
    assert engine is not None
    data_dir = made.server.services.settings.data_dir
    return [*engine.query(sql).to_pylist(), *data_dir.glob("backup_*")]


def test_one_backup_is_made_at_a_time_and_a_client_that_goes_away_ends_its_own(made: Made) -> None:
    url, services = f"{made.server.url}/api/v1/backup", made.server.services
    with snapshot(services.settings, places_of(services), services.clock()):
        assert clones(made)
        refused = httpx.post(url, timeout=60)
        assert (refused.status_code, "being made already" in refused.json()["detail"]) == (409, True)
    with httpx.stream("POST", url, timeout=60) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_bytes())
    wait_until(lambda: httpx.post(url, timeout=60).status_code == 200, "letting go")
    wait_until(lambda: clones(made) == [], "deleting what was held, after the last byte was sent")
