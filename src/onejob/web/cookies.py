"""The cookies of a login. Over HTTPS their names begin with `__Host-`: no other host, and no page without HTTPS, can
set them (RFC 6265bis, section 4.1.3.2).
"""

from starlette.requests import Request
from starlette.responses import Response

_SESSION, _LEAVING, _WAITING = "onejob_session", "onejob_login", "onejob_code"


def is_https(request: Request, public_url: str | None) -> bool:
    """As the browser sees it: a proxy may speak HTTP with us."""
    return request.url.scheme == "https" or (public_url or "").startswith("https:")


def session_cookie(request: Request, public_url: str | None) -> str | None:
    """What the browser has, if anything."""
    return request.cookies.get(_name(_SESSION, request, public_url))


def leaving_cookie(request: Request, public_url: str | None) -> str | None:
    """The state of a login that is under way at the provider."""
    return request.cookies.get(_name(_LEAVING, request, public_url))


def waiting_cookie(request: Request, public_url: str | None) -> str | None:
    """What shows that this browser said the right password, and that a code is waited for."""
    return request.cookies.get(_name(_WAITING, request, public_url))


def set_session(response: Response, request: Request, public_url: str | None, value: str, lasts_s: int) -> None:
    """The browser is logged in; an empty value: no more."""
    _set(response, request, public_url, _SESSION, value, lasts_s)


def set_leaving(response: Response, request: Request, public_url: str | None, value: str, lasts_s: int) -> None:
    """The browser leaves for the provider; an empty value: it is back."""
    _set(response, request, public_url, _LEAVING, value, lasts_s)


def set_waiting(response: Response, request: Request, public_url: str | None, value: str, lasts_s: int) -> None:
    """The password was right, and a code is wanted; an empty value: no more."""
    _set(response, request, public_url, _WAITING, value, lasts_s)


def _set(response: Response, request: Request, public_url: str | None, name: str, value: str, lasts_s: int) -> None:
    # Lax: a link to a deployment, in a chat say, must find its reader logged in.
    response.set_cookie(
        _name(name, request, public_url),
        value,
        max_age=lasts_s if value else 0,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(request, public_url),
    )


def _name(name: str, request: Request, public_url: str | None) -> str:
    return f"__Host-{name}" if is_https(request, public_url) else name
