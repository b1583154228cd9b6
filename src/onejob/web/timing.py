"""How long requests take: by route as the rules write it and by class of status, of which there are few whatever
strangers ask for. What the address, the query or the headers say besides is kept nowhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onejob.durations import DurationsBy
from onejob.own_spans import OwnSpan, OwnSpans
from onejob.web.places import path_in_app
from onejob.web.rules import route_of

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_OTHER = "_OTHER"  # as OpenTelemetry's semantic conventions call any other (`http.request.method`)
_FAILED = 500  # what is answered when nothing was


class Answered(NamedTuple):
    """`route` is empty where there is none; `status` is such as `2xx`."""

    method: str
    route: str
    status: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known of them since the start; `spans` are told of each."""

    durations: DurationsBy[Answered] = field(default_factory=DurationsBy)
    spans: OwnSpans = field(default_factory=OwnSpans)

    def add(self, answered: Answered, status: int, took_s: float) -> None:
        self.durations.add(answered, took_s)
        if self.spans.are_kept:
            self.spans.add(_span(answered, status), took_s)


class Timing:
    """ASGI middleware. A request takes until its answer begins: a stream of news goes on for as long as it is read."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        came_at, has_begun = time.monotonic(), False

        def answered(status: int) -> None:
            nonlocal has_begun
            has_begun = True
            self._answers.add(_answered(scope, status), status, time.monotonic() - came_at)

        async def noted(told: Message) -> None:
            if told["type"] == "http.response.start":
                answered(told["status"])
            await send(told)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if not has_begun:
                answered(_FAILED)
            raise


def _answered(scope: Scope, status: int) -> Answered:
    method = scope["method"] if scope["method"] in _METHODS else _OTHER
    route = route_of("GET" if method == "HEAD" else method, path_in_app(scope))
    return Answered(method, route, f"{status // 100}xx")


def _span(answered: Answered, status: int) -> OwnSpan:
    """As OpenTelemetry's conventions for HTTP servers have it, but for path and query, which hold names."""
    about: dict[str, str | int] = {
        "http.request.method": answered.method,
        "http.response.status_code": status,
        "http.route": answered.route,
    }
    if not answered.route:
        del about["http.route"]
    name = f"{answered.method} {answered.route}".rstrip()
    return OwnSpan(name, about, is_server=True, error=str(status) if status >= _FAILED else "")
