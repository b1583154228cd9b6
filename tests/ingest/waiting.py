"""What has arrived in the engine."""

from onejob.store.engine import Engine
from onejob.store.errors import EngineUnavailable
from waiting import wait_until

__all__ = ["counted", "stored", "wait_until"]


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
