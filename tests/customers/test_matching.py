"""A complaint follows the deployments that this customer met last before it, and never one that began after it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.customers.matching import followed
from onejob.model.complaint import Complaint
from onejob.model.customer import Use
from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.store.customers import BIN_S

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WINDOW = timedelta(hours=48)


def a_complaint(hours: float = 0, **changes: object) -> Complaint:
    values: dict[str, object] = {
        "id": "cmp_1", "source": "jira", "reference": "SUP-1", "customer": "acme", "at": NOON + timedelta(hours=hours),
        "summary": "it is broken", "url": None, "service": None, "is_closed": False, "received_at": NOON, **changes,
    }  # fmt: skip
    return Complaint(**values)  # type: ignore[arg-type]


def a_deployment(name: str, hours: float, **changes: object) -> Deployment:
    """`name` is its id and its version; it began so many hours after noon."""
    values: dict[str, object] = {
        "id": name, "service": "checkout", "environment": "production", "version": name, "previous_version": None,
        "strategy": Strategy.CANARY, "source": Source.REPORTED, "status": Status.FINISHED,
        "started_at": NOON + timedelta(hours=hours), **changes,
    }  # fmt: skip
    return Deployment(**values)  # type: ignore[arg-type]


def a_use(version: str, hours: float, service: str = "checkout", environment: str = "production") -> Use:
    at = int((NOON + timedelta(hours=hours)).timestamp())
    return Use(
        customer="acme", service=service, environment=environment, version=version, build="",
        bins=(at - at % BIN_S,),
    )  # fmt: skip


def match(complaint: Complaint, deployments: list[Deployment], uses: list[Use]) -> tuple[str, ...]:
    return followed(complaint, deployments, uses, WINDOW, "production")


def test_it_is_the_latest_of_each_service_that_served_the_customer() -> None:
    deployments = [
        a_deployment("1", -9), a_deployment("2", -3), a_deployment("3", -1), a_deployment("4", 1),
        a_deployment("s1", -5, service="search"), a_deployment("p1", -2, service="payments"),
        a_deployment("2-staging", -2, version="2", environment="staging"),
    ]  # fmt: skip
    uses = [a_use("1", -4), a_use("2", -0.5), a_use("s1", -2, "search"), a_use("4", 1.1), a_use("2", -2)]
    assert match(a_complaint(), deployments, uses) == ("2", "s1")


def test_a_version_counts_only_while_it_was_that_deployments() -> None:
    again = [a_deployment("first", -9, version="2"), a_deployment("again", -1, version="2")]
    assert match(a_complaint(), again, [a_use("2", -5)]) == ("first",)
    assert match(a_complaint(), again, [a_use("2", -5), a_use("2", -0.9)]) == ("again",)
    assert match(a_complaint(), again, [a_use("2", 0.5)]) == ()


def test_builds_and_unnamed_environments_are_the_deployments_own() -> None:
    built = [a_deployment("a", -1, version="2@sha256")]
    assert match(a_complaint(), built, [replace(a_use("2", -0.5), build="sha256")]) == ("a",)
    assert match(a_complaint(), built, [replace(a_use("2", -0.5), build="other")]) == ()
    assert match(a_complaint(), [a_deployment("2", -1)], [a_use("2", -0.5, environment="")]) == ("2",)


def test_who_complains_after_a_rollback_complains_about_what_was_rolled_back() -> None:
    deployments = [a_deployment("2", -1), a_deployment("back", -0.5, version="1", rollback_of="2")]
    assert match(a_complaint(), deployments, [a_use("2", -0.8), a_use("1", -0.2)]) == ("2",)


def test_a_ticket_that_names_a_service_follows_that_one_also_without_telemetry_of_the_customer() -> None:
    deployments = [a_deployment("2", -3), a_deployment("3", -1), a_deployment("s1", -2, service="search")]
    about = a_complaint(service="checkout")
    assert match(about, deployments, [a_use("s1", -1, "search")]) == ("3",)
    assert match(about, deployments, [a_use("2", -2)]) == ("2",)
    assert match(a_complaint(), deployments, []) == ()


@pytest.mark.parametrize(("hours", "is_one"), [(-48, True), (-48.1, False), (0, True), (0.1, False)])
def test_only_what_began_within_the_window_is_followed(hours: float, is_one: bool) -> None:
    assert match(a_complaint(), [a_deployment("2", hours)], [a_use("2", hours)]) == (("2",) if is_one else ())


HOURS = st.floats(-72, 24)
DEPLOYMENTS = st.lists(
    st.builds(
        lambda number, hours, service, version: a_deployment(
            f"d{number}", hours, service=service, version=version, rollback_of="d0" if number % 5 == 4 else None
        ),
        st.integers(0, 99), HOURS, st.sampled_from(["checkout", "search"]), st.sampled_from(["1", "2", "3"]),
    ),
    max_size=8, unique_by=lambda one: one.id,
)  # fmt: skip
USES = st.lists(
    st.builds(a_use, st.sampled_from(["1", "2", "3"]), HOURS, st.sampled_from(["checkout", "search"])), max_size=8
)


@given(DEPLOYMENTS, USES, st.sampled_from([None, "checkout", "nothing"]), st.randoms(use_true_random=False))
def test_none_began_after_it_or_long_before_and_of_each_place_there_is_one_at_most(
    deployments: list[Deployment], uses: list[Use], service: str | None, chance: object
) -> None:
    complaint = a_complaint(service=service)
    found = match(complaint, deployments, uses)
    chosen = {one.id: one for one in deployments if one.id in found}
    assert all(timedelta(0) <= complaint.at - one.started_at <= WINDOW for one in chosen.values())
    assert len({(one.service, one.environment) for one in chosen.values()}) == len(found) == len(chosen)
    assert service in (None, *(one.service for one in chosen.values())) or not found
    assert not any(one.rollback_of for one in chosen.values())
    chance.shuffle(deployments)  # type: ignore[attr-defined]
    chance.shuffle(uses)  # type: ignore[attr-defined]
    assert match(complaint, deployments, uses) == found
    later = a_deployment("later", 0.5)
    assert match(complaint, [*deployments, later], uses) == found
