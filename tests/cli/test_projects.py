"""`onejob project` on a running server: where telemetry lands, how long it stays, and what is left of a project."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import httpx
import pytest

from ingest.conftest import EXPORT
from onejob.config import Settings
from onejob.model.project import Project
from onejob.model.telemetry import POINTS
from onejob.state.codec import iso
from onejob.state.database import Database
from onejob.state.projects import Projects
from onejob.store.databases import make_database
from onejob.store.engine import Engine, open_engine
from onejob.store.hash_key import hash_key
from otlp_builders import a_log_request, a_metric_request, a_moment, a_payload, a_record, a_request, a_span
from servers import RunningServer, running_server
from waiting import wait_until

from .conftest import Run

PROTOBUF = {"content-type": "application/x-protobuf"}
QUICK = {"flush_interval_s": 0.1, "tick_s": 1, "watermark_s": 1}
LONG = {f"{what}_retention_days": 90 for what in ("traces", "logs", "metrics", "rollup", "customer")}
KEPT_FOR: dict[str, tuple[int, dict[str, str]]] = {  # days in `shop`; the tables, each with the time it goes by
    "--traces": (3, {"otel_traces": "Timestamp"}),
    "--logs": (20, {"otel_logs": "Timestamp"}),
    "--metrics": (60, {f"otel_metrics_{kind}": "TimeUnix" for kind in POINTS}),
    "--rollup": (60, {"operation_rollup": "Bin", "error_counts": "Bin"}),
    "--customers": (20, {"customer_rollup": "Bin"}),
}
TABLES = {table: column for _, tables in KEPT_FOR.values() for table, column in tables.items()}
AGES = [0, 10, 40, 80]  # in days; counts go by the month, so what stays and what goes are of different ones


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With the projects shop and bank."""
    with running_server(tmp_path_factory.mktemp("server"), **QUICK, **LONG) as server:
        for name in ("shop", "bank"):
            httpx.post(f"{server.url}/api/v1/projects", json={"name": name}, timeout=120).raise_for_status()
        yield server


def engine_of(server: RunningServer, project: str) -> Engine:
    engine = server.services.with_projects()[project].engine
    assert engine is not None
    return engine


def spans_in(server: RunningServer) -> dict[str, int]:
    """By project."""
    return {
        name: engine_of(server, name).query("SELECT count() AS n FROM otel_traces").to_pylist()[0]["n"]
        for name in server.services.with_projects()
    }


def retention(server: RunningServer, project: str, table: str) -> str:
    sql = f"SELECT create_table_query AS q FROM system.tables WHERE database = currentDatabase() AND name = '{table}'"  # noqa: S608
    (row,) = engine_of(server, project).query(sql).to_pylist()
    return str(row["q"].partition("toIntervalDay(")[2].partition(")")[0])


def an_ingest_token(onejob: Run, server: RunningServer, project: str) -> str:
    made = onejob("token", "create", project, "--ingest", "--project", project, url=server.url)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_telemetry_lands_in_the_project_of_its_token_and_in_no_other(onejob: Run, server: RunningServer) -> None:
    http, rpc = server.services.otlp_ports[1], server.services.otlp_ports[0]
    traces = f"http://127.0.0.1:{http}/v1/traces"
    before = spans_in(server)
    token = an_ingest_token(onejob, server, "shop")
    bearer = {"authorization": f"Bearer {token}"}
    httpx.post(traces, content=a_payload(a_span(), a_span()), headers=PROTOBUF | bearer).raise_for_status()
    other = {"authorization": f"Bearer {an_ingest_token(onejob, server, 'bank')}"}
    with grpc.insecure_channel(f"127.0.0.1:{rpc}") as channel:
        channel.unary_unary(EXPORT)(a_payload(a_span()), metadata=tuple(other.items()), timeout=30)
    httpx.post(traces, content=a_payload(*[a_span()] * 4), headers=PROTOBUF).raise_for_status()
    for its in server.services.with_projects().values():
        assert its.intake is not None
        assert its.intake.settle(60)
    stored = {name: now - before[name] for name, now in spans_in(server).items()}
    assert stored == {"default": 4, "shop": 2, "bank": 1}
    assert httpx.post(traces, content=b"", headers=PROTOBUF | {"authorization": f"{token}x"}).status_code == 401


def test_the_command_line_works_at_a_projects_address(onejob: Run, server: RunningServer) -> None:
    url = f"{server.url}/p/shop"
    started = onejob("deployment", "start", "till", "2", url=url)
    assert started.returncode == 0, started.stderr
    assert "till" in onejob("deployment", "list", url=url).stdout
    assert "till" not in onejob("deployment", "list", url=server.url).stdout
    assert onejob("deployment", "list", url=f"{server.url}/p/nowhere").returncode == 4
    page = httpx.get(f"{url}/deployments").text
    assert "till" in page
    assert 'href="/p/shop/errors"' in page


def test_each_project_keeps_what_it_has_for_its_own_time(onejob: Run, server: RunningServer) -> None:
    usual = {name: retention(server, name, "otel_traces") for name in ("default", "bank")}
    changed = onejob("project", "set", "shop", "--traces", "3", "--logs", "5", url=server.url)
    assert changed.returncode == 0, changed.stderr
    assert "traces_retention_days 3" in changed.stdout
    assert [retention(server, "shop", table) for table in ("otel_traces", "otel_logs")] == ["3", "5"]
    usually = ("--traces", "server", "--logs", "server")
    assert onejob("project", "set", "shop", *usually, url=server.url).returncode == 0
    assert retention(server, "shop", "otel_traces") == usual["bank"] == usual["default"]
    assert onejob("project", "set", "shop", "--traces", "x", url=server.url).returncode == 2
    assert onejob("project", "set", "shop", url=server.url).returncode == 2


def send_aged(server: RunningServer, project: str, token: str) -> None:
    """Of each signal something of each age."""
    bearer = {"authorization": f"Bearer {token}"}
    its = server.services.with_projects()[project]
    assert its.intake is not None
    for days in AGES:
        at = a_moment(days * 86_400 + 60)
        sent = {
            "traces": a_request(a_span(start_ns=at, tenant__id="acme")),
            "logs": a_log_request(a_record(time_ns=at)),
            "metrics": a_metric_request(time_ns=at),
        }
        for kind, request in sent.items():
            url = f"http://127.0.0.1:{server.services.otlp_ports[1]}/v1/{kind}"
            httpx.post(url, content=request.SerializeToString(), headers=PROTOBUF | bearer).raise_for_status()
        counted = "INSERT INTO error_counts (ErrorId, Bin, Version, Count) SELECT 'e', {at:Int64}, '1', 1"
        engine_of(server, project).execute(counted, {"at": at // 10**9})
    assert its.intake.settle(60)


def ages(server: RunningServer, project: str) -> dict[str, list[int]]:
    """What there is in each table, in days."""
    engine = engine_of(server, project)
    undone = "SELECT count() AS n FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
    wait_until(lambda: engine.query(undone).to_pylist() == [{"n": 0}], "noting when rows expire")
    found: dict[str, list[int]] = {}
    for table, column in TABLES.items():
        engine.execute(f"OPTIMIZE TABLE {table} FINAL")
        sql = f"SELECT DISTINCT toUInt32(dateDiff('s', {column}, now()) / 86400) AS days FROM {table} ORDER BY days"  # noqa: S608
        found[table] = [row["days"] for row in engine.query(sql).to_pylist()]
    return found


def test_what_is_older_than_its_project_keeps_of_that_signal_goes_and_nothing_else(
    onejob: Run, server: RunningServer
) -> None:
    for project in ("shop", "bank"):
        send_aged(server, project, an_ingest_token(onejob, server, project))
    limits = [word for option, (days, _) in KEPT_FOR.items() for word in (option, str(days))]
    changed = onejob("project", "set", "shop", *limits, url=server.url)
    assert changed.returncode == 0, changed.stderr
    kept = {table: [age for age in AGES if age < days] for days, tables in KEPT_FOR.values() for table in tables}
    assert ages(server, "shop") == kept
    assert ages(server, "bank") == dict.fromkeys(kept, AGES)


def test_admins_are_told_about_all_projects(onejob: Run, server: RunningServer) -> None:
    assert onejob("user", "add", "bo", url=server.url).returncode == 0
    assert onejob("project", "member", "bank", "bo", "operator", url=server.url).returncode == 0
    listed = onejob("project", "list", url=server.url).stdout.splitlines()
    assert listed[0].split("\t") == ["bank", "runs", "", "bo (operator)"]
    assert onejob("project", "member", "bank", "bo", "none", url=server.url).stdout.rstrip() == "bank\truns"
    assert "project shop" in onejob("status", url=server.url).stdout
    assert "project shop" in onejob("doctor", url=server.url).stdout
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'onejob_spool_bytes{project="shop"}' in metrics
    assert 'project="default"' not in httpx.get(f"{server.url}/p/shop/metrics").text
    httpx.post(f"{server.url}/p/bank/api/v1/kpis", json={"name": "till", "metric": "till"})
    verified = onejob("audit", "verify", url=server.url)
    assert verified.returncode == 0, verified.stderr
    assert [line.partition("\t")[2] for line in verified.stdout.splitlines()] == ["", "bank", "shop"]
    with server.services.projects.running()["bank"].database.write() as connection:  # type: ignore[union-attr]
        connection.exec_driver_sql("INSERT INTO audit SELECT 1, 0, 'x', 'x', 'x', 'x', 'x', 'x', 'x'")
    tampered = onejob("audit", "verify", url=server.url)
    assert (tampered.returncode, "of bank was tampered with" in tampered.stderr) == (1, True)


def made_by_another_server(server: RunningServer, name: str) -> Path:
    """The project's folder here."""
    Projects(server.services.database).add(Project(name=name, created_at=datetime.now(UTC)))
    projects = server.services.projects
    assert projects is not None
    wait_until(lambda: name in projects.running(), "the project")
    data_dir = projects.running()[name].settings.data_dir
    assert (data_dir / "state.db").exists()
    assert hash_key(data_dir) == hash_key(server.services.settings.data_dir), "by it customers are forgotten"
    return data_dir


def test_what_is_removed_is_gone_and_what_takes_its_name_is_empty(onejob: Run, server: RunningServer) -> None:
    folder = made_by_another_server(server, "brief")
    token = an_ingest_token(onejob, server, "brief")
    traces = f"http://127.0.0.1:{server.services.otlp_ports[1]}/v1/traces"
    sent = PROTOBUF | {"authorization": f"Bearer {token}"}
    httpx.post(traces, content=a_payload(a_span()), headers=sent).raise_for_status()
    onejob("deployment", "start", "till", "2", url=f"{server.url}/p/brief")

    assert onejob("project", "remove", "brief", url=server.url).returncode == 2, "it was not said to be meant"
    removed = onejob("project", "remove", "brief", "--yes", "--json", url=server.url)
    assert removed.returncode == 0, removed.stderr
    assert json.loads(removed.stdout)["trouble"] == ""
    assert not folder.exists()
    databases = engine_of(server, "default").query("SELECT name FROM system.databases").to_pylist()
    assert "brief" not in str(databases)
    assert httpx.post(traces, content=a_payload(a_span()), headers=sent).status_code == 401
    assert httpx.get(f"{server.url}/p/brief/api/v1/deployments").status_code == 404

    assert onejob("project", "create", "brief", "--traces", "2", url=server.url).returncode == 0
    assert spans_in(server)["brief"] == 0
    assert httpx.get(f"{server.url}/p/brief/api/v1/deployments").json()["items"] == []
    assert retention(server, "brief", "otel_traces") == "2"

    Projects(server.services.database).remove("brief", datetime.now(UTC))  # by another server
    wait_until(lambda: "brief" not in {one.name for one in Projects(server.services.database).all()}, "its end")
    assert not folder.exists()
    assert httpx.get(f"{server.url}/p/brief/").status_code == 404


def removed_elsewhere(database: Database, name: str) -> None:
    """At once, as a server finds it that did not look meanwhile."""
    Projects(database).remove(name, datetime.now(UTC))
    Projects(database).forget(name)


def test_a_server_that_did_not_see_a_project_removed_deletes_what_it_has_of_it(server: RunningServer) -> None:
    folder = made_by_another_server(server, "missed")
    removed_elsewhere(server.services.database, "missed")
    wait_until(lambda: not folder.exists(), "the end of its folder")
    assert "missed" not in str(engine_of(server, "default").query("SELECT name FROM system.databases").to_pylist())


def test_a_server_that_did_not_run_deletes_at_its_start_what_was_removed_and_nothing_that_only_looks_like_it(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'state.db'}")
    database.migrate()
    projects, made = Projects(database), datetime.now(UTC)
    for name in ("gone", "again", "kept"):
        projects.add(Project(name=name, created_at=made))
        removed_elsewhere(database, name)
    projects.add(Project(name="again", created_at=made + timedelta(days=1)))
    database.close()
    folders = {name: tmp_path / "projects" / name for name in ("gone", "again", "kept", "unknown")}
    for folder in folders.values():
        (folder / "spool").mkdir(parents=True)
        (folder / "spool" / "spool.db-old").touch()
        (folder / "made").write_text(iso(made))
    (folders["kept"] / "made").write_text(iso(made - timedelta(days=1)))
    engine = open_engine(Settings(data_dir=tmp_path))
    for name in folders:
        opened = make_database(engine, name)
        opened.execute("CREATE TABLE old (x UInt8) ENGINE = MergeTree ORDER BY x")
        opened.close()
    engine.close()

    with running_server(tmp_path, **QUICK) as server:
        sql = "SELECT database FROM system.tables WHERE name = 'old' ORDER BY database"
        left = [row["database"] for row in engine_of(server, "default").query(sql).to_pylist()]
        assert left == ["onejob_kept", "onejob_unknown"]
        files = {name for name, folder in folders.items() if (folder / "spool" / "spool.db-old").exists()}
        assert files == {"kept", "unknown"}
        assert "again" in server.services.with_projects()


def test_a_project_that_cannot_be_begun_keeps_no_other_from_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'state.db'}")
    database.migrate()
    for name in ("broken", "whole"):
        Projects(database).add(Project(name=name, created_at=datetime.now(UTC)))
    database.close()
    broken = tmp_path / "projects" / "broken" / "state.db"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\x00\xffgarbage" * 1000)
    with running_server(tmp_path, **QUICK) as server:
        assert httpx.get(f"{server.url}/p/whole/api/v1/deployments").status_code == 200
        answer = httpx.get(f"{server.url}/p/broken/api/v1/deployments")
        assert (answer.status_code, "no SQLite database" in answer.json()["detail"]) == (503, True)
        told = httpx.get(f"{server.url}/api/v1/doctor", timeout=60).json()["findings"]
        assert [one["health"] for one in told if one["check"] == "project broken"] == ["problem"]
