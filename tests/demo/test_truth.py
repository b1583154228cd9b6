"""What a seed decides, and what it must not."""

import json

import pytest

from onejob.demo.load import HABITS, sizes_with_40_percent
from onejob.demo.shop.variant import ENVIRONMENT_VARIABLE, Variant, variant_of_this_process
from onejob.demo.truth import Truth, draw

SEEDS = range(200)


def test_the_same_seed_draws_the_same_versions() -> None:
    assert draw(7) == draw(7)


@pytest.mark.parametrize("seed", [0, 1, 7, 4711])
def test_every_seed_ships_all_four_kinds_and_the_better_one_last(seed: int) -> None:
    versions = draw(seed)
    assert sorted(version.name for version in versions) == ["v2", "v3", "v4", "v5"]
    assert versions[-1].truth is Truth.BETTER


def test_seeds_vary_endpoint_tenant_class_method_and_order() -> None:
    drawn = [draw(seed) for seed in SEEDS]
    slow = [version for versions in drawn for version in versions if version.name == "v3"]
    failing = [version for versions in drawn for version in versions if version.name == "v4"]
    assert len({version.operation for version in slow}) == 3
    assert len({version.attribute for version in slow}) == 3
    assert len({version.attribute for version in failing}) == 4
    assert len({tuple(version.name for version in versions) for versions in drawn}) == 6


@pytest.mark.parametrize("click", ["basket", "quote", "order"])
def test_on_every_endpoint_that_can_be_hurt_two_sizes_make_40_percent_each(click: str) -> None:
    assert len(sizes_with_40_percent(click)) == 2


def test_customers_send_the_promised_traffic() -> None:
    rates = {
        click: sum(habit.visits_per_s * getattr(habit, click) for habit in HABITS)
        for click in ("catalog", "basket", "quote", "order", "delivery")
    }
    assert sum(rates.values()) > 60
    assert rates["order"] > 30  # one payment each
    assert min(rates["basket"], rates["quote"], rates["order"]) > 20


def test_a_harmless_version_has_nothing_to_blame() -> None:
    harmless = next(version for version in draw(1) if version.name == "v2")
    assert (harmless.operation, harmless.attribute, harmless.span) == (None, None, None)
    assert harmless.variant == Variant()


def test_a_process_learns_its_variant_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    variant = Variant(rechecks_operation="POST /quotes", rechecks_size="large")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, variant.to_environment()[ENVIRONMENT_VARIABLE])
    assert json.loads(variant.to_environment()[ENVIRONMENT_VARIABLE])["rechecks_size"] == "large"
    assert variant_of_this_process() == variant
