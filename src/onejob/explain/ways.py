"""Time between a caller's call and the callee's work, and whose network it should be charged to.

A slow network shows on neither end: the caller's client span is long, the callee's server span is short, and the
difference is all there is. Each end of such a way is a suspect. One whose network is at fault delays every way it is
on, in the one direction that is hurt; a caller that merely calls a delayed callee has other ways that are as quick as
ever. So the time is divided between the two ends in proportion to how much of what else they do is hurt.
"""

from dataclasses import dataclass

import numpy as np

from onejob.explain.tables import Bools, Floats, Ints
from onejob.explain.tree import Forest

_CALLER = frozenset({"Client", "Producer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Per span: whether it entered its node by a call from another, that call's node, and the time on the way.

    `is_call`: the calling side, whose own time is the way; also where the called side left no span this time, so that
    nobody knows which side took long.
    """

    is_entry: Bools
    is_call: Bools
    caller: Ints
    way_ns: Ints


def ways(forest: Forest, node: Ints) -> Ways:
    """Calls between nodes: a client's span with the work of another node below it."""
    kind = forest.spans.kind
    calls = np.isin(kind.codes, [code for code, name in enumerate(kind.distinct) if name in _CALLER])
    up = np.maximum(forest.parent, 0)
    is_entry = (forest.place >= 0) & (forest.parent >= 0) & calls[up] & (node[up] != node)
    answers = np.bincount(up[is_entry], minlength=len(node))
    way_ns = np.where(is_entry, forest.self_ns[up] // np.maximum(1, answers[up]), 0)
    is_remote = np.zeros(len(forest.places), dtype=np.bool_)
    is_remote[forest.place[up[is_entry]]] = True
    is_call = (answers > 0) | (calls & (forest.place >= 0) & is_remote[forest.place])
    return Ways(is_entry=is_entry, is_call=is_call, caller=np.where(is_entry, node[up], -1), way_ns=way_ns)


def blamed(caller: Ints, callee: Ints, added: Floats, nodes: int) -> Floats:
    """Seconds charged to each node, from those `added` on each way (one element a way, all that were used)."""
    edges, edge = np.unique(caller * nodes + callee, return_inverse=True)
    a, b = edges // max(1, nodes), edges % max(1, nodes)
    on_edge = np.bincount(edge, added, minlength=len(edges))
    hurt = _hurt_share(a, b, on_edge > 0, nodes)
    both = hurt[a] + hurt[b]
    to_callee = np.divide(hurt[b], both, out=np.full(len(edges), 0.5), where=both > 0)
    of_callee = np.bincount(b, on_edge * to_callee, minlength=nodes)
    of_caller = np.bincount(a, on_edge * (1 - to_callee), minlength=nodes)
    return (of_callee + of_caller).astype(np.float64)


def _hurt_share(a: Ints, b: Ints, is_hurt: Bools, nodes: int) -> Floats:
    """Per node: the share of its ways in that are hurt and that of its ways out, the mean of those it has."""
    total, sides = np.zeros(nodes), np.zeros(nodes)
    for end in (a, b):
        ways_of = np.bincount(end, minlength=nodes)
        hurt_of = np.bincount(end, is_hurt, minlength=nodes)
        total += np.divide(hurt_of, ways_of, out=np.zeros(nodes), where=ways_of > 0)
        sides += ways_of > 0
    share: Floats = total / np.maximum(1, sides)
    return share
