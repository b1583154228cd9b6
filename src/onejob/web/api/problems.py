"""Errors as RFC 9457 problem documents: what is wrong, and what to do.

The API shares its application with the pages, whose errors are pages. So it turns its own errors into documents in its
own routes, instead of in handlers for the whole application.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from onejob.access.errors import AccessError, BadRequestError, ForbiddenError
from onejob.act.errors import ActError, DriverError, PlanError, RolloutRefusedError, RolloutUnknownError
from onejob.backup.errors import BackupError
from onejob.changes.errors import ChangesError, InvalidReportError, ProgressConflictError, UnknownDeploymentError
from onejob.history.errors import HistoryError, NotServedError, PeriodError
from onejob.outcomes.errors import ConfiguredError, ContradictionError, NoTelemetryError, OutcomeError
from onejob.state.errors import (
    BadCursorError,
    ConflictError,
    NotFoundError,
    NotTheirsError,
    StateError,
    StateUnavailableError,
)
from onejob.store.errors import StoreError
from onejob.web.api.answers import answer
from onejob.web.api.bodies import BodyError, BoundedRequest, check_body, check_query

_HANDLED = (
    *(AccessError, ActError, BackupError, ChangesError, HistoryError),
    *(OutcomeError, StateError, StoreError, BodyError),
)
_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (ForbiddenError, 403, "Not allowed"),
    (NotTheirsError, 403, "Not allowed"),
    (BadRequestError, 422, "A field cannot be right"),
    (UnknownDeploymentError, 404, "Unknown deployment"),
    (RolloutUnknownError, 404, "Unknown rollout"),
    (NotFoundError, 404, "Not found"),
    (InvalidReportError, 422, "A field cannot be right"),
    (PeriodError, 422, "The time makes no sense"),
    (ContradictionError, 422, "A field cannot be right"),
    (ConfiguredError, 409, "Set in the configuration"),
    (NoTelemetryError, 404, "Nothing was sent"),
    (NotServedError, 404, "Unknown service"),
    (HistoryError, 409, "Not possible now"),
    (PlanError, 422, "The plan makes no sense"),
    (BadCursorError, 422, "Unknown cursor"),
    (ProgressConflictError, 409, "The deployment is over"),
    (RolloutRefusedError, 409, "Not possible now"),
    (ConflictError, 409, "Somebody else was first"),
    (DriverError, 502, "The router does not do what it should"),
    (BackupError, 409, "Not possible now"),
    (StateUnavailableError, 503, "The state database does not answer"),
    (StoreError, 503, "The telemetry store does not answer"),
)
_RETRY_AFTER_S = "5"
# As the last part of where an error is.
_KINDS_OF_VALUES = {"str": "text", "float": "a number", "int": "a number", "bool": "true or false"}

Responses = dict[int | str, dict[str, Any]]  # as FastAPI takes them
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ProblemRoute(APIRoute):
    """A route whose errors are problem documents."""

    async def read(self, request: Request) -> Request:
        """The request, once its body is read and turned out to be one that this route takes."""
        bounded = BoundedRequest(request.scope, request.receive)
        check_query(bounded)
        await check_body(bounded)
        return bounded

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(await self.read(request))
            except RequestValidationError as error:
                return _invalid(error)
            except HTTPException as error:
                return problem(error.status_code, str(error.detail), str(error.detail), headers=error.headers)
            except _HANDLED as error:
                return of_error(error)

        return handle_or_explain


def problem(
    status: int, title: str, detail: str, *, headers: Any = None, errors: list[dict[str, str]] | None = None
) -> Response:
    """A problem document."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if errors is not None:
        body["errors"] = errors
    retry = {"retry-after": _RETRY_AFTER_S} if status == 503 else {}
    return answer(body, status, media_type="application/problem+json", headers={**retry, **(headers or {})})


def of_error(error: Exception) -> Response:
    """The problem document of one of onejob's own errors."""
    if isinstance(error, BodyError):
        retry = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
        return problem(error.status, error.title, str(error), headers=retry)
    status, title = next(((s, t) for kind, s, t in _KINDS if isinstance(error, kind)), (500, "Unexpected error"))
    errors = [{"field": error.field, "message": str(error)}] if isinstance(error, InvalidReportError) else None
    return problem(status, title, str(error), errors=errors)


def _invalid(error: RequestValidationError) -> Response:
    broken = next((found for found in error.errors() if found["type"] == "json_invalid"), None)
    if broken is not None:
        reason = broken.get("ctx", {}).get("error", "broken")
        return problem(400, "Malformed JSON", f"The body is no JSON ({reason}): check its quotes and commas.")
    wrong: dict[str, list[Any]] = {}
    for found in error.errors():
        is_one_of_several = found["loc"][-1] in _KINDS_OF_VALUES  # each kind that a field could be complains
        wrong.setdefault(_field(found["loc"][: -1 if is_one_of_several else None]), []).append(found)
    errors = [{"field": field, "message": _messages(several)} for field, several in wrong.items()]
    detail = "; ".join(f"{found['field']}: {found['message']}" for found in errors)
    return problem(422, "A field cannot be right", detail, errors=errors)


def _field(location: tuple[int | str, ...]) -> str:
    """`steps[0].share`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location[1:])
    return "".join(parts).removeprefix(".") or str(location[0])


def _messages(several: list[Any]) -> str:
    if len(several) == 1:
        return _message(several[0])
    kinds = dict.fromkeys(_KINDS_OF_VALUES[found["loc"][-1]] for found in several)
    return f"must be {' or '.join(kinds)}"


def _message(found: Any) -> str:
    match found["type"]:
        case "missing":
            return "is required: send it"
        case "extra_forbidden":
            return "is no field of this request: check its spelling"
        case "string_pattern_mismatch":
            return f"must be as the regular expression {found['ctx']['pattern']} says"
    return str(found["msg"]).removeprefix("Value error, ")
