"""One trace of each arm, as alike as can be but for the damage.

Treatment's is a bad request in the middle of the bad ones, with the attribute that explains most. Control's is one of
the same operation that shares most of its attribute values, in the middle of control's durations.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from onejob.explain.membership import Membership
from onejob.explain.reading import Requests
from onejob.explain.tables import Bools, Ints
from onejob.explain.tree import Forest
from onejob.model.evidence import Arm
from onejob.model.explanation import ExemplarTrace, TraceSpan

MAX_SPANS = 400
_ALIKE_CANDIDATES = 25


def exemplar_traces(
    forest: Forest,
    requests: Requests,
    bad: Bools,
    members: Membership,
    comparable: Bools,
    cause: tuple[str, ...] | None,
) -> list[ExemplarTrace]:
    """Treatment's trace, then control's; either may be missing."""
    complete = _whole_requests(forest, len(requests))
    candidates = requests.is_treatment & bad & complete
    for narrower in (_with_cause(forest, len(requests), cause), comparable):
        candidates = candidates & narrower if np.any(candidates & narrower) else candidates
    hurt = _middle(requests, np.flatnonzero(candidates))
    others = ~requests.is_treatment & complete
    for narrower in (comparable, ~bad):
        others = others & narrower if np.any(others & narrower) else others
    spared = _middle(requests, _most_alike(members, np.flatnonzero(others), hurt, requests))
    chosen = ((Arm.TREATMENT, hurt), (Arm.CONTROL, spared))
    return [_trace(forest, requests, request, arm) for arm, request in chosen if request is not None]


def _whole_requests(forest: Forest, count: int) -> Bools:
    """Requests in the forest; where most have calls, only those: the spans of the others may still be on their way."""
    sizes = np.bincount(forest.request[forest.place >= 0], minlength=count)
    present = sizes > 0
    has_calls = sizes > 1
    return has_calls if has_calls.sum() > 0.5 * present.sum() else present


def _with_cause(forest: Forest, count: int, cause: tuple[str, ...] | None) -> Bools:
    """Requests in which the cause occurs: failed, when it ever fails."""
    has = np.zeros(count, dtype=np.bool_)
    at = next((i for i, place in enumerate(forest.places) if place.path == cause), None)
    if at is not None:
        rows = forest.place == at
        failed = rows & forest.spans.is_failed
        has[forest.request[failed if failed.any() else rows]] = True
    return has


def _middle(requests: Requests, among: Ints) -> int | None:
    """The one of median duration."""
    if not len(among):
        return None
    order = np.lexsort((requests.span_key[among], requests.duration_ns[among]))
    return int(among[order[len(among) // 2]])


def _most_alike(members: Membership, among: Ints, like: int | None, requests: Requests) -> Ints:
    """Those that share most attribute values with the given request; a few, so that the middle means something."""
    if like is None or not len(among) or not len(members.values):
        return among
    traits = members.has.tocsr()
    overlap = np.asarray((traits[among] @ traits[[like]].T).toarray()).ravel()
    order = np.lexsort((requests.span_key[among], -overlap))
    most_alike = order[overlap[order] == overlap[order[0]]]
    chosen: Ints = among[most_alike[:_ALIKE_CANDIDATES]]
    return chosen


def _trace(forest: Forest, requests: Requests, request: int, arm: Arm) -> ExemplarTrace:
    return ExemplarTrace(
        arm=arm.value,
        trace_id=requests.trace_id[request],
        started_at=datetime.fromtimestamp(int(requests.start_ns[request]) / 1e9, UTC),
        duration_s=int(requests.duration_ns[request]) / 1e9,
        is_error=bool(requests.is_failed[request]),
        spans=tuple(_spans(forest, int(requests.start_ns[request]), request)),
    )


def _spans(forest: Forest, start_ns: int, request: int) -> Iterator[TraceSpan]:
    """By start, parents first; of too many the deepest are left out."""
    spans = forest.spans
    rows = np.flatnonzero((forest.request == request) & (forest.place >= 0))
    depth = np.array([len(forest.places[p].path) for p in forest.place[rows].tolist()], dtype=np.int64)
    shallowest = np.lexsort((spans.start_ns[rows], depth))[:MAX_SPANS]
    by_start = shallowest[np.lexsort((depth[shallowest], spans.start_ns[rows[shallowest]]))]
    for row in rows[by_start].tolist():
        yield TraceSpan(
            span_id=spans.span_id[row],
            parent_span_id=spans.parent_span_id[row],
            label=forest.places[forest.place[row]].path[-1],
            path=forest.places[forest.place[row]].path,
            service=spans.service[row],
            kind=spans.kind[row],
            offset_s=(int(spans.start_ns[row]) - start_ns) / 1e9,
            duration_s=int(spans.duration_ns[row]) / 1e9,
            is_error=bool(spans.is_failed[row]),
        )
