"""Tokens of programs: made, listed, revoked. The text of one is in the answer to its making, and nowhere else."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response

from onejob.access.token_book import Wanted
from onejob.model.access import Role, Token, TokenKind, Via
from onejob.model.project import DEFAULT_PROJECT
from onejob.state.codec import to_plain
from onejob.state.errors import NotFoundError
from onejob.web.api.access_bodies import MadeTokenDocument, TokenBody, TokenDocument, TokensDocument
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.schemas import Problem
from onejob.web.asked import By, Uses
from onejob.web.token_making import make_token

router = APIRouter(
    prefix="/api/v1/tokens", tags=["access"], route_class=ProblemRoute, responses={422: {"model": Problem}}
)
_FORBIDDEN: Responses = {403: {"model": Problem, "description": "It would be, or is, somebody else's."}}
_SHOWN = ("id", "name", "kind", "project", "role", "service", "origins", "made_by")
_TIMES = ("created_at", "expires_at", "last_used_at", "revoked_at")


@router.get("", responses={200: {"model": TokensDocument}})
def tokens(services: Uses, by: By) -> Response:
    """Your own; for operators ingest tokens too, for admins everybody's. The newest first.

    At a project's address those of the project; at the server's, your own of all projects, and for its admins all.
    """
    here = services.access.project
    found = services.access.book.tokens.all(project=None if here == DEFAULT_PROJECT else here)
    seen = [one for one in found if _may_see(one, by, here)]
    return answer({"items": [token_document(token) for token in seen]})


@router.post("", status_code=201, responses={201: {"model": MadeTokenDocument}, 404: {"model": Problem}, **_FORBIDDEN})
def make(body: TokenBody, services: Uses, by: By) -> Response:
    """Make one. `token` is shown this once."""
    wanted = Wanted(
        name=body.name.strip(),
        kind=body.kind,
        lasts=timedelta(days=body.days),
        role=body.role,
        service=body.service or None,
        origins=tuple(body.origins),
        project=body.project or services.access.project,
    )
    token, text = make_token(services, by, wanted)
    return answer({**token_document(token), "token": text}, 201)


@router.delete("/{token_id}", responses={200: {"model": TokenDocument}, 404: {"model": Problem}, **_FORBIDDEN})
def revoke(token_id: str, services: Uses, by: By) -> Response:
    """It opens nothing from now on; at other servers of the same database, ingest tokens within seconds."""
    book = services.access.book
    found = book.tokens.get(token_id if token_id.isprintable() else repr(token_id))
    if services.access.project not in (DEFAULT_PROJECT, found.project):
        raise NotFoundError(f"There is no token {token_id!r}: `onejob token list` shows their ids.")
    with by.doing("token.revoke", token_id):
        book.revoke(token_id, by.principal)
    services.access.ingest.refresh()
    return answer(token_document(book.tokens.get(token_id)))


def token_document(token: Token) -> dict[str, Any]:
    """Everything but what it is."""
    document = {name: getattr(token, name) for name in _SHOWN} | {"origins": list(token.origins)}
    return document | {name: to_plain(getattr(token, name)) for name in _TIMES}


def _may_see(token: Token, by: By, here: str) -> bool:
    if by.principal.role is Role.ADMIN and by.principal.service is None:
        return True
    if token.kind is TokenKind.INGEST:
        return by.principal.role.covers(Role.OPERATOR) and token.project == here
    return by.principal.via is not Via.LOOPBACK and token.owner_id == by.principal.user_id is not None
