"""Which requests have which attribute values: on their entry span, on spans below it, or on its ancestors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from onejob.explain.attributes import may_explain
from onejob.explain.reading import Requests, Spans
from onejob.explain.tables import Bools, Ints
from onejob.explain.tree import Forest

_MAX_ANCESTORS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """`has` is a matrix of 0 and 1, requests by values; `name` numbers the names.

    `distinct` is how many values the name of a value has.
    """

    values: tuple[tuple[str, str], ...]
    name: Ints
    distinct: Ints
    has: sparse.csc_array

    def requests_with(self, column: int) -> Bools:
        """Mask over the requests."""
        mask = np.zeros(self.has.shape[0], dtype=np.bool_)
        mask[self.has.indices[self.has.indptr[column] : self.has.indptr[column + 1]]] = True
        return mask


def membership(forest: Forest, requests: Requests) -> Membership:
    """All values that may explain anything, each at most once per request."""
    spans = forest.spans
    links = [_own_and_below(forest, spans), *_above(forest, spans)]
    request = np.concatenate([link[0] for link in links])
    value = np.concatenate([link[1] for link in links])
    codes, columns = np.unique(value, return_inverse=True)
    many_values = len(spans.attribute_value.distinct)
    name_codes = codes // max(1, many_values)
    names, values = spans.attribute_name.distinct, spans.attribute_value.distinct
    pairs = tuple((names[c // many_values], values[c % many_values]) for c in codes.tolist())
    has = sparse.csc_array((np.ones(len(request)), (request, columns)), shape=(len(requests), len(codes)))
    has.data[:] = 1.0  # the same value on several spans of a request was summed
    counts = np.bincount(name_codes, minlength=len(names) or 1)
    return Membership(values=pairs, name=name_codes, distinct=counts[name_codes], has=has)


def _own_and_below(forest: Forest, spans: Spans) -> tuple[Ints, Ints]:
    row = spans.attribute_row
    is_placed = forest.place[row] >= 0
    is_entry = forest.place[row] == 0
    allowed = np.where(is_entry, *_allowed(spans)) & is_placed
    return forest.request[row[allowed]], _value_codes(spans)[allowed]


def _above(forest: Forest, spans: Spans) -> Iterator[tuple[Ints, Ints]]:
    """Ancestors outside the trees; one span may be above several requests, so each request walks up by itself."""
    order = np.argsort(spans.attribute_row, kind="stable")
    starts = np.searchsorted(spans.attribute_row[order], np.arange(len(spans) + 1))
    allowed, codes = _allowed(spans)[1], _value_codes(spans)
    at = np.flatnonzero(forest.place == 0)
    request = forest.request[at]
    for _ in range(_MAX_ANCESTORS):
        at = forest.parent[at]
        request, at = request[at >= 0], at[at >= 0]
        if not len(at):
            return
        sizes = starts[at + 1] - starts[at]
        offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        elements = order[np.repeat(starts[at], sizes) + offsets]
        keep = allowed[elements]
        yield np.repeat(request, sizes)[keep], codes[elements[keep]]


def _allowed(spans: Spans) -> tuple[Bools, Bools]:
    """Per attribute element: whether its name may explain on the entry span, and elsewhere."""
    names = spans.attribute_name
    on_entry = np.array([may_explain(name, on_entry=True) for name in names.distinct], dtype=np.bool_)
    elsewhere = np.array([may_explain(name, on_entry=False) for name in names.distinct], dtype=np.bool_)
    return on_entry[names.codes], elsewhere[names.codes]


def _value_codes(spans: Spans) -> Ints:
    return spans.attribute_name.codes * len(spans.attribute_value.distinct) + spans.attribute_value.codes
