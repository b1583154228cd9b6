"""Labels of Prometheus and Loki that say what OpenTelemetry says of a resource.

Neither knows resources: what comes from OpenTelemetry has such attributes as labels, with `_` for each dot (Prometheus:
"promoted" resource attributes; Loki: those of its OTLP endpoint, see its default `otlp_config`). They are given back
their names, so that a service is the same one whichever way its telemetry comes. Prometheus' own `job` and `instance`
are a service and its instance too (OpenTelemetry specification, compatibility/prometheus_and_openmetrics.md, "Resource
Attributes": `job` is the name, or the namespace and the name).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ATTRIBUTES = (
    "service.name", "service.namespace", "service.version", "service.instance.id",
    "deployment.environment", "deployment.environment.name",
    "cloud.region", "cloud.availability_zone", "container.name", "host.name",
    "k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "k8s.replicaset.name",
    "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.cronjob.name", "k8s.job.name",
)  # fmt: skip
RESOURCE_LABELS = {name.replace(".", "_"): name for name in _ATTRIBUTES} | {name: name for name in _ATTRIBUTES}

Pairs = tuple[tuple[str, str], ...]  # sorted: equal ones are of one resource


def put(attributes: Any, pairs: Iterable[tuple[str, str]]) -> None:
    """Into a list of OTLP attributes: one by one, as making them apart takes three times as long (measured)."""
    add = attributes.add
    for key, value in pairs:
        attribute = add()
        attribute.key = key
        attribute.value.string_value = value


def resource_of(labels: dict[str, str]) -> Pairs:
    """Taken out of the labels. What names the service itself goes before `job`, which then stays a label."""
    resource = {RESOURCE_LABELS[name]: labels.pop(name) for name in sorted(RESOURCE_LABELS.keys() & labels.keys())}
    if "service.name" not in resource and "job" in labels:
        resource |= _service_of(labels.pop("job"))
    if "service.instance.id" not in resource and "instance" in labels:
        resource["service.instance.id"] = labels.pop("instance")
    return tuple(sorted(resource.items()))


def _service_of(job: str) -> dict[str, str]:
    namespace, slash, name = job.partition("/")
    if slash and namespace and name and "/" not in name:
        return {"service.namespace": namespace, "service.name": name}
    return {"service.name": job}
