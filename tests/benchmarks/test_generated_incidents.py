"""Generated incidents are what they are said to be, and naming is counted rightly."""

from dataclasses import replace

import numpy as np
import pytest
from bench.verdict import generated_incidents as generated

SMALL = generated.Kind("small", (4, 3, 5), noise=0.1)


@pytest.mark.parametrize("kind", [*generated.KINDS, SMALL], ids=lambda kind: kind.name)
def test_no_value_of_an_attribute_is_in_two_places(kind: generated.Kind) -> None:
    for seed in range(30):
        faults = generated.places(kind, np.random.default_rng(seed))
        used = [literal for fault in faults for place in fault for literal in place.items()]
        assert used
        assert len(used) == len(set(used))
        assert all(0 <= value < kind.sizes[at] for at, value in used)


def test_requests_fail_where_something_is_broken() -> None:
    case = generated.drawn(replace(SMALL, faults=1, places=1, severity=(0.5, 0.5)), 3)
    (cause,) = case.causes
    inside = np.all([case.codes[:, "abc".index(name)] == int(value) for name, value in cause], axis=0)
    total, failed = (np.bincount(case.is_treatment * 2 + inside, case.weight * part) for part in (1, case.is_failed))
    assert total[:2].sum() == pytest.approx(generated.REQUESTS, rel=1e-3)
    assert failed[3] / total[3] == pytest.approx(0.5, abs=0.15)
    assert np.all(failed[:3] / total[:3] < 0.01)


def test_one_clear_fault_is_named_by_ours_and_where_two_values_are_enough_by_the_baseline_too() -> None:
    kind = replace(SMALL, faults=1, places=1, severity=(0.6, 0.9))
    found = [generated.one(kind, seed).counts for seed in range(8)]
    assert [each["onejob"] for each in found] == [(1, 0, 0)] * 8
    assert sum(each["risk"][0] for each in found) >= 4


def test_small_causes_are_neither_missed_nor_false() -> None:
    case = generated.drawn(SMALL, 1)
    large, small, other = (frozenset({("a", value)}) for value in "xyz")
    case = replace(case, causes=frozenset({large}), small=frozenset({small}))
    assert generated._counted(case, [large, small]) == (1, 0, 0)
    assert generated._counted(case, [other]) == (0, 1, 1)
