"""Remote write over HTTP: POST /api/v1/write, protobuf in snappy's block format.

The content type says which version the body is in; no more than protobuf stands for 1.0. There must be one: without, a
page of another site could send this from somebody's browser.

What is wrong with some samples only does not keep the others out: these are stored, and 400 says which were not (2.0,
"Partial Write"). All answers but 429 and 5xx say that the same body need not come again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from onejob.ingest.dialect import (
    PLAIN,
    Head,
    Headers,
    Refusal,
    Reply,
    Way,
    refuse_unless_post,
    said_plainly,
    unsupported_encoding,
)
from onejob.ingest.errors import BadRequest
from onejob.ingest.otlp_metrics import Metrics
from onejob.ingest.remote_write.series import MESSAGES, series_of_1, series_of_2
from onejob.ingest.remote_write.translate import Translation, Written
from onejob.ingest.snappy import unsnappy
from onejob.ingest.validate import Accepted

DOOR = "remote_write"
PATH = "/api/v1/write"
_MEDIA = "application/x-protobuf"
_V1, _V2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"
_READ: Mapping[str, Any] = {
    _V1: (MESSAGES["WriteRequestV1"], series_of_1),
    _V2: (MESSAGES["RequestV2"], series_of_2),
}


def way(head: Head, limit: int) -> Way:
    refuse_unless_post(head, "remote write")
    version = head.parameters.get("proto", _V1)
    if head.media != _MEDIA or version not in _READ:
        raise Refusal(415, f"The content type must be {_MEDIA}, for remote write 2.0 with proto={_V2}.")
    if head.encoding not in ("", "snappy"):
        raise unsupported_encoding(head, "snappy")
    return Way(partial(accept, version, limit), unsnappy)


def accept(version: str, limit: int, body: bytes) -> Written:
    """`limit` is how many bytes it may be as OTLP. Raises BadRequest."""
    message, series_of = _READ[version]
    try:
        request = message.FromString(body)
    except DecodeError as error:
        raise BadRequest(f"The body is not a {version} in protobuf, or a text in it not UTF-8.") from error
    if body and not request.ListFields():
        raise BadRequest(f"The body has nothing of a {version}: is it one of another version, or OTLP (/v1/metrics)?")
    translation = Translation(Metrics(limit), tells_exemplars=version == _V2)
    for series in series_of(request, len(body)):
        translation.add(series)
    return translation.finished()


def answer(_head: Head, accepted: Accepted) -> Reply:
    headers = _written(accepted)
    if accepted.rejected:
        return Reply(400, PLAIN, f"{accepted.message}\n".encode(), headers)
    return Reply(204, PLAIN, b"", headers)


def refuse(_head: Head, status: int, error: Exception, headers: Headers) -> Reply:
    return said_plainly(status, error, (*headers, *_written(None)))


def _written(accepted: Accepted | None) -> Headers:
    counts = (accepted.samples, accepted.histograms, accepted.exemplars) if isinstance(accepted, Written) else (0, 0, 0)
    names = (b"samples", b"histograms", b"exemplars")
    return tuple(
        (b"x-prometheus-remote-write-%s-written" % name, b"%d" % count)
        for name, count in zip(names, counts, strict=True)
    )
