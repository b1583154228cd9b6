"""What every answer and every change must satisfy, before any page is asked.

Pages show text that strangers wrote into spans. They are escaped where they are written; should that ever fail, the
content security policy leaves nothing that an injected tag could do: no inline script or style, no other origin.
Where there is no login, and where a cookie is one, a page of another origin must not be able to make a visitor's
browser change anything; nor may a site whose name is made to lead here (DNS rebinding), for which the browser takes us
to be that site: a server on loopback answers to addresses and to the names it was told only.
"""

from collections.abc import Callable, Collection, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onejob.config import Settings, is_loopback
from onejob.web.places import origin_of

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_RAW = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
_SAFE = {"GET", "HEAD", "OPTIONS"}
_REFUSAL = (
    b'{"title":"Another site asked for this change","status":403,'
    b'"detail":"Open this page at its own address and try again."}'
)
_MISDIRECTED = (
    b'{"title":"Not known by this name","status":421,'
    b'"detail":"This server listens on loopback: open it as localhost. '
    b'Behind a proxy, tell it its name: ONEJOB_ALLOWED_HOSTS."}'
)


class Guard:
    """ASGI middleware: security headers on every answer, and no changes asked for by other origins."""

    def __init__(
        self, app: ASGIApp, is_known: Callable[[str], bool] = lambda _: True, public_url: str | None = None
    ) -> None:
        self._app = app
        self._is_known = is_known
        self._public_origin = origin_of(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _RAW if pair[0] not in present)]
            await send(message)

        if scope["method"] not in _SAFE and is_foreign(scope["headers"], self._public_origin):
            await _refuse(guarded)
            return
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if not self._is_known(host):
            await _refuse(guarded, 421, _MISDIRECTED)
            return
        await self._app(scope, receive, guarded)


def is_foreign(headers: Iterable[tuple[bytes, bytes]], public_origin: str | None = None) -> bool:
    """Whether a browser says that the request comes from another origin; tools send neither header.

    A proxy may say another `Host` than browsers do: our `public_origin` is no other.
    """
    sent = {name: value.decode("latin-1") for name, value in headers}
    if sent.get(b"sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return True
    origin = sent.get(b"origin")
    if origin is None or origin == public_origin:
        return False
    try:
        return urlsplit(origin).netloc != sent.get(b"host")
    except ValueError:
        return True


def known_hosts(listen_host: str, names: Collection[str]) -> Callable[[str], bool]:
    """What a request may be addressed to: anything, unless names were given or nobody else can reach us anyway."""
    known = {"localhost", listen_host.lower(), *(name.lower() for name in names)}
    if not names and not is_loopback(listen_host):
        return lambda _: True

    def is_known(host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        # A browser that was led here by a name sends that name. An address cannot be made to lead elsewhere.
        return name == "" or name in known or _is_address(name)

    return is_known


def known_to(settings: Settings) -> Callable[[str], bool]:
    """The same, by what the settings say."""
    public = [urlsplit(settings.public_url).hostname or ""] if settings.public_url else []
    return known_hosts(settings.listen_host, [*settings.allowed_hosts, *public])


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def _refuse(send: Send, status: int = 403, body: bytes = _REFUSAL) -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
