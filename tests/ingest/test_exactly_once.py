"""kill -9 under load, of the server and of the engine's process, clients repeating what was not acknowledged.

CHAOS_KILLS says how often; the suite's own number keeps it short.
"""

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from onejob.model.telemetry import POINTS
from otlp_builders import a_log_request, a_metric_request, a_payload, a_record, a_span
from ports import free_ports

from .conftest import EXPORT
from .server_process import ServerProcess
from .waiting import wait_until

KILLS = int(os.environ.get("CHAOS_KILLS", "4"))
SPANS_PER_REQUEST = 40
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
STORED = "SELECT count() AS n, uniqExact(SpanId) AS ids, countIf(IsEntry) AS entries FROM otel_traces"
COUNTED = "SELECT sum(Count) AS n, sum(Zeros) + arraySum(mapValues(sumMap(Buckets))) AS durations FROM operation_rollup"


class Clients:
    """Threads that send new spans until told to stop, each request until it is acknowledged."""

    def __init__(self, grpc_port: int, http_port: int) -> None:
        self._ports = (grpc_port, http_port)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.sent_ids: set[str] = set()
        self.sent_logs: set[str] = set()
        self.sent_metrics: set[str] = set()
        self.failures = 0

    @contextmanager
    def sending(self) -> Iterator[None]:
        senders = (self._send_grpc, self._send_grpc, self._send_http)
        threads = [threading.Thread(target=self._work, args=(sender,)) for sender in senders]
        threads.append(threading.Thread(target=self._send_others))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _work(self, send: object) -> None:
        while not self._stop.is_set():
            spans = [a_span(parent=bytes([1] * 8 * (number % 2))) for number in range(SPANS_PER_REQUEST)]
            payload = a_payload(*spans, service="chaos")
            while not send(payload):  # type: ignore[operator]
                self.failures += 1
                time.sleep(0.05)
            with self._lock:
                self.sent_ids |= {span.span_id.hex() for span in spans}

    def _send_others(self) -> None:
        """Logs and metrics in turn."""
        while not self._stop.is_set():
            bodies = [os.urandom(8).hex() for _ in range(SPANS_PER_REQUEST)]
            self._until_sent(a_log_request(*map(a_record, bodies), service="chaos").SerializeToString(), LOGS)
            self.sent_logs |= set(bodies)
            name = os.urandom(8).hex()
            self._until_sent(a_metric_request("chaos", resource={"name": name}).SerializeToString(), METRICS)
            self.sent_metrics.add(name)

    def _until_sent(self, payload: bytes, method: str) -> None:
        while not self._send_grpc(payload, method):
            self.failures += 1
            time.sleep(0.05)

    def _send_grpc(self, payload: bytes, method: str = EXPORT) -> bool:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self._ports[0]}") as channel:
                channel.unary_unary(method)(payload, timeout=10)
        except grpc.RpcError:
            return False
        return True

    def _send_http(self, payload: bytes) -> bool:
        try:
            url = f"http://127.0.0.1:{self._ports[1]}/v1/traces"
            answer = httpx.post(url, content=payload, headers={"content-type": "application/x-protobuf"}, timeout=10)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


def assert_each_once(server: ServerProcess, clients: Clients) -> None:
    wait_until(lambda: server.ask("spooled") == 0, "emptying the spool", timeout_s=60)
    sent = len(clients.sent_ids)
    assert server.ask(STORED) == [{"n": sent, "ids": sent, "entries": sent}]
    assert server.ask(COUNTED) == [{"n": sent, "durations": sent}]
    assert sent > 10 * SPANS_PER_REQUEST
    logs, metrics = len(clients.sent_logs), len(clients.sent_metrics)
    assert server.ask("SELECT count() AS n, uniqExact(Body) AS ids FROM otel_logs") == [{"n": logs, "ids": logs}]
    for kind in POINTS:
        sql = f"SELECT count() AS n, uniqExact(ResourceAttributes['name']) AS ids FROM otel_metrics_{kind}"  # noqa: S608
        assert server.ask(sql) == [{"n": metrics, "ids": metrics}], kind
    assert metrics > 10


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killing_the_server_loses_and_doubles_nothing(tmp_path: Path) -> None:
    ports = dict(zip(("otlp_grpc_port", "otlp_http_port"), free_ports(2), strict=True))
    server = ServerProcess(data_dir=str(tmp_path), flush_interval_s=0.2, **ports)
    clients, draw = Clients(server.grpc_port, server.http_port), random.Random(1)

    with clients.sending():
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.3, 1.5))
            server.kill()
            server = ServerProcess(data_dir=str(tmp_path), flush_interval_s=0.2, **ports)

    assert clients.failures > 0
    assert_each_once(server, clients)
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killing_the_engine_loses_and_doubles_nothing(tmp_path: Path) -> None:
    server = ServerProcess(data_dir=str(tmp_path), otlp_grpc_port=0, otlp_http_port=0, flush_interval_s=0.2)
    clients, draw = Clients(server.grpc_port, server.http_port), random.Random(2)

    with clients.sending():
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.3, 1.5))
            wait_until(lambda: server.ask("engine_pid") is not None, "restarting the engine")
            os.kill(server.ask("engine_pid"), 9)

    assert clients.failures == 0  # the intake goes on without the engine
    wait_until(lambda: server.ask("engine_pid") is not None, "restarting the engine")
    assert_each_once(server, clients)
    assert server.stop() == 0
