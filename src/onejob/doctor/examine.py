"""All checks of a running server, in the order in which one depends on another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from onejob.config import Settings
from onejob.doctor.databases import look_at_encryption
from onejob.doctor.finding import Finding, problem
from onejob.doctor.parts import look_at_engine, look_at_intake, look_at_routers, look_at_state
from onejob.doctor.places import look_at_places
from onejob.doctor.telemetry import look_at_telemetry
from onejob.ingest.counters import IntakeStats
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.errors import StateError
from onejob.state.rollouts import Rollouts
from onejob.store.engine import Engine
from onejob.store.errors import StoreError


def examine(
    settings: Settings, database: Database, engine: Engine | None, stats: IntakeStats | None, now: datetime
) -> list[Finding]:
    """What fails is a finding, and keeps nothing else from being looked at."""
    findings = [*look_at_places(settings), *look_at_engine(engine), look_at_state(database)]
    findings += look_at_encryption(settings)
    findings += look_at_intake(stats) if stats is not None else ()
    if engine is not None:
        findings += _of_telemetry(engine, int(now.timestamp()), database)
    findings += _of_routers(database)
    return findings


def _of_telemetry(engine: Engine, now_s: int, database: Database) -> Iterator[Finding]:
    try:
        yield from look_at_telemetry(engine, now_s, _count(database))
    except StoreError as error:
        yield problem("telemetry", f"it cannot be read: {error}", "see what is said of the engine")


def _of_routers(database: Database) -> Iterator[Finding]:
    try:
        yield from look_at_routers(Rollouts(database))
    except StateError:
        return  # said of the state database already


def _count(database: Database) -> int | None:
    try:
        return Deployments(database).count()
    except StateError:
        return None
