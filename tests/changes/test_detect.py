"""Deployments that nobody reports, found in what serves."""

from datetime import timedelta

import pytest

from changes.traffic import START, World
from onejob.model.deployment import Source, Status, Strategy
from onejob.state.database import Database


@pytest.fixture
def world(sqlite_database: Database) -> World:
    """A service nobody has seen yet."""
    return World(sqlite_database)


def test_the_first_version_ever_seen_is_a_baseline_and_no_deployment(world: World) -> None:
    assert world.serve("1", 0, 600).run(600) == []


def test_versions_that_serve_already_at_first_sight_are_all_baselines(world: World) -> None:
    world.serve("1", 0, 600).serve("2", 0, 600).serve("3", 8, 600, every_s=5)
    assert world.run(600) == []


def test_a_new_version_an_idle_time_and_an_old_version_again_are_seen_alike_on_both_databases(
    state_database: Database,
) -> None:
    world = World(state_database).serve("1", 0, 300).serve("2", 310, 600).serve("1", 900, 1500)
    assert [found.version for found in world.run(1500, tick_s=5)] == ["2", "1"]


@pytest.mark.parametrize("source", ["service.version", "image_digest", "pod_template_hash", "deployment_revision"])
def test_a_version_not_seen_before_is_a_deployment(world: World, source: str) -> None:
    world.serve("1", 0, 600).serve("2", 120, 600, source=source)

    (found,) = world.run(600)

    assert (found.version, found.previous_version, found.source) == ("2", "1", Source.DETECTED)
    assert found.started_at == found.first_seen_at == START + timedelta(seconds=120)
    assert found.strategy is Strategy.ROLLING
    assert found.environment == "production"
    assert found.status is Status.IN_PROGRESS


def test_a_version_that_replaces_the_old_one_at_once_is_all_at_once(world: World) -> None:
    world.serve("1", 0, 120).serve("2", 130, 600)
    (found,) = world.run(600)
    assert (found.strategy, found.previous_version) == (Strategy.ALL_AT_ONCE, "1")


def test_spans_of_the_old_version_that_arrive_later_make_no_deployment_look_all_at_once(world: World) -> None:
    world.serve("1", 0, 900, every_s=25).serve("2", 310, 900)
    (found,) = world.run(900)
    assert found.strategy is Strategy.ROLLING


def test_new_instances_of_a_version_are_a_scale_up_and_no_deployment(world: World) -> None:
    world.serve("1", 0, 900).serve("1", 300, 900, instance="pod-2").serve("1", 310, 900, instance="pod-3")
    assert world.run(900) == []


def test_a_restart_is_no_deployment(world: World) -> None:
    world.serve("1", 0, 300).serve("1", 420, 900, instance="pod-2")
    assert world.run(900) == []


def test_an_idle_service_that_scales_up_is_no_deployment(world: World) -> None:
    world.serve("1", 0, 300).serve("1", 7200, 7500, instance="pod-2")
    assert world.run(7600, tick_s=30) == []


@pytest.mark.parametrize("late_s", [0, 3])
def test_when_everybody_was_silent_nobody_was_replaced(world: World, late_s: int) -> None:
    """A new version's first spans may arrive before the old one's do again."""
    world.serve("1", 0, 600).serve("2", 700, 900).serve("1", 700 + late_s, 900)
    assert [found.version for found in world.run(900)] == ["2"]


def test_telemetry_without_any_version_detects_nothing(world: World) -> None:
    world.serve("", 0, 300).serve("", 300, 600, instance="pod-2")
    assert world.run(600) == []


def test_an_old_version_that_comes_back_is_a_rollback_with_the_strategy_it_takes_back(world: World) -> None:
    world.serve("1", 0, 300).serve("2", 290, 600).serve("1", 600, 900, instance="pod-9")

    deployed, rolled_back = world.run(900)

    assert (deployed.version, deployed.status) == ("2", Status.ROLLED_BACK)
    assert (rolled_back.version, rolled_back.previous_version) == ("1", "2")
    assert rolled_back.rollback_of == deployed.id
    assert rolled_back.strategy is deployed.strategy
    assert rolled_back.started_at == START + timedelta(seconds=600)


def test_an_aborted_canary_is_no_rollback_because_the_old_version_never_left(world: World) -> None:
    world.serve("1", 0, 900).serve("2", 300, 400)
    (canary,) = world.run(900)
    assert canary.version == "2"


def test_a_newer_version_that_comes_back_is_deployed_again_and_is_no_rollback(world: World) -> None:
    world.serve("1", 0, 1500).serve("2", 300, 500).serve("2", 1000, 1500)
    world.run(700)
    world.progress(world.known()[0].id, status=Status.FAILED)

    first, again = world.run(1500)

    assert (first.version, again.version) == ("2", "2")
    assert again.rollback_of is None
    assert again.previous_version == "1"


def test_rare_requests_of_two_versions_side_by_side_are_no_rollbacks(world: World) -> None:
    world.serve("1", 0, 6000, every_s=97).serve("2", 0, 6000, every_s=140)
    assert world.run(6000, tick_s=30) == []


def test_the_same_version_with_another_build_is_a_deployment_named_after_it(world: World) -> None:
    world.serve("main", 0, 600, build="aaa").serve("main", 300, 600, build="bbb")
    (found,) = world.run(600)
    assert (found.version, found.previous_version) == ("main@bbb", "main")


def test_builds_that_appear_together_are_one_version(world: World) -> None:
    world.serve("1", 0, 600, build="amd").serve("1", 5, 600, build="arm")
    world.serve("2", 300, 600, build="amd2").serve("2", 308, 600, build="arm2")
    assert [found.version for found in world.run(600)] == ["2"]


def test_an_old_build_that_comes_back_is_a_rollback_told_apart_by_its_build(world: World) -> None:
    world.serve("main", 0, 300, build="aaa").serve("main", 290, 700, build="bbb").serve("main", 690, 1000, build="aaa")
    changed, back = world.run(1000)
    assert (back.version, back.previous_version) == ("main@aaa", "main@bbb")
    assert back.rollback_of == changed.id


def test_environments_are_kept_apart(world: World) -> None:
    world.serve("1", 0, 900).serve("2", 300, 900, environment="staging").serve("2", 600, 900)
    assert [(d.environment, d.version) for d in world.run(900)] == [("production", "2")]


def test_a_restart_of_onejob_finds_nothing_twice(world: World) -> None:
    world.serve("1", 0, 900).serve("2", 300, 900)
    world.run(400)
    world.restart()
    assert len(world.run(900)) == 1


def test_what_started_while_onejob_was_away_is_found_with_its_real_start(world: World) -> None:
    world.serve("1", 0, 9000).serve("2", 3000, 9000)
    world.run(600)
    world.now_s = 8000
    world.restart()

    (found,) = world.run(8100)

    assert found.started_at == START + timedelta(seconds=3000)


def test_clocks_ahead_are_noticed_and_never_put_a_start_into_the_future(world: World) -> None:
    world.serve("1", 0, 600).run(300)
    world._seen_ahead = None
    look = world.loop._look

    def ahead(since: int, until: int) -> list:
        from dataclasses import replace

        row = next(iter(look(since, until)))
        at = int(world.now.timestamp()) + 1800
        return [row, replace(row, version="2", first_bin=at, last_bin=at)]

    world.loop._look = ahead
    (found,) = world.run(310)

    assert found.started_at == world.now
    assert any("1800 s ahead" in note for note in found.notes)


def test_a_name_that_no_database_can_hold_is_left_out(world: World) -> None:
    world.serve("1", 0, 600).serve("2\x00", 300, 600)
    assert world.run(600) == []


def test_a_newer_deployment_supersedes_the_one_before(world: World) -> None:
    world.serve("1", 0, 300).serve("2", 300, 1500).serve("3", 1500, 2000)
    second, third = world.run(2000)
    assert (second.status, second.finished_at) == (Status.SUPERSEDED, third.started_at)
    assert third.status is Status.IN_PROGRESS


def test_deployments_close_to_one_another_are_said_to_overlap(world: World) -> None:
    world.serve("1", 0, 900).serve("2", 300, 900).serve("3", 360, 900)
    second, third = world.run(900)
    assert any(f"Overlaps with 3 ({third.id})" in note for note in second.notes)
    assert any(f"Overlaps with 2 ({second.id})" in note for note in third.notes)


def test_a_deployment_that_never_finishes_is_closed_at_the_horizon(world: World) -> None:
    world.serve("1", 0, 200).serve("2", 200, 400)
    (found,) = world.run(400)
    assert world.deployments.open() == [found]

    world.now_s += 86_400
    world.loop.tick(world.now)

    (closed,) = world.known()
    assert world.deployments.open() == [closed]  # the judge has its last looks
    world.now_s += 600
    world.loop.tick(world.now)
    assert world.deployments.open() == []
    assert closed.status is Status.FINISHED
    assert any("never reported" in note for note in closed.notes)
