"""Complaints on both kinds of database: each ticket once, whatever is told of it, twice or out of order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onejob.model.complaint import Told, Withdrawn
from onejob.state.complaints import ComplaintFilter, Complaints
from onejob.state.database import Database
from onejob.state.deployments import DeploymentFilter, Deployments
from onejob.state.errors import BadCursorError

from .builders import NOW, a_deployment

AT = NOW - timedelta(hours=1)


def told(minutes: float = 0, **changes: Any) -> Told:
    values = {
        "source": "jira", "external_id": "acme/1", "reference": "SUP-1", "customer": "acme", "at": AT,
        "summary": "broken", "told_at": AT + timedelta(minutes=minutes), **changes,
    }  # fmt: skip
    return Told(**values)


def gone(minutes: float = 0, *, is_deleted: bool = True) -> Withdrawn:
    return Withdrawn(
        source="jira", external_id="acme/1", told_at=AT + timedelta(minutes=minutes), is_deleted=is_deleted
    )


def summaries(complaints: Complaints, **wanted: Any) -> list[str]:
    return [one.summary for one in complaints.page(ComplaintFilter(**wanted)).items]


def test_a_ticket_is_one_complaint_that_says_what_it_said_last(state_database: Database) -> None:
    complaints = Complaints(state_database)
    first, is_new = complaints.tell(told(), NOW)
    assert is_new
    second, is_new = complaints.tell(told(2, summary="worse", is_closed=True, url="https://a/b"), NOW)
    assert (is_new, second.id) == (False, first.id)
    complaints.tell(told(1, summary="late"), NOW)
    (kept,) = complaints.page(ComplaintFilter()).items
    assert (kept.summary, kept.is_closed, kept.url, kept.received_at) == ("worse", True, "https://a/b", NOW)
    complaints.tell(told(2, source="zendesk"), NOW)
    assert len(complaints.page(ComplaintFilter()).items) == 2


def test_a_deleted_ticket_is_not_brought_back_by_what_comes_late(state_database: Database) -> None:
    complaints = Complaints(state_database)
    assert not complaints.withdraw(gone(5), NOW)
    complaints.tell(told(1), NOW)
    assert summaries(complaints) == []
    complaints.tell(told(6, summary="restored"), NOW)
    assert summaries(complaints) == ["restored"]
    assert not complaints.withdraw(gone(5), NOW), "told before it was restored"
    assert complaints.withdraw(gone(7), NOW)
    assert not complaints.withdraw(gone(7), NOW)
    assert summaries(complaints) == []
    with state_database.read() as connection:
        rows = connection.exec_driver_sql("SELECT customer, summary, reference FROM complaints").all()
    assert [tuple(row) for row in rows] == [("", "", "")]


def test_tickets_of_nobody_leave_nothing(state_database: Database) -> None:
    complaints = Complaints(state_database)
    assert not complaints.withdraw(gone(is_deleted=False), NOW)
    with state_database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM complaints").scalar_one() == 0
    complaints.tell(told(), NOW)
    assert complaints.withdraw(gone(1, is_deleted=False), NOW)
    assert summaries(complaints) == []


def test_what_a_complaint_follows_is_listed_and_counted_where_deployments_are(state_database: Database) -> None:
    complaints, deployments = Complaints(state_database), Deployments(state_database)
    for number in (1, 2):
        deployments.add(a_deployment(id=f"dep_{number}", version=str(number), started_at=AT - timedelta(hours=number)))
    one, _ = complaints.tell(told(), NOW)
    other, _ = complaints.tell(told(external_id="acme/2"), NOW)
    complaints.follow({one.id: ["dep_2", "dep_1"], other.id: ["dep_1"]})
    complaints.follow({other.id: ["dep_1"]})

    found = complaints.get(one.id)
    assert found is not None
    assert [(each.deployment_id, each.version) for each in found.deployments] == [("dep_2", "2"), ("dep_1", "1")]
    assert len(complaints.page(ComplaintFilter(deployment_id="dep_1")).items) == 2
    assert len(complaints.page(ComplaintFilter(deployment_id="dep_2")).items) == 1
    counts = {record.deployment.id: record.complaints for record in deployments.page(DeploymentFilter()).items}
    assert counts == {"dep_1": 2, "dep_2": 1}

    assert complaints.remove(one.id, NOW)
    assert not complaints.remove(one.id, NOW)
    complaints.follow({one.id: ["dep_1"]})
    record = deployments.record("dep_1")
    assert record is not None
    assert record.complaints == 1
    complaints.tell(told(0), NOW)
    assert len(summaries(complaints)) == 1, "it was removed after that was told"


def test_they_are_listed_a_page_at_a_time_by_customer_and_time(state_database: Database) -> None:
    complaints = Complaints(state_database)
    for number in range(5):
        at = AT + timedelta(minutes=number // 2)
        customer = "acme" if number % 2 else "other"
        complaints.tell(told(external_id=str(number), at=at, customer=customer, summary=str(number)), NOW)
    seen, cursor = [], None
    while True:
        page = complaints.page(ComplaintFilter(), limit=2, cursor=cursor)
        seen += [one.summary for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == list("01234")
    assert seen[0] == "4"
    assert sorted(summaries(complaints, customer="acme")) == ["1", "3"]
    assert sorted(summaries(complaints, since=AT + timedelta(minutes=1), until=AT + timedelta(minutes=2))) == ["2", "3"]
    with pytest.raises(BadCursorError):
        complaints.page(ComplaintFilter(), cursor="nonsense")


def test_a_customers_complaints_are_forgotten_and_so_are_old_ones(state_database: Database) -> None:
    complaints, deployments = Complaints(state_database), Deployments(state_database)
    deployments.add(a_deployment(id="dep_1"))
    mine, _ = complaints.tell(told(), NOW)
    complaints.tell(told(external_id="2", customer="other"), NOW)
    complaints.follow({mine.id: ["dep_1"]})
    assert complaints.forget(["acme"]) == 1
    assert complaints.forget(["acme", ""]) == 0
    assert len(summaries(complaints)) == 1
    assert complaints.forget_before(NOW) == 0
    assert complaints.forget_before(NOW + timedelta(days=1)) == 1
    assert summaries(complaints) == []


WORDS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["told", "none", "deleted"])), max_size=7)


@given(WORDS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_in_which_words_arrive_does_not_matter_once_all_are_there(
    sqlite_database: Database, words: list[tuple[int, str]], chance: Any
) -> None:
    """As long as a ticket was ever told of; each moment has one word."""
    by_moment = dict(words)
    results = set()
    for attempt in range(2):
        external_id = f"{datetime.now(UTC).timestamp()}{chance.random()}{attempt}"
        complaints, order = Complaints(sqlite_database), [*by_moment.items()]
        chance.shuffle(order)
        for minutes, word in [*order, *order]:  # each comes twice
            if word == "told":
                complaints.tell(told(minutes, external_id=external_id, summary=str(minutes)), NOW)
            else:
                complaints.withdraw(replace(gone(minutes, is_deleted=word == "deleted"), external_id=external_id), NOW)
        found = {one.summary for one in complaints.page(ComplaintFilter(customer="acme"), limit=200).items}
        complaints.forget(["acme"])
        results.add(frozenset(found))
    assert len(results) == 1
    last = max(by_moment, default=None)
    assert results == {frozenset({str(last)} if last is not None and by_moment[last] == "told" else ())}
