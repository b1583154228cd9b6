"""Lets requests in: finds out who asks, looks up what the route wants (`rules`), and refuses the others.

It stands before the application, so that a route cannot forget it; what no rule names is for admins. A browser sends a
session's cookie by itself, whoever made it ask. So a change that comes with a cookie must be shown to come from a page
of ours, by headers that no page can set: where they are missing, the answer is no. Tokens are never sent by themselves.
"""

import logging
from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onejob.access.errors import NotHereError, TooManyRequestsError
from onejob.access.service import Access
from onejob.model.access import LOCAL, Principal, Role, Via
from onejob.model.project import DEFAULT_PROJECT
from onejob.seldom import Seldom
from onejob.state.errors import StateError
from onejob.web.caller import source_of
from onejob.web.cookies import is_https, session_cookie
from onejob.web.messages import message, wants_page
from onejob.web.pages.data import PageData
from onejob.web.places import at_server, path_in_app
from onejob.web.proofs import bearer_of, is_ours, passed_on_by
from onejob.web.rules import PUBLIC, Rule, rule_for

_log = logging.getLogger(__name__)
_SAFE = {"GET", "HEAD", "OPTIONS"}
_CHALLENGE = {"www-authenticate": 'Bearer realm="onejob"'}
_WRONG_TOKEN = {"www-authenticate": 'Bearer realm="onejob", error="invalid_token"'}
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_STREAM = "/events"
_ENROLMENT = "/account/second-factor"
_PASSED_ON = (
    "This server listens on loopback and wants no login, yet a proxy passes on what others ask. Tell it the proxy's "
    "address, ONEJOB_PUBLIC_URL, and it wants one; or ONEJOB_LOGIN=off, where the proxy has a login itself."
)
_NO_RULE = Rule(role=Role.ADMIN)
_NOTHING = ("Not found", "There is nothing at this address.")


class _Over(Exception):  # noqa: N818
    """Whoever is listening is not let in any more."""


class Admission:
    """ASGI middleware: `scope["state"]["principal"]` is who asks."""

    def __init__(self, app: ASGIApp, access: Access, page_data: PageData) -> None:
        self._app = app
        self._access = access
        self._data = page_data
        self._seldom = Seldom(_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there are none; one that was added would come past all of this
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = await self._refusal(request)
        if answer is not None:
            await answer(scope, receive, send)
            return
        try:
            await self._app(scope, receive, self._while_let_in(request, self._privately(request, send)))
        except* _Over:  # in a group where the answer was made in a task of its own
            pass

    async def _refusal(self, request: Request) -> Response | None:
        """Why the request is not let in; None if it is."""
        method = "GET" if request.method == "HEAD" else request.method
        # As the application reads it. `request.url.path` would end at a `?` that was sent as %3F: another route's rule.
        path = path_in_app(request.scope)
        rule = rule_for(method, path)
        state = request.scope.setdefault("state", {})
        state["principal"] = None
        bearer, cookie = bearer_of(request), session_cookie(request, self._access.public_url)
        try:
            state["principal"] = await self._who(cookie, bearer, is_use=path != _STREAM)
        except (StateError, NotHereError) as error:
            return None if rule == PUBLIC else self._not_known(request, error)
        if bearer is not None and state["principal"] is None:
            detail = "The token is none, or none any more: `onejob token list` shows which are."
            self._note(request, "an unknown token")
            return self._say(request, 401, "Unknown token", detail, _WRONG_TOKEN)
        is_guarded = rule is None or rule.role is not None
        if state["principal"] is LOCAL and is_guarded and not self._access.is_off and passed_on_by(request):
            return self._say(request, 403, "Passed on by a proxy", _PASSED_ON)
        if bearer is None and self._needs_proof(request, cookie) and not is_ours(request, self._access.public_url):
            detail = "Open this page at its own address and try again."
            return self._say(request, 403, "Not shown to come from a page of ours", detail)
        return self._not_for(request, state["principal"], rule)

    def _not_known(self, request: Request, error: StateError | NotHereError) -> Response:
        if isinstance(error, NotHereError):  # as if there were no such project
            return self._say(request, 404, _NOTHING[0], str(error) or _NOTHING[1])
        return self._say(request, 503, "The state database does not answer", f"{error} Try again in a moment.")

    async def _who(self, cookie: str | None, bearer: str | None, *, is_use: bool) -> Principal | None:
        return await run_in_threadpool(self._access.who, cookie, bearer, is_use=is_use)

    def _needs_proof(self, request: Request, cookie: str | None) -> bool:
        """Forms are sent by pages of ours only, the one that logs in too: or others could log a visitor in as them."""
        is_form = not path_in_app(request.scope).startswith("/api/")
        return self._access.is_required and request.method not in _SAFE and (cookie is not None or is_form)

    def _not_for(self, request: Request, principal: Principal | None, rule: Rule | None) -> Response | None:
        wanted = rule or _NO_RULE
        if wanted.role is None:
            return None
        if principal is None:
            return self._log_in_first(request)
        too_often = None if wanted.is_telemetry else self._too_often(request, principal)
        if too_often is not None:
            return too_often
        if principal.must_enrol and not wanted.is_enrolment:
            return self._enrol_first(request)
        is_allowed = principal.role.covers(wanted.role)
        if (rule is None and not is_allowed) or (wanted.of_server and self._access.project != DEFAULT_PROJECT):
            return self._say(request, 404, *_NOTHING)
        detail = _why_not(principal, wanted)
        return self._forbid(request, principal, detail) if detail else None

    def _too_often(self, request: Request, principal: Principal) -> Response | None:
        """None while somebody may go on asking; the log says the other once a minute."""
        who = principal.token_id or principal.user_id
        if who is None:  # the local user
            return None
        try:
            self._access.rates.take(who)
        except TooManyRequestsError as error:
            said = (principal.name, request.method, request.scope["path"][:200])
            self._seldom.warning(f"requests of {who}", "%s asks too often: refused %s %r", *said)
            return self._say(request, 429, "Too many requests", str(error), {"retry-after": str(error.retry_after_s)})
        return None

    def _forbid(self, request: Request, principal: Principal, detail: str) -> Response:
        """The log says so, once a minute for each who tries: somebody looks for what they may do."""
        self._seldom.warning(principal.name, "refused %s %r: %s", request.method, request.scope["path"][:200], detail)
        return self._say(request, 403, "Not allowed", detail)

    def _note(self, request: Request, why: str) -> None:
        """Once a minute for all of them: whoever is not known has as many addresses as they like."""
        path, source = request.scope["path"][:200], source_of(request)
        self._seldom.warning(why, "refused %s %r from %s: %s", request.method, path, source, why)

    def _log_in_first(self, request: Request) -> Response:
        if request.method in _SAFE and wants_page(request):
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(at_server(request, f"/login?{urlencode({'back': here})}"), 303)
        detail = "Send a token: `authorization: Bearer onejob_api_...`; with the command line, set ONEJOB_TOKEN."
        self._note(request, "no login")
        return self._say(request, 401, "Who are you?", detail, _CHALLENGE)

    def _enrol_first(self, request: Request) -> Response:
        if request.method in _SAFE and wants_page(request):
            return RedirectResponse(at_server(request, _ENROLMENT), 303)
        detail = f"This server wants a second factor from you: set it up at {_ENROLMENT}."
        return self._say(request, 403, "A second factor first", detail)

    def _say(
        self, request: Request, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        return message(request, status, title, detail, data=self._data, headers=headers)

    def _while_let_in(self, request: Request, send: Send) -> Send:
        """The stream of news does not end by itself: each of its pieces is for whoever is still let in."""
        if path_in_app(request.scope) != _STREAM or not self._access.is_required:
            return send
        bearer = bearer_of(request)
        cookie = session_cookie(request, self._access.public_url)

        async def sent(told: Message) -> None:
            if told["type"] == "http.response.body" and not await self._is_still_in(cookie, bearer):
                await send({"type": "http.response.body", "body": b""})
                raise _Over
            await send(told)

        return sent

    async def _is_still_in(self, cookie: str | None, bearer: str | None) -> bool:
        try:
            return await self._who(cookie, bearer, is_use=False) is not None
        except NotHereError:
            return False

    def _privately(self, request: Request, send: Send) -> Send:
        """What only some may see stays in no cache; and who came over HTTPS once does not come without it again."""
        principal: Principal | None = request.scope["state"]["principal"]
        is_private = principal is not None and principal.via is not Via.LOOPBACK
        is_encrypted = is_https(request, self._access.public_url)

        async def sent(told: Message) -> None:
            if told["type"] == "http.response.start":
                if is_private:
                    told["headers"] = [_uncached(pair) for pair in told["headers"]]
                if is_encrypted:
                    told["headers"] = [*told["headers"], _HSTS]
            await send(told)

        return sent


def _why_not(principal: Principal, wanted: Rule) -> str:
    """Empty where somebody may."""
    if wanted.role is not None and not principal.role.covers(wanted.role):
        return f"This takes the role {wanted.role}, and {principal.name} is {principal.role}."
    if principal.service is not None and not wanted.by_service:
        return f"This token is for {principal.service} only, and this address is about all services."
    return ""


def _uncached(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    return (pair[0], b"no-store") if pair == (b"cache-control", b"no-cache") else pair
