"""What the pages about access share: the cookies they set, and where a login goes on."""

from urllib.parse import urlencode

from fastapi import Request, Response

from onejob.access.accounts import CodeWanted, LoggedIn
from onejob.access.second_factor import WAIT_LASTS
from onejob.web.caller import source_of
from onejob.web.cookies import set_session, set_waiting
from onejob.web.places import see_other
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


def code_wanted(request: Request, services: Services, wanted: CodeWanted, back: str) -> Response:
    """To the page that asks for the code; there is no session until it comes."""
    services.record(
        actor=wanted.user.name,
        action="login",
        object=wanted.user.name,
        source=source_of(request),
        detail="the password was right, a code is wanted",
    )
    response = see_other(request, f"/login/code?{urlencode({'back': back})}")
    response.headers["cache-control"] = "no-store"
    lasts_s = int(WAIT_LASTS.total_seconds())
    set_waiting(response, request, services.access.public_url, wanted.cookie, lasts_s)
    return response
