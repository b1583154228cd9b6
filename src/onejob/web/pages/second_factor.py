"""One's own second factor: set up by a QR code and a first code, switched off, and its recovery codes."""

from collections.abc import Callable

import segno
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from onejob.access.errors import AccessError, BadRequestError, TooManyTriesError
from onejob.model.access import Proof, User
from onejob.state.errors import ConflictError
from onejob.web.asked import By, Uses
from onejob.web.caller import Caller
from onejob.web.pages.forms import form_of
from onejob.web.pages.routes import Data, show
from onejob.web.places import see_other
from onejob.web.services import Services

router = APIRouter(include_in_schema=False)
PATH = "/account/second-factor"
_PIXELS = 4  # of each square of the QR code


@router.get(PATH)
def second_factor(request: Request, data: Data, services: Uses, by: By) -> HTMLResponse:
    """*Second factor*."""
    return _page(request, data, services, by)


@router.post(PATH)
async def begin(request: Request, data: Data, services: Uses, by: By) -> Response:
    """A secret, as a QR code and as text, for who says the password again."""
    form = await form_of(request)

    def attempt() -> Response:
        with by.doing("second-factor.begin", by.principal.name):
            services.access.accounts.second_factors.begin(_proven(services, by, form))
        return _enrolling(request, data, services, by)

    return await run_in_threadpool(_or_say, request, data, services, by, attempt)


@router.post(f"{PATH}/confirm")
async def confirm(request: Request, data: Data, services: Uses, by: By) -> Response:
    """The first code; the answer is the only time that the recovery codes are shown. All other sessions end."""
    form = await form_of(request)

    def attempt() -> Response:
        user = _user(services, by)
        try:
            with by.doing("second-factor.set", by.principal.name):
                codes = services.access.accounts.second_factors.confirm(user, form.get("code", ""), by.source)
        except AccessError as error:
            if isinstance(error, TooManyTriesError):
                raise
            return _enrolling(request, data, services, by, error=str(error), status=400)
        _keep_only_this(services, by, Proof.CODE)
        return _page(request, data, services, by, codes=codes)

    return await run_in_threadpool(_or_say, request, data, services, by, attempt)


@router.post(f"{PATH}/recovery-codes")
async def renew(request: Request, data: Data, services: Uses, by: By) -> Response:
    """New recovery codes, for who says the password and a code."""
    form = await form_of(request)

    def attempt() -> Response:
        with by.doing("second-factor.recovery-codes", by.principal.name):
            user = _proven_twice(services, by, form)
            codes = services.access.accounts.second_factors.renew_recovery_codes(user)
        return _page(request, data, services, by, codes=codes)

    return await run_in_threadpool(_or_say, request, data, services, by, attempt)


@router.post(f"{PATH}/off")
async def switch_off(request: Request, data: Data, services: Uses, by: By) -> Response:
    """The password alone is enough again, for who says it and a code. All other sessions end."""
    form = await form_of(request)

    def attempt() -> Response:
        with by.doing("second-factor.off", by.principal.name):
            user = _proven_twice(services, by, form)
            services.access.accounts.second_factors.remove(user.id)
        _keep_only_this(services, by, Proof.PASSWORD)
        return see_other(request, PATH)

    return await run_in_threadpool(_or_say, request, data, services, by, attempt)


def _user(services: Services, by: Caller) -> User:
    """Who has a session and a password; BadRequestError for anybody else."""
    user_id = by.principal.user_id if by.principal.session_hash else None
    user = services.access.accounts.users.get(user_id) if user_id else None
    if user is None or user.password_hash is None:
        raise BadRequestError("Only who logs in by password has a second factor here: a provider asks for its own.")
    return user


def _proven(services: Services, by: Caller, form: dict[str, str]) -> User:
    return services.access.accounts.prove(_user(services, by).id, form.get("password", ""), by.source)


def _proven_twice(services: Services, by: Caller, form: dict[str, str]) -> User:
    user = _proven(services, by, form)
    services.access.accounts.second_factors.prove(user, form.get("code", ""), by.source)
    return user


def _keep_only_this(services: Services, by: Caller, proof: Proof) -> None:
    principal = by.principal
    services.access.accounts.sessions.keep_only(principal.session_hash or "", principal.user_id or "", proof)


def _or_say(request: Request, data: Data, services: Services, by: Caller, attempt: Callable[[], Response]) -> Response:
    try:
        return attempt()
    except (AccessError, ConflictError) as error:
        return _page(request, data, services, by, error=str(error), status=400)


def _enrolling(
    request: Request, data: Data, services: Services, by: Caller, *, error: str = "", status: int = 200
) -> HTMLResponse:
    begun = services.access.accounts.second_factors.enrolment(_user(services, by))
    if begun is None:
        return _page(request, data, services, by, error=error or "This took too long: begin again.", status=400)
    secret, address = begun
    drawn = segno.make_qr(address).svg_inline(scale=_PIXELS, light="#fff", dark="#000")
    spaced = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    shown = {"qr": Markup(drawn), "secret": spaced, "address": address}  # noqa: S704 - a path of numbers
    return _page(request, data, services, by, error=error, status=status, **shown)


def _page(
    request: Request, data: Data, services: Services, by: Caller, *, error: str = "", status: int = 200, **shown: object
) -> HTMLResponse:
    book, user_id = services.access.accounts.second_factors, by.principal.user_id or ""
    user = services.access.accounts.users.get(user_id) if by.principal.session_hash else None
    is_on = book.is_on(user_id)
    values: dict[str, object] = {"qr": "", "secret": "", "address": "", "codes": ()} | shown
    page = show(
        request,
        data,
        "second_factor.html",
        has_password=user is not None and user.password_hash is not None,
        is_on=is_on,
        is_required=by.principal.must_enrol and not is_on,
        left=book.recovery_codes_left(user_id) if is_on else 0,
        error=error,
        **values,
    )
    page.status_code = status
    page.headers["cache-control"] = "no-store"
    return page
