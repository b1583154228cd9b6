"""Calls that are made more often than they were: a loop where there was one query, retries, a new dependency.

Each call may be as quick as ever, so that no time of a call shows it. What is compared is how often a span calls at
each place below its own; the seconds these added calls take are charged to whoever makes them.
"""

import numpy as np

from onejob.explain.excess import Arms, excess
from onejob.explain.tables import Bools, Floats, Ints
from onejob.explain.tree import Forest


def added_calls_s(forest: Forest, arms: Arms, node: Ints, nodes: int) -> Floats:
    """By calling node: seconds of the calls that were more than in the normal time, per call of their caller.

    `node` is the node of each span, in 0..nodes-1. A call that the normal time never showed is more in full.
    """
    is_used = (forest.place >= 0) & (arms.incident | arms.normal)[forest.request]
    caller, place, count = _calls_made(forest, is_used)
    keys, group = np.unique(place * nodes + node[caller], return_inverse=True)
    added = excess(place, group, forest.request[caller], count, arms)
    during = np.flatnonzero(is_used & arms.incident[forest.request])
    w = arms.weight[forest.request[during]]
    n = np.bincount(forest.place[during], w, minlength=len(forest.places))
    inside = np.bincount(forest.place[during], w * forest.spans.duration_ns[during] / 1e9, minlength=len(forest.places))
    each = inside / np.where(n > 0, n, 1.0)
    return np.bincount(keys % nodes, added * each[keys // nodes], minlength=nodes).astype(np.float64)


def _calls_made(forest: Forest, is_used: Bools) -> tuple[Ints, Ints, Floats]:
    """For every span and every place below its own: the span, the place, and how often it called there."""
    above = np.array([place.parent for place in forest.places], dtype=np.int64)
    below = np.argsort(above, kind="stable")
    first, last = (np.searchsorted(above[below], np.arange(len(above)), side=side) for side in ("left", "right"))
    callers = np.flatnonzero(is_used)
    width = (last - first)[forest.place[callers]]
    caller = np.repeat(callers, width)
    offset = np.arange(len(caller)) - np.repeat(np.cumsum(width) - width, width)
    place = below[first[forest.place[caller]] + offset]
    called = np.flatnonzero(is_used & (forest.parent >= 0))
    cells, count = np.unique(forest.parent[called] * len(above) + forest.place[called], return_counts=True)
    wanted = caller * len(above) + place
    at = np.minimum(np.searchsorted(cells, wanted), max(0, len(cells) - 1))
    found = cells[at] == wanted if len(cells) else np.zeros(len(wanted), dtype=np.bool_)
    return caller, place, np.where(found, count[at] if len(cells) else 0, 0).astype(np.float64)
