"""Who is told on pages that telemetry is refused, or that dead letters wait."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.spools import FakeEngine
from onejob.config import Settings
from onejob.ingest.service import Intake
from onejob.model.access import Role
from onejob.state.database import Database
from waiting import wait_until

from .site import Site

REQUEST = b"a request that the engine refuses"


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    """There is room for one request, and none for what is against it."""
    engine: Any = FakeEngine()
    engine.poison = REQUEST
    room = {"spool_max_bytes": len(REQUEST) + 1, "min_free_disk_bytes": 0}
    intake = Intake(Settings(data_dir=tmp_path, otlp_grpc_port=0, otlp_http_port=0, **room), engine)
    intake.start()
    yield intake
    intake.stop()


def test_operators_are_told_of_dead_letters_and_of_refused_telemetry_and_nobody_else_is(
    state_database: Database, intake: Intake
) -> None:
    site = Site(state_database)
    site.app.state.services = replace(site.services, intake=intake)
    for name, role in {"vic": Role.VIEWER, "dev": Role.DEVELOPER, "olga": Role.OPERATOR}.items():
        site.add_user(name, role)
    olga = site.browser("olga")
    assert "engine refuses" not in olga.ask("GET", "/errors").text

    intake._spool.append(REQUEST, 1).result()
    wait_until(lambda: intake.stats().dead_letters == 1 and intake.stats().spooled_requests == 0, "refusing")

    page = olga.ask("GET", "/errors").text
    assert "Dead letters: 1 request " in page
    assert "The spool is full of 1 dead letter, which the engine refuses" in page
    for other in (site.browser("vic"), site.browser("dev"), site.browser()):
        for path in ("/errors", "/login"):
            assert "dead-letters" not in other.ask("GET", path).text
    intake.delete_dead_letters()
    assert "dead-letters" not in olga.ask("GET", "/errors").text
