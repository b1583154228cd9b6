"""Whatever OTLP can say is kept as it was sent, field by field, through each of its doors: generated requests to one
server, decoded by protobuf's own classes here and by the engine there.
"""

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import grpc
import httpx
import pytest
from backports import zstd
from google.protobuf import json_format
from hypothesis import HealthCheck, Phase, given, settings

from onejob.ingest.otlp_grpc import EXPORTS
from onejob.ingest.service import Intake
from onejob.model.telemetry import POINTS, Kind
from onejob.store.engine import Engine, open_engine
from otlp_builders import a_service
from otlp_rows import assert_same, log_rows, point_rows, span_rows
from otlp_strategies import log_requests, metric_requests, trace_requests

from .conftest import some_settings

PROTOBUF, JSON = "application/x-protobuf", "application/json"
METHODS = {kind: method for method, kind in EXPORTS.items()}
IDS = ("traceId", "spanId", "parentSpanId")
DRAWN = "drawn"
# What fails is not made smaller: each try goes through a whole server.
SOME = settings(
    max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)


class Doors:
    """One intake whose rules of redaction are none, and clients of its ports."""

    def __init__(self, intake: Intake, engine: Engine, channel: grpc.Channel, client: httpx.Client) -> None:
        self.intake, self.engine = intake, engine
        self._channel, self._client = channel, client

    def call(self, kind: Kind, request: Any, compression: grpc.Compression = grpc.Compression.NoCompression) -> None:
        answer = self._channel.unary_unary(METHODS[kind])(request.SerializeToString(), compression=compression)
        assert answer == b"", "full success"

    def post(
        self, kind: Kind, request: Any, media: str = PROTOBUF, encoding: str = "", write: Callable[..., bytes] = bytes
    ) -> None:
        body = as_json(request) if media == JSON else request.SerializeToString()
        headers = {"content-type": media} | ({"content-encoding": encoding} if encoding else {})
        answer = self._client.post(f"/v1/{kind}", content=write(body), headers=headers)
        assert (answer.status_code, answer.content) == (200, b"{}" if media == JSON else b"")

    def kept(self, table: str, group: str, order: str) -> dict[str, list[dict[str, Any]]]:
        """Of each service of a group, whose name begins with that of the group."""
        sql = f"SELECT * FROM {table} WHERE startsWith(ServiceName, {{group:String}}) ORDER BY {order}"  # noqa: S608
        found = defaultdict(list)
        for row in self.engine.query(sql, {"group": group}).to_pylist():
            found[row["ServiceName"]].append(row)
        return found


WAYS: dict[str, Callable[[Doors, Kind, Any], None]] = {
    "gRPC": Doors.call,
    "gRPC, gzip": partial(Doors.call, compression=grpc.Compression.Gzip),
    "gRPC, deflate": partial(Doors.call, compression=grpc.Compression.Deflate),
    "HTTP": Doors.post,
    "HTTP, gzip": partial(Doors.post, encoding="gzip", write=gzip.compress),
    "HTTP, zstd": partial(Doors.post, encoding="zstd", write=zstd.compress),
    "HTTP, JSON": partial(Doors.post, media=JSON),
    "HTTP, JSON, gzip": partial(Doors.post, media=JSON, encoding="gzip", write=gzip.compress),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    settings = some_settings(tmp_path_factory.mktemp("every"), redaction=({"action": "keep", "default": "*"},))
    engine = open_engine(settings)
    intake = Intake(settings, engine)
    intake.start()
    with (
        grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}") as channel,
        httpx.Client(base_url=f"http://127.0.0.1:{intake.http_port}") as client,
    ):
        yield Doors(intake, engine, channel, client)
    intake.stop()
    engine.close()


def as_json(request: Any) -> bytes:
    """As OTLP writes it: enums as numbers, ids in hexadecimal, of which protobuf's own JSON knows nothing."""
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(with_hex_ids(document)).encode()


def with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [with_hex_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            name: base64.b64decode(inside).hex() if name in IDS else with_hex_ids(inside)
            for name, inside in value.items()
        }
    return value


def sent_by(request: Any, service: str) -> Any:
    sent = deepcopy(request)
    for of_resource in next(iter(sent.ListFields()), (None, ()))[1]:
        for pair in of_resource.resource.attributes:
            if pair.key == "service.name":
                pair.value.string_value = service
    return sent


@SOME
@given(traces=trace_requests(DRAWN), logs=log_requests(DRAWN), metrics=metric_requests(DRAWN))
def test_each_field_is_kept_as_it_was_sent_through_each_door(
    place: Doors, traces: Any, logs: Any, metrics: Any
) -> None:
    group = a_service()
    services = {way: f"{group}: {way}." for way in WAYS}
    drawn: dict[Kind, Any] = {"traces": traces, "logs": logs, "metrics": metrics}

    for way, service in services.items():
        for kind, request in drawn.items():
            WAYS[way](place, kind, sent_by(request, service))
    assert place.intake.settle(60)

    spans = place.kept("otel_traces", group, "Duration")
    records = place.kept("otel_logs", group, "toUInt32(SeverityText)")
    points = {kind: place.kept(f"otel_metrics_{kind}", group, "Flags") for kind in POINTS}
    for service in services.values():
        assert_same(spans[service], span_rows(sent_by(traces, service)))
        assert_same(records[service], log_rows(sent_by(logs, service)))
        for kind in POINTS:
            assert_same(points[kind][service], point_rows(sent_by(metrics, service), kind))
