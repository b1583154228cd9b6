"""kill -9 under load, of the server and of the engine's process, clients repeating what was not acknowledged.

CHAOS_KILLS says how often; the suite's own number keeps it short.
"""

import os
import random
import time
from functools import partial
from pathlib import Path

import pytest

from ports import free_ports

from .clients import PER_REQUEST, Clients, lost_requests
from .server_process import ServerProcess
from .waiting import wait_until

KILLS = int(os.environ.get("CHAOS_KILLS", "4"))


def assert_each_once(server: ServerProcess, clients: Clients) -> None:
    assert lost_requests(server, clients) == 0
    assert len(clients.sent_ids) > 10 * PER_REQUEST
    assert len(clients.sent_metrics) > 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killing_the_server_loses_and_doubles_nothing(tmp_path: Path) -> None:
    ports = dict(zip(("otlp_grpc_port", "otlp_http_port"), free_ports(2), strict=True))
    start = partial(ServerProcess, data_dir=str(tmp_path), flush_interval_s=0.2, projects=("shop",), **ports)
    server, draw = start(), random.Random(1)
    tokens = {"default": "", **server.tokens}
    of_projects = [
        Clients(server.grpc_port, server.http_port, project=name, token=token) for name, token in tokens.items()
    ]

    with of_projects[0].sending(), of_projects[1].sending():
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.3, 1.5))
            server.kill()
            server = start()

    for clients in of_projects:
        assert clients.failures > 0
        assert_each_once(server, clients)
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killing_the_engine_loses_and_doubles_nothing(tmp_path: Path) -> None:
    server = ServerProcess(data_dir=str(tmp_path), otlp_grpc_port=0, otlp_http_port=0, flush_interval_s=0.2)
    clients, draw = Clients(server.grpc_port, server.http_port), random.Random(2)

    with clients.sending():
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.3, 1.5))
            wait_until(lambda: server.ask("engine_pid") is not None, "restarting the engine")
            os.kill(server.ask("engine_pid"), 9)

    assert clients.failures == 0  # the intake goes on without the engine
    wait_until(lambda: server.ask("engine_pid") is not None, "restarting the engine")
    assert_each_once(server, clients)
    assert server.stop() == 0
