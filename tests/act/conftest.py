from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.act.envoys import Envoy
from tests.act.facts import Facts
from tests.ports import free_ports
from tests.waiting import PATIENT_S

from onejob.act.drivers import EnvoyDriver
from onejob.state.database import Database


@pytest.fixture
def envoy(tmp_path: Path) -> Iterator[Envoy]:
    """An Envoy that is ready to be started."""
    made = Envoy(tmp_path, free_ports(4))
    yield made
    made.kill()


@pytest.fixture
def driver(envoy: Envoy, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnvoyDriver]:
    """The driver of that Envoy, for which a second is not too long to answer."""
    with monkeypatch.context() as patch:
        patch.setattr("onejob.act.drivers.envoy_admin._TIMEOUT", PATIENT_S)
        made = EnvoyDriver(envoy.settings)
    yield made
    made.close()


@pytest.fixture
def facts(sqlite_database: Database) -> Facts:
    """A migrated state database."""
    return Facts.over(sqlite_database)
