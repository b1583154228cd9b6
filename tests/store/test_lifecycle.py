"""Starting, stopping, crashing and upgrading a store."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import pytest

from onejob.config import Settings
from onejob.model.evidence import Cell
from onejob.store.chdb import ChdbEngine
from onejob.store.chdb_process import engine_error
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import (
    DataDirLocked,
    EngineOutOfRoom,
    EngineUnavailable,
    QueryFailed,
    SchemaMismatch,
    StoreError,
)
from onejob.store.lock import lock_data_dir
from onejob.store.migrate import made_names, promoted_column
from onejob.store.rollup import read_cells, totals
from onejob.store.sql import statements
from otlp_builders import a_log_request, a_metric_request, a_moment, a_payload, a_record, a_service, a_span


def definition(engine: Engine, table: str) -> str:
    sql = (
        "SELECT create_table_query AS q FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
    )
    return str(engine.query(sql, {"name": table}).to_pylist()[0]["q"])


def cells_of(engine: Engine, service: str) -> list[Cell]:
    scope = {"service": service, "environment": "production", "default_environment": "production"}
    return read_cells(engine, since=946_684_800, until=4_000_000_000, **scope)


def counts_of(engine: Engine) -> tuple[int, int]:
    """Spans in the table, and in the rollup."""
    sql = "SELECT (SELECT count() FROM otel_traces) AS spans, (SELECT sum(Count) FROM operation_rollup) AS counted"
    row = engine.query(sql).to_pylist()[0]
    return row["spans"], row["counted"]


def test_what_is_stored_is_there_after_a_restart(own_settings: Settings) -> None:
    engine = open_engine(own_settings)
    engine.insert_traces(a_payload(a_span(), service=a_service()), "token")
    engine.close()

    engine = open_engine(own_settings)
    engine.insert_traces(a_payload(a_span(), service=a_service()), "token")  # repeated by a client of ours: the spool
    counts = counts_of(engine)
    engine.close()
    engine.close()

    assert counts == (1, 1)


@pytest.mark.parametrize("table", ["otel_logs", "otel_metrics_sum"])
def test_logs_and_metrics_are_stored_once_also_over_a_restart(own_settings: Settings, table: str) -> None:
    request = a_log_request(a_record(), a_record(time_ns=0)) if table == "otel_logs" else a_metric_request()
    for _ in range(2):
        engine = open_engine(own_settings)
        for _ in range(2):
            engine.insert(table, request.SerializeToString(), "token")
        count = engine.query(f"SELECT count() AS n FROM {table}").to_pylist()[0]["n"]  # noqa: S608
        engine.close()
        assert count == (2 if table == "otel_logs" else 1)


@pytest.mark.parametrize("table", ["otel_traces", "operation_rollup"])
def test_a_batch_cut_off_while_its_block_got_its_name_is_stored_when_it_comes_again(tmp_path: Path, table: str) -> None:
    """The engine notes a block's token first and names its part then: killed in between, it leaves this."""
    settings, payload = Settings(data_dir=tmp_path), a_payload(a_span(), service=a_service())
    engine = open_engine(settings)
    engine.insert_traces(a_payload(a_span(), service=a_service()), "before")
    engine.insert_traces(payload, "cut off")
    parts = "SELECT path FROM system.parts WHERE active AND table = {t:String} ORDER BY max_block_number DESC"
    path = engine.query(parts, {"t": table}).to_pylist()[0]["path"]
    engine.close()
    shutil.rmtree(path)

    engine = open_engine(settings)
    engine.insert_traces(payload, "cut off")
    engine.insert_traces(payload, "cut off")
    counts = counts_of(engine)
    engine.close()

    assert counts == (2, 2)


def test_a_second_server_on_the_directory_is_told_who_is_there(own_settings: Settings) -> None:
    engine = open_engine(own_settings)
    try:
        with pytest.raises(DataDirLocked, match=rf"process {os.getpid()}\)"):
            open_engine(own_settings)
    finally:
        engine.close()
    open_engine(own_settings).close()


def test_a_disk_that_takes_nothing_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """A limit of no bytes a file stands for the full disk: the file can be made, and not be written."""
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from onejob.store.errors import StoreError; from onejob.store.lock import lock_data_dir\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try: lock_data_dir(Path(sys.argv[1]))\n"
        "except StoreError as error: print(error)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"Cannot write to the data directory {tmp_path}: ")
    assert "Make room on its disk" in told


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Code: 243. DB::Exception: Cannot reserve 7.92 MiB, not enough space. (NOT_ENOUGH_SPACE)", EngineOutOfRoom),
        (
            "Code: 76. DB::ErrnoException: Cannot open file /data/engine/x/data.cmrk4: , errno: 28, strerror: "
            "No space left on device. (CANNOT_OPEN_FILE)",
            EngineOutOfRoom,
        ),
        ("Code: 76. DB::ErrnoException: Cannot open file /data/x: , errno: 13, strerror: Permission", QueryFailed),
        ("Code: 26. DB::Exception: Cannot parse 'errno: 28, No space left on device'. (CANNOT_PARSE)", QueryFailed),
    ],
)
def test_spans_wait_for_a_disk_without_room_however_the_engine_says_it(said: str, kind: type[StoreError]) -> None:
    """As an engine said it on a disk without bytes, and on one without inodes; and what only looks like it."""
    error = engine_error(said)
    assert type(error) is kind
    assert ("disk is full: free some space" in str(error)) == (kind is EngineOutOfRoom)


def test_retention_and_promoted_attributes_follow_the_settings(own_settings: Settings) -> None:
    open_engine(own_settings).close()
    changed = own_settings.model_copy(
        update={
            "traces_retention_days": 3,
            "rollup_retention_days": 3650,
            "logs_retention_days": 5,
            "metrics_retention_days": 6,
            "promoted_attributes": ("a'b.c",),
        }
    )

    engine = open_engine(changed)
    service, span = a_service(), a_span()
    span.attributes.add(key="a'b.c").value.string_value = "promoted"
    engine.insert_traces(a_payload(span, service=service), service)
    column = promoted_column("a'b.c")
    kept = engine.query(f"SELECT {column} AS v FROM otel_traces WHERE ServiceName = '{service}'").to_pylist()  # noqa: S608
    traces, rollup = definition(engine, "otel_traces"), definition(engine, "operation_rollup")
    logs, summaries = definition(engine, "otel_logs"), definition(engine, "otel_metrics_summary")
    engine.close()

    assert kept == [{"v": "promoted"}]
    assert "toIntervalDay(3)" in traces
    assert "toIntervalDay(3650)" in rollup
    assert "toIntervalDay(5)" in logs
    assert "toIntervalDay(6)" in summaries


def test_what_was_synced_stays_until_what_it_was_merged_into_is_on_disk(own_settings: Settings) -> None:
    """Merged parts are not. The embedded engine would delete their sources at once, and a power cut lose both."""
    engine = open_engine(own_settings)
    tables = [name for name, has_rows in made_names().items() if has_rows]
    kept = {name: "old_parts_lifetime = 120" in definition(engine, name) for name in tables}
    engine.close()
    assert kept
    assert all(kept.values()), kept


def test_the_embedded_engine_keeps_no_more_than_it_may(tmp_path: Path) -> None:
    engine = open_engine(Settings(data_dir=tmp_path))
    sql = "SELECT name AS Name, toUInt64(value) AS Value FROM system.server_settings WHERE name LIKE '%cache_size'"
    bounds = {row["Name"]: row["Value"] for row in engine.query(sql).to_pylist()}
    assert isinstance(engine, ChdbEngine)
    allocator = Path(f"/proc/{engine.pid}/environ").read_bytes()
    engine.close()
    assert bounds["mark_cache_size"] <= 128 * 2**20
    assert bounds["primary_index_cache_size"] <= 128 * 2**20
    assert b"JE_MALLOC_CONF=background_thread:true" in allocator


def test_spans_beyond_their_retention_go(own_settings: Settings) -> None:
    engine = open_engine(own_settings)
    old = a_span(start_ns=int((time.time() - 40 * 86_400) * 1e9))
    engine.insert_traces(a_payload(old, a_span(), service=a_service()), "t")
    engine.execute("OPTIMIZE TABLE otel_traces FINAL")
    total = totals(engine)
    counted = engine.query("SELECT sum(Count) AS n FROM operation_rollup").to_pylist()
    engine.close()

    assert total.spans == 1
    assert counted == [{"n": 2}]  # the counts outlive the spans


def test_another_bin_width_is_refused_once_there_are_bins(own_settings: Settings) -> None:
    open_engine(own_settings).close()

    with pytest.raises(SchemaMismatch, match="bins of 10 s, ONEJOB_BIN_WIDTH_S is 1"):
        open_engine(own_settings.model_copy(update={"bin_width_s": 1}))
    open_engine(own_settings).close()


def test_a_newer_schema_is_refused(own_settings: Settings) -> None:
    engine = open_engine(own_settings)
    engine.execute("INSERT INTO onejob_migrations SELECT 9999, 'future', 10, now()")
    engine.close()

    with pytest.raises(SchemaMismatch, match="newer release"):
        open_engine(own_settings)


def test_a_migration_interrupted_halfway_is_completed(own_settings: Settings) -> None:
    engine = open_engine(own_settings)
    engine.execute("DROP TABLE operation_rollup_mv")
    engine.execute("ALTER TABLE onejob_migrations DELETE WHERE Number = 2 SETTINGS mutations_sync = 2")
    engine.close()

    engine = open_engine(own_settings)
    engine.insert_traces(a_payload(a_span(), service="s"), "t")
    counted = engine.query("SELECT sum(Count) AS n FROM operation_rollup").to_pylist()
    engine.close()

    assert counted == [{"n": 1}]


def test_counts_of_before_sampling_was_known_stand_for_themselves(own_settings: Settings) -> None:
    """Also after parts of before and after were merged: what was missing in the old ones is theirs, not the sum's."""
    engine, service = open_engine(own_settings), a_service()
    script = resources.files("onejob.store").joinpath("schema/0002_operation_rollup.sql").read_text()
    fills = {"bin_width_s": own_settings.bin_width_s, "rollup_retention_days": 1}
    view = next(one for one in statements(script, fills) if one.startswith("CREATE MATERIALIZED VIEW operation_"))
    engine.execute(f"ALTER TABLE operation_rollup_mv MODIFY QUERY {view.partition(' AS')[2]}")
    engine.execute("DROP VIEW customer_rollup_mv")  # of a later release
    for column in ("Adjusted", "AdjustedErrors", "AdjustedSq", "TailSampled"):
        engine.execute(f"ALTER TABLE operation_rollup DROP COLUMN {column}")
    for column in ("AdjustedCount", "IsTailSampled"):
        engine.execute(f"ALTER TABLE otel_traces DROP COLUMN {column}")
    spans = [a_span(start_ns=a_moment(), error=failed) for failed in (False, True, False)]
    engine.execute(
        "INSERT INTO otel_traces (Timestamp, SpanName, SpanKind, ServiceName, Duration, StatusCode) "
        "SELECT toDateTime64({at:Int64}, 9), 'GET /', 'Server', {service:String}, 1, if(number = 0, 'Error', 'Unset') "
        "FROM numbers(3)",
        {"at": spans[0].start_time_unix_nano // 10**9, "service": service},
    )
    engine.execute("ALTER TABLE onejob_migrations DELETE WHERE Number IN (4, 7) SETTINGS mutations_sync = 2")
    engine.close()

    engine = open_engine(own_settings)
    before = cells_of(engine, service)
    for span in spans:
        span.trace_state = "ot=th:c"
    engine.insert_traces(a_payload(*spans, service=service, resource={}), "sampled")
    engine.execute("OPTIMIZE TABLE operation_rollup FINAL")
    after = cells_of(engine, service)
    engine.close()

    assert [(cell.count, cell.errors, cell.adjusted) for cell in before] == [(3, 1, None)]
    assert sum(cell.count for cell in after) == 6
    assert sum(cell.count if cell.adjusted is None else cell.adjusted for cell in after) == 3 + 12
    assert sum(cell.errors if cell.adjusted is None else cell.adjusted_errors or 0 for cell in after) == 1 + 4


def test_a_store_of_before_customers_were_counted_counts_them_from_its_upgrade_on(own_settings: Settings) -> None:
    engine, service = open_engine(own_settings), a_service()
    for statement in ("DROP TABLE customer_rollup_mv", "DROP TABLE customer_rollup"):
        engine.execute(statement)
    engine.execute("ALTER TABLE otel_traces DROP COLUMN Customer")
    engine.insert_traces(a_payload(a_span(tenant__id="t"), service=service), "before")
    engine.execute("ALTER TABLE onejob_migrations DELETE WHERE Number = 7 SETTINGS mutations_sync = 2")
    engine.close()

    engine = open_engine(own_settings)
    engine.insert_traces(a_payload(a_span(tenant__id="t"), service=service), "after")
    engine.insert_traces(a_payload(a_span(tenant__id="t"), service=service), "after")
    named = engine.query("SELECT Customer AS c FROM otel_traces").to_pylist()
    counted = engine.query("SELECT Customer AS c, sum(Count) AS n FROM customer_rollup GROUP BY c").to_pylist()
    operations = counts_of(engine)
    engine.close()

    assert named == [{"c": "t"}, {"c": "t"}]
    assert counted == [{"c": "t", "n": 1}]
    assert operations == (2, 2)


def test_a_killed_engine_comes_back_with_everything(tmp_path: Path) -> None:
    engine = open_engine(Settings(data_dir=tmp_path))
    assert isinstance(engine, ChdbEngine)
    engine.insert_traces(a_payload(a_span(), service="s"), "t")
    assert engine.pid is not None
    os.kill(engine.pid, 9)

    deadline, failures = time.monotonic() + 60, 0
    while True:
        try:
            assert totals(engine).spans == 1
            break
        except EngineUnavailable:
            failures += 1
            assert time.monotonic() < deadline
            time.sleep(0.05)
    engine.close()
    assert failures > 0


def test_an_engine_that_stays_silent_is_ended_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(Settings(data_dir=tmp_path))
    assert isinstance(engine, ChdbEngine)
    before = engine.pid
    assert before is not None
    monkeypatch.setattr("onejob.store.chdb_life._HUNG_S", 2.0)

    os.kill(before, signal.SIGSTOP)
    with pytest.raises(EngineUnavailable):
        engine.insert_traces(a_payload(a_span(), service="s"), "t")
    monkeypatch.undo()

    deadline = time.monotonic() + 60
    while totals_or_none(engine) != 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert engine.pid not in (before, None)
    engine.close()


def test_a_silent_engine_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    engine = open_engine(Settings(data_dir=tmp_path))
    assert isinstance(engine, ChdbEngine)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while engine.is_up():
        assert time.monotonic() < deadline
        time.sleep(0.05)

    engine.close()

    open_engine(Settings(data_dir=tmp_path)).close()


def test_a_schema_copy_that_a_full_disk_left_empty_is_made_anew(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    engine = open_engine(settings)
    engine.insert_traces(a_payload(a_span(), service="s"), "t1")
    engine.close()
    copies = list(tmp_path.rglob("__cache__/*.proto"))
    assert copies
    for copy in copies:
        copy.write_text("")  # as a crash leaves it

    engine = open_engine(settings)
    for copy in copies:
        copy.parent.mkdir(exist_ok=True)
        copy.write_text("")  # as a full disk leaves it, while the engine runs
    deadline, failures = time.monotonic() + 60, 0
    while totals_or_none(engine) != 2:
        try:
            engine.insert_traces(a_payload(a_span(), service="s"), "t2")
        except EngineUnavailable:
            failures += 1
            assert time.monotonic() < deadline
            time.sleep(0.05)
    engine.close()
    assert failures > 0


def totals_or_none(engine: Engine) -> int | None:
    try:
        return totals(engine).spans
    except EngineUnavailable:
        return None


def test_a_directory_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreError, match="ONEJOB_DATA_DIR"):
        open_engine(Settings(data_dir=tmp_path / "file" / "data"))


def test_a_clickhouse_that_does_not_answer_is_named_and_locks_nobody_out(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:1/onejob", "postgres://x", "127.0.0.1:8123"):
        with pytest.raises(StoreError, match="ONEJOB_STORE_URL"):
            open_engine(Settings(data_dir=tmp_path, store_url=url))
        lock_data_dir(tmp_path).release()
    open_engine(Settings(data_dir=tmp_path)).close()
