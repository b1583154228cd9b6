"""Query parameters, as the routes take them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query

from onejob.changes.errors import InvalidReportError
from onejob.changes.texts import read_text
from onejob.model.deployment import Source
from onejob.model.known_error import ErrorKind, ErrorStatus
from onejob.model.verdict import State
from onejob.state.deployments import DeploymentFilter
from onejob.state.error_lists import ErrorFilter
from onejob.web.asked import By
from onejob.web.caller import Caller

Text = Annotated[str | None, Query(max_length=200)]


def _chosen(
    by: By,
    service: Text = None,
    environment: Text = None,
    verdict: State | None = None,
    actor: Text = None,
    source: Source | None = None,
    since: Annotated[str | None, Query(description="Started at or after; ISO 8601.")] = None,
    until: Annotated[str | None, Query(description="Started before; ISO 8601.")] = None,
    text: Annotated[str | None, Query(max_length=200, description="In service, version, actor or commit.")] = None,
) -> DeploymentFilter:
    return DeploymentFilter(
        service=_its_service(by, _clean(service, "service")),
        environment=_clean(environment, "environment"),
        verdict=str(verdict) if verdict else None,
        actor=_clean(actor, "actor"),
        source=str(source) if source else None,
        since=read_since(since, "since"),
        until=read_since(until, "until"),
        text=_clean(text, "text"),
    )


Chosen = Annotated[DeploymentFilter, Depends(_chosen)]


def _its_service(by: Caller, asked: str | None) -> str | None:
    """What a token for one service may list."""
    if by.principal.service is None:
        return asked
    by.check(asked or by.principal.service)
    return by.principal.service


def _chosen_errors(
    by: By,
    service: Text = None,
    environment: Text = None,
    version: Annotated[str | None, Query(max_length=200, description="Shown by this version.")] = None,
    new_in: Annotated[str | None, Query(max_length=200, description="Shown by this version first.")] = None,
    status: ErrorStatus | None = None,
    kind: ErrorKind | None = None,
    least_severity: Annotated[int, Query(ge=0, le=24, description="OpenTelemetry's number: 13 is WARN.")] = 0,
    text: Annotated[
        str | None, Query(max_length=200, description="Words in title, message, stack trace, line, service or id.")
    ] = None,
) -> ErrorFilter:
    return ErrorFilter(
        service=_its_service(by, _clean(service, "service")),
        environment=_clean(environment, "environment"),
        version=_clean(version, "version"),
        new_in=_clean(new_in, "new_in"),
        status=status,
        kind=str(kind) if kind else None,
        least_severity=least_severity,
        text=_clean(text, "text"),
    )


ChosenErrors = Annotated[ErrorFilter, Depends(_chosen_errors)]


def _clean(value: str | None, field: str) -> str | None:
    return read_text(value, field) or None if value else None


def read_since(value: str | None, field: str) -> datetime | None:
    """A time that a list begins or ends at."""
    if not value:
        return None
    try:
        at = datetime.fromisoformat(value.replace(" ", "+"))  # an unescaped + in a query is a space
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidReportError(
            field, f"{field} is not a time: send ISO 8601 such as 2026-03-01T12:00:00Z."
        ) from error
