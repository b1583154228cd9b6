import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.act.envoys import Envoy
from tests.act.facts import Facts

from onejob.act.drivers import EnvoyDriver


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@pytest.fixture
def envoy(tmp_path: Path) -> Iterator[Envoy]:
    """An Envoy that is ready to be started."""
    made = Envoy(tmp_path, free_ports(4))
    yield made
    made.kill()


@pytest.fixture
def driver(envoy: Envoy) -> Iterator[EnvoyDriver]:
    """The driver of that Envoy."""
    made = EnvoyDriver(envoy.settings)
    yield made
    made.close()


@pytest.fixture
def facts(tmp_path: Path) -> Iterator[Facts]:
    """A migrated state database."""
    made = Facts.open(tmp_path / "state.db")
    yield made
    made.database.close()
