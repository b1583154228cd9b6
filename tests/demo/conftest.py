"""A real shop whose telemetry goes to a plain OTLP receiver instead of a judge."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services

from onejob.act.drivers.envoy import EnvoyDriver
from onejob.demo.keeper import Keeper
from onejob.demo.performance import demo_folder
from onejob.demo.processes import Processes
from onejob.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Span:
    service: str
    version: str
    name: str
    is_server: bool
    trace_id: bytes
    seconds: float
    is_error: bool
    attributes: dict[str, Any]

    @property
    def is_synthetic(self) -> bool:
        return "user_agent.synthetic.type" in self.attributes


@dataclass
class Receiver(services.TraceServiceServicer):  # type: ignore[misc]
    requests: list[messages.ExportTraceServiceRequest] = field(default_factory=list)

    def Export(self, request: Any, context: Any) -> messages.ExportTraceServiceResponse:  # noqa: N802 - gRPC's name
        self.requests.append(request)
        return messages.ExportTraceServiceResponse()

    def spans(self) -> Iterator[Span]:
        for request in list(self.requests):
            for resource in request.resource_spans:
                of = _attributes(resource.resource)
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield _span(of, span)


def _span(resource: dict[str, Any], span: Any) -> Span:
    return Span(
        service=resource["service.name"],
        version=resource["service.version"],
        name=span.name,
        is_server=span.kind == span.SPAN_KIND_SERVER,
        trace_id=span.trace_id,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        is_error=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_attributes(span),
    )


def _attributes(of: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in of.attributes}


@dataclass
class OpenShop:
    """A shop with v1 in its first slot and customers in it."""

    stage: Stage
    received: Receiver

    @contextmanager
    def share(self, share: float) -> Iterator[None]:
        driver = EnvoyDriver(self.stage.driver_settings())
        driver.set_share(share)
        try:
            yield
        finally:
            driver.set_share(0.0)
            driver.close()

    def traffic_of(self, seconds: float) -> list[Span]:
        """Spans of what happens from now on."""
        time.sleep(2.5)  # what ended before is exported by then
        self.received.requests.clear()
        time.sleep(seconds)
        return list(self.received.spans())


@pytest.fixture(scope="session")
def shop() -> Iterator[OpenShop]:
    received = Receiver()
    server = grpc.server(ThreadPoolExecutor(2))
    services.add_TraceServiceServicer_to_server(received, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    folder: Path = demo_folder()
    keeper = Keeper(folder)
    processes = Processes(folder / "logs", keeper)
    try:
        stage = Stage(folder, processes, f"http://127.0.0.1:{port}")
        stage.open("v1")
        stage.let_customers_in()
        yield OpenShop(stage, received)
    finally:
        processes.stop_all()
        keeper.clean_up()
        server.stop(None)
    assert not folder.exists()
