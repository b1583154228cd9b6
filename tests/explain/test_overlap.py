"""The ranking of deployments that overlap, from made-up requests alone."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.explain.edges import Kinship, kinships
from onejob.explain.overlap import MAX_SUSPECTS, Candidate, Outcomes, Ranked, rank
from onejob.explain.suspicion import suspected
from onejob.explain.tables import Bools, Floats
from onejob.model.explanation import Relation

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITSELF, NEXT = Kinship(Relation.ITSELF, 0), Kinship(Relation.CALLED, 1)
REQUESTS = 2_000
AT = np.arange(REQUESTS) / 20.0


def a_candidate(name: str, exposed: Bools, kinship: Kinship | None = NEXT, began_s: float = 0) -> Candidate:
    return Candidate(
        deployment_id=f"dep_{name}",
        service=name,
        version="2",
        began_at=NOON + timedelta(seconds=began_s),
        kinship=kinship,
        exposed=exposed,
    )


def drawn(share: float, seed: int, since_s: float = 0) -> Bools:
    return (np.random.default_rng(seed).random(REQUESTS) < share) & (since_s <= AT)


def outcomes(rate: Floats, seed: int = 9, phi: float = 1.0) -> Outcomes:
    bad = np.random.default_rng(seed).random(REQUESTS) < rate
    return Outcomes(at_s=AT, weight=np.ones(REQUESTS), bad=(bad,), phi=phi)


def hurt_by(exposed: Bools, base: float = 0.01, more: float = 0.2) -> Floats:
    return base + more * exposed


def named(ranked: Sequence[Ranked]) -> list[str]:
    return [one.candidate.service for one in ranked]


@settings(deadline=None, max_examples=30)
@given(st.randoms(), st.integers(0, 3))
def test_the_order_of_the_candidates_does_not_matter(chance: random.Random, guilty: int) -> None:
    exposed = [drawn(0.3, 1), drawn(0.5, 2, 40), drawn(1.0, 3, 40), drawn(1.0, 4, 40)]
    candidates = [a_candidate(f"s{n}", mine) for n, mine in enumerate(exposed)]
    seen = outcomes(hurt_by(exposed[guilty]))
    shuffled = chance.sample(candidates, len(candidates))
    assert rank(shuffled, seen) == rank(candidates, seen)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 1.0), st.integers(0, 99), st.integers(0, 3))
def test_what_has_no_call_to_the_service_changes_nothing(share: float, seed: int, place: int) -> None:
    mine, theirs = drawn(0.3, 1), drawn(0.5, 2, 40)
    candidates = [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)]
    unrelated = a_candidate("billing", drawn(share, seed) | theirs, kinship=None)
    seen = outcomes(hurt_by(theirs))
    assert rank([*candidates[:place], unrelated, *candidates[place:]], seen) == rank(candidates, seen)


def test_what_none_of_the_requests_went_through_changes_nothing() -> None:
    mine, theirs = drawn(0.3, 1), drawn(0.5, 2, 40)
    candidates = [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)]
    unused = a_candidate("stock", np.zeros(REQUESTS, dtype=bool))
    seen = outcomes(hurt_by(theirs))
    assert rank([*candidates, unused], seen) == rank(candidates, seen)
    assert rank([candidates[0], unused], seen) == []


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("same_second", [True, False])
def test_by_distance_alone_nobody_is_blamed(steps: int, same_second: bool) -> None:
    everyone_after = AT >= 40
    mine = a_candidate("checkout", everyone_after, ITSELF, 40)
    theirs = a_candidate("payments", everyone_after, Kinship(Relation.CALLED, steps), 40 if same_second else 39)
    ranked = rank([mine, theirs], outcomes(hurt_by(everyone_after)))
    assert len(ranked) == 2
    assert all(one.alike for one in ranked)


def test_where_no_deployment_did_it_hardly_anybody_is_blamed() -> None:
    blamed = 0
    for seed in range(0, 600, 3):
        mine, theirs = drawn(0.3, seed), drawn(0.5, seed + 1, 40)
        candidates = [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)]
        ranked = rank(candidates, outcomes(np.full(REQUESTS, 0.05), seed + 2))
        blamed += ranked[0].posterior > 0.95
    assert blamed <= 4  # of 200


def test_noise_that_comes_in_bursts_makes_the_evidence_weaker() -> None:
    """Half a minute in which everything failed, whoever answered, is more than chance knows of."""
    mine, theirs = drawn(0.5, 1), drawn(1.0, 2, 60)
    candidates = [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)]
    rate = np.where((AT > 65) & (AT < 80), 0.6, 0.02)
    calm = outcomes(np.where(theirs, 0.25, 0.02))
    by_name = {one.candidate.service: one for one in rank(candidates, outcomes(rate))}
    calmly = {one.candidate.service: one for one in rank(candidates, calm)}
    assert 1 - by_name["payments"].posterior > 1_000 * (1 - calmly["payments"].posterior)


def test_a_larger_design_effect_needs_more_evidence() -> None:
    mine, theirs = drawn(0.3, 1), drawn(0.5, 2, 40)
    candidates = [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)]
    rate = hurt_by(theirs, more=0.05)
    sure, unsure = (rank(candidates, outcomes(rate, phi=phi))[0].posterior for phi in (1.0, 20.0))
    assert sure > 0.99 > unsure


def test_a_version_that_spares_requests_is_no_explanation() -> None:
    mine, theirs = drawn(0.3, 1), drawn(0.5, 2)
    ranked = rank(
        [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)],
        outcomes(0.2 - 0.19 * theirs),
    )
    assert {one.candidate.service: one.posterior for one in ranked}["payments"] == 0


def test_weights_count_requests_but_are_no_evidence() -> None:
    """Of a thousand requests one was read: it stands for a thousand, and tells as much as one."""
    mine, theirs = drawn(0.3, 1), drawn(0.5, 2, 40)
    candidates = [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)]
    one = outcomes(hurt_by(theirs, more=0.03))
    many = replace(one, weight=one.weight * 1_000)
    for few, much in zip(rank(candidates, one), rank(candidates, many), strict=True):
        assert much.posterior == pytest.approx(few.posterior)
        assert much.exposed_requests == 1_000 * few.exposed_requests


def test_what_was_read_in_full_is_evidence_though_the_old_version_was_sampled() -> None:
    """A small new version of which everything was read, beside an old one of which a hundredth was."""
    mine = drawn(0.3, 1)
    theirs = drawn(0.5, 2, 40)
    both = [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)]
    seen = outcomes(hurt_by(mine, more=0.04))
    sampled = replace(seen, weight=np.where(mine, 1.0, 100.0), version=mine.astype(np.int64))
    alike = rank(both, seen)[0]
    apart = rank(both, sampled)[0]
    assert (named([apart]), apart.alike) == (["checkout"], ())
    assert apart.posterior == pytest.approx(alike.posterior, abs=0.01)
    assert (apart.exposed_share, apart.other_share) == pytest.approx((alike.exposed_share, alike.other_share))


def test_few_requests_that_stand_for_many_are_few() -> None:
    """Of the old version five were bad by chance, and most of them went through payments: that says nothing."""
    mine, theirs = drawn(0.5, 1), drawn(0.5, 2)
    bad = mine & drawn(0.3, 3)
    by_chance = np.flatnonzero(~mine & theirs)[::100][:4].tolist() + np.flatnonzero(~mine & ~theirs)[:1].tolist()
    bad[by_chance] = True
    seen = Outcomes(at_s=AT, weight=np.where(mine, 1.0, 300.0), bad=(bad,), version=mine.astype(np.int64))
    first, second = rank([a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)], seen)
    assert first.candidate.service == "checkout"
    assert second.posterior < 0.5


def test_of_many_the_likeliest_three_are_named() -> None:
    exposed = [drawn(0.3, seed, since_s=5 * seed) for seed in range(12)]
    candidates = [a_candidate(f"s{n}", mine) for n, mine in enumerate(exposed)]
    ranked = rank(candidates, outcomes(hurt_by(exposed[7])))
    assert len(ranked) == MAX_SUSPECTS
    assert named(ranked)[0] == "s7"


def test_the_judged_one_is_always_among_them() -> None:
    mine, theirs = drawn(0.3, 1), drawn(0.5, 2, 40)
    judged = a_candidate("checkout", mine, ITSELF)
    candidates = [a_candidate(f"s{n}", theirs) for n in range(4)]
    ranked = rank([judged, *candidates], outcomes(hurt_by(theirs)))
    assert named(ranked) == ["s0", "s1", "checkout"]
    assert named(rank(candidates, outcomes(hurt_by(theirs)))) == ["s0", "s1", "s2"]


def test_damage_that_follows_the_share_of_traffic_is_said_to() -> None:
    steps = np.select([AT < 25, AT < 50, AT < 75], [0.0, 0.2, 0.6], 0.2)
    mine = np.random.default_rng(1).random(REQUESTS) < steps
    theirs = drawn(0.5, 2, 10)
    candidates = [a_candidate("checkout", mine, ITSELF), a_candidate("payments", theirs)]
    ranked = rank(candidates, outcomes(hurt_by(mine)))
    first, _ = suspected(ranked, "checkout", NOON)
    assert "the failed requests rose and fell with its share of the traffic" in first.reasons


def test_a_candidate_alone_is_no_suspect() -> None:
    mine = drawn(0.3, 1)
    assert rank([a_candidate("checkout", mine, ITSELF)], outcomes(hurt_by(mine))) == []
    assert rank([], outcomes(hurt_by(mine))) == []


def test_services_are_related_by_calls_and_not_by_a_common_caller() -> None:
    edges = [
        ("front", "checkout"), ("front", "adverts"), ("checkout", "payments"), ("payments", "ledger"),
        ("gateway", "front"), ("ledger", "payments"), ("adverts", "payments"),
    ]  # fmt: skip
    assert kinships(edges, "checkout") == {
        "payments": Kinship(Relation.CALLED, 1),
        "ledger": Kinship(Relation.CALLED, 2),
        "front": Kinship(Relation.CALLING, 1),
        "gateway": Kinship(Relation.CALLING, 2),
    }
    assert kinships([], "checkout") == {}
    assert "checkout" not in kinships([("checkout", "a"), ("a", "checkout")], "checkout")
