"""One question for pipelines: may this version go on?"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from onejob.changes.errors import UnknownDeploymentError
from onejob.changes.texts import read_name
from onejob.web.api.answers import answer
from onejob.web.api.documents import record_document
from onejob.web.api.problems import ProblemRoute
from onejob.web.api.schemas import GateDocument, Problem
from onejob.web.asked import By, Uses
from onejob.web.services import Services

router = APIRouter(prefix="/api/v1/gate", tags=["deployments"], route_class=ProblemRoute)
_OF_DEPLOYMENT = ("service", "environment", "version", "status")
_OF_VERDICT = ("state", "reason", "sentence", "decided_at", "is_final")


@router.get("", responses={200: {"model": GateDocument}, 404: {"model": Problem}, 422: {"model": Problem}})
def gate(
    services: Uses,
    by: By,
    service: Annotated[str, Query(max_length=200)],
    version: Annotated[str, Query(max_length=200)],
    environment: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The verdict of the latest deployment of a version."""
    name, label = read_name(service, "service"), read_name(version, "version")
    by.check(name)
    place = read_name(environment, "environment") if environment else services.settings.default_environment
    found = services.deployments.find(name, place, label)
    record = services.deployments.record(found.id) if found else None
    if record is None:
        raise UnknownDeploymentError(_not_known(services, name, place, label))
    document = record_document(record, services.clock())
    verdict = {part: document["verdict"][part] for part in _OF_VERDICT}
    head = {part: document[part] for part in _OF_DEPLOYMENT}
    return answer({"deployment_id": document["id"], **head, "verdict": verdict, "rollout": document["rollout"]})


def _not_known(services: Services, service: str, environment: str, version: str) -> str:
    """A pipeline that asks about the old version by mistake must not wait for it as for one that is yet to come."""
    what = f"{service} {version} in {environment}"
    deployed = services.deployments.of_service(service, environment)
    is_compared = any(one.previous_version == version for one in deployed)
    if not is_compared and all(one.version != version for one in services.versions.of_service(service, environment)):
        return (
            f"No deployment of {what} is known: report it with `onejob deployment start`, "
            "or wait until its telemetry arrives."
        )
    latest = f" The latest deployment is {deployed[0].version}." if deployed else ""
    return (
        f"{what} is no deployment that onejob saw begin: it served before, and new versions are compared with it. So "
        f"it has no verdict; ask about the version that you deploy.{latest} If this one is deployed again, report that "
        "with `onejob deployment start`."
    )
