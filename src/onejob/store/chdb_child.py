"""The engine's process: `python -m onejob.store.chdb_child PATH CONTROL_FD LANE_FD...`, started by `chdb_process`.

The engine is native code, so it lives apart: if it dies, the server and its intake do not. It holds no state of its
own but the data directory. Ends when told to, or when the server is gone (its end of the control lane closes).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import chdb

from onejob.store import lanes
from onejob.store.any_value import json_of_any_value
from onejob.store.dedup_log import forget_unfinished_blocks
from onejob.store.otlp_sql import DATABASE, PLAIN_DATABASE
from onejob.store.otlp_tables import PLAIN_TABLES, TABLES, TABLES_OF, TRACES, OtlpTable
from onejob.store.payload import Payload
from onejob.store.redaction import Plan
from onejob.store.redaction_bytes import ByteSearch
from onejob.store.redaction_nested import NestedRedaction
from onejob.store.redaction_sql import KEY_TABLE, RedactionSql
from onejob.store.sql import array_of_strings, quote, quote_name

PREDECESSOR_WAIT_S = 20.0
# For a machine that others use as well. The engine itself would let each of its caches have 5 GB, and keep a hundred
# threads that it needed once, to delete files, for good.
_BOUNDS = {
    "mark_cache_size": 128 * 2**20,
    "primary_index_cache_size": 128 * 2**20,
    "index_mark_cache_size": 32 * 2**20,
    "query_condition_cache_size": 16 * 2**20,
    "compiled_expression_cache_size": 32 * 2**20,
    "max_thread_pool_free_size": 16,
}
_OF_METRICS = frozenset(table.name for table in TABLES_OF["metrics"])


def main() -> None:
    path, control_fd, *lane_fds = sys.argv[1:]
    _wait_for_predecessor(path)
    _forget_schemas(path)
    forget_unfinished_blocks(path)
    control = Connection(int(control_fd))
    plan = Plan.of_json(lanes.receive(control)[0]["redaction"])
    nested = NestedRedaction(plan)
    chdb.create_function("onejob_any_value", json_of_any_value(nested), ["String", "String", "String"], "String")
    chdb.create_function("onejob_redacted", nested.redact_pairs, ["String"], "String")
    first: Any = chdb.connect(f"{path}?{urlencode(_BOUNDS)}")  # type: ignore[no-untyped-call]  # and for all after it
    for database in (DATABASE, PLAIN_DATABASE):
        first.query(f"CREATE DATABASE IF NOT EXISTS {database} ENGINE = Memory", "Null")
    _check_searches(first, plan)
    first.query(f"CREATE TABLE {KEY_TABLE} (Key String) ENGINE = Memory", "Null")
    first.query(f"INSERT INTO {KEY_TABLE} VALUES (unhex({quote(plan.hash_key)}))", "Null")  # noqa: S608
    otlp = _Otlp(plan)
    otlp.make_views(first, PLAIN_TABLES[TRACES.name])
    lane_list = [Connection(int(fd)) for fd in lane_fds]
    threads = [threading.Thread(target=_serve, args=(path, lane, otlp), daemon=True) for lane in lane_list]
    for thread in threads:
        thread.start()
    lanes.send(control, {"ready": True})
    try:
        while control.recv_bytes() == lanes.ARE_YOU_THERE:
            with contextlib.suppress(RuntimeError):  # an engine that refuses, out of memory say, is there
                first.query("SELECT 1", "Null")
            lanes.send(control, {})
    except (EOFError, OSError):
        os._exit(1)  # the server was killed: nobody is left to answer, and leaving tidily can hang in a running query
    for thread in threads:
        thread.join(timeout=10)
    if not any(thread.is_alive() for thread in threads):
        first.close()
    os._exit(0)  # leaving the interpreter while the engine's threads run has crashed it


def _wait_for_predecessor(path: str) -> None:
    """The engine of a server that was just killed may still be letting go of the directory."""
    if path == ":memory:":
        return
    fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)  # kept until the process ends
    deadline = time.monotonic() + PREDECESSOR_WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"The engine of another server still uses {path}; stop it and start again.")
            time.sleep(0.05)
        else:
            return


def _forget_schemas(path: str) -> None:
    """The engine keeps a copy of the OTLP schema in a file that it neither syncs nor checks: a full disk or a crash
    leaves it empty, and from then on no span could be read. It is made anew at the first insert.
    """
    for copies in (Path(path) / "__cache__", Path("__cache__"), Path("format_schemas/__cache__")):
        shutil.rmtree(copies, ignore_errors=True)


def _check_searches(connection: Any, plan: Plan) -> None:
    """Says which of them it is: RE2 takes expressions that Hyperscan does not."""
    searches = (*plan.searches, *plan.key_searches)
    problem = _problem_of(connection, searches) if searches else ""
    if problem:
        what = next((search for search in searches if _problem_of(connection, [search])), "all of it")
        sys.exit(
            f"ONEJOB_REDACTION has what the engine cannot search for, say it simpler: {what.removeprefix('(?m)')} "
            f"({problem})"
        )


def _problem_of(connection: Any, searches: Sequence[str]) -> str:
    try:
        connection.query(f"SELECT multiMatchAny('', {array_of_strings(searches)})", "Null")
    except RuntimeError as error:
        return str(error).strip().splitlines()[0]
    return ""


def _serve(path: str, lane: Connection, otlp: _Otlp) -> None:
    session = _Session(path)
    while True:
        try:
            head, body = lanes.receive(lane)
        except (EOFError, OSError):
            session.close()
            return
        try:
            answer = _answer(session.upon(head["database"]), otlp, head, body)
        except Exception as error:  # whatever it is, the server must hear of it
            session.renew()
            lanes.send(lane, {"error": str(error) or type(error).__name__})
            if lanes.is_schema_lost(str(error)):
                os._exit(1)  # what was read of the schema is kept in memory too: only a new process reads it again
        else:
            lanes.send(lane, {}, answer)


def _answer(connection: Any, otlp: _Otlp, head: lanes.Head, body: bytes) -> bytes:
    if head["do"] == "query":
        form = head.get("format", "ArrowStream")
        return bytes(connection.query(head["sql"], form, params=head["params"]).bytes())
    if head["do"] == "execute":
        connection.query(head["sql"], "Null", params=head["params"])
        return b""
    if head["do"] == "load":
        with otlp.payload.holding(body):
            rows = f"SELECT {head['columns']} FROM file({quote(otlp.payload.path)}, Native)"  # noqa: S608  quoted
            into = f"INSERT INTO {head['table']} ({head['columns']})"
            connection.query(f"{into} {rows} SETTINGS {head['settings']}", "Null")
        return b""
    table = otlp.table(head["table"], body)
    with otlp.payload.holding(body):
        otlp.make_views(connection, table)
        settings = f"{table.settings}, {head['settings']}"
        if head["do"] == "insert":
            connection.query(f"{table.insert} SETTINGS {settings}", "Null")
            return b""
        return bytes(connection.query(f"{table.select} SETTINGS {settings}", "Native").bytes())


class _Session:
    """A connection, and the database that its statements are about."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._database = lanes.DEFAULT_DATABASE
        self._open()

    def upon(self, database: str) -> Any:
        """The connection. Raises RuntimeError where there is no such database."""
        if database != self._database:
            self._connection.query(f"USE {quote_name(database)}", "Null")
            self._database = database
        return self._connection

    def renew(self) -> None:
        """One that timed out answers its next statement with nothing, silently (measured)."""
        self.close()
        self._open()

    def close(self) -> None:
        self._connection.close()

    def _open(self) -> None:
        self._connection: Any = chdb.connect(self._path)  # type: ignore[no-untyped-call]
        self._database = lanes.DEFAULT_DATABASE


class _Otlp:
    """The file that holds a batch, and the views over it; those that are seldom needed are made when they are."""

    def __init__(self, plan: Plan) -> None:
        self.payload = Payload()
        self._hides = plan.hides
        self._search = ByteSearch(plan.byte_search, has_cards=any(step.is_card for step in plan.steps))
        self._found: tuple[tuple[int, int], bool] = ((0, 0), True)
        self._redactions = {False: RedactionSql(plan, mark=secrets.token_hex(8)), True: RedactionSql(Plan(), mark="")}
        self._made: set[tuple[str, bool]] = set()

    def table(self, name: str, body: bytes) -> OtlpTable:
        """The one without redaction where there is surely nothing to hide."""
        may_hide = self._may_hide_in_some if name in _OF_METRICS else self._search.may_find
        return TABLES[name] if self._hides and may_hide(body) else PLAIN_TABLES[name]

    def make_views(self, connection: Any, table: OtlpTable) -> None:
        is_plain = table is PLAIN_TABLES[table.name]
        if (table.name, is_plain) not in self._made:
            for statement in table.views(self.payload.path, self._redactions[is_plain]):
                connection.query(statement, "Null")
            self._made.add((table.name, is_plain))

    def _may_hide_in_some(self, body: bytes) -> bool:
        """A batch of metrics is asked about for each of its tables, one after the other."""
        batch = (len(body), hash(body))
        found = self._found  # as a whole: another lane may remember another batch meanwhile
        if found[0] != batch:
            found = self._found = (batch, self._search.may_find(body))
        return found[1]


if __name__ == "__main__":
    main()
