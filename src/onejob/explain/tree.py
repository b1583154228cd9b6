"""Traces of both arms become comparable once every span has a place: the path of labels from its entry operation.

The trees are built level by level over all requests at once. Spans whose parents are missing, or that are their own
ancestors, are reached from no entry and so have no place. `self_ns` is the part of a span that no child covers, however
many children run at once; `gap_ns` is the part of the parent's time between one call and the next at the same place,
which a loop of calls costs on top of the calls.
"""

from dataclasses import dataclass

import numpy as np

from onejob.explain.reading import Requests, Spans
from onejob.explain.tables import Bools, Ints

MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node of the aligned call trees; `parent` is the index of another place, -1 for the entry."""

    path: tuple[str, ...]
    service: str
    parent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Per span: its request, its place (-1 for none of the sampled requests) and its parent's row (-1 for none)."""

    spans: Spans
    places: tuple[Place, ...]
    request: Ints
    place: Ints
    parent: Ints
    self_ns: Ints
    gap_ns: Ints
    orphans: int
    is_cut: bool


def build_forest(spans: Spans, requests: Requests) -> Forest:
    """Places every span below the requests' entry spans."""
    parent = _rows_of(spans.parent_key, spans.span_key)
    entry = _rows_of(requests.span_key, spans.span_key)
    request = np.full(len(spans), -1, dtype=np.int64)
    request[entry[entry >= 0]] = np.flatnonzero(entry >= 0)
    is_entry = request >= 0
    place, places, is_cut = _place(spans, parent, request, requests.operation)
    self_ns, gap_ns = _times(spans, np.where(is_entry, -1, parent), place)
    orphans = int(np.count_nonzero((parent < 0) & (spans.parent_key != 0) & ~is_entry))
    return Forest(
        spans=spans, places=places, request=request, place=place, parent=parent,
        self_ns=self_ns, gap_ns=gap_ns, orphans=orphans, is_cut=is_cut,
    )  # fmt: skip


def _rows_of(keys: np.ndarray, among: np.ndarray) -> Ints:
    """Row of each key in `among`, -1 where it is not there; 0 is no key."""
    if not len(among):
        return np.full(len(keys), -1, dtype=np.int64)
    order = np.argsort(among, kind="stable")
    position = np.minimum(np.searchsorted(among[order], keys), len(among) - 1)
    rows = order[position]
    found: Ints = np.where((among[rows] == keys) & (keys != 0), rows, -1).astype(np.int64)
    return found


def _place(spans: Spans, parent: Ints, request: Ints, operation: str) -> tuple[Ints, tuple[Place, ...], bool]:
    """Walks down from the entries; fills in `request`. Says whether it had to stop before the leaves."""
    place = np.full(len(spans), -1, dtype=np.int64)
    level = np.flatnonzero(request >= 0)
    places: list[Place] = []
    if len(level):
        places.append(Place(path=(operation,), service=spans.service[int(level[0])], parent=-1))
        place[level] = 0
    waiting = np.flatnonzero((request < 0) & (parent >= 0) & ~spans.is_transport)
    for _ in range(MAX_DEPTH):
        is_next = place[parent[waiting]] >= 0
        level, waiting = waiting[is_next], waiting[~is_next]
        if not len(level):
            return place, tuple(places), False
        request[level] = request[parent[level]]
        place[level] = _add_places(places, spans, level, place[parent[level]])
    return place, tuple(places), bool(np.any(place[parent[waiting]] >= 0))


def _add_places(places: list[Place], spans: Spans, level: Ints, above: Ints) -> Ints:
    """Appends the places of one level, and returns which one each of its spans has."""
    labels = len(spans.label.distinct)
    keys, first, which = np.unique(above * labels + spans.label.codes[level], return_index=True, return_inverse=True)
    start = len(places)
    for key, row in zip(keys.tolist(), level[first].tolist(), strict=True):
        up, label = divmod(key, labels)
        path = (*places[up].path, spans.label.distinct[label])
        places.append(Place(path=path, service=spans.service[row], parent=up))
    below: Ints = which + start
    return below


def _times(spans: Spans, parent: Ints, place: Ints) -> tuple[Ints, Ints]:
    """Self time of every span, and the loop gap before it. Children count only as far as they lie in their parent."""
    self_ns, gap_ns = spans.duration_ns.copy(), np.zeros(len(spans), dtype=np.int64)
    child = np.flatnonzero((place >= 0) & (parent >= 0))
    if not len(child):
        return self_ns, gap_ns
    child = child[np.lexsort((spans.start_ns[child], parent[child]))]
    up = parent[child]
    begin = np.clip(spans.start_ns[child] - spans.start_ns[up], 0, spans.duration_ns[up])
    end = np.clip(spans.start_ns[child] - spans.start_ns[up] + spans.duration_ns[child], 0, spans.duration_ns[up])
    before = _latest_end_before(up, end)
    np.subtract.at(self_ns, up, np.maximum(0, end - np.maximum(begin, before)))
    is_again = ~_is_first(up, place[child])
    gap_ns[child] = np.where(is_again, np.maximum(0, begin - before), 0)
    return self_ns, gap_ns


def _latest_end_before(group: Ints, end: Ints) -> Ints:
    """For sorted groups: the largest `end` of the earlier elements of the same group, 0 for the first."""
    starts = np.append(True, group[1:] != group[:-1])
    ordinal = np.cumsum(starts) - 1
    stride = int(end.max()) + 1  # a day in ns times 100,000 groups still fits; beyond, ends are coarsened
    coarse = max(1, -(-stride * int(ordinal[-1] + 1) // 2**62))
    running = np.maximum.accumulate(ordinal * (stride // coarse + 1) + end // coarse)
    latest = (running - ordinal * (stride // coarse + 1)) * coarse
    return np.where(starts, 0, np.append(0, latest[:-1])).astype(np.int64)


def _is_first(group: Ints, kind: Ints) -> Bools:
    """Whether an element is the first of its kind within its group."""
    _, first = np.unique(np.stack((group, kind)), axis=1, return_index=True)
    is_first = np.zeros(len(group), dtype=np.bool_)
    is_first[first] = True
    return is_first
