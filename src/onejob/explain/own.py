"""The time that is a span's own work, also where it waits for a span beside it.

`tree.py` takes from a span what its children cover. Reactive servers and promises make their spans children of the
request, not of each other: a gateway's handler goes on as long as the call that it is there for, both side by side. Its
time would be its own, and the gateway to blame for every slow service behind it. So while a sibling that began later
runs as well, the time is not the earlier one's: what waits began before what it waits for, and time that passes for
several at once is charged once.
"""

import numpy as np

from onejob.explain.tables import Ints
from onejob.explain.tree import Forest


def own_ns(forest: Forest) -> Ints:
    """Per span: `self_ns` less the time in which a sibling that began later ran too, at least 0.

    Of several that run within a longer one, the longer one loses, not they.
    """
    spans, own = forest.spans, forest.self_ns.copy()
    row = np.flatnonzero((forest.place >= 0) & (forest.parent >= 0))
    if not len(row):
        return own
    row = row[np.lexsort((spans.start_ns[row], forest.parent[row]))]
    start, end = spans.start_ns[row], spans.start_ns[row] + spans.duration_ns[row]
    outer = _lasting_longest_before(forest.parent[row], end)
    later = np.flatnonzero(outer >= 0)
    of = outer[later]
    counted = _lasting_longest_before(of, end[later])  # what an earlier sibling has taken is taken
    since = np.where(counted >= 0, np.maximum(start[later], end[later][counted]), start[later])
    np.subtract.at(own, row[of], np.maximum(0, np.minimum(end[later], end[of]) - since))
    alone: Ints = np.maximum(0, own)
    return alone


def _lasting_longest_before(group: Ints, end: Ints) -> Ints:
    """For sorted groups: the place of the earlier element of the same group that ends last, -1 for the first."""
    if not len(group):
        return np.zeros(0, dtype=np.int64)
    ranks = np.unique(end, return_inverse=True)[1]
    first = np.append(True, group[1:] != group[:-1])
    shifted = (np.cumsum(first) - 1) * (int(ranks.max()) + 1) + ranks
    highest = np.maximum.accumulate(shifted)
    is_highest = np.append(True, shifted[1:] > highest[:-1])
    latest = np.maximum.accumulate(np.where(is_highest, np.arange(len(end)), 0))
    before: Ints = np.where(first, -1, np.append(0, latest[:-1]))
    return before
