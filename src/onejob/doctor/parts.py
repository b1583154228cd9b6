"""Do the parts of a running server work: engine, schema, spool, state database, and the routers of rollouts?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing

from onejob.act.drivers import DRIVERS
from onejob.act.errors import ActError
from onejob.doctor.finding import Finding, ok, problem, warning
from onejob.ingest.counters import IntakeStats
from onejob.state.database import Database
from onejob.state.errors import StateError
from onejob.state.rollouts import Rollouts
from onejob.store.engine import Engine
from onejob.store.errors import StoreError
from onejob.store.migrate import newest_schema
from onejob.words import plural

_WAIT_S = 5.0
_LONG_S = 60.0  # a flush takes seconds


def look_at_engine(engine: Engine | None) -> Iterator[Finding]:
    """Does it answer, and with the tables of this release?"""
    if engine is None:
        yield problem("engine", "no engine runs in this process", "ask the server that telemetry is sent to")
        return
    try:
        sql = "SELECT max(Number) AS n FROM onejob_migrations"
        stored = int(engine.query(sql, timeout_s=_WAIT_S).to_pylist()[0]["n"])
    except StoreError as error:
        yield problem(
            "engine", f"it does not answer: {error}", "it is started again by itself; if not, look at the server's log"
        )
        return
    yield ok("engine", "it answers")
    if stored == newest_schema():
        yield ok("schema", f"{stored:04d}, as this release has it")
    else:
        yield problem("schema", f"{stored:04d} is stored, this release has {newest_schema():04d}", "restart the server")


def look_at_state(database: Database) -> Finding:
    """Can facts be read?"""
    try:
        database.ping()
    except StateError as error:
        return problem(
            "state database", str(error), "see what it says; nothing that was acknowledged is lost meanwhile"
        )
    if database.trouble:
        return problem("state database", database.trouble, "see what it says")
    return ok("state database", f"{'SQLite' if database.is_sqlite else 'PostgreSQL'} answers")


def look_at_intake(stats: IntakeStats) -> Iterator[Finding]:
    """Does what comes in get stored?"""
    if stats.trouble:
        yield problem("intake", stats.trouble, "see what it says")
    elif stats.lag_s > _LONG_S:
        yield problem(
            "intake", f"{stats.spooled_requests} requests wait to be stored, the oldest for {stats.lag_s:.0f} s",
            "look at the engine; give it a core of its own, or send less",
        )  # fmt: skip
    else:
        yield ok("intake", f"{stats.spooled_requests} requests wait to be stored")
    if stats.dead_letters:
        yield warning(
            "dead letters",
            f"acknowledged and refused by the engine: {plural(stats.dead_letters, 'request')}, "
            f"{math.ceil(stats.dead_letter_bytes / 1e6)} MB of the spool's room; without room nothing more is taken",
            "`onejob dead-letters list` says why; `onejob dead-letters replay` tries them again, and "
            "`onejob dead-letters delete` deletes them",
        )  # fmt: skip
    else:
        yield ok("dead letters", "none")
    for name, why in stats.failing_targets.items():
        yield warning("targets", f"{name} is not scraped: {why}", "bring it back, or correct ONEJOB_SCRAPE_TARGETS")


def look_at_routers(rollouts: Rollouts) -> Iterator[Finding]:
    """Of rollouts that run: does each router answer?"""
    for rollout in rollouts.active():
        name = f"{rollout.plan.driver} of {rollout.id}"
        try:
            with closing(DRIVERS[rollout.plan.driver](rollout.plan.settings)) as driver:
                driver.read_share()
        except KeyError:
            yield problem(
                "routers",
                f"there is no driver {rollout.plan.driver!r} for {rollout.id}",
                "start the release that has it",
            )
        except ActError as error:
            yield problem(
                "routers",
                f"{name}: {error}",
                f"bring it back; if it is gone for good: onejob rollout abort {rollout.id} --router-is-gone",
            )
        else:
            yield ok("routers", f"{name} answers")
