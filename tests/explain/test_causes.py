"""Which service is at the root: generated incidents in a shop of four services, each with one thing wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.explain.causes import Cause, Reading, rank_causes
from onejob.explain.excess import Arms, excess
from onejob.explain.metrics import LEAST_HISTORY, severity
from onejob.explain.own import own_ns
from onejob.explain.reading import Requests, Spans
from onejob.explain.tables import Column
from onejob.explain.tree import Forest, build_forest
from onejob.model.explanation import CauseKind

NORMAL, INCIDENT = 120, 40
MS = 1_000_000


@dataclass(kw_only=True)
class Wrong:
    """What is wrong in an incident; times in ms."""

    slow: dict[str, float] = field(default_factory=dict)
    network_to: dict[str, float] = field(default_factory=dict)
    failing: str = ""
    queries: int = 1


@dataclass
class Recording:
    """Spans as they are made: (key, parent, start, duration, service, kind, label, failed)."""

    seed: int = 1
    rows: list[tuple[int, int, float, float, str, str, str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def work(self, typical_ms: float) -> float:
        return typical_ms * float(self.random.lognormal(0, 0.3))

    def request(self, wrong: Wrong) -> None:
        """front -> checkout -> (stock, payments), both with a database."""
        front = self.open(0, 0.0, "front", "Server", "POST /orders")
        at = self.call(front, 1.0, "front", "checkout", "POST /checkout", wrong)
        self.close(front, 0.0, at + self.work(1.0))

    def call(self, parent: int, at: float, caller: str, callee: str, label: str, wrong: Wrong) -> float:
        """A client's span and the server's; the time when the answer is there."""
        client = self.open(parent, at, caller, "Client", label)
        way = self.work(0.5) + wrong.network_to.get(callee, 0.0)
        server = self.open(client, at + way, callee, "Server", label)
        inside = at + way + self.work(3.0) + wrong.slow.get(callee, 0.0)
        if callee == "checkout":
            inside = self.call(server, inside, callee, "stock", "GET /stock", wrong)
            inside = self.call(server, inside, callee, "payments", "POST /pay", wrong)
        else:
            for _ in range(wrong.queries if callee == "stock" else 1):
                query = self.open(server, inside, callee, "Client", "SELECT items")
                inside = self.close(query, inside, inside + self.work(2.0))
        is_failed = bool(wrong.failing) and callee in (wrong.failing, "checkout")
        self.close(server, at + way, inside, failed=is_failed)
        return self.close(client, at, inside + self.work(0.5), failed=is_failed)

    def open(self, parent: int, at: float, service: str, kind: str, label: str) -> int:
        self.rows.append((len(self.rows) + 1, parent, at, 0.0, service, kind, label, False))
        return len(self.rows)

    def close(self, key: int, since: float, until: float, *, failed: bool = False) -> float:
        self.rows[key - 1] = (*self.rows[key - 1][:3], until - since, *self.rows[key - 1][4:7], failed)
        return until

    def forest(self) -> Forest:
        spans = spans_of(self.rows)
        entry = np.flatnonzero(spans.parent_key == 0)
        none = np.zeros(len(entry), dtype=np.int64)
        requests = Requests(
            operation="POST /orders", trace_id=("",) * len(entry), span_key=spans.span_key[entry],
            is_treatment=none > 0, is_failed=none > 0, start_ns=none, duration_ns=none, weight=np.ones(len(entry)),
        )  # fmt: skip
        return build_forest(spans, requests)


def spans_of(rows: Sequence[tuple[int, int, float, float, str, str, str, bool]]) -> Spans:
    key, parent, start, duration, service, kind, label, failed = zip(*rows, strict=True)
    nothing = column([""] * len(rows))
    return Spans(
        span_key=np.array(key, dtype=np.uint64), parent_key=np.array(parent, dtype=np.uint64),
        start_ns=(np.array(start) * MS).astype(np.int64), duration_ns=(np.array(duration) * MS).astype(np.int64),
        is_failed=np.array(failed), is_transport=np.zeros(len(rows), dtype=bool), span_id=nothing,
        parent_span_id=nothing, service=column(service), kind=column(kind), label=column(label),
        attribute_row=np.zeros(0, dtype=np.int64), attribute_name=nothing, attribute_value=nothing,
    )  # fmt: skip


def column(values: Sequence[str]) -> Column:
    distinct, codes = np.unique(np.array(values), return_inverse=True)
    return Column(codes=codes, distinct=tuple(distinct.tolist()))


def causes_of(wrong: Wrong, readings: Sequence[Reading] = (), seed: int = 1) -> list[Cause]:
    recording = Recording(seed)
    for _ in range(NORMAL):
        recording.request(Wrong())
    for _ in range(INCIDENT):
        recording.request(wrong)
    is_incident = np.arange(NORMAL + INCIDENT) >= NORMAL
    return rank_causes(recording.forest(), Arms.of(is_incident, ~is_incident), readings=readings)


@pytest.mark.parametrize(
    ("wrong", "node", "kind"),
    [
        (Wrong(slow={"stock": 20.0}), "stock", CauseKind.SLOW),
        (Wrong(slow={"checkout": 20.0}), "checkout", CauseKind.SLOW),
        (Wrong(network_to={"payments": 30.0}), "payments", CauseKind.NETWORK),
        (Wrong(failing="payments"), "payments", CauseKind.ERRORS),
        (Wrong(queries=20), "stock", CauseKind.CALLS),
    ],
)
def test_the_service_at_the_root_is_named_and_not_those_that_wait_for_it(
    wrong: Wrong, node: str, kind: CauseKind
) -> None:
    first, *others = causes_of(wrong)

    assert (first.node, first.kind) == (node, kind)
    assert first.share > 0.6
    assert sum(other.share for other in others) <= 1 - first.share + 1e-9


def test_where_either_end_could_have_the_slow_network_both_are_named() -> None:
    found = causes_of(Wrong(network_to={"checkout": 30.0}))

    assert {(cause.node, cause.kind) for cause in found[:2]} == {
        ("front", CauseKind.NETWORK),
        ("checkout", CauseKind.NETWORK),
    }


def test_of_two_troubles_the_one_that_costs_users_more_comes_first() -> None:
    found = causes_of(Wrong(slow={"stock": 10.0}, network_to={"payments": 30.0}))

    assert [cause.node for cause in found[:2]] == ["payments", "stock"]


@pytest.mark.parametrize("seed", range(4))
def test_where_nothing_changed_nobody_is_blamed(seed: int) -> None:
    assert causes_of(Wrong(), seed=seed) == []


def test_a_metric_says_what_kind_of_trouble_a_slow_service_has() -> None:
    busy = Reading(node="stock", kind=CauseKind.CPU, severity=0.9)
    first = causes_of(Wrong(slow={"stock": 20.0}), [busy])[0]

    assert (first.node, first.kind, first.severity) == ("stock", CauseKind.CPU, 0.9)


def test_a_metric_alone_does_not_outweigh_what_users_wait_for() -> None:
    busy = Reading(node="elsewhere", kind=CauseKind.CPU, severity=1.0)
    found = causes_of(Wrong(slow={"stock": 20.0}), [busy])

    assert [cause.node for cause in found[:2]] == ["stock", "elsewhere"]


def test_a_single_slow_request_is_no_sign_of_anything() -> None:
    recording = Recording()
    for number in range(NORMAL + INCIDENT):
        recording.request(Wrong(slow={"stock": 500.0 if number == NORMAL else 0.0}))
    is_incident = np.arange(NORMAL + INCIDENT) >= NORMAL

    assert rank_causes(recording.forest(), Arms.of(is_incident, ~is_incident)) == []


def test_one_instance_of_several_is_named_where_instances_are_given() -> None:
    recording, nodes = Recording(), []
    for number in range(NORMAL + INCIDENT):
        is_hurt = number >= NORMAL and number % 2 == 0
        recording.request(Wrong(slow={"stock": 30.0 if is_hurt else 0.0}))
        new = recording.rows[len(nodes) :]
        nodes += [f"{row[4]}-{number % 2}" for row in new]
    is_incident = np.arange(NORMAL + INCIDENT) >= NORMAL
    found = rank_causes(recording.forest(), Arms.of(is_incident, ~is_incident), nodes=column(nodes))

    assert found[0].node == "stock-0"
    assert "stock-1" not in [cause.node for cause in found]


def test_a_request_counts_as_many_as_it_stands_for() -> None:
    recording = Recording()
    for number in range(NORMAL + INCIDENT):
        slow = {"stock": 30.0} if number % 2 else {"payments": 30.0}
        recording.request(Wrong(slow=slow if number >= NORMAL else {}))
    is_incident = np.arange(NORMAL + INCIDENT) >= NORMAL
    weight = np.where(np.arange(NORMAL + INCIDENT) % 2, 1.0, 9.0)
    arms = Arms(incident=is_incident, normal=~is_incident, weight=weight)

    assert rank_causes(recording.forest(), arms)[0].node == "payments"


def test_a_gateway_that_waits_beside_its_call_is_not_blamed_for_it() -> None:
    rows: list[tuple[int, int, float, float, str, str, str, bool]] = []
    for number in range(60):
        took, key = (10.0 if number < 40 else 200.0) + number % 7, 4 * number + 1
        rows += [
            (key, 0, 0.0, took + 3, "gateway", "Server", "any", False),
            (key + 1, key, 0.5, took + 1.6, "gateway", "Internal", "handle", False),
            (key + 2, key, 1.0, took + 1.2, "gateway", "Client", "GET /", False),
            (key + 3, key + 2, 1.5, took, "shop", "Server", "GET /", False),
        ]
    recording = Recording(rows=rows)
    is_incident = np.arange(60) >= 40

    assert [c.node for c in rank_causes(recording.forest(), Arms.of(is_incident, ~is_incident))] == ["shop"]


intervals = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 60)), min_size=1, max_size=8)


@settings(deadline=None)  # machines are busy at times
@given(intervals)
def test_siblings_keep_between_nothing_and_all_of_their_time_and_what_runs_alone_keeps_all(
    children: list[tuple[int, int]],
) -> None:
    rows = [(1, 0, 0.0, 200.0, "x", "Server", "entry", False)]
    rows += [(n + 2, 1, float(a), float(d), "x", "Internal", "child", False) for n, (a, d) in enumerate(children)]
    forest = Recording(rows=rows).forest()
    own = own_ns(forest)[1:]

    assert np.all((own >= 0) & (own <= forest.self_ns[1:]))
    for number, (start, duration) in enumerate(children):
        others = [c for at, c in enumerate(children) if at != number]
        if all(b >= start + duration or b + d <= start for b, d in others):
            assert own[number] == duration * MS
    covered = {at for start, duration in children for at in range(start, start + duration)}
    assert own.sum() >= len(covered) * MS


@settings(deadline=None)  # machines are busy at times
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.floats(0, 100)), min_size=1, max_size=60),
    st.integers(0, 2**31),
)
def test_an_excess_is_never_negative_and_nothing_exceeds_itself(calls: list[tuple[int, int, float]], seed: int) -> None:
    request, place = np.array([c[0] for c in calls]), np.array([c[1] for c in calls])
    value = np.array([c[2] for c in calls])
    everyone = np.ones(31, dtype=bool)
    some = np.random.default_rng(seed).random(31) < 0.5

    assert np.all(excess(place, place, request, value, Arms.of(everyone, everyone)) == 0)
    assert np.all(excess(place, place, request, value, Arms.of(some, ~some)) >= 0)


def test_a_metric_within_its_history_is_not_severe_however_busy_that_was() -> None:
    history = np.linspace(0, 100, 200)

    assert severity(history, np.array([90.0, 95.0])) == 0
    assert 0 < severity(history, np.array([150.0])) < severity(history, np.array([500.0])) < 1


def test_a_metric_of_short_or_no_history_says_nothing() -> None:
    assert severity(np.ones(LEAST_HISTORY - 1), np.array([100.0])) == 0
    assert severity(np.full(200, np.nan), np.array([100.0])) == 0
    assert severity(np.ones(200), np.array([])) == 0
