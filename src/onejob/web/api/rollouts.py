"""Rollouts: start one, look at it, tell it what to do."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Request, Response

from onejob.act.controller import RolloutController
from onejob.act.errors import PlanError, RolloutRefusedError, RolloutUnknownError
from onejob.act.plan import make_step
from onejob.model.rollout import Rollout, Step
from onejob.web.api.answers import answer
from onejob.web.api.deployments import unknown
from onejob.web.api.documents import rollout_document
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.requests import CommandBody, RolloutBody, StepBody
from onejob.web.api.schemas import Problem, RolloutDocument
from onejob.web.asked import By, Uses
from onejob.web.caller import Caller
from onejob.web.places import at
from onejob.web.services import Services

router = APIRouter(
    prefix="/api/v1/rollouts", tags=["rollouts"], route_class=ProblemRoute, responses={422: {"model": Problem}}
)
_UNKNOWN: Responses = {404: {"model": Problem, "description": "No rollout, or no deployment, has this id."}}
_REFUSED: Responses = {409: {"model": Problem, "description": "It does not fit where the rollout is."}}


@router.post("", status_code=201, responses={201: {"model": RolloutDocument}, **_UNKNOWN, **_REFUSED})
def start(request: Request, body: RolloutBody, services: Uses, by: By) -> Response:
    """Let onejob move the traffic of a deployment, step by step, as its verdict allows."""
    controller = _controller(services)
    deployment = services.deployments.get(body.deployment_id)
    if deployment is None:
        raise unknown(body.deployment_id)
    by.check(deployment.service)
    forced = ", forced" if body.force else ""
    with by.doing("rollout.start", body.deployment_id, f"{body.mode or 'default mode'}{forced}"):
        rollout = controller.start(
            body.deployment_id,
            body.driver,
            {name: str(value) for name, value in body.settings.items()},
            None if body.steps is None else tuple(_step(*numbered) for numbered in enumerate(body.steps)),
            body.mode,
            on_timeout=body.on_timeout,
            force=body.force,
        )
    services.events.publish(body.deployment_id, "rollout")
    location = {"location": at(request, f"/api/v1/rollouts/{rollout.id}")}
    return answer(_document(services, rollout), 201, headers=location)


@router.get("/{rollout_id}", responses={200: {"model": RolloutDocument}, **_UNKNOWN})
def one(rollout_id: str, services: Uses, by: By) -> Response:
    """Where a rollout is, and every transition it made."""
    return answer(_document(services, _known(rollout_id, services, by)))


@router.post("/{rollout_id}/{command}", responses={200: {"model": RolloutDocument}, **_UNKNOWN, **_REFUSED})
def command(
    rollout_id: str,
    command: Literal["promote", "hold", "resume", "abort"],
    services: Uses,
    by: By,
    body: Annotated[CommandBody | None, Body()] = None,
) -> Response:
    """Promote, hold, resume or abort. It is stored when it is answered; `trouble` says what the router has not done."""
    _known(rollout_id, services, by)
    body = body or CommandBody()
    actor = by.actor(body.actor, "api")
    with by.doing("rollout.command", rollout_id, command, actor):
        rollout = _controller(services).command(rollout_id, command, actor, router_is_gone=body.router_is_gone)
    services.events.publish(rollout.deployment_id, "rollout")
    return answer(_document(services, rollout))


def _known(rollout_id: str, services: Services, by: Caller) -> Rollout:
    rollout = services.rollouts.get(rollout_id) if rollout_id.isprintable() else None
    if rollout is None:
        raise RolloutUnknownError(f"There is no rollout {rollout_id!r}: a deployment's `rollout` has its id.")
    deployment = services.deployments.get(rollout.deployment_id)
    if by.principal.service is not None:
        by.check(deployment.service if deployment else "")
    return rollout


def _document(services: Services, rollout: Rollout) -> dict[str, Any]:
    return rollout_document(rollout, services.verdicts.current(rollout.deployment_id), services.clock())


def _step(index: int, body: StepBody) -> Step:
    try:
        return make_step(**body.model_dump())
    except PlanError as error:
        raise PlanError(f"steps[{index}].{error}") from error


def _controller(services: Services) -> RolloutController:
    if services.controller is None:
        raise RolloutRefusedError("This server moves no traffic: start one with the judge (`onejob serve`).")
    return services.controller
