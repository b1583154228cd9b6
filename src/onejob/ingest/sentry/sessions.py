"""Sessions counted, for the share that did not crash: a sum of sessions by state, each point what one item tells of.

    started     all there are
    exited      that ended well           errored     that ended, with errors on the way
    crashed     that an error ended       abnormal    that ended in another way

A session is told when it starts and when it ends, or both at once; one that does not end was started. Servers tell
counts per minute (develop.sentry.dev/sdk/telemetry/sessions).

Two servers may well tell the same counts of the same minute, in the same bytes: so counts have the time at which they
were received, and no SDK sends counts again. Single sessions, which devices send again after they were offline, have
their own time and id: sent again they are the same.

What a single session came to is an event in a log record as well, `session.end` of OpenTelemetry's conventions, so that
the share that crashed can be a KPI. Those that come counted are requests of servers, and too many for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onejob.ingest.labels import Pairs, put
from onejob.ingest.otlp_metrics import Family, Metrics, Source
from onejob.ingest.sentry.sender import Sender
from onejob.ingest.sentry.values import Unfit, fields, identity, listed, number, text, time_ns

NAME, STATE, CRASHED = "sentry.sessions", "session.state", "session.crashed"
_STATES = ("exited", "errored", "crashed", "abnormal")
_FAMILY = Family(NAME, "sum", True, "Sessions of Sentry's SDKs by state.", "{session}", is_delta=True)
_POINT_BYTES = 80
_MOST = 2**40

Counts = list[tuple[str, int]]


def add_session(metrics: Metrics, sender: Sender, scope: str, session: Mapping[str, Any]) -> None:
    """Raises Unfit and TooLarge."""
    started = time_ns(session.get("started"))
    at = time_ns(session.get("timestamp")) or started
    if not started:
        raise Unfit("a session has no time when it started")
    # The id is no attribute: each session would be a series of its own. It is an exemplar, and tells sessions apart.
    sid = identity(session.get("sid"), 16).hex()
    _add(metrics, _source(sender, scope, session), _told(session), (started, max(at, started)), sid)


def add_end(records: Callable[[Pairs], Any], sender: Sender, session: Mapping[str, Any]) -> bool:
    """To the log records of its resource, if the session ended; whether it did. It is one that was added."""
    (*_, (state, _)) = [("", 0), *_told(session)]
    if state not in _STATES:
        return False
    at = max(time_ns(session.get("timestamp")), time_ns(session.get("started")))
    record = records(_source(sender, "", session).resource).add(
        time_unix_nano=at, severity_text="info", severity_number=9, event_name="session.end"
    )
    attributes = {CRASHED: "true" if state == "crashed" else "false", STATE: state}
    sid = identity(session.get("sid"), 16).hex()
    put(record.attributes, sorted((attributes | ({"session.id": sid} if sid else {})).items()))
    return True


def add_sessions(metrics: Metrics, sender: Sender, scope: str, counted: Mapping[str, Any], now_ns: int) -> None:
    """Raises Unfit and TooLarge."""
    buckets = [(time_ns(bucket.get("started")), bucket) for bucket in map(fields, listed(counted.get("aggregates")))]
    if not all(started for started, _ in buckets):
        raise Unfit("counts of sessions have no time when these started")
    source = _source(sender, scope, counted)
    for nth, (started, bucket) in enumerate(buckets):
        at_ns = now_ns + nth  # points of one series at one time are taken for one point
        ended = [(state, count) for state in _STATES if (count := _count(bucket.get(state)))]
        all_of_them = [("started", sum(count for _, count in ended))] if ended else []
        _add(metrics, source, all_of_them + ended, (min(started, at_ns), at_ns))


def _told(session: Mapping[str, Any]) -> Counts:
    status = text(session.get("status"), 20)
    had_errors = session.get("errored") is True or (number(session.get("errors")) or 0) > 0
    ended = "errored" if status in ("exited", "errored") and had_errors else status
    states = ["started"] if session.get("init") is True else []
    return [(state, 1) for state in (*states, *([ended] if ended in _STATES else []))]


def _count(value: Any) -> int:
    found = number(value) or 0
    return int(found) if 0 < found < _MOST else 0


def _source(sender: Sender, scope: str, said: Mapping[str, Any]) -> Source:
    return Source(sender.resource_of(fields(said.get("attrs")), {}), (scope, ""))


def _add(metrics: Metrics, source: Source, counts: Counts, between: tuple[int, int], sid: str = "") -> None:
    if not counts:
        return
    points = metrics.points(source, _FAMILY)
    for state, count in counts:
        metrics.spend(_POINT_BYTES, 1)
        point = points.add(start_time_unix_nano=between[0], time_unix_nano=between[1], as_int=count)
        put(point.attributes, ((STATE, state),))
        if sid:
            exemplar = point.exemplars.add(time_unix_nano=between[1], as_int=1)
            put(exemplar.filtered_attributes, (("session.id", sid),))
