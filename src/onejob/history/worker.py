"""The process in which history is replayed: `python -m onejob.history.worker FD`, started by `jobs`.

Replaying a month is minutes of arithmetic. In the server's own process it would slow down the judge that is at work
there, so it happens in one of low priority, which asks the server for what it needs of the telemetry store: nobody else
may open the embedded engine.

    server --(job)--> worker        worker --(query, progress, result, error)--> server
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from onejob.config import Settings
from onejob.history.backtest import Materials, Period, run_backtest
from onejob.history.calibrate import Asked, calibrate
from onejob.history.facts import StoredFacts
from onejob.state.calibrations import Calibrations
from onejob.state.codec import pack
from onejob.state.database import Database
from onejob.state.errors import StateError
from onejob.state.outcomes import StoredOutcomes
from onejob.store import lanes
from onejob.store.engine import Scalar
from onejob.store.errors import EngineUnavailable, QueryFailed, StoreError
from onejob.store.past import Past
from onejob.verdict.batches import judge_settings

_NICE = 10  # a tenth of what the server gets where both want the same core
_QUERY_TIMEOUT_S = 300.0  # of a month's counts; nobody waits at a page for it


@dataclass(frozen=True, slots=True)
class AskingReader:
    """The server's engine, asked over the wire. See `Reader`."""

    lane: Connection

    def query(
        self, sql: str, params: Mapping[str, Scalar] | None = None, *, timeout_s: float | None = None
    ) -> pa.Table:
        lanes.send(self.lane, {"say": "query", "sql": sql, "params": dict(params or {}), "timeout_s": timeout_s})
        head, body = lanes.receive(self.lane)
        if "error" in head:
            raise (EngineUnavailable if head["may_pass"] else QueryFailed)(head["error"])
        with pa.ipc.open_stream(body) as reader:
            return reader.read_all()


def main() -> None:
    os.nice(_NICE)
    lane = Connection(int(sys.argv[1]))
    job, _ = lanes.receive(lane)
    try:
        body = _run(lane, job)
    except (StoreError, StateError) as error:
        lanes.send(lane, {"say": "error", "error": str(error)})
    else:
        lanes.send(lane, {"say": "result"}, body)


def _run(lane: Connection, job: Mapping[str, Any]) -> bytes:
    settings = Settings(**job["settings"])
    database = Database(job["state_url"])
    try:
        return _replay(lane, job, settings, database)
    finally:
        database.close()


def _replay(lane: Connection, job: Mapping[str, Any], settings: Settings, database: Database) -> bytes:
    reader = AskingReader(lane)
    past = Past(reader, settings.default_environment, settings.bin_width_s, timeout_s=_QUERY_TIMEOUT_S)
    facts, named = StoredFacts(database), StoredOutcomes(database).told()

    def progress(done: int, of: int, what: str, judged: int) -> None:
        lanes.send(lane, {"say": "progress", "done": done, "of": of, "what": what, "judged": judged})

    since, until = (datetime.fromisoformat(job[name]) for name in ("since", "until"))
    if job["kind"] == "calibration":
        asked = Asked(
            service=job["service"],
            environment=job["environment"],
            since=since,
            until=until,
            placebos=job["placebos"],
        )
        return pack(calibrate(past, facts, settings, asked, progress, named))
    known = Calibrations(database)
    materials = Materials(
        past=past,
        facts=facts,
        told=lambda service, environment: judge_settings(settings, service, known.get(service, environment), named),
        settings=settings,
        spans=reader,
    )
    period = Period(since=since, until=until, services=tuple(job["services"]))
    return pack(run_backtest(materials, period, job["id"], "this server's own store", progress))


if __name__ == "__main__":
    main()
