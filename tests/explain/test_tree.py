"""Interval arithmetic over many trees at once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onejob.explain.reading import Requests, Spans
from onejob.explain.tables import Column
from onejob.explain.tree import MAX_DEPTH, build_forest


def spans_of(rows: list[tuple[int, int, int, int, str]]) -> Spans:
    """Rows of (key, parent key, start, duration, label)."""
    labels = tuple(dict.fromkeys(row[4] for row in rows))
    count = len(rows)
    same = Column(codes=np.zeros(count, dtype=np.int64), distinct=("x",))
    none = Column(codes=np.zeros(0, dtype=np.int64), distinct=())
    return Spans(
        span_key=np.array([row[0] for row in rows], dtype=np.uint64),
        parent_key=np.array([row[1] for row in rows], dtype=np.uint64),
        start_ns=np.array([row[2] for row in rows], dtype=np.int64),
        duration_ns=np.array([row[3] for row in rows], dtype=np.int64),
        is_failed=np.zeros(count, dtype=bool), is_transport=np.zeros(count, dtype=bool),
        span_id=same, parent_span_id=same, service=same, kind=same,
        label=Column(codes=np.array([labels.index(row[4]) for row in rows], dtype=np.int64), distinct=labels),
        attribute_row=np.zeros(0, dtype=np.int64), attribute_name=none, attribute_value=none,
    )  # fmt: skip


def requests_at(*keys: int) -> Requests:
    count = len(keys)
    return Requests(
        operation="op", trace_id=("t",) * count, span_key=np.array(keys, dtype=np.uint64),
        is_treatment=np.ones(count, dtype=bool), is_failed=np.zeros(count, dtype=bool),
        start_ns=np.zeros(count, dtype=np.int64), duration_ns=np.zeros(count, dtype=np.int64), weight=np.ones(count),
    )  # fmt: skip


intervals = st.lists(st.tuples(st.integers(-20, 120), st.integers(0, 60)), max_size=12)


@given(st.lists(intervals, min_size=1, max_size=4))
def test_self_time_is_what_no_child_covers_however_many_run_at_once(families: list[list[tuple[int, int]]]) -> None:
    rows, key = [], 100
    for number, children in enumerate(families, start=1):
        rows.append((number, 0, 0, 100, "entry"))
        for start, duration in children:
            key += 1
            rows.append((key, number, start, duration, "child"))

    forest = build_forest(spans_of(rows), requests_at(*range(1, len(families) + 1)))

    by_key = dict(zip((row[0] for row in rows), forest.self_ns.tolist(), strict=True))
    for number, children in enumerate(families, start=1):
        covered = {at for start, duration in children for at in range(max(0, start), min(100, start + duration))}
        assert by_key[number] == 100 - len(covered)


def test_gaps_count_between_calls_of_the_same_place_only() -> None:
    rows = [(1, 0, 0, 100, "entry"), (2, 1, 10, 10, "a"), (3, 1, 25, 10, "a"), (4, 1, 50, 10, "b"), (5, 1, 70, 5, "a")]

    forest = build_forest(spans_of(rows), requests_at(1))

    assert forest.gap_ns.tolist() == [0, 0, 5, 0, 10]
    assert forest.self_ns[0] == 100 - 35


def test_a_span_belongs_to_the_nearest_request_above_it() -> None:
    rows = [(1, 0, 0, 9, "x"), (2, 1, 0, 8, "inner"), (3, 2, 0, 7, "entry"), (4, 3, 0, 6, "leaf")]

    forest = build_forest(spans_of(rows), requests_at(1, 3))

    assert forest.request.tolist() == [0, 0, 1, 1]
    assert {place.path for place in forest.places} == {("op",), ("op", "inner"), ("op", "leaf")}


def test_endless_nesting_is_cut() -> None:
    rows = [(key, key - 1, 0, 10, "deeper") for key in range(1, 3 * MAX_DEPTH)]

    forest = build_forest(spans_of(rows), requests_at(1))

    assert forest.is_cut
    assert max(len(place.path) for place in forest.places) == MAX_DEPTH + 1


def test_no_spans_no_forest() -> None:
    forest = build_forest(spans_of([]), requests_at(1))

    assert forest.places == ()
