"""Logging in, by password or at the provider, logging out, and the page that one-time links lead to."""

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from onejob.access.accounts import PROVIDER_LOGIN_LASTS, CodeWanted, LoggedIn, folded
from onejob.access.errors import AccessError, LoginRefusedError, ProviderError, TooManyTriesError
from onejob.model.access import Proof
from onejob.web.asked import By, Uses
from onejob.web.caller import source_of
from onejob.web.cookies import leaving_cookie, session_cookie, set_leaving, set_waiting, waiting_cookie
from onejob.web.pages.access_parts import code_wanted, logged_in, logged_out
from onejob.web.pages.forms import back_to, form_of, local
from onejob.web.pages.routes import Data, show
from onejob.web.places import at_server, see_other, url_of
from onejob.web.services import Services
from onejob.web.who import principal_of

if TYPE_CHECKING:
    from onejob.access.provider import Provider

router = APIRouter(include_in_schema=False)
_NO_STORE = {"cache-control": "no-store"}
_BACK = "/login/provider/back"


@router.get("/login")
def login(request: Request, data: Data, services: Uses) -> Response:
    """The form; nothing to do for who is in already."""
    back = request.query_params.get("back")
    if not services.access.is_required or principal_of(request) is not None:
        return back_to(request, back)
    return _form(request, data, services, local(request, back))


@router.post("/login")
async def log_in(request: Request, data: Data, services: Uses) -> Response:
    """A name and a password."""
    form = await form_of(request)
    back, name = local(request, form.get("back")), form.get("name", "")
    before = session_cookie(request, services.access.public_url)

    def attempt() -> LoggedIn | CodeWanted:
        return services.access.accounts.log_in(name, form.get("password", ""), source_of(request), before)

    def refused(error: str, status: int) -> HTMLResponse:
        return _form(request, data, services, back, error, status)

    return await run_in_threadpool(_let_in, request, services, attempt, refused, name, lambda: back)


@router.get("/login/code")
def code(request: Request, data: Data, services: Uses) -> Response:
    """The second step, for who said the right password lately."""
    waiting = waiting_cookie(request, services.access.public_url)
    if waiting is None or services.access.accounts.waiting(waiting) is None:
        return RedirectResponse(at_server(request, "/login"), 303, _NO_STORE)
    return _code_form(request, data, local(request, request.query_params.get("back")))


@router.post("/login/code")
async def log_in_by_code(request: Request, data: Data, services: Uses) -> Response:
    """A code of the app, or a recovery code."""
    form = await form_of(request)
    back, accounts = local(request, form.get("back")), services.access.accounts
    waiting = waiting_cookie(request, services.access.public_url) or ""
    before = session_cookie(request, services.access.public_url)
    how = ""

    def attempt() -> LoggedIn:
        nonlocal how
        now, how = accounts.log_in_by_code(waiting, form.get("code", ""), source_of(request), before)
        return now

    def refused(error: str, status: int) -> HTMLResponse:
        if accounts.waiting(waiting) is None:
            return _form(request, data, services, back, error, status)
        return _code_form(request, data, back, error, status)

    def answer() -> Response:
        user = accounts.waiting(waiting)
        name = user.name if user else ""
        response = _let_in(request, services, attempt, refused, name, lambda: back, lambda: f"with a {how}")
        if how:
            set_waiting(response, request, services.access.public_url, "", 0)
        return response

    return await run_in_threadpool(answer)


@router.get("/login/provider")
def leave(request: Request, data: Data, services: Uses) -> Response:
    """To the provider."""
    back = local(request, request.query_params.get("back"))
    try:
        services.access.provider_tries.take("leave", source_of(request))
        leaving = _provider(services).leave(_redirect_uri(request), back)
    except TooManyTriesError as error:
        return _form(request, data, services, back, str(error), 429)
    except ProviderError as error:
        return _form(request, data, services, back, str(error), 502)
    response = RedirectResponse(leaving.url, 303, _NO_STORE)
    set_leaving(response, request, services.access.public_url, leaving.state, int(PROVIDER_LOGIN_LASTS.total_seconds()))
    return response


@router.get(_BACK)
def arrive(request: Request, data: Data, services: Uses) -> Response:
    """Back from the provider: with a code, or with why there is none."""
    state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
    mine = leaving_cookie(request, services.access.public_url) or ""
    before = session_cookie(request, services.access.public_url)
    back = local(request, None)

    def attempt() -> LoggedIn:
        nonlocal back
        services.access.provider_tries.take("arrive", source_of(request))
        if not code:
            raise ProviderError("The provider did not log you in: log in again.")
        if not state or not hmac.compare_digest(state.encode(), mine.encode()):
            raise ProviderError("This login was begun in another browser: log in again.")
        user, back = _provider(services).arrive(code, state, _redirect_uri(request))
        return services.access.accounts.begin(user, source_of(request), before, Proof.PROVIDER)

    def refused(error: str, status: int) -> HTMLResponse:
        return _form(request, data, services, local(request, None), error, status)

    response = _let_in(request, services, attempt, refused, "", lambda: back)
    set_leaving(response, request, services.access.public_url, "", 0)
    return response


@router.get("/welcome")
def welcome(request: Request, data: Data) -> HTMLResponse:
    """Where a one-time link leads: its secret is after the `#`, which no browser sends to a server."""
    return _private(show(request, data, "welcome.html", error="", code=""))


@router.post("/welcome")
async def choose_password(request: Request, data: Data, services: Uses, by: By) -> Response:
    """A first password, or a new one."""
    form = await form_of(request)
    accounts = services.access.accounts

    def attempt() -> Response:
        try:
            if form.get("password") != form.get("again"):
                raise LoginRefusedError("The two passwords are not the same.")
            now = accounts.use_link(form.get("code", ""), form.get("password", ""), by.source)
        except AccessError as error:
            page = _private(show(request, data, "welcome.html", error=str(error), code=form.get("code", "")))
            page.status_code = 400
            return page
        services.record(
            actor=now.user.name, action="password.set", object=now.user.name, source=by.source, detail="by link"
        )
        if isinstance(now, CodeWanted):
            return code_wanted(request, services, now, local(request, None))
        return logged_in(see_other(request, "/"), request, services, now)

    return await run_in_threadpool(attempt)


@router.post("/logout")
def log_out(request: Request, services: Uses, by: By) -> Response:
    """Here; sessions of other browsers go on."""
    principal = principal_of(request)
    if principal is not None and principal.session_hash is not None:
        with by.doing("logout", principal.name):
            services.access.accounts.sessions.end(principal.session_hash)
    return logged_out(see_other(request, "/login"), request, services)


def _let_in(
    request: Request,
    services: Services,
    attempt: Callable[[], LoggedIn | CodeWanted],
    refused: Callable[[str, int], HTMLResponse],
    name: str,
    back: Callable[[], str],
    detail: Callable[[], str] = str,
) -> Response:
    """The audit log has every login, and every refusal, under the name of a user there is, or under none: what people
    type into the field for names is a password now and then.
    """
    try:
        now = attempt()
    except AccessError as error:
        if not isinstance(error, TooManyTriesError) or error.is_first:
            known = services.access.accounts.users.named(folded(name)) if name else None
            said = {"actor": known.name if known else "unknown", "object": known.name if known else "unknown"}
            services.record(action="login", source=source_of(request), detail=f"refused: {error}", **said)
        page = refused(str(error), _status(error))
        if isinstance(error, TooManyTriesError):
            page.headers["retry-after"] = str(error.retry_after_s)
        return page
    if isinstance(now, CodeWanted):
        return code_wanted(request, services, now, back())
    services.record(
        actor=now.user.name, action="login", object=now.user.name, source=source_of(request), detail=detail()
    )
    return logged_in(RedirectResponse(back(), 303, _NO_STORE), request, services, now)


def _status(error: AccessError) -> int:
    return 429 if isinstance(error, TooManyTriesError) else 403 if isinstance(error, ProviderError) else 401


def _form(
    request: Request, data: Data, services: Services, back: str, error: str = "", status: int = 200
) -> HTMLResponse:
    provider = services.access.provider
    page = show(request, data, "login.html", back=back, error=error, provider=provider.name if provider else "")
    page.status_code = status
    return _private(page)


def _code_form(request: Request, data: Data, back: str, error: str = "", status: int = 200) -> HTMLResponse:
    page = show(request, data, "login_code.html", back=back, error=error)
    page.status_code = status
    return _private(page)


def _private(page: HTMLResponse) -> HTMLResponse:
    page.headers.update(_NO_STORE)
    return page


def _provider(services: Services) -> "Provider":
    if services.access.provider is None:
        raise ProviderError("No provider is set up: log in with a password.")
    return services.access.provider


def _redirect_uri(request: Request) -> str:
    return url_of(request) + _BACK
