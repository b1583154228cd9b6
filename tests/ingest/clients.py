"""Clients that send all kinds of telemetry, each request until it is acknowledged; and the count of what arrived."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import grpc
import httpx

from onejob.model.telemetry import POINTS
from otlp_builders import a_log_request, a_metric_request, a_payload, a_record, a_span

from .conftest import EXPORT
from .server_process import ServerProcess
from .waiting import wait_until

SERVICE = "chaos"
PER_REQUEST = 40  # spans, or log records
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
STORED = "SELECT count() AS n, uniqExact(SpanId) AS ids, countIf(IsEntry) AS entries FROM otel_traces"
COUNTED = "SELECT sum(Count) AS n, sum(Zeros) + arraySum(mapValues(sumMap(Buckets))) AS durations FROM operation_rollup"


class Clients:
    """Threads that send new telemetry until told to stop. `pause_s` is between two requests of one of them. Those of
    another `project` send its `token`.
    """

    def __init__(
        self,
        grpc_port: int,
        http_port: int,
        *,
        timeout_s: float = 10.0,
        pause_s: float = 0.0,
        project: str = "default",
        token: str = "",
    ) -> None:
        self.project = project
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._ports = (grpc_port, http_port)
        self._timeout_s, self._pause_s = timeout_s, pause_s
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
        while not self._stop.wait(self._pause_s):
            spans = [a_span(parent=bytes([1] * 8 * (number % 2))) for number in range(PER_REQUEST)]
            payload = a_payload(*spans, service=SERVICE)
            while not send(payload):  # type: ignore[operator]
                self.failures += 1
                time.sleep(0.05)
            with self._lock:
                self.sent_ids |= {span.span_id.hex() for span in spans}

    def _send_others(self) -> None:
        """Logs and metrics in turn."""
        while not self._stop.wait(self._pause_s):
            # No number: one of some ten thousand is that of a credit card, which is hidden, and two of them are alike.
            bodies = [f"n{os.urandom(8).hex()}" for _ in range(PER_REQUEST)]
            self._until_sent(a_log_request(*map(a_record, bodies), service=SERVICE).SerializeToString(), LOGS)
            self.sent_logs |= set(bodies)
            name = f"n{os.urandom(8).hex()}"
            self._until_sent(a_metric_request(SERVICE, resource={"name": name}).SerializeToString(), METRICS)
            self.sent_metrics.add(name)

    def _until_sent(self, payload: bytes, method: str) -> None:
        while not self._send_grpc(payload, method):
            self.failures += 1
            time.sleep(0.05)

    def _send_grpc(self, payload: bytes, method: str = EXPORT) -> bool:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self._ports[0]}") as channel:
                channel.unary_unary(method)(payload, metadata=tuple(self._headers.items()), timeout=self._timeout_s)
        except grpc.RpcError:
            return False
        return True

    def _send_http(self, payload: bytes) -> bool:
        url = f"http://127.0.0.1:{self._ports[1]}/v1/traces"
        media = {"content-type": "application/x-protobuf"} | self._headers
        try:
            answer = httpx.post(url, content=payload, headers=media, timeout=self._timeout_s)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


def lost_requests(server: ServerProcess, clients: Clients) -> int:
    """How many acknowledged requests are not stored. All others are, each once, in the tables and in the counts."""
    ask = partial(server.ask, project=clients.project)
    wait_until(lambda: ask("spooled") == 0, "emptying the spool")
    (spans,) = ask(STORED)
    assert spans["n"] == spans["ids"] == spans["entries"], "spans stored twice"
    assert ask(COUNTED) == [{"n": spans["n"], "durations": spans["n"]}]
    (logs,) = ask("SELECT count() AS n, uniqExact(Body) AS ids FROM otel_logs")
    assert logs["n"] == logs["ids"], "log records stored twice"
    names = "count() AS n, uniqExact(ResourceAttributes['name']) AS ids"
    points = [ask(f"SELECT {names} FROM otel_metrics_{kind}")[0] for kind in POINTS]  # noqa: S608
    assert all(found == {"n": points[0]["n"], "ids": points[0]["n"]} for found in points), points
    assert ask("dead_letters") == 0
    lost = (
        _whole(len(clients.sent_ids) - spans["n"], PER_REQUEST),
        _whole(len(clients.sent_logs) - logs["n"], PER_REQUEST),
        len(clients.sent_metrics) - points[0]["n"],
    )
    assert min(lost) >= 0, "something is stored that was not sent"
    return sum(lost)


def _whole(items: int, per_request: int) -> int:
    assert items % per_request == 0, "a request is stored in part"
    return items // per_request
