"""Deployments that overlap, in traces whose guilty one is known, through a real engine."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from onejob.config import Settings
from onejob.explain import overlap_reading
from onejob.explain.service import explain
from onejob.model.deployment import Deployment, Status
from onejob.model.explanation import Relation, SuspectedDeployment
from onejob.model.verdict import SignalResult
from onejob.store.engine import Engine, Scalar
from onejob.store.errors import EngineUnavailable

from .builders import CLIENT, NEW, OLD, SERVER, START, ASpan, Order, Traffic, a_deployment, a_signal, a_verdict, store

ERRORS = a_signal("errors", control=0.01, treatment=0.3, effect=0.29)
SECONDS = 90
Suspects = Callable[..., tuple[SuspectedDeployment, ...]]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def checkout(traffic: Traffic, began: float = 20, **fields: object) -> Deployment:
    return a_deployment(traffic.environment, started_at=at(began), **fields)


def payments(traffic: Traffic, began: float = 40, **fields: object) -> Deployment:
    known = {"id": "dep_2", "service": "payments", "version": "1.5", "previous_version": "1.4"}
    return a_deployment(traffic.environment, started_at=at(began), **(known | fields))


def requests(traffic: Traffic, mine: Callable[[float], float], theirs: Callable[[float], float]) -> list[Order]:
    """Ten a second; `mine` and `theirs` give the shares of checkout's and of payments' new version over time."""
    chance = random.Random(traffic.environment)
    made = []
    for number in range(0, SECONDS * 20, 2):
        second = number / 20
        order = traffic.order(number, NEW if chance.random() < mine(second) else OLD)
        order.payments_version = "1.5" if chance.random() < theirs(second) else "1.4"
        made.append(order)
    return made


def from_second(began: float, share: float) -> Callable[[float], float]:
    return lambda second: share if second >= began else 0.0


def fail(made: Sequence[Order], is_hurt: Callable[[Order], bool], rate: float = 0.3) -> None:
    """These fail at the rate, the others at one in a hundred."""
    chance = random.Random(17)
    for order in made:
        order.charge_fails = chance.random() < (rate if is_hurt(order) else 0.01)


@pytest.fixture
def suspected(engine: Engine, settings: Settings, traffic: Traffic) -> Suspects:
    """Stores the spans, and explains a `worse` verdict on checkout beside the other deployments."""

    def act(
        spans: Sequence[ASpan], judged: Deployment, *others: Deployment, signal: SignalResult = ERRORS
    ) -> tuple[SuspectedDeployment, ...]:
        store(engine, spans, token=traffic.environment)
        verdict = a_verdict(signal, window_start=judged.started_at, first_visible_at=at(55))
        return explain(engine, judged, verdict, settings=settings, now=START, others=others).suspects

    return act


def spans_of(made: Sequence[Order]) -> list[ASpan]:
    return [span for order in made for span in order.spans()]


def test_the_caller_is_cleared_where_the_called_services_new_version_is_bad(
    suspected: Suspects, traffic: Traffic
) -> None:
    made = requests(traffic, from_second(20, 0.3), from_second(40, 0.5))
    fail(made, lambda order: order.payments_version == "1.5")

    first, second = suspected(spans_of(made), checkout(traffic), payments(traffic))

    assert (first.service, first.version, first.deployment_id) == ("payments", "1.5", "dep_2")
    assert (first.relation, first.steps, first.separable) == (Relation.CALLED, 1, True)
    assert first.posterior > 0.99
    assert (second.deployment_id, second.relation) == ("dep_1", Relation.ITSELF)
    assert second.posterior < 0.05
    assert "checkout calls it" in first.reasons
    assert "it began 15 s before the damage showed" in first.reasons
    assert re.fullmatch(r"3\d % of 2\d\d requests through it failed, [0-9.]+ % of the \d+ others", first.reasons[0])


def test_the_called_service_is_cleared_where_the_callers_new_version_is_bad(
    suspected: Suspects, traffic: Traffic
) -> None:
    made = requests(traffic, from_second(20, 0.3), from_second(40, 0.5))
    fail(made, lambda order: order.version == NEW)

    first, second = suspected(spans_of(made), checkout(traffic), payments(traffic))

    assert (first.deployment_id, first.separable) == ("dep_1", True)
    assert first.posterior > 0.99
    assert (second.deployment_id, second.posterior < 0.05) == ("dep_2", True)


@pytest.mark.parametrize("guilty", ["checkout", "payments"])
def test_slowness_is_told_apart_as_failures_are(suspected: Suspects, traffic: Traffic, guilty: str) -> None:
    made = requests(traffic, from_second(20, 0.3), from_second(40, 0.5))
    for order in made:
        is_hurt = order.version == NEW if guilty == "checkout" else order.payments_version == "1.5"
        order.charge_s = 0.03 if is_hurt else 0.008

    first, second = suspected(spans_of(made), checkout(traffic), payments(traffic), signal=a_signal())

    assert (first.service, first.separable) == (guilty, True)
    assert first.posterior > 0.99 > second.posterior
    assert re.search(r"% of \d+ requests through it took over \d+(\.\d+)? ms, ", first.reasons[0])


def test_two_that_replaced_everything_in_the_same_second_are_not_separable(
    suspected: Suspects, traffic: Traffic
) -> None:
    made = requests(traffic, from_second(40, 1.0), from_second(40, 1.0))
    fail(made, lambda order: order.version == NEW)

    found = suspected(spans_of(made), checkout(traffic, began=40), payments(traffic, began=40))

    assert {one.deployment_id for one in found} == {"dep_1", "dep_2"}
    assert not any(one.separable for one in found)
    assert all("not separable from" in one.reasons[-1] for one in found)
    assert max(one.posterior for one in found) < 0.9


def test_of_two_that_replaced_everything_the_one_that_began_with_the_damage_fits_better(
    suspected: Suspects, traffic: Traffic
) -> None:
    made = requests(traffic, from_second(20, 1.0), from_second(50, 1.0))
    fail(made, lambda order: order.payments_version == "1.5")

    first, second = suspected(spans_of(made), checkout(traffic, began=20), payments(traffic, began=50))

    assert (first.deployment_id, first.separable) == ("dep_2", True)
    assert second.posterior < 0.05


def test_what_is_not_called_is_never_suspected(suspected: Suspects, traffic: Traffic) -> None:
    """Another service in the same traces: it has checkout's caller, and no call leads from one to the other."""
    made = requests(traffic, from_second(40, 0.5), lambda _: 0.0)
    fail(made, lambda order: order.version == NEW)
    spans = []
    for order in made:
        front, *rest = order.spans()
        version = "8" if order.version == NEW else "7"
        call = front.child("GET", 0.0001, 0.0004, kind=CLIENT)
        advert = call.child("GET /advert", 0.0001, 0.0002, kind=SERVER, service="adverts", version=version)
        spans += [front, call, advert, *rest]
    adverts = payments(traffic, id="dep_3", service="adverts", version="8", previous_version="7")

    assert suspected(spans, checkout(traffic, began=40), adverts) == ()


def test_one_more_that_has_nothing_to_do_with_it_changes_nothing(
    engine: Engine, suspected: Suspects, traffic: Traffic
) -> None:
    made = requests(traffic, from_second(20, 0.3), from_second(40, 0.5))
    fail(made, lambda order: order.payments_version == "1.5")
    elsewhere = payments(traffic, began=39, id="dep_0", service="billing")
    spans = spans_of(made)

    with_it = suspected(spans, checkout(traffic), elsewhere, payments(traffic))

    assert with_it == suspected(spans, checkout(traffic), payments(traffic))
    assert len(with_it) == 2


@pytest.mark.parametrize("guilty", ["3.0.0", "3.1.0"])
def test_of_two_canaries_of_one_service_the_bad_one_is_named(
    suspected: Suspects, traffic: Traffic, guilty: str
) -> None:
    made = requests(traffic, from_second(20, 0.3), lambda _: 0.0)
    chance = random.Random(5)
    for order in made:
        if order.version == OLD and order.number > 40 * 20 and chance.random() < 0.4:
            order.version = "3.1.0"
    fail(made, lambda order: order.version == guilty)
    other = checkout(traffic, began=40, id="dep_2", version="3.1.0")

    first, second = suspected(spans_of(made), checkout(traffic), other)

    assert (first.version, first.separable) == (guilty, True)
    assert second.posterior < 0.05
    by_id = {one.deployment_id: one.relation for one in (first, second)}
    assert by_id == {"dep_1": Relation.ITSELF, "dep_2": Relation.SAME_SERVICE}


def test_a_bad_caller_is_named(suspected: Suspects, traffic: Traffic) -> None:
    made = requests(traffic, from_second(20, 0.3), lambda _: 0.0)
    chance = random.Random(6)
    for order in made:
        order.storefront_version = "1.1" if order.number > 40 * 20 and chance.random() < 0.4 else "1.0"
    fail(made, lambda order: order.storefront_version == "1.1")
    front = payments(traffic, service="storefront", version="1.1", previous_version="1.0")

    first, _ = suspected(spans_of(made), checkout(traffic), front)

    assert (first.service, first.relation, first.steps, first.separable) == ("storefront", Relation.CALLING, 1, True)
    assert "it calls checkout" in first.reasons


def test_a_change_of_configuration_is_known_by_its_time(suspected: Suspects, traffic: Traffic) -> None:
    made = requests(traffic, from_second(20, 0.3), lambda _: 0.0)
    fail(made, lambda order: order.number >= 45 * 20)
    configured = payments(traffic, began=45, version="timeouts-7", previous_version=None)

    first, _ = suspected(spans_of(made), checkout(traffic), configured)

    assert (first.deployment_id, first.separable) == ("dep_2", True)
    assert "as no span names its version" in first.reasons[0]
    assert "it was reported 10 s before the damage showed" in first.reasons


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_version_that_is_to_get_a_part_of_the_traffic_and_shows_in_no_span_is_no_suspect(
    suspected: Suspects, traffic: Traffic, share: float
) -> None:
    made = requests(traffic, from_second(20, 0.3), lambda _: 0.0)
    fail(made, lambda order: order.number >= 45 * 20)

    assert suspected(spans_of(made), checkout(traffic), payments(traffic, began=45, traffic_share=share)) == ()


def test_the_same_version_with_other_configuration_counts_from_when_it_began(
    suspected: Suspects, traffic: Traffic
) -> None:
    made = requests(traffic, from_second(20, 0.3), lambda _: 0.0)
    fail(made, lambda order: order.number >= 45 * 20)
    again = payments(traffic, began=45, version="1.4", previous_version="1.4")

    first, _ = suspected(spans_of(made), checkout(traffic), again)

    assert (first.deployment_id, first.separable) == ("dep_2", True)


def test_two_bad_ones_are_both_named(suspected: Suspects, traffic: Traffic) -> None:
    made = requests(traffic, from_second(20, 0.4), from_second(40, 0.5))
    chance = random.Random(3)
    for order in made:
        bad = (order.version == NEW) + (order.payments_version == "1.5")
        order.charge_fails = chance.random() < 0.01 + 0.3 * bad

    found = suspected(spans_of(made), checkout(traffic), payments(traffic))

    assert all(one.posterior > 0.95 and one.separable for one in found)


def test_the_answer_to_a_bad_version_is_no_suspect(suspected: Suspects, traffic: Traffic) -> None:
    made = requests(traffic, from_second(20, 0.3), lambda _: 0.0)
    fail(made, lambda order: order.version == NEW)
    back = checkout(traffic, began=70, id="dep_2", version=OLD, previous_version=NEW, rollback_of="dep_1")
    before = checkout(traffic, began=-900, id="dep_0", version=OLD, previous_version="1.0.0", status=Status.SUPERSEDED)

    assert suspected(spans_of(made), checkout(traffic), back, replace(before, finished_at=START)) == ()


def test_what_was_taken_back_before_is_no_suspect_and_its_damage_is_not_looked_at(
    suspected: Suspects, traffic: Traffic
) -> None:
    """Its failures, in requests that did not go through this one, would speak for this one's innocence."""
    made = requests(traffic, from_second(40, 0.4), from_second(50, 0.5))
    for order in made:
        order.version = "2.1.0" if order.number < 30 * 20 else order.version
    fail(made, lambda order: order.version in (NEW, "2.1.0"))
    taken_back = checkout(traffic, began=-60, id="dep_0", version="2.1.0", status=Status.ROLLED_BACK)
    taken_back = replace(taken_back, finished_at=at(31))

    first, second = suspected(spans_of(made), checkout(traffic, began=40), payments(traffic, began=50), taken_back)

    assert (first.deployment_id, first.separable) == ("dep_1", True)
    assert (second.deployment_id, second.posterior < 0.05) == ("dep_2", True)


@pytest.mark.parametrize("replaced", ["checkout", "payments"])
def test_what_was_replaced_shortly_before_is_what_the_new_one_is_compared_with(
    suspected: Suspects, traffic: Traffic, replaced: str
) -> None:
    """The old version was deployed within the hour as well: without its requests nothing would be left to compare."""
    mine_began, theirs_began = (50.0, 20.0) if replaced == "checkout" else (60.0, 40.0)
    made = requests(traffic, from_second(mine_began, 1.0), from_second(theirs_began, 1.0))
    fail(made, lambda order: order.version == NEW if replaced == "checkout" else order.payments_version == "1.5")
    judged, other = checkout(traffic, began=mine_began), payments(traffic, began=theirs_began)
    old = {"status": Status.SUPERSEDED, "id": "dep_0", "previous_version": "0.9"}
    before = (
        checkout(traffic, began=-600, version=OLD, finished_at=at(mine_began), **old)
        if replaced == "checkout"
        else payments(traffic, began=-600, version="1.4", finished_at=at(theirs_began), **old)
    )

    first, second = suspected(spans_of(made), judged, other, before)

    assert (first.service, first.separable) == (replaced, True)
    assert second.posterior < 0.05


def test_a_busy_service_is_sampled_and_the_guilty_one_found_all_the_same(
    suspected: Suspects, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap_reading, "MAX_REQUESTS", 300)
    monkeypatch.setattr(overlap_reading, "_IDS_PER_QUERY", 100)
    made = requests(traffic, from_second(20, 0.3), from_second(40, 0.5))
    fail(made, lambda order: order.payments_version == "1.5")

    first, second = suspected(spans_of(made), checkout(traffic), payments(traffic))

    assert (first.deployment_id, first.separable) == ("dep_2", True)
    assert second.posterior < 0.05
    counted = re.search(r"% of (\d+) requests through it .* of the (\d+) others", first.reasons[0])
    assert counted
    assert sum(map(int, counted.groups())) == pytest.approx(len(made), abs=1)


def test_where_the_engine_cannot_weigh_them_the_rest_is_explained(
    engine: Engine, settings: Settings, traffic: Traffic
) -> None:
    class Forgetful:
        """Answers everything but who called whom."""

        def query(self, sql: str, params: Mapping[str, Scalar] | None = None, *, timeout_s: float | None = None) -> Any:
            if "AS caller" in sql:
                raise EngineUnavailable("it takes too long")
            return engine.query(sql, params, timeout_s=timeout_s)

    made = requests(traffic, from_second(20, 0.3), from_second(40, 0.5))
    fail(made, lambda order: order.version == NEW)
    store(engine, spans_of(made), token=traffic.environment)
    judged = checkout(traffic)
    verdict = a_verdict(ERRORS, window_start=judged.started_at)

    found = explain(Forgetful(), judged, verdict, settings=settings, now=START, others=[payments(traffic)])  # type: ignore[arg-type]

    assert found.suspects == ()
    assert found.operations
    assert found.calls
    assert "Deployments that overlap were not weighed: it takes too long" in found.notes


def test_missing_answers_are_said_to_be_no_ground_for_suspects(
    engine: Engine, settings: Settings, traffic: Traffic
) -> None:
    judged = checkout(traffic)
    verdict = a_verdict(a_signal("shortfall", operation="*"), window_start=judged.started_at)
    for others, is_said in (([payments(traffic)], True), ([], False)):
        found = explain(engine, judged, verdict, settings=settings, now=START, others=others)
        assert found.suspects == ()
        assert any("overlap were not weighed" in note for note in found.notes) is is_said


def test_alone_a_deployment_has_no_suspects(suspected: Suspects, traffic: Traffic) -> None:
    made = requests(traffic, from_second(20, 0.3), lambda _: 0.0)
    fail(made, lambda order: order.version == NEW)

    assert suspected(spans_of(made), checkout(traffic)) == ()
