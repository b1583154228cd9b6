"""Which combination of values is named, from counts of kinds of requests alone."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.explain.localise import Leaves, combinations

VALUES = {"country": ("at", "de", "ch"), "device": ("phone", "tablet", "desk"), "plan": ("free", "pro")}
COLUMNS = [(name, value) for name, values in VALUES.items() for value in values]
KINDS = list(product(*VALUES.values()))


def leaves(hurt: dict[str, str], *, share: float = 0.3, requests: float = 200, base: float = 0.02) -> Leaves:
    """Every kind of request equally often; `share` of the good ones with all values of `hurt` turn bad."""
    named = [dict(zip(VALUES, kind, strict=True)) for kind in KINDS]
    has = np.array([[kind[name] == value for name, value in COLUMNS] for kind in named])
    is_hurt = np.array([all(kind[name] == value for name, value in hurt.items()) for kind in named])
    n = np.full(len(KINDS), requests)
    return Leaves(has=has, n1=n, b1=n * (base + is_hurt * share * (1 - base)), n0=5 * n, b0=5 * n * base)


def named(found: Leaves) -> list[dict[str, str]]:
    ranked = combinations(found, np.ones(len(COLUMNS)))
    return [dict(COLUMNS[column] for column in c.columns) for c in ranked]


@pytest.mark.parametrize(
    "hurt",
    [
        {"country": "de"},
        {"country": "de", "plan": "pro"},
        {"country": "de", "device": "phone", "plan": "pro"},
    ],
    ids=["one", "two", "three"],
)
@pytest.mark.parametrize("requests", [20, 200, 100_000])
def test_what_is_hurt_is_named_exactly_however_busy_the_service(hurt: dict[str, str], requests: float) -> None:
    assert named(leaves(hurt, requests=requests))[0] == hurt


def test_the_widest_set_that_is_hurt_throughout_is_named_although_a_part_of_it_is_hurt_more() -> None:
    found = leaves({"country": "de"}, share=0.2, requests=50_000)
    phones = found.has[:, COLUMNS.index(("country", "de"))] & found.has[:, COLUMNS.index(("device", "phone"))]
    worse = Leaves(has=found.has, n1=found.n1, b1=np.where(phones, found.b1 * 1.5, found.b1), n0=found.n0, b0=found.b0)

    assert named(worse)[0] == {"country": "de"}


def test_damage_that_spares_nobody_is_given_no_place() -> None:
    found = combinations(leaves({}), np.ones(len(COLUMNS)))

    assert all(c.score < 0 for c in found)


def test_without_an_excess_there_is_nothing_to_name() -> None:
    assert combinations(leaves({}, share=0.0), np.ones(len(COLUMNS))) == []


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.floats(0, 1), st.integers(0, 300), st.floats(0, 1)), min_size=18, max_size=18
    )
)
def test_any_counts_give_a_ranking_with_finite_scores(counts: list[tuple[int, float, int, float]]) -> None:
    n1, p1, n0, p0 = (np.array(column, dtype=float) for column in zip(*counts, strict=True))
    found = combinations(
        Leaves(has=leaves({}).has, n1=n1, b1=np.floor(n1 * p1), n0=n0, b0=np.floor(n0 * p0)), np.ones(len(COLUMNS))
    )

    assert all(np.isfinite(c.score) and 0 <= c.coverage <= 1 for c in found)
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
