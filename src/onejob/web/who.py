"""Who asks, as the middleware that lets requests in has written it into the request."""

from starlette.requests import Request

from onejob.model.access import Principal, Via


def principal_of(request: Request) -> Principal | None:
    """None where nobody has to say who they are, or where somebody has not yet."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    return principal


def is_stranger(request: Request) -> bool:
    """Whether it was looked who asks, and nobody was found who may be told of what is here."""
    return "principal" in request.scope.get("state", {}) and principal_of(request) is None


def logged_in_user(request: Request) -> Principal | None:
    """Who has a session, and may end it."""
    principal = principal_of(request)
    return principal if principal is not None and principal.via is Via.SESSION else None
