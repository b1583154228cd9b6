"""Spans of onejob's own work, until somebody takes them away.

Problem: whoever works must neither wait for nor fail by telling that they do. Solution: a list in memory that is
bounded; what finds no room there is dropped, and counted. Unless a buffer is given nothing is kept at all.

What a span says is known when this is written: names of things, numbers, classes of errors. Never what somebody sent:
no addresses, queries, names of people, messages of errors.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from onejob.model.project import DEFAULT_PROJECT

MOST = 2048  # as the batch processors of OpenTelemetry's SDKs keep (OTEL_BSP_MAX_QUEUE_SIZE)


@dataclass(slots=True)
class OwnSpan:
    """Times are Unix nanoseconds. `error` is OpenTelemetry's `error.type`: empty where all went well."""

    name: str
    attributes: dict[str, str | int]
    is_server: bool = False
    error: str = ""
    trace_id: bytes = field(default_factory=lambda: os.urandom(16))
    span_id: bytes = field(default_factory=lambda: os.urandom(8))
    parent_id: bytes = b""
    start_ns: int = 0
    end_ns: int = 0


class Buffer:
    """Thread-safe. `dropped` counts what was not kept since the start."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._spans: list[OwnSpan] = []
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, span: OwnSpan) -> None:
        with self._lock:
            if len(self._spans) < self._most:
                self._spans.append(span)
            else:
                self.dropped += 1

    def take(self) -> list[OwnSpan]:
        """All that there are; they are the caller's now."""
        with self._lock:
            taken, self._spans = self._spans, []
        return taken

    def drop(self, count: int) -> None:
        """So many that were taken got no further."""
        with self._lock:
            self.dropped += count


class OwnSpans:
    """Those about one project, which they name as `onejob.project`."""

    def __init__(self, buffer: Buffer | None = None, project: str = DEFAULT_PROJECT) -> None:
        self._buffer = buffer
        self._project = project

    def of_project(self, project: str) -> OwnSpans:
        """The same for another one."""
        return OwnSpans(self._buffer, project)

    @property
    def are_kept(self) -> bool:
        return self._buffer is not None

    @property
    def dropped(self) -> int:
        return self._buffer.dropped if self._buffer else 0

    def add(self, span: OwnSpan, took_s: float) -> None:
        """It ends now."""
        if self._buffer is not None:
            span.end_ns = time.time_ns()
            span.start_ns = span.end_ns - round(took_s * 1e9)
            span.attributes["onejob.project"] = self._project
            self._buffer.put(span)

    @contextmanager
    def span(
        self, name: str, about: Mapping[str, str | int] | None = None, within: OwnSpan | None = None
    ) -> Iterator[OwnSpan]:
        """Of what is done while it is open, which may tell the span its error; part of another, if `within` one."""
        span = OwnSpan(name, dict(about or {}))
        if within is not None:
            span.trace_id, span.parent_id = within.trace_id, within.span_id
        began = time.monotonic()
        try:
            yield span
        except BaseException as error:
            span.error = type(error).__name__
            raise
        finally:
            self.add(span, time.monotonic() - began)
