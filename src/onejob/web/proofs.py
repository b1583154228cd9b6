"""What a request shows of where it comes from: a token, or that a page of ours asked."""

from urllib.parse import urlsplit

from starlette.requests import Request


def bearer_of(request: Request) -> str | None:
    """A token of ours. What else a proxy may send there is none of our business."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip()
    return text if scheme.lower() == "bearer" and text.startswith("onejob_") else None


def is_ours(request: Request) -> bool:
    """Whether the browser says that a page of this very origin asks; no page can set these headers."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:
        return False
    return origin != "" and origin == request.headers.get("host")
