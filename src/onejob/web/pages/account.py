"""One's own account: password, sessions, tokens."""

from collections.abc import Callable
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from onejob.access.errors import AccessError, BadRequestError
from onejob.access.token_book import Wanted
from onejob.model.access import Principal, Role, Token, TokenKind
from onejob.model.project import DEFAULT_PROJECT
from onejob.state.codec import to_plain
from onejob.state.errors import NotFoundError
from onejob.web import token_making
from onejob.web.asked import By, Uses
from onejob.web.caller import Caller
from onejob.web.pages.access_parts import logged_in, logged_out
from onejob.web.pages.forms import form_of
from onejob.web.pages.routes import Data, show
from onejob.web.places import see_other
from onejob.web.services import Services

router = APIRouter(include_in_schema=False)
DAYS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year"}


@router.get("/account")
def account(request: Request, data: Data, services: Uses, by: By) -> HTMLResponse:
    """*Account*."""
    return _page(request, data, services, by)


@router.post("/account/password")
async def change_password(request: Request, data: Data, services: Uses, by: By) -> Response:
    """Another password; all sessions but this one end."""
    form = await form_of(request)

    def attempt() -> Response:
        if form.get("password") != form.get("again"):
            raise BadRequestError("The two new passwords are not the same.")
        with by.doing("password.set", by.principal.name):
            user_id = by.principal.user_id or ""
            now = services.access.accounts.change_password(
                user_id, form.get("old", ""), form.get("password", ""), by.source
            )
        return logged_in(see_other(request, "/account"), request, services, now)

    return await run_in_threadpool(_or_say, request, data, services, by, attempt)


@router.post("/account/sessions/end")
async def end_session(request: Request, data: Data, services: Uses, by: By) -> Response:
    """One of one's own, for who proves again who they are; the others go on."""
    form = await form_of(request)
    accounts = services.access.accounts

    def attempt() -> Response:
        ended = accounts.session(by.principal.user_id or "", form.get("session", ""))
        detail = f"the one from {ended.source}, since {to_plain(ended.created_at)}"
        with by.doing("session.end", by.principal.name, detail):
            _prove_again(services, by, form)
            accounts.sessions.end(ended.hash)
        if ended.hash == by.principal.session_hash:
            return logged_out(see_other(request, "/login"), request, services)
        return see_other(request, "/account")

    return await run_in_threadpool(_or_say, request, data, services, by, attempt)


@router.post("/account/logout")
async def log_out_everywhere(request: Request, data: Data, services: Uses, by: By) -> Response:
    """All sessions, this one too, for who proves again who they are."""
    form = await form_of(request)

    def attempt() -> Response:
        with by.doing("logout.everywhere", by.principal.name):
            _prove_again(services, by, form)
            services.access.accounts.sessions.end_all(by.principal.user_id or "")
        return logged_out(see_other(request, "/login"), request, services)

    return await run_in_threadpool(_or_say, request, data, services, by, attempt)


@router.post("/account/tokens")
async def make_token(request: Request, data: Data, services: Uses, by: By) -> Response:
    """A token for programs; the answer is the only time it is shown."""
    return await _make(request, data, services, by, _wanted)


@router.post("/account/ingest-tokens")
async def make_ingest_token(request: Request, data: Data, services: Uses, by: By) -> Response:
    """A token for services, or for a site's pages, to send telemetry with; shown in this answer only."""
    return await _make(request, data, services, by, _wanted_for_telemetry)


@router.post("/account/tokens/{token_id}/revoke")
def revoke_token(request: Request, data: Data, services: Uses, by: By, token_id: str) -> Response:
    """It opens nothing from now on."""

    def attempt() -> Response:
        principal, book = by.principal, services.access.book
        token = book.tokens.get(token_id)
        if token.kind is TokenKind.INGEST and token.project in _for_telemetry(services, data, principal):
            principal, book = services.access.elsewhere(principal, token.project), book.of_project(token.project)
        with by.doing("token.revoke", token_id):
            book.revoke(token_id, principal)
        services.access.ingest.refresh()
        return see_other(request, "/account")

    return _or_say(request, data, services, by, attempt)


def _prove_again(services: Services, by: Caller, form: dict[str, str]) -> None:
    services.access.accounts.prove_again(by.principal, form.get("password", ""), form.get("code", ""), by.source)


async def _make(
    request: Request, data: Data, services: Services, by: Caller, read: Callable[[dict[str, str]], Wanted]
) -> Response:
    form = await form_of(request)

    def attempt() -> Response:
        _, text = token_making.make_token(services, by, read(form))
        return _page(request, data, services, by, made=text)

    return await run_in_threadpool(_or_say, request, data, services, by, attempt)


def _wanted(form: dict[str, str]) -> Wanted:
    role = form.get("role", "")
    if role not in list(Role):
        raise BadRequestError("Choose one of the roles on the page.")
    return Wanted(
        name=form.get("name", "").strip(),
        kind=TokenKind.API,
        lasts=_lasts(form),
        role=Role(role),
        service=form.get("service", "").strip() or None,
        project=form.get("project") or DEFAULT_PROJECT,
    )


def _wanted_for_telemetry(form: dict[str, str]) -> Wanted:
    return Wanted(
        name=form.get("name", "").strip(),
        kind=TokenKind.INGEST,
        lasts=_lasts(form),
        origins=tuple(form.get("origins", "").split()),
        project=form.get("project") or DEFAULT_PROJECT,
    )


def _lasts(form: dict[str, str]) -> timedelta:
    days = form.get("days", "")
    if days not in DAYS:
        raise BadRequestError("Choose one of the times on the page.")
    return timedelta(days=int(days))


def _for_telemetry(services: Services, data: Data, principal: Principal) -> list[str]:
    """The projects whose ingest tokens somebody looks after."""
    names = [one.name for one in data.projects(principal)]
    return [name for name in names if services.access.elsewhere(principal, name).role.covers(Role.OPERATOR)]


def _roles(by: Caller, is_elsewhere_too: bool) -> list[Role]:
    """Somebody may be more elsewhere than here; too much is refused in words."""
    return [role for role in Role if is_elsewhere_too or by.principal.role.covers(role)]


def _is_for_telemetry(token: Token) -> bool:
    return token.kind is TokenKind.INGEST and token.revoked_at is None


def _or_say(request: Request, data: Data, services: Services, by: Caller, attempt: Callable[[], Response]) -> Response:
    try:
        response = attempt()
    except (AccessError, NotFoundError) as error:
        response = _page(request, data, services, by, error=str(error))
        response.status_code = 400
    return response


def _page(
    request: Request, data: Data, services: Services, by: Caller, *, made: str = "", error: str = ""
) -> HTMLResponse:
    user_id, access = by.principal.user_id, services.access
    for_telemetry = _for_telemetry(services, data, by.principal) if user_id else []
    ingest = [one for name in for_telemetry for one in access.book.tokens.all(project=name) if _is_for_telemetry(one)]
    user = access.accounts.users.get(user_id) if user_id else None
    page = show(
        request,
        data,
        "account.html",
        user=user,
        principal=by.principal,
        sessions=access.accounts.sessions.of_user(user_id, data.now()) if user_id else (),
        tokens=[one for one in access.book.tokens.all(user_id) if one.revoked_at is None] if user_id else (),
        for_telemetry=for_telemetry,
        ingest_tokens=ingest,
        roles=_roles(by, len(data.projects(by.principal)) > 1),
        days=DAYS,
        has_second_factor=user_id is not None and access.accounts.second_factors.is_on(user_id),
        made=made,
        error=error,
    )
    page.headers["cache-control"] = "no-store"
    return page
