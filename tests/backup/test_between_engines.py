"""A backup is of no engine: what was on one of them is the same on any other, and goes on there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from backup.conftest import PROTOBUF
from backup.installations import Made, as_file, kept_by, opened
from onejob.backup import telemetry
from onejob.backup.restore import restore
from onejob.config import Settings
from otlp_builders import a_payload, a_span
from servers import running_server
from state.builders import a_verdict
from state_postgres import Postgres
from store.clickhouse_node import ClickHouseNode

OPERATIONS = "SELECT sum(Count) AS n FROM operation_rollup"
LEFT = "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'backup_')"


class Grown(Made):
    """On ClickHouse and PostgreSQL."""


@pytest.fixture(scope="module")
def grown(
    made: Made, clickhouse: ClickHouseNode, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Grown]:
    """Restored from the embedded engine and SQLite, served, and backed up there in its turn."""
    urls: Any = {"store_url": SecretStr(f"{clickhouse.url}/grown"), "state_url": SecretStr(postgres.fresh())}
    folder = tmp_path_factory.mktemp("grown") / "data"
    restore(as_file(made.backup), Settings(data_dir=folder, **urls))
    with running_server(folder, flush_interval_s=0.1, tick_s=3600, errors_tick_s=3600, **urls) as server:
        services = server.services
        assert services.engine is not None
        kept = kept_by(services)
        backup = httpx.post(f"{server.url}/api/v1/backup", timeout=120).raise_for_status().content
        yield Grown(server, backup, kept, made.deployment_id)


def test_on_other_engines_everything_is_the_same(made: Made, grown: Grown) -> None:
    """Of each project."""
    assert grown.kept == made.kept
    assert list(grown.kept) == ["default", "shop"]
    url = f"{grown.server.url}/api/v1/deployments/{made.deployment_id}/recompute"
    assert httpx.post(url, timeout=60).json()["same"] is True


def test_a_server_goes_on_where_the_other_one_was(grown: Grown) -> None:
    """Numbers go on, and the views count what comes, once."""
    services = grown.server.services
    assert services.engine is not None
    assert services.intake is not None
    changes = services.verdicts.history(grown.deployment_id)
    services.verdicts.record(replace(a_verdict(grown.deployment_id), sentence="Another one."))
    assert len(services.verdicts.history(grown.deployment_id)) == len(changes) + 1
    (before,) = services.engine.query(OPERATIONS).to_pylist()
    url = f"http://127.0.0.1:{services.intake.http_port}/v1/traces"
    httpx.post(url, content=a_payload(a_span(), service="later"), headers=PROTOBUF).raise_for_status()
    assert services.intake.settle(60)
    assert services.engine.query(OPERATIONS).to_pylist() == [{"n": before["n"] + 1}]
    assert services.engine.query(LEFT).to_pylist() == []


def test_it_goes_on_through_all_engines_and_is_still_the_same(
    grown: Grown, clickhouse: ClickHouseNode, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back into the embedded engine, and out of it again in pieces of a row or two, as a large table would be."""
    monkeypatch.setattr(telemetry, "_PIECE_BYTES", 100)
    half = Settings(data_dir=tmp_path / "half", state_url=SecretStr(postgres.fresh()))
    restore(as_file(grown.backup), half)
    with opened(half) as installation:
        assert installation.kept == grown.kept
        backup = installation.backup()

    other_half = Settings(data_dir=tmp_path / "other", store_url=SecretStr(f"{clickhouse.url}/other_half"))
    restore(as_file(backup), other_half)
    with opened(other_half) as installation:
        assert installation.kept == grown.kept
