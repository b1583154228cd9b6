"""How the columns that onejob reads most follow from a span's attributes, as SQL over the collector's own columns.

They are `DEFAULT`s of `otel_traces`, so that spans a collector writes get them as well; our own insert works the
resource's out once per resource instead of once per span. A default is one expression, in words that every ClickHouse
knows. Our own insert may take the steps on the way from a subquery, and newer words.
"""

import re
from collections.abc import Callable, Sequence

from onejob.store.sql import quote

# Kubernetes hashes use letters and digits that cannot spell words (k8s.io/apimachinery/pkg/util/rand).
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
MAX_NAME_CHARS = 200

_HEALTH_AGENTS = (
    "^(kube-probe|ELB-HealthChecker|GoogleHC|GoogleStackdriverMonitoring-UptimeChecks|Envoy/HC|Amazon-Route53-Health-Check"
    "|Consul Health Check|HAProxy|Blackbox Exporter|Blackbox-Exporter|Pingdom|UptimeRobot)"
)
HEALTH_ROUTES = "^/(healthz|health|livez|readyz|ready|live|ping|-/healthy|-/ready)/?([?].*)?$"

# Span attributes that say whether a span is a request, of what, and how it ended.
ENTRY_ATTRIBUTES = (
    "http.request.method", "http.method", "http.route", "http.response.status_code", "http.status_code", "url.path",
    "http.target", "user_agent.original", "http.user_agent", "user_agent.synthetic.type", "rpc.service",
    "tailsampling.policy", "tailsampling.cached_decision",
)  # fmt: skip
MAY_BE_ENTRY = "(SpanKind IN ('Server', 'Consumer') OR ParentSpanId = '' AND SpanKind NOT IN ('Client', 'Producer'))"

# How often a sampled span counts, from the list member `ot` of its trace state (W3C Trace Context; OpenTelemetry
# specification, "TraceState: Probability Sampling"): a threshold in hexadecimal, or the older power of two.
_OT_MEMBER = "'(?:^|,)[ \\t]*ot=(?:[^,;]*;)*{}[ \\t]*(?:[,;]|$)'"
_THRESHOLD = _OT_MEMBER.format("th:([0-9a-f]{1,14})")
# 63 stands for a span that another sampler chose: how often it counts is not known.
_POWER = _OT_MEMBER.format("p:([0-9]|[1-5][0-9]|6[0-2])")
_ALL = 2**56  # thresholds have 56 bits: those below are rejected

Step = Callable[[str, str], str]  # a name and its expression, which has no steps in it -> how a column refers to it
First = Callable[..., str]  # expressions -> the first that is not empty


def spelled_out(_name: str, expression: str) -> str:
    """The step of an expression that must stand alone."""
    return expression


def first_in_any_release(*values: str) -> str:
    chain = "''"
    for value in reversed(values):
        chain = value if chain == "''" else f"if({value} != '', {value}, {chain})"
    return chain


def first_non_default(*values: str) -> str:
    return f"firstNonDefault({', '.join(values)})"


def resource_columns(step: Step = spelled_out, first: First = first_in_any_release) -> dict[str, str]:
    """Expressions over `ResourceAttributes`, by column."""
    digest = step(
        "digest",
        "extract(concat({}, ' ', {}, ' ', {}), 'sha256:([0-9a-f]{{12}})')".format(
            _resource("container.image.repo_digests"), _resource("oci.manifest.digest"), _resource("container.image.id")
        ),
    )
    pod = _resource("k8s.pod.name")
    pod_hash = step(
        "pod_hash",
        first(
            _resource("k8s.pod.label.pod-template-hash"),
            _resource("k8s.pod.labels.pod-template-hash"),
            f"extract({_resource('k8s.replicaset.name')}, '-({_SAFE}{{6,10}})$')",
            f"if({_resource('k8s.job.name')} = '', extract({pod}, '-({_SAFE}{{6,10}})-{_SAFE}{{5}}$'), '')",
        ),
    )
    revision = step(
        "revision",
        first(
            _resource("k8s.deployment.annotation.deployment.kubernetes.io/revision"),
            _resource("k8s.replicaset.annotation.deployment.kubernetes.io/revision"),
            _resource("deployment.revision"),
            _resource("faas.version"),
        ),
    )
    released = step("released", _resource("service.version"))
    sources = ((released, "service.version"), (digest, "image_digest"), (pod_hash, "pod_template_hash"))
    source = "".join(f"{value} != '', '{name}', " for value, name in sources)
    host, process = step("host", _resource("host.name")), step("process", _resource("process.pid"))
    host_process = f"if({host} = '' OR {process} = '', {host}, concat({host}, ':', {process}))"
    return {
        "Environment": first(_resource("deployment.environment.name"), _resource("deployment.environment")),
        "Version": _bounded(first(released, digest, pod_hash, revision)),
        "VersionSource": f"multiIf({source}{revision} != '', 'deployment_revision', '')",
        "Build": _bounded(first(digest, pod_hash, revision)),
        "Instance": _bounded(first(_resource("service.instance.id"), pod, host_process)),
    }


def span_columns(
    step: Step = spelled_out, first: First = first_in_any_release, attributes: str = "SpanAttributes"
) -> dict[str, str]:
    """Expressions over the span's own columns, by column. `attributes` has ENTRY_ATTRIBUTES of what MAY_BE_ENTRY."""

    def _span(key: str) -> str:
        return f"{attributes}['{key}']"

    method = step("method", first(_span("http.request.method"), _span("http.method")))
    route = step("route", _span("http.route"))
    status = f"toUInt16OrZero({first(_span('http.response.status_code'), _span('http.status_code'))})"
    path = first(route, _span("url.path"), _span("http.target"))
    agent = first(_span("user_agent.original"), _span("http.user_agent"))
    serves_http = f"SpanKind = 'Server' AND {method} != ''"
    probe = (
        f"{_span('user_agent.synthetic.type')} != '' OR match({agent}, '{_HEALTH_AGENTS}') "
        f"OR match({path}, '{HEALTH_ROUTES}') OR {method} = 'OPTIONS' "
        f"OR {_span('rpc.service')} = 'grpc.health.v1.Health'"
    )
    return {
        "Operation": _bounded(f"if({serves_http} AND {route} != '', concat({method}, ' ', {route}), SpanName)"),
        # A root that only calls others (a pool opening its connections) serves nobody; one that works is a job.
        "IsEntry": f"{MAY_BE_ENTRY} AND NOT ({probe})",
        "IsFailed": f"StatusCode = 'Error' OR (SpanKind = 'Server' AND {status} >= 500)",
        "AdjustedCount": _adjusted_count(),
        # The Collector's tail_sampling processor says which of its policies kept a trace, if it is told to say so.
        "IsTailSampled": f"{MAY_BE_ENTRY} AND ({_span('tailsampling.policy')} != '' "
        f"OR {_span('tailsampling.cached_decision')} != '')",
    }


def customer(attributes: Sequence[str]) -> str:
    """Whose request an entry span is of: the first of the attributes that it has. Other spans are not looked at."""
    found = first_in_any_release(*(f"SpanAttributes[{quote(name)}]" for name in attributes))
    return f"if(IsEntry, {_bounded(found)}, '')"


def schema_values() -> dict[str, str]:
    """Both, keyed as the schema's placeholders are."""
    snake = {re.sub(r"(?<!^)(?=[A-Z])", "_", k).lower(): v for k, v in (resource_columns() | span_columns()).items()}
    return snake


def _adjusted_count() -> str:
    """How many requests the span stands for: 1 unless its trace state says with which probability it was kept.

    No expression stands in two branches: the engine would work it out for all spans, of which few are sampled.
    """
    threshold = f"rightPad(extract(TraceState, {_THRESHOLD}), 14, '0')"
    rejected = f"toInt64(reinterpretAsUInt64(reverse(unhex({threshold}))))"
    return (
        f"multiIf(position(TraceState, 'ot=') = 0, toFloat64(1), match(TraceState, {_THRESHOLD}), "
        f"{_ALL} / ({_ALL} - {rejected}), exp2(toUInt8OrZero(extract(TraceState, {_POWER}))))"
    )


def _resource(key: str) -> str:
    return f"ResourceAttributes['{key}']"


def _bounded(value: str) -> str:
    return f"substringUTF8({value}, 1, {MAX_NAME_CHARS})"
