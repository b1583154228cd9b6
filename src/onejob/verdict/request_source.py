"""Whose word is taken for a service's requests: its spans', or that of the histograms in which it counts them itself.

Spans say more, so they are taken as long as they tell of nearly all requests, if need be by how often each of them
counts. Where a sampler left few, or chose them by outcome, and where there are none, a service that has duration
histograms is judged by those.
"""

from collections.abc import Sequence

from onejob.model.deployment import Deployment
from onejob.model.evidence import JudgeSettings, RequestMetrics
from onejob.stats import histogram
from onejob.store.engine import Reader, Scalar
from onejob.store.request_metrics import request_points, rollup_of_metrics
from onejob.store.rollup import ROLLUP, scope

BIN_S = 60  # OpenTelemetry's SDKs send metrics once a minute, unless told otherwise
_LOOK_BACK_S = 600
# Points come once a minute, so the two may count different minutes at either end: a tenth of the time looked at.
_NEARLY_ALL = 0.85
_COUNTED = """
SELECT sum(Adjusted) AS requests, sum(TailSampled) AS chosen
FROM {relation}
WHERE ServiceName = {{service:String}}
    AND Environment IN ({{environment:String}}, {{unnamed:String}})
    AND Bin >= toDateTime({{since:Int64}}, 'UTC')
    AND Bin < toDateTime({{until:Int64}}, 'UTC')
"""
_GRID = """
SELECT arraySort(groupUniqArrayArray(Edges)) AS edges, min(Scale) AS scale
FROM ({points})
WHERE Environment IN ({{environment:String}}, {{unnamed:String}})
"""


def choose(engine: Reader, deployment: Deployment, default_environment: str, bin_width_s: int) -> RequestMetrics | None:
    """From the ten minutes before the deployment; None for spans. Raises StoreError."""
    until = int(deployment.started_at.timestamp())
    params = scope(deployment.service, deployment.environment, default_environment, until - _LOOK_BACK_S, until)
    width = bin_width_s * -(-BIN_S // bin_width_s)
    counted, _ = _requests(engine, rollup_of_metrics(width), params)
    if counted <= 0:
        return None
    of_spans, chosen = _requests(engine, ROLLUP, params)
    if of_spans >= _NEARLY_ALL * counted and not chosen:
        return None
    return RequestMetrics(bin_width_s=width, share_of_spans=min(1.0, of_spans / counted), edges=_edges(engine, params))


def relation_of(told: JudgeSettings) -> str:
    """What to read a service's cells from."""
    return ROLLUP if told.metrics is None else rollup_of_metrics(told.metrics.bin_width_s)


def said_of(told: JudgeSettings) -> Sequence[str]:
    """What a reader of the verdict should know of it."""
    if told.metrics is None:
        return ()
    coarse = " Their buckets are coarse, so sizes are less sure than durations of spans would let them be."
    return (
        "Requests, errors and durations are those that the service's own metrics count: its spans tell of "
        f"{100 * told.metrics.share_of_spans:.0f} % of them.{coarse if told.metrics.edges else ''}",
    )


def _requests(engine: Reader, relation: str, params: dict[str, Scalar]) -> tuple[float, int]:
    (row,) = engine.query(_COUNTED.format(relation=relation), params).to_pylist()
    return float(row["requests"] or 0.0), int(row["chosen"] or 0)


def _edges(engine: Reader, params: dict[str, Scalar]) -> tuple[int, ...]:
    """Where the buckets of all series end; none if they are no wider than the rollup's."""
    (row,) = engine.query(_GRID.format(points=request_points()), params).to_pylist()
    edges, scale = row["edges"], int(row["scale"])
    if scale < histogram.SCALE:
        width = 2 ** (histogram.SCALE - scale)
        edges = {*edges, *range(-(-histogram.LOWEST // width) * width - 1, histogram.HIGHEST, width)}
    return tuple(sorted(int(edge) for edge in edges))
