"""Looking at every span of a busy hour costs more than it tells: a few hundred requests of each kind are enough.

Bad and other requests of both arms are drawn apart, by the hash of their ids, and weighted so that shares stay what
they are among all requests. Where traces are huge, fewer are taken, but some of every kind.
"""

from collections.abc import Mapping

import numpy as np

from onejob.explain.reading import Requests
from onejob.explain.tables import Bools, Ints

MAX_PER_KIND = 500
MAX_SPANS = 40_000
_AT_LEAST = 2


def order_by_turns(requests: Requests, bad: Bools) -> Ints:
    """Row numbers, the four kinds taking turns, at most `MAX_PER_KIND` of each."""
    kinds = requests.is_treatment * 2 + bad
    turn = np.zeros(len(requests), dtype=np.int64)
    for kind in range(4):
        rows = np.flatnonzero(kinds == kind)
        turn[rows] = np.arange(len(rows))
    order = np.lexsort((kinds, turn)).astype(np.int64)
    return order[turn[order] < MAX_PER_KIND]


def within_budget(requests: Requests, order: Ints, sizes: Mapping[str, int], max_spans: int = MAX_SPANS) -> Ints:
    """As many of `order`, from its start, as have `max_spans` spans together; a few even when they have more."""
    spans = np.array([sizes.get(requests.trace_id[row], 0) for row in order.tolist()], dtype=np.int64)
    return order[(np.cumsum(spans) <= max_spans) | (np.arange(len(order)) < 4 * _AT_LEAST)]


def reweighted(requests: Requests, bad: Bools, rows: Ints) -> Requests:
    """These rows, standing for all requests of their kind."""
    kinds = requests.is_treatment * 2 + bad
    weight = requests.weight[rows].copy()
    for kind in range(4):
        chosen = kinds[rows] == kind
        if chosen.any():
            weight[chosen] *= requests.weight[kinds == kind].sum() / weight[chosen].sum()
    return requests.take(rows, weight)
