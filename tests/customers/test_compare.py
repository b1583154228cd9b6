"""When is a customer worse off? Never by chance, by few requests, or by a burst; always when it is plain."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.customers.compare import compare
from onejob.model.customer import ComparedCustomer, ServedCustomer
from onejob.model.verdict import State
from onejob.stats.confidence import count_bounds, running_mean_interval

from .builders import TOLERANCES, a_customer, a_side, steady


def states(*found: ServedCustomer, customers: int = 100) -> dict[str, tuple[State, State]]:
    return {one.customer: (one.errors.state, one.latency_p95.state) for one in compared(*found, customers=customers)}


def compared(*found: ServedCustomer, customers: int = 100) -> list[ComparedCustomer]:
    return compare(found, customers, TOLERANCES, alpha=0.01)


def test_the_worse_come_first_and_say_by_how_much() -> None:
    found = compared(
        a_customer("fine", steady(60_000), steady(200_000)),
        a_customer("failing", steady(500, failing=100), steady(5_000, failing=5)),
        a_customer("slow", steady(1_000, took=0.3), steady(5_000)),
        a_customer("few", steady(3, failing=3, bins=1), steady(5_000)),
    )
    assert [one.customer for one in found] == ["failing", "slow", "few", "fine"]
    failing, slow, few, fine = found
    assert (failing.state, failing.errors.state, failing.new.error_rate) == (State.WORSE, State.WORSE, 0.2)
    assert failing.errors.low is not None
    assert failing.errors.low > 0.05
    assert (slow.state, slow.errors.state, slow.latency_p95.state) == (State.WORSE, State.UNDECIDED, State.WORSE)
    assert slow.latency_p95.low is not None
    assert slow.latency_p95.high is not None
    assert 1.1 < slow.latency_p95.low < 3.0 < slow.latency_p95.high
    assert few.state is State.UNDECIDED
    assert few.errors.effect == pytest.approx(1.0)
    assert fine.latency_p95.state is State.NO_WORSE


def test_three_failures_of_three_requests_are_never_enough() -> None:
    only = {"only": a_customer("only", steady(3, failing=3, bins=3), steady(10_000))}
    assert states(only["only"], customers=1)["only"][0] is State.UNDECIDED


def test_a_burst_counts_as_less_than_its_requests() -> None:
    """As many failures as in the plain case, but in bursts that the customer's past has too."""
    calm, burst = [(0.1, False)] * 100, [(0.1, True)] * 100
    old = a_side(*([calm] * 9 + [burst]) * 4)
    new = a_side(calm, burst, burst, calm)
    assert states(a_customer("bursts", new, old), customers=1)["bursts"][0] is State.UNDECIDED
    spread = a_customer("spread", steady(400, failing=200), steady(4_000, failing=400))
    assert states(spread, customers=1)["spread"][0] is State.WORSE


def test_where_a_customers_bins_are_few_those_of_all_say_how_bursty_it_is() -> None:
    calm, burst = [(0.1, False)] * 50, [(0.1, True)] * 50
    other = a_customer("other", a_side(calm, burst, calm, calm), a_side(*([calm] * 9 + [burst]) * 4))
    one = a_customer("one", a_side([(0.1, n < 60) for n in range(120)]), a_side([(0.1, False)] * 2_000))
    assert states(one)["one"][0] is State.WORSE
    assert states(one, other)["one"][0] is State.UNDECIDED


def test_without_a_past_or_with_spans_chosen_by_outcome_nothing_is_claimed() -> None:
    new = a_customer("new", steady(500, failing=400), a_side())
    chosen = a_customer("chosen", steady(500, failing=400), a_side([(0.1, False)] * 5_000, tail_sampled=1))
    for one in compared(new, chosen):
        assert (one.state, one.errors.low, one.latency_p95.low) == (State.UNDECIDED, None, None)
        assert one.new.error_rate == 0.8
    assert compared(new)[0].old.error_rate is None


def test_a_span_that_stands_for_many_requests_is_one_observation() -> None:
    def side(failing: int, count: int, weight: float):
        return a_side(*([(0.1, n < failing) for n in range(count)] for _ in range(5)), weight=weight)

    one = compared(a_customer("sampled", side(2, 5, 100.0), side(0, 100, 100.0)))[0]
    assert (one.new.requests, one.new.errors, one.new.error_rate) == (2_500, 1_000, 0.4)
    assert one.errors.low == pytest.approx(
        compared(a_customer("whole", side(2, 5, 1.0), side(0, 100, 1.0)))[0].errors.low
    )


def test_customers_that_are_served_as_before_are_not_called_worse() -> None:
    """A thousand of them in ten tries, whose errors come in bursts and whose durations drift: alpha is 1 % a try."""
    draw = random.Random(7)
    wrong = 0
    for _ in range(10):
        found = []
        for number in range(100):
            level, rate = draw.lognormvariate(0, 0.3), draw.choice([0.0, 0.01, 0.2])

            def side(bins: int, level: float = level, rate: float = rate):
                made = []
                for _ in range(bins):
                    drift, bad = draw.lognormvariate(0, 0.2), rate * draw.choice([0.5, 1.5])
                    made.append(
                        [(0.1 * level * drift * draw.lognormvariate(0, 0.4), draw.random() < bad) for _ in range(12)]
                    )
                return a_side(*made)

            found.append(a_customer(str(number), side(6), side(30)))
        wrong += any(one.state is State.WORSE for one in compared(*found))
    assert wrong == 0


@given(requests=st.integers(0, 200_000), events=st.floats(0, 1), alpha=st.floats(1e-9, 0.1))
def test_counts_within_the_bounds_leave_the_probability_in_the_interval_and_others_do_not(
    requests: int, events: float, alpha: float
) -> None:
    n = np.array([float(requests)])
    fewest, most = count_bounds(n, 0.05, alpha)
    assert fewest[0] <= 0.05 * requests <= most[0]
    x = n * events
    low, high = running_mean_interval(x, n, alpha)
    slack = 1e-3 * (1 + requests)
    if fewest[0] + slack < x[0] < most[0] - slack:
        assert low[0] <= 0.05 + 1e-6
        assert high[0] >= 0.05 - 1e-6
    if x[0] < fewest[0] - slack:
        assert high[0] < 0.05
    if x[0] > most[0] + slack:
        assert low[0] > 0.05 - 1e-4


@given(data=st.data())
def test_the_order_of_customers_and_how_many_others_there_are_only_widen_intervals(data: st.DataObject) -> None:
    counts = st.integers(1, 2_000)
    found = [
        a_customer(str(n), steady(data.draw(counts), failing=1), steady(data.draw(counts), failing=1)) for n in range(3)
    ]
    few, many = compared(*found, customers=3), compared(*found, customers=3_000)
    for one in few:
        wider = next(other for other in many if other.customer == one.customer)
        for narrow, wide in ((one.errors, wider.errors), (one.latency_p95, wider.latency_p95)):
            assert (wide.low or 0.0) <= (narrow.low or 0.0) + 1e-6 or wide.low is None
            assert wide.high is None or narrow.high is None or wide.high >= narrow.high - 1e-6
