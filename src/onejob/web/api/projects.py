"""Projects, for admins of the server: which there are, how long each keeps what, and who belongs to it."""

from typing import Any

from fastapi import APIRouter, Response

from onejob.access.errors import BadRequestError
from onejob.model.project import DEFAULT_PROJECT, LIMITS, PROJECT_NAME, Project
from onejob.state.codec import to_plain
from onejob.web.api.access_bodies import LimitsBody, MemberBody, ProjectBody, ProjectDocument, ProjectsDocument
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.schemas import Problem
from onejob.web.api.users import known_user
from onejob.web.asked import By, Uses
from onejob.web.services import Services

router = APIRouter(
    prefix="/api/v1/projects", tags=["access"], route_class=ProblemRoute, responses={422: {"model": Problem}}
)
_UNKNOWN: Responses = {404: {"model": Problem, "description": "There is no such project, or no such user."}}
_SERVERS_OWN = (
    "`default` is the server's own: the server's settings say how long it keeps what, `onejob user role` who may."
)


@router.get("", responses={200: {"model": ProjectsDocument}})
def projects(services: Uses) -> Response:
    """All but `default`, by name; also those that are being removed."""
    return answer({"items": [_document(services, project) for project in services.access.projects.all()]})


@router.post("", status_code=201, responses={201: {"model": ProjectDocument}, 409: {"model": Problem}})
def create(body: ProjectBody, services: Uses, by: By) -> Response:
    """Make one. It has a telemetry store, a spool and facts of its own, and is at `/p/NAME`."""
    _check(body.name)
    project = Project(name=body.name, created_at=services.clock(), **body.said())
    with by.doing("project.create", project.name, _said(body)):
        services.access.projects.add(project)
    return answer(_seen_to(services, project), 201)


@router.patch("/{name}", responses={200: {"model": ProjectDocument}, **_UNKNOWN})
def change(name: str, body: LimitsBody, services: Uses, by: By) -> Response:
    """Change how long it keeps what, and how much may wait; what is left out stays. It is begun anew for that."""
    project = _known(services, name)
    if body.said():
        with by.doing("project.change", project.name, _said(body)):
            project = services.access.projects.change(project.name, **body.said())
    return answer(_seen_to(services, project))


@router.delete("/{name}", responses={200: {"model": ProjectDocument}, **_UNKNOWN})
def remove(name: str, services: Uses, by: By) -> Response:
    """Remove it with all of its telemetry and facts, for good; its tokens open nothing, at once.

    Where several servers share a database, the telemetry is deleted once all of them had the time to notice.
    """
    project = _known(services, name)
    with by.doing("project.remove", project.name):
        services.access.projects.remove(project.name, services.clock())
    services.access.ingest.refresh()
    gone = Project(name=project.name, created_at=project.created_at, removed_at=services.clock())
    return answer(_seen_to(services, gone))


@router.put("/{name}/members/{user}", responses={200: {"model": ProjectDocument}, **_UNKNOWN})
def put_member(name: str, user: str, body: MemberBody, services: Uses, by: By) -> Response:
    """Say what somebody may do there, from now on. Admins of the server may do everything everywhere."""
    project, member = _known(services, name), known_user(services, user)
    with by.doing("member.set", f"{project.name} {member.name}", str(body.role)):
        services.access.members.put(member.id, project.name, body.role)
    return answer(_document(services, project))


@router.delete("/{name}/members/{user}", responses={200: {"model": ProjectDocument}, **_UNKNOWN})
def remove_member(name: str, user: str, services: Uses, by: By) -> Response:
    """Somebody belongs to it no more: they see nothing of it, and their tokens open nothing, at once."""
    project, member = _known(services, name), known_user(services, user)
    with by.doing("member.remove", f"{project.name} {member.name}"):
        services.access.members.remove(member.id, project.name)
    return answer(_document(services, project))


def _check(name: str) -> None:
    if name == DEFAULT_PROJECT:
        raise BadRequestError(_SERVERS_OWN)
    if not PROJECT_NAME.fullmatch(name):
        raise BadRequestError(f"{name!r} is no name of a project: a small letter, then small letters, digits and -.")


def _known(services: Services, name: str) -> Project:
    _check(name)
    return services.access.projects.get(name)


def _said(body: LimitsBody) -> str:
    return ", ".join(f"{name}: {'as the server' if limit is None else limit}" for name, limit in body.said().items())


def _seen_to(services: Services, project: Project) -> dict[str, Any]:
    if services.projects is not None:
        services.projects.look()
    return _document(services, project)


def _document(services: Services, project: Project) -> dict[str, Any]:
    running = services.projects.running() if services.projects is not None else {}
    troubles = services.projects.troubles() if services.projects is not None else {}
    return {
        "name": project.name,
        "created_at": to_plain(project.created_at),
        "removed_at": to_plain(project.removed_at),
        "running": project.name in running,
        "trouble": troubles.get(project.name, ""),
        "limits": {name: getattr(project, name) for name in LIMITS},
        "members": {name: str(role) for name, role in services.access.members.of_project(project.name).items()},
    }
