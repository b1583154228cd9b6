"""Sessions of users per version, as Sentry's SDKs count them (`ingest/sentry/sessions.py`): how many did not crash."""

from __future__ import annotations

from dataclasses import dataclass

from onejob.stats.binomial import proportion_interval
from onejob.store.engine import Reader
from onejob.store.rollup import read_all, scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Of one version; `errored` ended well, with errors on the way, and `abnormal` in another way than by a crash."""

    version: str
    sessions: int
    errored: int
    crashed: int
    abnormal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashFree:
    """The share of sessions that did not crash, and its 95 % interval; all in 0..1."""

    share: float
    low: float
    high: float


def read_sessions(
    engine: Reader,
    *,
    service: str,
    environment: str,
    default_environment: str,
    since: int,
    until: int,
    timeout_s: float | None = None,
) -> list[Sessions]:
    """Reported in [since, until), Unix seconds; the version with most of them first. `timeout_s` as in
    `Engine.query`."""
    params = scope(service, environment, default_environment, since, until)
    return read_all(Sessions, engine, "sessions", params, timeout_s)


def crash_free(of: Sessions) -> CrashFree:
    """Of a version with any sessions."""
    well = of.sessions - of.crashed
    low, high = proportion_interval(well, of.sessions)
    return CrashFree(share=well / of.sessions, low=low, high=high)
