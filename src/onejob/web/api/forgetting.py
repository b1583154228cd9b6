"""Deletion by customer, for admins. The audit log says who asked, and of which attribute; never which value."""

from dataclasses import asdict

from fastapi import APIRouter, Response

from onejob.changes.errors import InvalidReportError
from onejob.changes.texts import read_text
from onejob.ingest.errors import TryLater
from onejob.ingest.forgetting import forget
from onejob.known.templates import blanked
from onejob.store.hash_key import hash_key
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute, problem
from onejob.web.api.requests import ForgetBody
from onejob.web.api.schemas import ForgottenDocument, Problem
from onejob.web.asked import By, Uses

router = APIRouter(tags=["server"], route_class=ProblemRoute)


@router.post("/api/v1/forget", responses={200: {"model": ForgottenDocument}, 503: {"model": Problem}})
def forget_value(services: Uses, body: ForgetBody, by: By) -> Response:
    """Delete all spans, logs and data points that have an attribute with this value, for good.

    Answers once the parts that held them are rewritten; the old files go within some three minutes. Counts per
    operation and version have no attributes in them, and stay; those of a customer go with the attribute that names it.
    Verdicts stay, without what their examples say of it.
    """
    actor = by.actor(read_text(body.actor, "actor") if body.actor else None, "somebody over the API")
    attribute, value = read_text(body.attribute, "attribute"), _whole(body.value)
    try:
        with by.doing("customer.forget", attribute, actor=actor):
            if services.engine is None:
                return problem(503, "No telemetry is kept here", "Ask the server that telemetry is sent to.")
            forgotten = forget(
                services.engine,
                services.database,
                services.intake,
                attribute,
                value,
                customer_attributes=services.settings.customer_attributes,
                actor=actor,
                key=hash_key(services.settings.data_dir),
                blank_templates=blanked,
            )
    except TryLater as error:
        return problem(503, "The spool cannot be written", str(error))
    return answer(asdict(forgotten))


def _whole(value: str) -> str:
    """As it was sent, spaces and all."""
    if not value.isprintable() and any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidReportError("value", "value holds broken Unicode: telemetry cannot have it.")
    return value
