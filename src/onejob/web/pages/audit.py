"""The audit log as a page: the newest first."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from onejob.web.asked import Uses
from onejob.web.pages.routes import Data, show

router = APIRouter(include_in_schema=False)
_ROWS = 100


@router.get("/audit")
def audit(request: Request, data: Data, services: Uses) -> HTMLResponse:
    """*Audit log*."""
    asked = request.query_params.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 19 else None
    entries = services.audit.before(before, _ROWS)
    older = entries[-1].seq if entries and entries[-1].seq > 1 else None
    return show(request, data, "audit.html", entries=entries, older=older, head=services.audit.head())
