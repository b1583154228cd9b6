"""What is read on overlapping deployments is bounded, and stands for all there was."""

import hashlib
from datetime import timedelta

import numpy as np
import pytest

from onejob.explain import overlap_reading
from onejob.explain.overlap_reading import MAX_REQUESTS, read_edges, read_passages, read_served
from onejob.explain.reading import Window
from onejob.store.engine import Engine

from .builders import NEW, OLD, START, Traffic, store


def a_window(traffic: Traffic) -> Window:
    return Window(
        service="checkout",
        environment=traffic.environment,
        default_environment="production",
        control=(OLD,),
        treatment=(NEW,),
        since=START - timedelta(minutes=1),
        until=START + timedelta(minutes=5),
    )


def test_as_many_traces_as_are_ever_read_fit_into_the_engines_statements(engine: Engine, traffic: Traffic) -> None:
    ids = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(MAX_REQUESTS + 500)]
    passages = read_passages(engine, a_window(traffic), ids, ["payments", "stock"])
    assert passages.places == ()
    assert passages.through("payments", lambda *_: True).tolist() == []
    assert read_edges(engine, a_window(traffic), ids) == []


def test_however_many_versions_there_are_the_sample_is_bounded_and_stands_for_all(
    engine: Engine, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap_reading, "MAX_REQUESTS", 200)
    made = [traffic.order(number, f"1.{number % 10}") for number in range(800)]
    for order in made:
        order.charge_fails = order.number % 4 == 0
    store(engine, [span for order in made for span in order.spans()], token=traffic.environment)

    served = read_served(engine, a_window(traffic), ["POST /orders"])

    assert 120 < len(served) < 280
    assert len(served.builds) == 10
    assert served.weight.sum() == pytest.approx(800)
    assert served.weight[served.is_failed].sum() == pytest.approx(200)
    of_one = served.of_version(lambda version, _: version == "1.3")
    assert served.weight[of_one].sum() == pytest.approx(80)


def test_what_a_trace_went_through_is_known_by_its_number(engine: Engine, traffic: Traffic) -> None:
    made = [traffic.order(number, OLD) for number in range(12)]
    for order in made:
        order.payments_version = "1.5" if order.number % 3 == 0 else "1.4"
    store(engine, [span for order in made for span in order.spans()], token=traffic.environment)

    served = read_served(engine, a_window(traffic), [])
    passages = read_passages(engine, a_window(traffic), served.trace_ids, ["payments"])
    through = served.in_traces(passages.through("payments", lambda version, _: version == "1.5"))

    at = np.round((served.start_s - START.timestamp()) / 0.05).astype(int)
    assert sorted(at[through].tolist()) == [0, 3, 6, 9]
    assert len(served) == 12
