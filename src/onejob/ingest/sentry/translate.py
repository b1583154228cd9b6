"""What is in an envelope as OTLP requests, of up to three kinds:

    event, log -> log records      transaction -> spans      session, sessions -> data points, and its end a log record

What else there is, is not taken, and the SDK is told so. An item that cannot be read costs itself only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onejob.ingest import by_resource
from onejob.ingest.by_resource import ByResource
from onejob.ingest.errors import BadRequest
from onejob.ingest.otlp_metrics import Metrics
from onejob.ingest.sentry.envelope import Envelope, Item
from onejob.ingest.sentry.events import add_event, add_log, resource_of_log
from onejob.ingest.sentry.sender import Sender
from onejob.ingest.sentry.sessions import add_end, add_session, add_sessions
from onejob.ingest.sentry.transactions import add_transaction
from onejob.ingest.sentry.values import Unfit, fields, listed, text, texts
from onejob.ingest.validate import Accepted, Bounded

SCOPE = "onejob/sentry"
# What SDKs call the kinds of items that are not taken, where they tell them apart (develop.sentry.dev, "Rate Limiting")
_UNTAKEN = {
    "profile": "profile", "profile_chunk": "profile_chunk", "replay_event": "replay", "replay_recording": "replay",
    "replay_video": "replay", "attachment": "attachment", "check_in": "monitor", "feedback": "feedback",
    "span": "span", "trace_metric": "trace_metric", "metric": "metric", "statsd": "metric_bucket",
    "security": "security", "raw_security": "security",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reported(Accepted):
    """`untaken` are the categories of items that were left."""

    event_id: str = ""
    untaken: tuple[str, ...] = ()


@dataclass(slots=True)
class Translation:
    """Items are added to it. `limit` is how many bytes the sessions may be as OTLP."""

    sender: Sender
    limit: int
    now_ns: int
    headers: Mapping[str, Any] = field(default_factory=dict)
    _logs: ByResource = field(default_factory=lambda: by_resource.log_records(SCOPE))
    _spans: ByResource = field(default_factory=lambda: by_resource.spans(SCOPE))
    _metrics: Metrics = field(init=False)
    _records: int = 0
    _taken_spans: int = 0
    _untaken: dict[str, None] = field(default_factory=dict)
    _event_id: str = ""
    _bad: int = 0
    _first: str = ""

    def __post_init__(self) -> None:
        self._metrics = Metrics(self.limit)
        self._event_id = text(self.headers.get("event_id"), 64)

    def add(self, item: Item) -> None:
        """Raises TooLarge."""
        take = _TAKE.get(item.kind)
        if take is None:
            if category := _UNTAKEN.get(item.kind):
                self._untaken[category] = None
            return
        try:
            take(self, _read(item))
        except Unfit as error:
            self._refuse(1, f"In {item.kind!r}: {error}.")

    def event(self, event: Mapping[str, Any]) -> None:
        """Raises Unfit."""
        if event.get("type") == "transaction":  # at the door for single events
            self.transaction(event)
            return
        self._event_id = self._event_id or text(event.get("event_id"), 64)
        add_event(self._logs.items(self._resource(event)), event, self.now_ns)
        self._records += 1

    def transaction(self, event: Mapping[str, Any]) -> None:
        """Raises Unfit."""
        trace = fields(fields(event.get("contexts")).get("trace"))
        sample_rate = fields(self.headers.get("trace")).get("sample_rate", trace.get("client_sample_rate"))
        self._event_id = self._event_id or text(event.get("event_id"), 64)
        made: list[Any] = []
        added = add_transaction(made, event, sample_rate)
        self._spans.items(self._resource(event)).extend(made)
        self._taken_spans += added.spans
        self._refuse(added.bad, f"In a transaction: {added.first}.")

    def session(self, session: Mapping[str, Any]) -> None:
        """Raises Unfit and TooLarge."""
        add_session(self._metrics, self.sender, SCOPE, session)
        self._records += add_end(self._logs.items, self.sender, session)

    def sessions(self, counted: Mapping[str, Any]) -> None:
        """Raises Unfit and TooLarge."""
        add_sessions(self._metrics, self.sender, SCOPE, counted, self.now_ns)

    def log(self, logs: Mapping[str, Any]) -> None:
        for log in map(fields, listed(logs.get("items"))):
            try:
                add_log(self._logs.items(resource_of_log(self.sender, log)), log)
                self._records += 1
            except Unfit as error:
                self._refuse(1, f"In 'log': {error}.")

    def finished(self) -> Reported:
        """Raises BadRequest if nothing was good."""
        parts = self._parts()
        if self._bad and not parts:
            raise BadRequest(self._first)
        message = f"{self._bad} items were refused, and the others taken. The first: {self._first}" if self._bad else ""
        first, beside = (parts[0], tuple(parts[1:])) if parts else (Accepted("logs", b"", 0), ())
        return Reported(
            first.kind, first.payload, first.items, self._bad, message, first.tables, beside,
            self._event_id, tuple(self._untaken),
        )  # fmt: skip

    def _parts(self) -> list[Accepted]:
        points, tables = self._metrics.tables()
        made = (
            Accepted("logs", self._logs.request.SerializeToString(), self._records),
            Accepted("traces", self._spans.request.SerializeToString(), self._taken_spans),
            Accepted("metrics", self._metrics.request.SerializeToString(), points, tables=tables),
        )
        return [part for part in made if part.items]

    def _resource(self, event: Mapping[str, Any]) -> Any:
        return self.sender.resource_of(event, texts(event.get("tags")))

    def _refuse(self, count: int, why: str) -> None:
        self._bad += count
        self._first = self._first or (why if count else "")


_TAKE: dict[str, Callable[[Translation, Mapping[str, Any]], None]] = {
    "event": Translation.event,
    "transaction": Translation.transaction,
    "session": Translation.session,
    "sessions": Translation.sessions,
    "log": Translation.log,
}


def translated(envelope: Envelope, sender: Sender, limit: int, now_ns: int) -> Reported:
    """Raises BadRequest."""
    translation = Translation(sender, limit, now_ns, envelope.headers)
    for item in envelope.items:
        translation.add(item)
    return translation.finished()


def _read(item: Item) -> Mapping[str, Any]:
    """Raises Unfit."""
    try:
        found = json.loads(item.payload, object_hook=Bounded(item.payload))
    except (ValueError, RecursionError) as error:
        raise Unfit(f"it is not JSON ({str(error)[:200]})") from error
    if not isinstance(found, dict):
        raise Unfit("it is no JSON object")
    return found
