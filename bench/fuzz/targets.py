"""Everything that reads bytes from outside, one line each: what reads them, and what they look like when all is well.

What a reader may do: return what can be stored, or raise one of the intake's own errors. What it returned must be read
by protobuf again, and hold what it says it holds.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa
from backports import zstd
from google.protobuf import json_format

import spans
from onejob.changes.errors import InvalidReportError
from onejob.customers import jira
from onejob.ingest.bodies import gunzip, inflate, unbrotli, unzstd
from onejob.ingest.errors import IntakeError
from onejob.ingest.loki import read as loki
from onejob.ingest.remote_write import http as remote_write
from onejob.ingest.scrape.fetch import Fetched
from onejob.ingest.scrape.scraper import accepted as scraped
from onejob.ingest.sentry import http as sentry
from onejob.ingest.sentry.sender import Sender
from onejob.ingest.snappy import unsnappy
from onejob.ingest.validate import JSON_CHECKS, PROTOBUF_CHECKS, RULES, Accepted
from onejob.model.scrape import ScrapeTarget
from onejob.tail.errors import FormatError
from onejob.tail.formats import reader_of
from onejob.tail.kind import Format
from onejob.verdict.fingerprints import fingerprint

LIMIT = 2**20
Reader = Callable[[bytes], Any]
_NOW_NS = 1_772_366_400 * 10**9
_MAKE = {"traces": spans.requests, "logs": spans.log_requests, "metrics": spans.metric_requests}
_OPENMETRICS = "application/openmetrics-text"
_PAGE = b"""# TYPE orders counter
# HELP orders Placed.
orders_total{code="200"} 1027 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.5
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.5"} 5
latency_seconds_bucket{le="+Inf"} 8
latency_seconds_count 8
latency_seconds_sum 3.25
# EOF
"""
_PUSH = json.dumps(
    {"streams": [{"stream": {"app": "shop", "level": "error"}, "values": [[str(_NOW_NS), "slow", {"user": "u1"}]]}]}
).encode()
# Published field numbers: a stream of labels and an entry; a series of two labels and a sample, in 1.0 and in 2.0.
_PUSH_PROTOBUF = bytes.fromhex("0a230a0d7b6170703d2273686f70227d12120a0608809aa7cb061204736c6f771a020a00")
_WRITE_1 = bytes.fromhex("0a290a0e0a085f5f6e616d655f5f120275700a0b0a036a6f62120473686f70120a09000000000000f03f1001")
_WRITE_2 = bytes.fromhex("220022085f5f6e616d655f5f220275702a110a020102120b09000000000000f03f1001")
_EVENT = json.dumps(
    {
        "event_id": "4bf92f3577b34da6a3ce929d0e0e4736", "timestamp": 1_772_366_400.5, "platform": "python",
        "level": "error", "release": "shop@7", "environment": "production", "tags": {"tenant": "t-1"},
        "contexts": {"trace": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}},
        "exception": {"values": [{"type": "ValueError", "value": "no price", "stacktrace": {"frames": [
            {"filename": "shop.py", "function": "total", "lineno": 7, "in_app": True}]}}]},
    }
).encode()  # fmt: skip
_SESSION = b'{"sid": "7c7b6585-f901-4351-bf8d-02711b721929", "started": "2026-03-01T12:00:00Z", "status": "exited"}'
_ENVELOPE = b'{"dsn": "http://k@h/1"}\n{"type": "event"}\n' + _EVENT + b'\n{"type": "session"}\n' + _SESSION + b"\n"
_HAPROXY = (
    b"192.0.2.7:33317 [26/Nov/2026:23:36:35.052] edge~ app/web1 0/0/1/5/7 200 512 - - ---- 1/1/0/0/0 0/0 "
    b'{curl|v7} "GET /cart?id=1 HTTP/1.1"'
)
_ENVOY = (
    b'{"start_time": "2026-11-26T23:36:35.052Z", "method": "GET", "path": "/cart", "response_code": 200, "duration": 7}'
)
_FORMAT = b'$remote_addr [$time_local] "$request" $status $body_bytes_sent $request_time "$http_user_agent"'
_STACK = b"""Traceback (most recent call last):
  File "/app/shop/pricing.py", line 7, in total
    raise ValueError("no price")
ValueError: no price
\tat com.shop.Pricing.total(Pricing.java:42)
    at total (webpack:///./src/pricing.js:7:12)
main.total(...)
\t/app/pricing.go:7 +0x1d
"""
_ISSUE = json.dumps(
    {
        "webhookEvent": "jira:issue_created", "timestamp": 1_772_366_400_500,
        "issue": {"id": "7", "key": "SUP-7", "self": "https://jira.shop.example/rest/api/2/issue/7", "fields": {
            "summary": "cannot pay", "created": "2026-03-01T12:00:00.000+0000", "labels": ["customer-c1"],
            "status": {"statusCategory": {"key": "new"}}, "customfield_10010": {"value": "c1"}}},
    }
).encode()  # fmt: skip
_LINE = b'127.0.0.1 - - [01/Mar/2026:12:00:00 +0000] "GET /cart HTTP/1.1" 200 612 "-" "curl/8.0"'


def _one(kind: Any) -> bytes:
    return _MAKE[kind](3, 3)[0]


def _json(kind: Any) -> bytes:
    request = RULES[kind].request.FromString(_one(kind))
    return json.dumps(_with_hex_ids(json_format.MessageToDict(request, use_integers_for_enums=True))).encode()


def _with_hex_ids(document: Any) -> Any:
    """As OTLP/JSON has them; protobuf's own JSON has base64."""
    if isinstance(document, list):
        return [_with_hex_ids(one) for one in document]
    if not isinstance(document, dict):
        return document
    return {
        key: base64.b64decode(value).hex() if key.lower().endswith(("traceid", "spanid")) else _with_hex_ids(value)
        for key, value in document.items()
    }


def _page(media: str) -> Reader:
    target = ScrapeTarget(url="http://shop/metrics", job="shop")
    return lambda data: scraped(target, Fetched(data.decode(errors="replace"), media), LIMIT, _NOW_NS, 0.1)


_LOG = reader_of(Format.AUTO, None, "")


def _lines(kind: Format) -> Reader:
    reader = reader_of(kind, None, "v")
    return lambda data: [reader.read(line) for line in data.decode(errors="replace").split("\n")]


def _format(kind: Format) -> Reader:
    """A format that somebody says their server writes, and a line of something else."""

    def read(data: bytes) -> None:
        try:
            reader = reader_of(kind, data.decode(errors="replace"), "v")
        except FormatError:
            return
        reader.read(_LINE.decode())

    return read


def _stack(data: bytes) -> None:
    kind, _, stack = data.decode(errors="replace").partition("\n")
    fingerprint(kind, kind, stack)


def _issue(data: bytes) -> None:
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return
    with suppress(InvalidReportError):
        jira.read(payload, ("labels:customer-", "customfield_10010"), datetime(2026, 3, 1, tzinfo=UTC))


def _snappy(data: bytes) -> bytes:
    return bytes(pa.Codec("snappy").compress(data, asbytes=True))


# name: (what reads the bytes, a body that is right)
TARGETS: dict[str, tuple[Reader, bytes]] = {
    **{f"otlp {kind}": (PROTOBUF_CHECKS[kind], _one(kind)) for kind in PROTOBUF_CHECKS},
    **{f"otlp {kind} json": (JSON_CHECKS[kind], _json(kind)) for kind in JSON_CHECKS},
    "gzip": (partial(gunzip, limit=LIMIT), gzip.compress(b"a" * 100)),
    "zstd": (partial(unzstd, limit=LIMIT), zstd.compress(b"a" * 100)),
    "deflate": (partial(inflate, limit=LIMIT), zlib.compress(b"a" * 100)),
    "brotli": (partial(unbrotli, limit=LIMIT), pa.Codec("brotli").compress(b"a" * 100, asbytes=True)),
    "snappy": (partial(unsnappy, limit=LIMIT), _snappy(b"a" * 100)),
    "remote write 1": (partial(remote_write.accept, remote_write._V1, LIMIT), _WRITE_1),
    "remote write 2": (partial(remote_write.accept, remote_write._V2, LIMIT), _WRITE_2),
    "loki protobuf": (loki.accept_protobuf, _PUSH_PROTOBUF),
    "loki json": (loki.accept_json, _PUSH),
    "page": (_page("text/plain"), _PAGE),
    "page openmetrics": (_page(_OPENMETRICS), _PAGE),
    "sentry envelope": (partial(sentry.accept, Sender("", "1"), LIMIT, True), _ENVELOPE),
    "sentry event": (partial(sentry.accept, Sender("", "1"), LIMIT, False), _EVENT),
    "access log": (lambda data: _LOG.read(data.decode(errors="replace")), _LINE),
    "access log haproxy": (_lines(Format.HAPROXY), _HAPROXY),
    "access log envoy": (_lines(Format.ENVOY), _ENVOY),
    "log format": (_format(Format.NGINX), _FORMAT),
    "stack trace": (_stack, _STACK),
    "jira": (_issue, _ISSUE),
}


def try_one(name: str, data: bytes) -> None:
    """Raises what a reader must not."""
    try:
        found = TARGETS[name][0](data)
    except IntakeError:
        return
    if isinstance(found, Accepted):
        _check(found)


def _check(accepted: Accepted) -> None:
    rules = RULES[accepted.kind]
    found = rules.look(rules.request.FromString(accepted.payload))
    assert found.items == accepted.items, f"{accepted.items} items accepted, {found.items} in the payload"
    assert not found.bad, f"accepted with {found.first}"
    for other in accepted.beside:
        _check(other)
