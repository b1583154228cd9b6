"""Many projects behind one port: `default` at the addresses of the server, the others below `/p/NAME`.

Each project is an application of its own, which knows its own addresses only. Users, their sessions and static files
are the server's: what they need is asked at the server's addresses and is nowhere else. What is no project is left to
`default`'s application, which has nothing at that address: whether there is such a project nobody learns who may not.
"""

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from onejob.web.places import below_project, below_server, path_in_app

Find = Callable[[str], ASGIApp | None]
OF_SERVER = frozenset(("account", "healthz", "login", "logout", "p", "readyz", "static", "theme", "welcome"))
_PROJECT = re.compile(r"/p/([^/]+)(/.*)?", re.DOTALL)


class Projects:
    """ASGI application. `find` knows a project's application by its name, at once: it waits for nothing."""

    def __init__(self, default: ASGIApp, find: Find, public_url: str | None) -> None:
        self._default = default
        self._find = find
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._default(scope, receive, send)
            return
        app, placed = self._whose(below_server(scope, self._public_url))
        await app(placed, receive, send)

    def _whose(self, scope: Scope) -> tuple[ASGIApp, Scope]:
        found = _PROJECT.fullmatch(path_in_app(scope))
        if found is None:
            return self._default, scope
        name, path = found[1], found[2] or "/"
        project = None if path.split("/")[1] in OF_SERVER else self._find(name)
        return (self._default, scope) if project is None else (project, below_project(scope, name, path))
