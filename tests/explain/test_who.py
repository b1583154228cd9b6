"""Which values the damage concentrates on, from made-up requests without an engine."""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from onejob.explain.membership import Membership
from onejob.explain.noisy_or import Counts, coverage, gain, is_new, lift
from onejob.explain.reading import Requests
from onejob.explain.where import ways_to_be_bad
from onejob.explain.who import concentrations


def members_of(attributes: Mapping[str, Sequence[str]]) -> Membership:
    """One value per attribute and request; '' is none."""
    values = [(name, value) for name, column in attributes.items() for value in sorted({*column} - {""})]
    names = {name: code for code, name in enumerate(attributes)}
    dense = np.array([[own == value for own in attributes[name]] for name, value in values], dtype=float).T
    name_codes = np.array([names[name] for name, _ in values], dtype=np.int64)
    return Membership(
        values=tuple(values), name=name_codes, distinct=np.bincount(name_codes)[name_codes], has=sparse.csc_array(dense)
    )


def requests_of(is_treatment: Sequence[bool], took_s: Sequence[float], failed: Sequence[bool]) -> Requests:
    count = len(is_treatment)
    return Requests(
        operation="POST /orders", trace_id=("t",) * count, span_key=np.arange(count, dtype=np.uint64),
        is_treatment=np.array(is_treatment, dtype=bool), is_failed=np.array(failed, dtype=bool),
        start_ns=np.zeros(count, dtype=np.int64), duration_ns=(np.array(took_s) * 1e9).astype(np.int64),
        weight=np.ones(count),
    )  # fmt: skip


def customers(draw: random.Random, count: int) -> dict[str, list[str]]:
    sizes = draw.choices(["small", "medium", "large"], [3, 3, 4], k=count)
    return {
        "tenant.size": sizes,
        "tenant.id": [f"{size}-{draw.randrange(12)}" for size in sizes],
        "payment.method": draw.choices(["card", "paypal", "sepa", "invoice"], k=count),
        "session.id": [str(draw.randrange(60)) for _ in range(count)],
        "url.path": [str(draw.randrange(200)) for _ in range(count)],
    }


def first_of(seed: int, control: int, treatment: int, *, kind: str) -> tuple[tuple[str, str], ...] | None:
    """The literals of the first finding in one draw."""
    draw = random.Random(seed)
    count = control + treatment
    is_new_version = [index < treatment for index in range(count)]
    attributes = customers(draw, count)
    took = [0.02 * draw.lognormvariate(0, 0.45) for _ in range(count)]
    failed = [False] * count
    for index in range(treatment):
        if kind == "slow" and attributes["tenant.size"][index] == "large":
            took[index] += 0.045
        if kind == "slow for all":
            took[index] *= 1.6
        if kind == "failing" and attributes["payment.method"][index] == "paypal":
            failed[index] = draw.random() < 0.5
    requests = requests_of(is_new_version, took, failed)
    members = members_of(attributes)
    for way in ways_to_be_bad(requests, is_latency=kind != "failing")[:1]:
        found = concentrations(requests, way.bad, members)
        return found[0].literals if found else None
    return None


@pytest.mark.parametrize(
    ("kind", "treatment", "truth", "at_least"),
    [
        ("slow", 25, ("tenant.size", "large"), 0.97),
        ("slow", 100, ("tenant.size", "large"), 1.0),
        ("failing", 35, ("payment.method", "paypal"), 0.65),
        ("failing", 100, ("payment.method", "paypal"), 1.0),
    ],
)
def test_few_requests_are_enough(kind: str, treatment: int, truth: tuple[str, str], at_least: float) -> None:
    found = [first_of(seed, 200, treatment, kind=kind) for seed in range(40)]

    assert sum(literals == (truth,) for literals in found) >= at_least * 40
    assert sum(literals not in ((truth,), None) for literals in found) <= 1


def test_damage_that_hits_everyone_is_seldom_pinned_on_someone() -> None:
    found = [first_of(seed, 400, 100, kind="slow for all") for seed in range(60)]

    assert sum(literals is not None for literals in found) <= 6


def test_a_class_wins_over_its_members_and_members_win_where_only_they_are_hurt() -> None:
    attributes = customers(random.Random(7), 600)
    is_treatment = [index < 300 for index in range(600)]
    one = [tenant == "large-3" and new for tenant, new in zip(attributes["tenant.id"], is_treatment, strict=True)]
    requests = requests_of(is_treatment, [0.0] * 600, one)

    (found,) = concentrations(requests, requests.is_failed, members_of(attributes))

    assert found.literals == (("tenant.id", "large-3"),)
    assert found.bad == found.total == sum(one)
    assert found.coverage == pytest.approx(1, abs=0.05)


def test_values_that_only_one_arm_can_have_are_left_out() -> None:
    is_treatment = [index < 100 for index in range(300)]
    attributes = {
        "shop.slot": [("b1" if index % 2 else "b2") if new else "a1" for index, new in enumerate(is_treatment)]
    }
    requests = requests_of(
        is_treatment, [0.0] * 300, [new and index % 2 == 1 for index, new in enumerate(is_treatment)]
    )

    assert concentrations(requests, requests.is_failed, members_of(attributes)) == []


def test_no_values_no_findings() -> None:
    requests = requests_of([True, False], [1, 1], [True, False])
    none = Membership(
        values=(), name=np.zeros(0, dtype=np.int64), distinct=np.zeros(0, dtype=np.int64), has=sparse.csc_array((2, 0))
    )
    assert concentrations(requests, requests.is_failed, none) == []


counts = st.tuples(*(st.integers(0, 60) for _ in range(8)))


@given(counts)
@settings(max_examples=200)
def test_the_gain_is_never_negative_nor_undefined(numbers: tuple[int, ...]) -> None:
    b1, g1, b0, g0, other_b1, other_g1, other_b0, other_g0 = numbers
    inside = Counts(*(np.float64(n) for n in (b1 + g1, b1, b0 + g0, b0)))
    whole = Counts(
        *(
            np.float64(n)
            for n in (b1 + g1 + other_b1 + other_g1, b1 + other_b1, b0 + g0 + other_b0 + other_g0, b0 + other_b0)
        )
    )
    value = float(gain(inside, whole))
    assert value == -np.inf or value > -1e-4
    assert 0 <= coverage(inside, whole) <= 1
    assert lift(inside, whole) > 0
    assert bool(is_new(inside, whole)) in (True, False)
