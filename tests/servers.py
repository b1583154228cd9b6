"""The whole server on free ports, for tests that talk to it from outside."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from onejob import app
from onejob.config import Settings
from onejob.web.services import Services

PORTS = {"web_port": 0, "otlp_grpc_port": 0, "otlp_http_port": 0}


@dataclass(frozen=True)
class RunningServer:
    """Where it is, and its insides."""

    url: str
    services: Services


@contextmanager
def running_server(data_dir: Path, **settings: Any) -> Iterator[RunningServer]:
    """`onejob serve` within this process."""
    said = StringIO()
    with ExitStack() as stack:
        with redirect_stdout(said):
            services = app.run(Settings(data_dir=data_dir, **(PORTS | settings)), stack)
        found = re.search(r"http://[0-9.:]+", said.getvalue())
        assert found
        yield RunningServer(found[0], services)
