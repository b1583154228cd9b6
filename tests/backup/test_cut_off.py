"""Killed at any moment, a backup leaves nothing behind, and a restoration nothing that is taken for a whole one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from backup.installations import Made, as_file, opened
from onejob.backup.restore import restore
from onejob.backup.snapshot import sweep
from onejob.config import Settings
from onejob.state.database import Database, state_url
from onejob.state.errors import CutOffRestorationError
from onejob.store.engine import open_engine
from onejob.store.errors import HalfRestored
from state_postgres import Postgres
from store.clickhouse_node import ClickHouseNode

# Each kills itself where it hurts.
_RESTORING = """
import os, signal, sys
from onejob.backup import restore, {module}
from onejob.config import Settings
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{module}.{name} = die
with open(sys.argv[1], "rb") as file:
    restore.restore(file, Settings())
"""
_BACKING_UP = """
import os, signal
from backup.installations import opened, Settings, snapshot, NOW
with opened(Settings()) as here:
    here.engine.execute("INSERT INTO error_counts SELECT 'e', now('UTC'), '7', 3")
    (here.settings.data_dir / "spool").mkdir()
    with here.places() as places, snapshot(here.settings, places, NOW) as held:
        next(held.members), next(held.members)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def run(program: str, settings: Settings, *arguments: str) -> None:
    """Until it kills itself."""
    urls = {"ONEJOB_STORE_URL": settings.store_url, "ONEJOB_STATE_URL": settings.state_url}
    told = {name: url.get_secret_value() for name, url in urls.items() if url is not None}
    env = os.environ | told | {"ONEJOB_DATA_DIR": str(settings.data_dir), "PYTHONPATH": str(Path(__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", program, *arguments], env=env, timeout=240, check=False)
    assert result.returncode == -signal.SIGKILL


def test_a_restoration_that_is_killed_is_refused_by_servers_and_begins_anew(
    made: Made, clickhouse: ClickHouseNode, postgres: Postgres, tmp_path: Path
) -> None:
    store_url, state = SecretStr(f"{clickhouse.url}/cut_off"), SecretStr(postgres.fresh())
    settings = Settings(data_dir=tmp_path / "data", store_url=store_url, state_url=state)
    file = tmp_path / "b.tar"
    file.write_bytes(made.backup)

    run(_RESTORING.format(module="telemetry", name="TelemetryBack.end"), settings, str(file))

    with pytest.raises(HalfRestored, match="run the same `onejob restore` again"):
        open_engine(settings)
    with pytest.raises(HalfRestored, match="of telemetry was cut off"):  # a server with a data directory of its own
        open_engine(settings.model_copy(update={"data_dir": tmp_path / "other"}))
    database = Database(state_url(settings))
    with pytest.raises(CutOffRestorationError, match="begins anew"):
        database.migrate()
    database.close()

    run(_RESTORING.format(module="sites", name="store_restoring.end"), settings, str(file))  # at its very end

    with pytest.raises(HalfRestored):
        open_engine(settings)
    restore(as_file(made.backup), settings)  # finishes it
    with opened(settings) as installation:
        assert installation.kept == made.kept


def test_a_backup_that_is_killed_leaves_nothing_once_a_server_starts(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    run(_BACKING_UP, settings)

    assert list(settings.data_dir.glob("backup_*"))
    with opened(settings) as installation:
        left = "SELECT count() AS n FROM system.tables WHERE startsWith(name, 'backup_')"
        assert installation.engine.query(left).to_pylist() == [{"n": 1}]
        sweep(settings, installation.engine)
        assert installation.engine.query(left).to_pylist() == [{"n": 0}]
        assert installation.engine.query("SELECT Count FROM error_counts").to_pylist() == [{"Count": 3}]
    assert not list(settings.data_dir.glob("backup_*"))
