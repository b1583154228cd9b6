"""What the product says while its engine is there but answers nothing."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from onejob.config import Settings
from onejob.state.database import Database
from onejob.store.chdb import ChdbEngine
from onejob.store.engine import open_engine
from onejob.web.app import create_app
from onejob.web.services import Services, assemble
from otlp_builders import a_payload, a_service, a_span

from .builders import a_deployment, a_signal, a_verdict

SOON_S = 25.0  # a query may take 30 s and has 15 s of grace; a busy machine may be slow at all else
BEGUN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=3)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbEngine]:
    engine = open_engine(Settings(data_dir=tmp_path_factory.mktemp("away")))
    assert isinstance(engine, ChdbEngine)
    engine.insert_traces(a_payload(a_span(), service=a_service()), "t")
    yield engine
    engine.close()


@pytest.fixture
def services(engine: ChdbEngine, tmp_path: Path) -> Iterator[Services]:
    """The product over that engine, with one deployment whose page has charts."""
    database = Database(f"sqlite:///{tmp_path / 'state.db'}")
    database.migrate()
    services = assemble(Settings(data_dir=tmp_path), database, engine=engine)
    services.deployments.add(a_deployment(started_at=BEGUN, first_seen_at=BEGUN, finished_at=None))
    services.verdicts.record(a_verdict(signals=(a_signal(),), window_start=BEGUN, window_end=BEGUN))
    yield services
    database.close()


@contextmanager
def stopped(engine: ChdbEngine) -> Iterator[None]:
    assert engine.pid is not None
    pid = engine.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def get(services: Services, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await asyncio.wait_for(client.get(path), SOON_S)

    return asyncio.run(ask())


def test_the_status_says_soon_that_the_engine_does_not_answer(services: Services, engine: ChdbEngine) -> None:
    with stopped(engine):
        status = get(services, "/api/v1/status").json()
    assert status["engine"]["up"] is False
    assert "does not answer" in status["engine"]["trouble"]
    assert status["spans_stored"] is None


@pytest.mark.parametrize("path", ["", "/dep_checkout1420", "/dep_checkout1420/spark.svg"])
def test_the_pages_come_without_what_the_engine_knows(services: Services, engine: ChdbEngine, path: str) -> None:
    with stopped(engine):
        assert get(services, f"/deployments{path}").status_code == 200


def test_once_it_goes_on_the_engine_answers_what_it_is_asked_and_not_what_it_was(
    services: Services, engine: ChdbEngine
) -> None:
    with stopped(engine):
        for _ in range(3):
            assert get(services, "/api/v1/status").json()["engine"]["up"] is False

    assert [engine.query(f"SELECT {n} AS n").to_pylist()[0]["n"] for n in range(8)] == list(range(8))
    status = get(services, "/api/v1/status").json()
    assert (status["engine"]["up"], status["engine"]["trouble"], status["spans_stored"]) == (True, "", 1)
