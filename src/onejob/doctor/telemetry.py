"""Does the telemetry say what verdicts need: which version, where, when, and for how many requests it stands?"""

from __future__ import annotations

from collections.abc import Iterator

from onejob.doctor.finding import Finding, ok, some, warning
from onejob.store.engine import Engine
from onejob.store.rollup import VersionSeen, clock_skew, sampled_services, versions_seen

_DAY_S = 86_400
_TIMEOUT_S = 10.0


def look_at_telemetry(engine: Engine, now_s: int, deployments: int | None) -> Iterator[Finding]:
    """Of the last day. `deployments` is how many are known; None where that cannot be asked."""
    seen = versions_seen(engine, since=now_s - _DAY_S, until=now_s + _DAY_S, timeout_s=_TIMEOUT_S)
    if not seen:
        yield warning(
            "telemetry", "no request was seen in the last day",
            "send traces to the OTLP ports (docs/connect.md); only server, consumer and root spans are requests",
        )  # fmt: skip
        return
    yield ok("telemetry", f"requests of {some(sorted({v.service for v in seen}))} in the last day")
    yield _versions(seen)
    yield _environments(seen)
    yield from _deployments(deployments)
    yield _clocks(engine, now_s)
    yield _sampling(engine, now_s)


def _versions(seen: list[VersionSeen]) -> Finding:
    without = sorted({v.service for v in seen if not v.version})
    if without:
        return warning(
            "versions", f"no version in the telemetry of {some(without)}: no deployment of theirs can be noticed",
            "set service.version (OTEL_RESOURCE_ATTRIBUTES=service.version=...), a new one for each build",
        )  # fmt: skip
    return ok("versions", "all telemetry says which version sent it")


def _environments(seen: list[VersionSeen]) -> Finding:
    without = sorted({v.service for v in seen if not v.environment})
    if without:
        return warning(
            "environments", f"no environment in the telemetry of {some(without)}: taken for ONEJOB_DEFAULT_ENVIRONMENT",
            "set deployment.environment.name, if there is more than one environment",
        )  # fmt: skip
    return ok("environments", "all telemetry says from which environment it is")


def _deployments(deployments: int | None) -> Iterator[Finding]:
    if deployments == 0:
        yield warning(
            "deployments", "no deployment was reported or noticed yet",
            "report one with `onejob deployment start`, or deploy a new service.version",
        )  # fmt: skip
    elif deployments:
        yield ok("deployments", f"{deployments} known")


def _clocks(engine: Engine, now_s: int) -> Finding:
    skewed = clock_skew(engine, since=now_s - _DAY_S)
    if skewed:
        return warning(
            "clocks", f"impossible times from {some(f'{s.service} {s.instance}'.strip() for s in skewed)}: "
            f"{sum(s.spans for s in skewed)} spans are left out of verdicts",
            "set the clocks of these machines (NTP); times are nanoseconds since 1970 in UTC",
        )  # fmt: skip
    return ok("clocks", "no impossible times in the last day")


def _sampling(engine: Engine, now_s: int) -> Finding:
    sampled = sampled_services(engine, since=now_s - _DAY_S, until=now_s + _DAY_S)
    by_outcome = [s.service for s in sampled if s.is_tail_sampled]
    if by_outcome:
        return warning(
            "sampling", f"a tail sampler chooses spans of {some(by_outcome)}: rates of those say nothing",
            "sample by probability (ot=th in the trace state), or send all spans to onejob before the sampler",
        )  # fmt: skip
    if sampled:
        return ok("sampling", f"by probability, and undone: {some(s.service for s in sampled)}")
    return ok("sampling", "no service says that its spans are sampled")
