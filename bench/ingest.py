"""How many spans a second one core takes in, up to a row that can be queried: `make bench-ingest`.

The server and its engine share one core, the client has the other. `otlp_grpc` and `otlp_http` are the product, and so
are `logs_grpc` and `metrics_grpc`, where the spans are log records and data points;
`python_loop` is what it would be with a loop over spans in Python, in the same run; `upb_floor` only parses the
protobuf, which nothing that checks its input can beat. `spans_per_cpu_s` counts processor time instead of the
clock's, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onejob.config import Settings
from onejob.ingest.service import Intake
from onejob.store.chdb import ChdbEngine
from onejob.store.engine import open_engine
from spans import log_requests, metric_requests, requests

COLLECTOR = "/opentelemetry.proto.collector"
SERVER_CORE, CLIENT_CORE = 0, 1
_TICKS = os.sysconf("SC_CLK_TCK")
Send = Callable[[bytes], None]


@dataclass(frozen=True)
class Kind:
    """How its requests are made and parsed, where they are sent, and where their items are counted."""

    make: Callable[..., list[bytes]]
    request: Any
    method: str
    tables: tuple[str, ...]


TRACES = Kind(requests, ExportTraceServiceRequest, f"{COLLECTOR}.trace.v1.TraceService/Export", ("otel_traces",))
LOGS = Kind(log_requests, ExportLogsServiceRequest, f"{COLLECTOR}.logs.v1.LogsService/Export", ("otel_logs",))
METRICS = Kind(
    metric_requests,
    ExportMetricsServiceRequest,
    f"{COLLECTOR}.metrics.v1.MetricsService/Export",
    tuple(f"otel_metrics_{kind}" for kind in ("gauge", "sum", "histogram")),
)
MEASURED = {"otlp_grpc": TRACES, "otlp_http": TRACES, "logs_grpc": LOGS, "metrics_grpc": METRICS}


@dataclass(frozen=True)
class Row:
    what: str
    spans_per_request: int
    spans: int
    spans_per_s: int
    spans_per_cpu_s: int | None = None
    memory_at_rest_mb: int | None = None
    memory_peak_mb: int | None = None


class Server:
    """The product's intake and engine, in a process pinned to one core."""

    def __init__(self, data_dir: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", data_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.grpc_port, self.http_port, engine_pid = (int(word) for word in self._ask("ports").split())
        self._pids = (self._process.pid, engine_pid)

    def count(self, kind: Kind) -> int:
        return sum(int(self._ask(f"SELECT count() AS n FROM {table}")) for table in kind.tables)  # noqa: S608

    def cpu_s(self) -> float:
        return sum(cpu_ticks(pid) for pid in self._pids) / _TICKS

    def memory_mb(self) -> int:
        return round(sum(pss_kb(pid) for pid in self._pids) / 1024)

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, question: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        print(question, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()


def serve(data_dir: str) -> None:
    """The child: answers questions on stdin until it is closed."""
    os.sched_setaffinity(0, {SERVER_CORE})
    settings = Settings(data_dir=Path(data_dir), otlp_grpc_port=0, otlp_http_port=0)
    engine = open_engine(settings)
    assert isinstance(engine, ChdbEngine)
    intake = Intake(settings, engine)
    intake.start()
    for question in sys.stdin:
        if question.strip() == "ports":
            print(intake.grpc_port, intake.http_port, engine.pid, flush=True)
        else:
            print(engine.query(question).to_pylist()[0]["n"], flush=True)
    intake.stop()
    engine.close()


def measure(what: str, spans: int, per_request: int, seed: int) -> Row:
    """Sends everything from four threads, waits until the last span can be queried."""
    kind = MEASURED[what]
    payloads = kind.make(spans, per_request, seed)
    with tempfile.TemporaryDirectory(prefix="onejob-bench-") as data_dir:
        server = Server(data_dir)
        is_http = what == "otlp_http"
        connect = _http_client(server.http_port) if is_http else grpc_client(server.grpc_port, kind.method)
        send_all(connect, kind.make(per_request, per_request, seed + 1000))  # the first insert warms the engine up
        before = _wait_for(server, kind, per_request)
        time.sleep(3)
        at_rest, cpu, started = server.memory_mb(), server.cpu_s(), time.perf_counter()
        with _peak(server) as peak:
            send_all(connect, payloads)
            _wait_for(server, kind, before + spans)
            wall, used = time.perf_counter() - started, server.cpu_s() - cpu
        server.stop()
    return Row(what, per_request, spans, round(spans / wall), round(spans / used), at_rest, max(peak))


def measure_python_loop(spans: int, per_request: int) -> Row:
    script = str(Path(__file__).with_name("python_loop.py"))
    with tempfile.TemporaryDirectory(prefix="onejob-bench-") as data_dir:
        Server(data_dir).stop()  # makes the tables
        answer = subprocess.run(
            [sys.executable, script, data_dir, str(SERVER_CORE), str(spans), str(per_request)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    wall, cpu = (round(float(word)) for word in answer.stdout.split())
    return Row("python_loop", per_request, spans, wall, cpu)


def measure_floor(spans: int, per_request: int) -> Row:
    return Row("upb_floor", per_request, spans, floor(TRACES, spans, per_request))


def floor(kind: Kind, items: int, per_request: int) -> int:
    """Items a second of processor time, only parsed."""
    payloads = kind.make(items, per_request)
    started = time.process_time()
    for payload in payloads:
        kind.request.FromString(payload)
    return round(items / (time.process_time() - started))


def grpc_client(port: int, method: str) -> Callable[[], Send]:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    export = channel.unary_unary(method)

    def connect() -> Send:
        def send(payload: bytes) -> None:
            export(payload, timeout=60)

        return send

    return connect


def _http_client(port: int) -> Callable[[], Send]:
    def connect() -> Send:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def send(payload: bytes) -> None:
            connection.request("POST", "/v1/traces", payload, {"content-type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status

        return send

    return connect


def send_all(connect: Callable[[], Send], payloads: list[bytes]) -> None:
    todo: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for payload in payloads:
        todo.put(payload)

    def work() -> None:
        send = connect()
        with contextlib.suppress(queue.Empty):
            while True:
                send(todo.get_nowait())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _wait_for(server: Server, kind: Kind, spans: int) -> int:
    while (count := server.count(kind)) < spans:
        time.sleep(0.1)
    assert count == spans, f"{count} spans stored, {spans} sent"
    return count


@contextlib.contextmanager
def _peak(server: Server) -> Iterator[list[int]]:
    samples, done = [server.memory_mb()], threading.Event()

    def sample() -> None:
        while not done.wait(0.25):
            samples.append(server.memory_mb())

    thread = threading.Thread(target=sample)
    thread.start()
    yield samples
    done.set()
    thread.join()


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench/results/ingest.json"))
    parser.add_argument("--spans", type=int, default=200_000, help="per row of the product; a quarter for the others")
    parser.add_argument("--serve", metavar="DATA_DIR", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    os.sched_setaffinity(0, {CLIENT_CORE if (os.cpu_count() or 1) > 1 else SERVER_CORE})
    rows = []
    for per_request in (500, 50):
        rows += [measure(what, options.spans, per_request, per_request) for what in MEASURED]
        rows += [measure_python_loop(options.spans // 4, per_request), measure_floor(options.spans // 4, per_request)]
    report(rows, options.json)


def report(rows: list[Row], path: Path) -> None:
    print(f"{'what':12} {'spans/request':>13} {'spans/s':>9} {'per CPU s':>10} {'at rest':>9} {'peak':>9}")
    for row in rows:
        memory = [f"{mb} MB" if mb else "" for mb in (row.memory_at_rest_mb, row.memory_peak_mb)]
        per_cpu_s = f"{row.spans_per_cpu_s:,}" if row.spans_per_cpu_s else ""
        numbers = f"{row.spans_per_request:>13} {row.spans_per_s:>9,} {per_cpu_s:>10}"
        print(f"{row.what:12} {numbers} {memory[0]:>9} {memory[1]:>9}")
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    document = {"machine": machine, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
