"""A whole intake on free ports, with the embedded engine behind it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from onejob.config import Settings
from onejob.ingest.service import Intake
from onejob.store.engine import Engine, open_engine

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
Export = Callable[..., bytes]


def some_settings(data_dir: Path, **fields: Any) -> Settings:
    return Settings(data_dir=data_dir, **({"otlp_grpc_port": 0, "otlp_http_port": 0, "flush_interval_s": 0.1} | fields))


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return some_settings(tmp_path_factory.mktemp("intake"), max_request_bytes=2**20)


@pytest.fixture(scope="session")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def intake(settings: Settings, engine: Engine) -> Iterator[Intake]:
    intake = Intake(settings, engine)
    intake.start()
    yield intake
    intake.stop()


@pytest.fixture(scope="session")
def url(intake: Intake) -> str:
    return f"http://127.0.0.1:{intake.http_port}/v1/traces"


@pytest.fixture
def export(intake: Intake) -> Iterator[Export]:
    """Export over gRPC, bytes to bytes."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}", options=options) as channel:
        yield channel.unary_unary(EXPORT)
