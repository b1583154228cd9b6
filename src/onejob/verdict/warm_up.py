"""Instances that were warmed up before they got traffic.

A new process is slow, so its durations do not count for a while; unless somebody sent it synthetic requests first,
which telemetry shows as `user_agent.synthetic.type`.
"""

from importlib import resources

from onejob.store.engine import Reader, Scalar

# Fewer requests than this warm nothing: a readiness probe is not a warm-up.
_ENOUGH = 20
_LOOK_BACK_S = 900
_QUERY = resources.files("onejob.verdict").joinpath("queries/warmed_instances.sql").read_text()


def warmed_instances(engine: Reader, service: str, *, since: int, until: int) -> tuple[str, ...]:
    """Instances of the service that answered enough synthetic requests in or shortly before [since, until)."""
    params: dict[str, Scalar] = {"service": service, "since": since - _LOOK_BACK_S, "until": until, "enough": _ENOUGH}
    return tuple(sorted(engine.query(_QUERY, params).column("Instance").to_pylist()))
