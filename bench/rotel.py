"""onejob beside rotel, a public collector, both writing the same to the same ClickHouse node: `make bench-rotel`.

    bench/rotel.py [--items 200000] [--kill-seconds 10] [--json bench/results/rotel.json]

Receiver and node share one core, the client has the other. For spans, log records and data points, at 500 and at 50 a
request: items per second of processor time of receiver and node together, from the first request until the last row can
be queried, and the most memory the receiver had (PSS). `floor` only parses the protobuf with upb, without a receiver.

They do not store the same: columns of onejob's tables are worked out of the attributes and feed three views that count,
and each insert is synced, and its token kept. So rotel, with its defaults, is measured twice. `rotel` writes into such
tables, but without the views. `rotel, plain` writes into tables with the Collector's own columns, of which nothing is
worked out, synced or kept: the least there can be, and less than onejob does. The last row is waited for with one small
question twice a second, which is counted too.

Then onejob and rotel are killed (-9) while they are sent spans without a pause, started again, and given time to write
what they have: how many of the spans that were acknowledged are not there?
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

import grpc

import spans
from ingest import (
    CLIENT_CORE,
    LOGS,
    METRICS,
    SERVER_CORE,
    TRACES,
    Kind,
    cpu_ticks,
    floor,
    grpc_client,
    pss_kb,
    send_all,
)
from onejob.config import Settings
from onejob.ingest.service import Intake
from onejob.store.engine import open_engine

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # where the node is
from ports import free_ports
from store.clickhouse_node import ClickHouseNode

KINDS: dict[str, Kind] = {"traces": TRACES, "logs": LOGS, "metrics": METRICS}
PER_REQUEST = (500, 50)
PROMISES = ("fsync_after_insert", "fsync_part_directory", "non_replicated_deduplication_window")
_TICKS = os.sysconf("SC_CLK_TCK")
_MARK = b"rotel-0000000000"  # in every request of the part with the kill, made unlike in each
_START_S, _SETTLE_S, _LOOK_S = 120.0, 300.0, 0.5
_QUIET_S = 15.0  # without a new row, nothing more is on its way
_REST_S = 3.0


@dataclass(frozen=True, slots=True)
class Row:
    """`memory_mb` is the receiver's most; 0 for the floor."""

    who: str
    kind: str
    per_request: int
    items: int
    per_cpu_s: int
    per_s: int
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Killed:
    """Spans. `lost` were acknowledged and are not stored; `doubled` are rows more than there should be."""

    who: str
    acknowledged: int
    lost: int
    doubled: int
    memory_mb: int


class Node:
    """The ClickHouse, on the server's core; databases are made as they are asked for."""

    def __init__(self, home: Path) -> None:
        with on_core(SERVER_CORE):
            self._node = ClickHouseNode(home)
        self.url = self._node.url
        self.pid = self._node._process.pid

    def ask(self, sql: str) -> str:
        split = urllib.parse.urlsplit(self.url)
        request = urllib.request.Request(f"http://{split.hostname}:{split.port}/", sql.encode())
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return str(answer.read().decode().strip())

    def count(self, database: str, kind: Kind) -> int:
        """In one statement, as it is asked while processor time is counted."""
        counts = (f"(SELECT count() FROM {database}.{table})" for table in kind.tables)  # noqa: S608
        return int(self.ask(f"SELECT {' + '.join(counts)}"))

    def stop(self) -> None:
        self._node.stop()


class Receiver:
    """A process on the server's core that takes OTLP/gRPC at `port` and writes to `database`."""

    def __init__(self, who: str, node: Node, folder: Path) -> None:
        self.who, self.database = who, who
        self._node, self._folder = node, folder
        (self.port,) = free_ports(1)
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        command, environment = STARTS[self.who](self._node, self.port, self._folder)
        with on_core(SERVER_CORE), (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        try:
            grpc.channel_ready_future(channel).result(_START_S)
        finally:
            channel.close()

    def cpu_s(self) -> float:
        return sum(cpu_ticks(pid) for pid in self._pids()) / _TICKS

    def memory_mb(self) -> int:
        total = 0
        for pid in self._pids():
            with suppress(OSError):  # it has just ended
                total += pss_kb(pid)
        return round(total / 1024)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        self.kill()

    def _pids(self) -> list[int]:
        """Its process and those it started."""
        found = [self._process.pid]
        for pid in found:
            with suppress(OSError):
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    found += map(int, children.read_text().split())
        return found


def start_onejob(node: Node, port: int, folder: Path) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, __file__, "--serve", str(folder / "data"), "--port", str(port)]
    return command, {"ONEJOB_STORE_URL": f"{node.url}/onejob"}


def start_rotel(node: Node, port: int, folder: Path) -> tuple[list[str], dict[str, str]]:
    try:
        agent = metadata.distribution("rotel").locate_file("rotel/rotel-agent")
    except metadata.PackageNotFoundError:
        raise SystemExit("rotel is not installed: make bench-rotel installs it.") from None
    (http,) = free_ports(1)
    split = urllib.parse.urlsplit(node.url)
    command = [
        str(agent), "start",
        "--pid-file", str(folder / "pid"), "--log-file", str(folder / "rotel.log"),
        "--otlp-grpc-endpoint", f"127.0.0.1:{port}", "--otlp-http-endpoint", f"127.0.0.1:{http}",
        "--exporter", "clickhouse", "--clickhouse-exporter-database", folder.name,
        "--clickhouse-exporter-endpoint", f"http://{split.hostname}:{split.port}",
    ]  # fmt: skip
    return command, {}


STARTS: dict[str, Callable[[Node, int, Path], tuple[list[str], dict[str, str]]]] = {
    "onejob": start_onejob,
    "rotel": start_rotel,
    "rotel_plain": start_rotel,
}
KILLED = ("onejob", "rotel")
OTHERS = ("rotel", "rotel_plain", "floor")


def serve(data_dir: str, port: int) -> None:
    """The child: until it is told to end."""
    settings = Settings(data_dir=Path(data_dir), otlp_grpc_port=port, otlp_http_port=0)
    engine = open_engine(settings)
    intake = Intake(settings, engine)
    intake.start()
    threading.Event().wait()


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started meanwhile stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(receiver: Receiver, node: Node, name: str, per_request: int, items: int) -> Row:
    """The first request of each warms up."""
    kind = KINDS[name]
    connect = grpc_client(receiver.port, kind.method)
    before = node.count(receiver.database, kind)
    send_all(connect, kind.make(per_request, per_request, per_request + 1000))
    wait_for(node, receiver.database, kind, before + per_request)
    time.sleep(_REST_S)
    payloads = kind.make(items, per_request, per_request)
    with peak_mb(receiver) as most:
        cpu, began = receiver.cpu_s() + cpu_ticks(node.pid) / _TICKS, time.perf_counter()
        send_all(connect, payloads)
        wait_for(node, receiver.database, kind, before + per_request + items)
        used, wall = receiver.cpu_s() + cpu_ticks(node.pid) / _TICKS - cpu, time.perf_counter() - began
    return Row(receiver.who, name, per_request, items, round(items / used), round(items / wall), max(most))


def wait_for(node: Node, database: str, kind: Kind, rows: int) -> None:
    until = time.monotonic() + _SETTLE_S
    while (found := node.count(database, kind)) < rows:
        if time.monotonic() > until:
            raise SystemExit(f"{database} has {found} rows of {rows} after {_SETTLE_S:.0f} s.")
        time.sleep(_LOOK_S)


@contextmanager
def peak_mb(receiver: Receiver) -> Iterator[list[int]]:
    samples, done = [receiver.memory_mb()], threading.Event()

    def sample() -> None:
        while not done.wait(0.25):
            samples.append(receiver.memory_mb())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def kill_under_load(receiver: Receiver, node: Node, seconds: float) -> Killed:
    """Spans at 500 a request, each request with a mark of its own."""
    with patch.dict(spans.RESOURCE, {"host.name": _MARK.decode()}):
        templates = spans.requests(4 * PER_REQUEST[0], PER_REQUEST[0])
    numbers, acknowledged, done = itertools.count(), set[str](), threading.Event()
    connect = grpc_client(receiver.port, TRACES.method)

    def work() -> None:
        send = connect()
        while not done.is_set():
            number = next(numbers)
            with suppress(grpc.RpcError):
                send(templates[number % 4].replace(_MARK, b"rotel-%010d" % number))
                acknowledged.add(f"rotel-{number:010}")

    threads = [threading.Thread(target=work) for _ in range(4)]
    with peak_mb(receiver) as most:
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        receiver.kill()
    done.set()
    for thread in threads:
        thread.join()
    receiver.start()
    wait_until_quiet(node, receiver.database)
    mark = "ResourceAttributes['host.name']"
    found = node.ask(
        f"SELECT {mark}, count() FROM {receiver.database}.otel_traces WHERE startsWith({mark}, 'rotel-') GROUP BY 1"  # noqa: S608
    )
    marked = {name: int(rows) for name, rows in (line.split("\t") for line in found.splitlines())}
    lost = sum(max(0, PER_REQUEST[0] - marked.get(mark, 0)) for mark in acknowledged)
    doubled = sum(max(0, rows - PER_REQUEST[0]) for rows in marked.values())
    return Killed(receiver.who, len(acknowledged) * PER_REQUEST[0], lost, doubled, max(most))


def wait_until_quiet(node: Node, database: str) -> None:
    before, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET_S:
        rows = node.count(database, TRACES)
        if rows != before:
            before, since = rows, time.monotonic()
        time.sleep(0.5)


def compare(items: int, kill_s: float, say: Callable[[str], None]) -> tuple[list[Row], list[Killed]]:
    rows, killed = [], []
    with tempfile.TemporaryDirectory(prefix="onejob-bench-") as name:
        node = Node(Path(name) / "node")
        try:
            for who in STARTS:
                if who != "onejob":  # which has made its own
                    make_tables(node, who)
                receiver = Receiver(who, node, Path(name) / who)
                for per_request, kind in itertools.product(PER_REQUEST, KINDS):
                    rows.append(measure(receiver, node, kind, per_request, items))
                    say(f"{who}: {kind} at {per_request} a request: {rows[-1].per_cpu_s:,} per CPU s")
                if who in KILLED:
                    killed.append(kill_under_load(receiver, node, kill_s))
                receiver.stop()
        finally:
            node.stop()
    for per_request, (kind, what) in itertools.product(PER_REQUEST, KINDS.items()):
        per_s = floor(what, items, per_request)
        rows.append(Row("floor", kind, per_request, items, per_s, per_s, 0))
    return rows, killed


def make_tables(node: Node, database: str) -> None:
    """As onejob's, without what hangs on them; `rotel_plain` has the Collector's columns alone."""
    node.ask(f"CREATE DATABASE {database}")
    others = [f"otel_metrics_{kind}" for kind in ("exponential_histogram", "summary")]
    for name in (*itertools.chain.from_iterable(kind.tables for kind in KINDS.values()), *others):
        table = f"{database}.{name}"
        node.ask(f"CREATE TABLE {table} AS onejob.{name}")
        if database == "rotel_plain":
            node.ask(f"ALTER TABLE {table} {', '.join(f'DROP COLUMN {column}' for column in worked_out(node, name))}")
            node.ask(f"ALTER TABLE {table} RESET SETTING {', '.join(PROMISES)}")


def worked_out(node: Node, table: str) -> list[str]:
    """Columns that the Collector's tables do not have, before those that they are worked out of."""
    return node.ask(
        f"SELECT name FROM system.columns WHERE database = 'onejob' AND table = '{table}' "  # noqa: S608
        "AND default_kind != '' AND name != 'TimestampTime'"
    ).split()[::-1]


def ratios(rows: list[Row]) -> list[dict[str, object]]:
    """onejob's items per CPU-second as a multiple of each other's; of a kind at so many a request."""
    found = {(row.kind, row.per_request, row.who): row.per_cpu_s for row in rows}
    return [
        {"kind": kind, "per_request": per_request}
        | {
            who: round(found[kind, per_request, "onejob"] / found[kind, per_request, who], 2)
            for who in (*STARTS, "floor")
        }
        for per_request, kind in itertools.product(PER_REQUEST, KINDS)
    ]


def table(rows: list[Row], killed: list[Killed]) -> str:
    """Items per second of processor time; `/` is onejob's as a multiple of it."""
    lines = [f"{'':20} {'onejob':>8} {'rotel':>8} {'/':>5} {'rotel, plain':>13} {'/':>5} {'floor':>10}   memory, MB"]
    for per_request, kind in itertools.product(PER_REQUEST, KINDS):
        found = {row.who: row for row in rows if (row.kind, row.per_request) == (kind, per_request)}
        ours, theirs, plain = (found[who].per_cpu_s for who in STARTS)
        lines.append(
            f"{kind:8} at {per_request:>3}/request {ours:>8,} {theirs:>8,} {ours / theirs:>5.2f} {plain:>13,} "
            f"{ours / plain:>5.2f} {found['floor'].per_cpu_s:>10,}   "
            f"{', '.join(str(found[who].memory_mb) for who in STARTS)}"
        )
    lines += [
        f"kill -9 of {one.who:6} {one.acknowledged:>10,} spans acknowledged, {one.lost:,} of them lost, "
        f"{one.doubled:,} stored twice; {one.memory_mb} MB"
        for one in killed
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench/results/rotel.json"))
    parser.add_argument("--items", type=int, default=200_000, help="per row; a multiple of 500")
    parser.add_argument("--kill-seconds", type=float, default=10.0, help="of load before the kill")
    parser.add_argument("--serve", metavar="DATA_DIR", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port)
        return
    os.sched_setaffinity(0, {CLIENT_CORE if (os.cpu_count() or 1) > 1 else SERVER_CORE})
    rows, killed = compare(options.items, options.kill_seconds, lambda line: print(line, file=sys.stderr, flush=True))
    print(table(rows, killed))
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    document = {
        "machine": machine | {"rotel": metadata.version("rotel")},
        "items_per_cpu_s": [asdict(row) for row in rows],
        "onejob_as_a_multiple": ratios(rows),
        "killed": [asdict(one) for one in killed],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
