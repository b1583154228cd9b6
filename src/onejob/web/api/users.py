"""Users, for admins: who there is, what each may do, and the links by which they choose a password."""

from typing import Any

from fastapi import APIRouter, Response

from onejob.access.accounts import LINK_LASTS, folded
from onejob.model.access import User
from onejob.state.codec import to_plain
from onejob.state.errors import NotFoundError
from onejob.web.api.access_bodies import ChangeUserBody, LinkDocument, UserBody, UserDocument, UsersDocument
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.schemas import Problem
from onejob.web.asked import By, Uses
from onejob.web.services import Services

router = APIRouter(
    prefix="/api/v1/users", tags=["access"], route_class=ProblemRoute, responses={422: {"model": Problem}}
)
_UNKNOWN: Responses = {404: {"model": Problem, "description": "No user has this name."}}


@router.get("", responses={200: {"model": UsersDocument}})
def users(services: Uses) -> Response:
    """All users, by name."""
    proven = services.access.accounts.second_factors.users()
    everybody = services.access.accounts.users.all()
    return answer({"items": [_document(user, has_second_factor=user.id in proven) for user in everybody]})


@router.post("", status_code=201, responses={201: {"model": LinkDocument}, 409: {"model": Problem}})
def add(body: UserBody, services: Uses, by: By) -> Response:
    """Add a user. Give them the `code`, which is shown this once: with it they choose a password at `/welcome`."""
    with by.doing("user.create", folded(body.name), str(body.role)):
        user, code = services.access.accounts.add(body.name, body.role)
    return answer(_link(services, user, code), 201)


@router.patch("/{name}", responses={200: {"model": UserDocument}, **_UNKNOWN, 409: {"model": Problem}})
def change(name: str, body: ChangeUserBody, services: Uses, by: By) -> Response:
    """Change what a user may do, or disable them: all of their sessions and tokens end."""
    user, values = known_user(services, name), dict[str, Any]()
    if body.role is not None:
        values["role"] = str(body.role)
    if body.disabled is not None:
        values["disabled_at"] = services.clock() if body.disabled else None
    if not values:
        return answer(user_document(services, user))
    detail = ", ".join(
        f"{field}: {getattr(body, field)}" for field in ("role", "disabled") if getattr(body, field) is not None
    )
    with by.doing("user.change", user.name, detail):
        changed = services.access.accounts.users.change(user.id, log_out=True, **values)
    return answer(user_document(services, changed))


@router.post("/{name}/link", status_code=201, responses={201: {"model": LinkDocument}, **_UNKNOWN})
def link(name: str, services: Uses, by: By) -> Response:
    """A new one-time code to choose a password with; older ones of this user are void."""
    user = known_user(services, name)
    with by.doing("user.link", user.name):
        code = services.access.accounts.link(user)
    return answer(_link(services, user, code), 201)


@router.post("/{name}/logout", responses={200: {"model": UserDocument}, **_UNKNOWN})
def log_out(name: str, services: Uses, by: By) -> Response:
    """End all sessions of a user."""
    user = known_user(services, name)
    with by.doing("logout.everywhere", user.name):
        services.access.accounts.sessions.end_all(user.id)
    return answer(user_document(services, user))


@router.delete("/{name}/second-factor", responses={200: {"model": UserDocument}, **_UNKNOWN})
def reset_second_factor(name: str, services: Uses, by: By) -> Response:
    """Switch off the second factor of a user who lost it: all of their sessions end, and the password is enough again.

    Be sure who asks for it. Where second factors are required, they set up a new one at their next login.
    """
    user = known_user(services, name)
    with by.doing("second-factor.reset", user.name):
        services.access.accounts.reset_second_factor(user)
    return answer(user_document(services, user))


def user_document(services: Services, user: User) -> dict[str, Any]:
    """Nothing about the password and the second factor but whether there is one."""
    return _document(user, has_second_factor=services.access.accounts.second_factors.is_on(user.id))


def _document(user: User, *, has_second_factor: bool) -> dict[str, Any]:
    times = {name: to_plain(getattr(user, name)) for name in ("created_at", "disabled_at", "last_login_at")}
    return {
        "name": user.name,
        "role": str(user.role),
        "has_password": user.password_hash is not None,
        "has_second_factor": has_second_factor,
        "has_provider": user.subject is not None,
        **times,
    }


def _link(services: Services, user: User, code: str) -> dict[str, Any]:
    return {
        "user": user_document(services, user),
        "code": code,
        "path": f"/welcome#{code}",
        "expires_at": to_plain(services.clock() + LINK_LASTS),
    }


def known_user(services: Services, name: str) -> User:
    """The user of this name; NotFoundError."""
    user = services.access.accounts.users.named(folded(name)) if name.isprintable() else None
    if user is None:
        known = "`onejob user list` shows who there is, `onejob user add` adds one"
        raise NotFoundError(f"There is no user {name[:100]!r}: {known}.")
    return user
