"""`GET /metrics`, for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from onejob.model.access import Role
from onejob.web.asked import By, Uses
from onejob.web.metrics import text_of_metrics

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(services: Uses, by: By) -> Response:
    """onejob's own numbers; for admins of the server those of all projects."""
    all_of_them = services.with_projects() if by.principal.role is Role.ADMIN else {services.access.project: services}
    return Response(text_of_metrics(services, all_of_them), media_type=CONTENT_TYPE_LATEST)
