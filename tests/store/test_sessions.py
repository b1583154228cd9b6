"""How sessions of users are counted per version, on both engines."""

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from onejob.store.engine import Engine
from onejob.store.sessions import Sessions, crash_free, read_sessions
from otlp_builders import a_moment, a_service, attributes_of

NAME = "sentry.sessions"  # as ingest/sentry/sessions.py names them


def counted(service: str, version: str, time_ns: int, **states: int) -> bytes:
    """So many sessions in each state."""
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    named = {"service.name": service, "service.version": version}
    of_resource.resource.attributes.extend(attributes_of(named))
    sessions = of_resource.scope_metrics.add().metrics.add(name=NAME).sum
    sessions.is_monotonic, sessions.aggregation_temporality = True, 1
    for state, count in states.items():
        point = sessions.data_points.add(as_int=count, time_unix_nano=time_ns)
        point.attributes.extend(attributes_of({"session.state": state}))
    return request.SerializeToString()


def test_sessions_are_added_up_per_version_within_the_time_that_is_asked_for(engine: Engine) -> None:
    service, now = a_service(), a_moment()
    minute = 60 * 10**9
    for number, payload in enumerate(
        (
            counted(service, "1", now, started=90, errored=4, crashed=1),
            counted(service, "1", now - minute, started=10, abnormal=2),
            counted(service, "2", now, started=3, crashed=3, errored=1),  # one was started elsewhere
            counted(service, "1", now - 60 * minute, started=1000),
            counted(f"{service}-other", "1", now, started=1000),
        )
    ):
        engine.insert("otel_metrics_sum", payload, f"{service}{number}")

    found = read_sessions(
        engine,
        service=service,
        environment="production",
        default_environment="production",
        since=now // 10**9 - 600,
        until=now // 10**9 + 1,
    )

    assert found == [
        Sessions(version="1", sessions=100, errored=4, crashed=1, abnormal=2),
        Sessions(version="2", sessions=4, errored=1, crashed=3, abnormal=0),
    ]
    assert [crash_free(one).share for one in found] == [0.99, 0.25]
