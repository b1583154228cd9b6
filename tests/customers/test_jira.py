"""What is read out of Jira's webhooks, and what is not."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.changes.errors import InvalidReportError
from onejob.customers.jira import read
from onejob.model.complaint import Told, Withdrawn

from .jira_events import CREATED, DONE, an_event

NOW = CREATED + timedelta(hours=1)
LABELS = ("labels:customer-",)


def test_a_ticket_is_told_with_its_customer_time_and_link() -> None:
    told = read(an_event(minutes=2), LABELS, NOW)
    assert told == Told(
        source="jira", external_id="acme.atlassian.net/10040", reference="SUP-41", customer="initech", at=CREATED,
        summary="Orders fail since noon", told_at=CREATED + timedelta(minutes=2),
        url="https://acme.atlassian.net/browse/SUP-41",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "customer"),
    [
        ("labels", "urgent"),
        ("customfield_10042", "initech"),
        ("customfield_10002", "Initech"),
        ("customfield_10002.id", "3"),
        ("reporter", "Mo"),
        ("reporter.emailAddress", "mo@initech.example"),
        ("reporter.accountId", "5c5f"),
    ],
)
def test_the_customer_is_read_from_the_field_that_is_said(place: str, customer: str) -> None:
    told = read(an_event(), ("customfield_10043", "customfield_99999", place), NOW)
    assert isinstance(told, Told)
    assert told.customer == customer


def test_a_data_center_below_a_path_has_its_own_links_and_tickets() -> None:
    event = an_event("updated")
    event["issue"]["self"] = "http://tools.example:8080/jira/rest/api/2/issue/10040"
    told = read(event, LABELS, NOW)
    assert isinstance(told, Told)
    assert (told.url, told.external_id) == (
        "http://tools.example:8080/jira/browse/SUP-41", "tools.example:8080/jira/10040",
    )  # fmt: skip


def test_a_ticket_that_is_done_is_closed_and_one_without_a_customer_is_none() -> None:
    done = read(an_event("updated", status=DONE), LABELS, NOW)
    assert isinstance(done, Told)
    assert done.is_closed
    gone = Withdrawn(source="jira", external_id="acme.atlassian.net/10040", told_at=CREATED)
    assert read(an_event("updated", labels=["urgent"]), LABELS, NOW) == gone
    assert read(an_event("updated", labels=["customer-"]), LABELS, NOW) == gone


def test_a_deleted_ticket_is_gone_and_other_events_are_nothing() -> None:
    gone = read(an_event("deleted", minutes=5), LABELS, NOW)
    assert isinstance(gone, Withdrawn)
    assert (gone.is_deleted, gone.told_at) == (True, CREATED + timedelta(minutes=5))
    assert read({"webhookEvent": "comment_created", "issue": {"id": "1"}}, LABELS, NOW) == (
        "comment_created is about no ticket itself."
    )


def test_a_clock_that_is_ahead_does_not_shut_out_what_comes_later() -> None:
    told = read(an_event(minutes=600, created="2027-01-01T00:00:00.000+0000"), LABELS, NOW)
    assert isinstance(told, Told)
    assert (told.told_at, told.at) == (NOW, NOW)
    without = an_event(created="yesterday")
    del without["timestamp"]
    told = read(without, LABELS, NOW)
    assert isinstance(told, Told)
    assert (told.told_at, told.at) == (NOW, NOW)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["value", "name", "key"]), inner),
    max_leaves=6,
)


@given(ANY_JSON, st.sampled_from([None, "summary", "created", "labels", "status", "reporter", "customfield_10042"]))
def test_whatever_is_sent_is_read_or_refused(value: object, field: str | None) -> None:
    places = ("customfield_10042", "reporter.emailAddress", "labels:customer-")
    if field is not None:
        found = read(an_event(**{field: value}), places, NOW)
        assert isinstance(found, Told | Withdrawn)
        return
    for payload in (value, {"webhookEvent": value}, {"webhookEvent": "jira:issue_created", "issue": value}):
        with suppress(InvalidReportError):
            assert isinstance(read(payload, places, NOW), str)
