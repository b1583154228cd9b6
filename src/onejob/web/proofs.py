"""What a request shows of where it comes from: a token, or that a page of ours asked."""

from urllib.parse import urlsplit

from starlette.requests import Request

from onejob.web.places import origin_of

_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


def bearer_of(request: Request) -> str | None:
    """A token of ours. What else a proxy may send there is none of our business."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip()
    return text if scheme.lower() == "bearer" and text.startswith("onejob_") else None


def passed_on_by(request: Request) -> bool:
    """Whether a proxy passes this on: it says so; or it speaks HTTP/1.0, as nginx does unless told and no browser does;
    or a page of our own asks under another name than it was asked by. Not all show: it is a warning to who set it up,
    not a wall.
    """
    says_so = any(name in request.headers for name in _OF_PROXIES)
    return says_so or request.scope.get("http_version") == "1.0" or _has_another_name(request)


def _has_another_name(request: Request) -> bool:
    """No page can set these headers, so no other site can make it look so."""
    if request.headers.get("sec-fetch-site") != "same-origin":
        return False
    try:
        name = urlsplit(request.headers.get("referer", "")).netloc
    except ValueError:
        return False
    return name not in ("", request.headers.get("host"))


def is_ours(request: Request, public_url: str | None) -> bool:
    """Whether the browser says that a page of this very origin asks; no page can set these headers."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    if public_url is not None and origin == origin_of(public_url):
        return True  # also where a proxy says another `Host`
    try:
        name = urlsplit(origin).netloc
    except ValueError:
        return False
    return name != "" and name == request.headers.get("host")
