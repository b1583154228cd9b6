"""What the pages about access share: the cookies they set."""

from fastapi import Request, Response

from onejob.access.accounts import LoggedIn
from onejob.web.cookies import set_session
from onejob.web.services import Services


def logged_in(response: Response, request: Request, services: Services, now: LoggedIn) -> Response:
    """The response, with the cookie of the new session."""
    lasts_s = int(services.access.accounts.lasts.total_seconds())
    set_session(response, request, services.access.public_url, now.cookie, lasts_s)
    return response


def logged_out(response: Response, request: Request, services: Services) -> Response:
    """The response, with no session, and nothing of what was seen left in the browser."""
    response.headers["clear-site-data"] = '"cache", "storage"'
    set_session(response, request, services.access.public_url, "", 0)
    return response
