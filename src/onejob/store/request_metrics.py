"""Requests as a service's own metrics count them, for a service whose spans do not tell of all of them.

Problem: a sampler that prefers failures leaves spans from which no rate can be told, and some services send no spans at
all. Solution: histograms of request durations (OpenTelemetry semantic conventions: `http.server.request.duration` and
its kin) count every request, by route, outcome and instance. They become rows of the rollup when they are read, so that
all that reads those can read these: what a point adds to the one before, in the bin of the point. Bins must be as wide
as the time between points, or arms would be seen in turns.

Their buckets are wider than the rollup's. A request is put at the upper edge of its bucket: how many took longer than
such an edge is exact, and only sizes are less sure (`stats.histogram`).
"""

from string import Template

from onejob.stats import histogram
from onejob.store.expressions import HEALTH_ROUTES
from onejob.store.sql import quote, read_query

BEFORE_S = 600  # how far back the point before a point is looked for
_FINEST = 20  # the largest scale there is
_STABLE = {
    "http.server.request.duration": "http",
    "rpc.server.call.duration": "rpc",
    "messaging.process.duration": "messaging",
}
_FORMER = {"http.server.duration": "http", "rpc.server.duration": "rpc"}  # in milliseconds, if no unit is given
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# Statuses that are the server's doing (semantic conventions for gRPC): unknown, deadline exceeded, unimplemented,
# internal, unavailable, data loss.
_GRPC_FAILURES = ("2", "4", "12", "13", "14", "15")
_LOWEST, _HIGHEST = histogram.LOWEST, histogram.HIGHEST - 1


def request_points() -> str:
    """A select of the points that end in ({since:Int64} - BEFORE_S, {until:Int64}] of {service:String}."""
    names = ", ".join(quote(name) for name in (*_STABLE, *_FORMER))
    units = "".join(f"MetricUnit = {quote(unit)}, {factor!r}, " for unit, factor in _UNITS.items())
    former = ", ".join(quote(name) for name in _FORMER)
    return Template(read_query("request_points")).substitute(
        names=names,
        before_s=BEFORE_S,
        finest=_FINEST,
        factor=f"multiIf({units}MetricName IN ({former}), 0.001, 1.)",
        index_of_bound=_index("log2(greatest(bound * Factor, 1e-9))"),
        index_of_bucket=_index("(PositiveOffset + i + 1) / pow(2, Scale) + log2(Factor)"),
    )


def rollup_of_metrics(bin_width_s: int) -> str:
    """A subquery with the columns of `operation_rollup`; binds what `request_points` does."""
    return (
        "("
        + Template(read_query("request_metrics")).substitute(
            width=bin_width_s,
            before_s=BEFORE_S,
            points=request_points(),
            protocol=_protocol(),
            operation=_operation(),
            is_stable=f"MetricName IN ({', '.join(quote(name) for name in _STABLE)})",
            is_failed=_is_failed(),
            is_probe=_is_probe(),
            held=_on_the_same_grid(),
        )
        + ")"
    )


def _index(octaves: str) -> str:
    """The rollup's bucket whose upper edge is at 2^octaves seconds, or the one that holds it."""
    return f"toInt16(least(greatest(ceil(round(({octaves}) * {histogram.PER_OCTAVE}, 6)) - 1, {_LOWEST}), {_HIGHEST}))"


def _attribute(name: str) -> str:
    return f"Attributes[{quote(name)}]"


def _protocol() -> str:
    of_names = "".join(f"MetricName = {quote(name)}, {quote(what)}, " for name, what in (_STABLE | _FORMER).items())
    return f"multiIf({of_names}'')"


def _first(*names: str) -> str:
    chain = "''"
    for name in reversed(names):
        chain = f"if({_attribute(name)} != '', {_attribute(name)}, {chain})"
    return chain


def _operation() -> str:
    """As spans are named."""
    method, route = _first("http.request.method", "http.method"), _attribute("http.route")
    rpc, service = _attribute("rpc.method"), _attribute("rpc.service")
    does = _first("messaging.operation.name", "messaging.operation")
    where = _first("messaging.destination.template", "messaging.destination.name")
    return (
        f"multiIf(Protocol = 'http', if({route} != '', concat({method}, ' ', {route}), {method}), "
        f"Protocol = 'rpc', if({service} != '', concat({service}, '/', {rpc}), {rpc}), concat({does}, ' ', {where}))"
    )


def _is_failed() -> str:
    status = f"toUInt16OrZero({_first('http.response.status_code', 'http.status_code')})"
    grpc = ", ".join(quote(code) for code in _GRPC_FAILURES)
    return f"{_attribute('error.type')} != '' OR {status} >= 500 OR {_attribute('rpc.grpc.status_code')} IN ({grpc})"


def _is_probe() -> str:
    return (
        f"match({_attribute('http.route')}, '{HEALTH_ROUTES}') "
        f"OR {_first('http.request.method', 'http.method')} = 'OPTIONS' "
        f"OR {_attribute('rpc.service')} = 'grpc.health.v1.Health' OR {_attribute('user_agent.synthetic.type')} != ''"
    )


def _on_the_same_grid() -> str:
    """The point before, in the buckets of this one: a histogram that needs room makes two buckets one."""
    width = f"pow(2, greatest({histogram.SCALE} - Scale, 0))"
    key = f"toInt16(least(ceil((key + 1) / {width}) * {width} - 1, {_HIGHEST}))"
    sums = f"arrayReduce('sumMap', arrayMap(key -> [{key}], SumsBefore.1), arrayMap(n -> [n], SumsBefore.2))"
    return f"CAST(mapFromArrays({sums}.1, {sums}.2), 'Map(Int16, Int64)')"
