"""Who asks, as the handlers of requests see it, and the audit log that keeps what they did."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request

from onejob.access.errors import ForbiddenError
from onejob.model.access import LOCAL, Principal, Role, Via
from onejob.web.who import principal_of


class Record(Protocol):
    """Adds to the audit log."""

    def __call__(self, *, actor: str, action: str, object: str, source: str, detail: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request, and from which address."""

    principal: Principal
    source: str
    record: Record

    def actor(self, said: str | None, unless_said: str) -> str:
        """Who is recorded as acting: who is logged in, with the name they gave; without a login, only that name."""
        if self.principal.via is Via.LOOPBACK:
            return said or unless_said
        return f"{said}, {self.principal.name}" if said else self.principal.name

    def check(self, service: str) -> None:
        """ForbiddenError if this service is none of the caller's."""
        if self.principal.service not in (None, service):
            raise ForbiddenError(f"This token is for {self.principal.service}, not for {service}.")

    def check_role(self, role: Role) -> None:
        """ForbiddenError unless the caller may do what this role may."""
        if not self.principal.role.covers(role):
            raise ForbiddenError(f"This takes the role {role}, and {self.principal.name} is {self.principal.role}.")

    @contextmanager
    def doing(self, action: str, object: str, detail: str = "", actor: str | None = None) -> Iterator[None]:
        """What happens within is in the audit log before it happens; if it fails, so is that."""
        said = actor or self.principal.name
        self.record(actor=said, action=action, object=object, source=self.source, detail=detail)
        try:
            yield
        except Exception as error:
            why = f"refused: {error}" if str(error) else f"failed: {type(error).__name__}"
            self.record(actor=said, action=action, object=object, source=self.source, detail=why)
            raise


def caller_of(request: Request, record: Record) -> Caller:
    """Set by the middleware that lets requests in; where there is none, everybody is the local user."""
    return Caller(principal_of(request) or LOCAL, source_of(request), record)


def source_of(request: Request) -> str:
    """The address that the request comes from: the proxy's word for it, if a proxy on this machine passed it on."""
    return request.client.host if request.client else "unknown"
