"""How a token is made, whether a page or the API asks: who they are in its project, and the audit log before it is."""

from dataclasses import replace

from onejob.access.token_book import Wanted
from onejob.model.access import Role, Token, TokenKind
from onejob.web.caller import Caller
from onejob.web.services import Services


def make_token(services: Services, by: Caller, wanted: Wanted) -> tuple[Token, str]:
    """The token as it is kept, and its text. AccessError, NotFoundError for a project that is none of theirs."""
    by = replace(by, principal=services.access.elsewhere(by.principal, wanted.project))
    if wanted.kind is TokenKind.INGEST:
        by.check_role(Role.OPERATOR)
    what = [str(wanted.kind), *([str(wanted.role)] if wanted.role else [])]
    of = f" of {wanted.project}" if wanted.project != services.access.project else ""
    with by.doing("token.create", wanted.name, ", ".join(what) + of):
        made = services.access.book.make(wanted, by.principal)
    services.access.ingest.refresh()
    return made
