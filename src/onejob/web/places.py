"""Where the application is, as a browser sees it: the one place where an address gets the part in front.

The application knows its own addresses only, such as `/deployments`. Whoever passes a request on says below which path
they are (ASGI's `root_path`): the path at which a proxy shows the server, and `/p/NAME` for a project. Views hold the
application's own addresses; templates (`|at`, `|at_server`), redirects and `location` headers make them whole, here.
"""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SERVER = "onejob.server_root"
_ORIGIN = "onejob.origin"
_PROJECT = "onejob.project"


def root_of(scope: Scope) -> str:
    """The path below which the application is: empty, or `/onejob/p/shop`."""
    # A mounted part, such as the static files, makes `root_path` longer; then Starlette keeps the application's here.
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return root


def server_root_of(scope: Scope) -> str:
    """The path below which the server is, with its login, accounts and static files, whatever the project."""
    root: str = scope.get(_SERVER, root_of(scope))
    return root


def project_of(scope: Scope) -> str | None:
    """The name of the project whose addresses these are; None at the server's own, which are those of `default`."""
    name: str | None = scope.get(_PROJECT)
    return name


def path_in_app(scope: Scope) -> str:
    """The application's own address, as its router reads it."""
    path: str = scope["path"]
    return without(path, root_of(scope))


def without(path: str, root: str) -> str:
    """What follows `root`; the whole path if it is not below it, as routers have it."""
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path


def at(request: Request, address: str) -> str:
    """One of the application's addresses, as browsers find it."""
    return root_of(request.scope) + address


def at_server(request: Request, address: str) -> str:
    """One of the server's addresses, as browsers find it."""
    return server_root_of(request.scope) + address


def see_other(request: Request, address: str) -> RedirectResponse:
    """On to one of the application's addresses."""
    return RedirectResponse(at(request, address), 303)


def url_of(request: Request) -> str:
    """The application's whole address, to be opened or copied."""
    origin = request.scope.get(_ORIGIN) or f"{request.url.scheme}://{request.url.netloc}"
    return f"{origin}{root_of(request.scope)}"


class AtPublicUrl:
    """ASGI middleware: the server is where `ONEJOB_PUBLIC_URL` says that people reach it."""

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        self._app = app
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_placed = scope["type"] != "http" or _SERVER in scope
        await self._app(scope if is_placed else below_server(scope, self._public_url), receive, send)


def below_server(scope: Scope, public_url: str | None) -> Scope:
    """The request as the server reads it, whether the proxy that shows it at a path cuts that path off or not."""
    root = path_of(public_url) or root_of(scope)
    return {**_moved(scope, root, without(scope["path"], root)), _SERVER: root, _ORIGIN: origin_of(public_url)}


def of_server(scope: Scope) -> Scope:
    """The same request, seen from the server: what is made of it says nothing of a project, and leads into none."""
    root = server_root_of(scope)
    return {**scope, "root_path": root, "app_root_path": root, _PROJECT: None}


def below_project(scope: Scope, name: str, path: str) -> Scope:
    """The request to one of a project's own addresses."""
    return {**_moved(scope, f"{server_root_of(scope)}/p/{name}", path), _PROJECT: name}


def _moved(scope: Scope, root: str, path: str) -> Scope:
    return {**scope, "root_path": root, "path": root + (path or "/")}


def origin_of(public_url: str | None) -> str | None:
    """What browsers say of a page that is at `public_url`, or below it."""
    parts = urlsplit(public_url or "")
    return f"{parts.scheme}://{parts.netloc}" if public_url else None


def path_of(public_url: str | None) -> str:
    """The path at which a proxy shows the server: empty, or `/onejob`."""
    return urlsplit(public_url or "").path
