"""Sentry's endpoints over HTTP: POST /api/PROJECT/envelope/, and the older /api/PROJECT/store/ for a single event.

The public key of the DSN is the ingest token, where one is wanted. SDKs never send again what was refused. What they
are to stop sending for a while they learn from `X-Sentry-Rate-Limits`, in any answer, and from `Retry-After` with 429
(develop.sentry.dev/sdk/expected-features/rate-limiting).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from functools import partial

from onejob.ingest.bodies import DECOMPRESS, inflate, unbrotli
from onejob.ingest.dialect import (
    Head,
    Headers,
    Refusal,
    Reply,
    Way,
    refuse_unless_post,
    said_plainly,
    unsupported_encoding,
)
from onejob.ingest.sentry.envelope import Envelope, Item, parse
from onejob.ingest.sentry.sender import Sender
from onejob.ingest.sentry.translate import Reported, translated
from onejob.ingest.validate import Accepted

DOOR = "sentry"
SHOWN_PATH = "/api/PROJECT/envelope/"
_PATH = re.compile(r"(?:/(?P<service>[^/]{1,100}))?/api/(?P<project>[\w.-]{1,100})/(?P<what>envelope|store)/?")
_KEY = re.compile(rb"(?:^|[\s,&?])sentry_key=([\w.~-]{1,200})")
_DECOMPRESS = {**DECOMPRESS, "deflate": inflate, "br": unbrotli}
_JSON = "application/json"
_UNTAKEN_FOR_S = 3600


def is_path(path: str) -> bool:
    return _PATH.fullmatch(path) is not None


def _parts(path: str) -> tuple[str, str, str]:
    """Service, project and endpoint. Raises Refusal."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise Refusal(404, f"Events go to {SHOWN_PATH}.")
    return found["service"] or "", found["project"], found["what"]


def authorization(headers: Mapping[bytes, bytes], query: bytes) -> str:
    """The public key, wherever an SDK says it, as the token that it is."""
    said = headers.get(b"authorization", b"")
    for where in (headers.get(b"x-sentry-auth", b""), said, query):
        if found := _KEY.search(where):
            return f"Bearer {found[1].decode('ascii', 'replace')}"
    return said.decode("latin-1")


def way(head: Head, limit: int) -> Way:
    """Raises Refusal."""
    refuse_unless_post(head, "envelopes")
    if head.encoding not in ("", "identity", *_DECOMPRESS):
        raise unsupported_encoding(head, f"{', '.join(_DECOMPRESS)} or none")
    service, project, what = _parts(head.path)
    # Most SDKs take a number only; where one takes a name, it names the service.
    sender = Sender(service or ("" if project.isdigit() else project), project)
    return Way(partial(accept, sender, limit, what == "envelope"), _DECOMPRESS.get(head.encoding), is_slow=True)


def accept(sender: Sender, limit: int, is_envelope: bool, body: bytes) -> Reported:
    """Raises BadRequest."""
    envelope = parse(body) if is_envelope else Envelope({}, (Item("event", body),))
    return translated(envelope, sender, limit, time.time_ns())


def answer(_head: Head, accepted: Accepted) -> Reply:
    event_id, untaken = (accepted.event_id, accepted.untaken) if isinstance(accepted, Reported) else ("", ())
    told = {"id": event_id, "detail": accepted.message}
    body = json.dumps({name: value for name, value in told.items() if value}).encode()
    return Reply(200, _JSON, body, _limits(untaken))


def refuse(_head: Head, status: int, error: Exception, headers: Headers) -> Reply:
    plain = said_plainly(status, error, headers)
    return Reply(plain.status, _JSON, json.dumps({"detail": str(error)}).encode(), headers)


def _limits(untaken: tuple[str, ...]) -> Headers:
    if not untaken:
        return ()
    return ((b"x-sentry-rate-limits", f"{_UNTAKEN_FOR_S}:{';'.join(untaken)}:organization:not_taken".encode()),)
