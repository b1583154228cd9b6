"""`GET /metrics`, for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from onejob.web.asked import Uses
from onejob.web.metrics import text_of_metrics

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(services: Uses) -> Response:
    """onejob's own numbers."""
    return Response(text_of_metrics(services), media_type=CONTENT_TYPE_LATEST)
