"""Waiting for what happens in another thread or process."""

import time
from collections.abc import Callable

from onejob.store.engine import Engine
from onejob.store.errors import EngineUnavailable


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s} s"
        time.sleep(0.02)


def stored(engine: Engine, service: str) -> int:
    sql = "SELECT count() AS n FROM otel_traces WHERE ServiceName = {service:String}"
    try:
        return int(engine.query(sql, {"service": service}).to_pylist()[0]["n"])
    except EngineUnavailable:
        return -1


def counted(engine: Engine, service: str) -> int:
    """Spans in the rollup."""
    sql = "SELECT sum(Count) AS n FROM operation_rollup WHERE ServiceName = {service:String}"
    return int(engine.query(sql, {"service": service}).to_pylist()[0]["n"])
