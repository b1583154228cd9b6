"""A deployment that is both reported and seen is one deployment, whichever came first."""

from datetime import timedelta

from changes.traffic import START, World
from onejob.model.deployment import Source, Status, Strategy


def test_a_report_before_its_telemetry_is_matched(world: World) -> None:
    world.serve("1", 0, 900).serve("2", 330, 900).run(300)
    reported = world.report("2", strategy=Strategy.CANARY, actor="ci")

    (found,) = world.run(900)

    assert found.id == reported.deployment.id
    assert (found.source, found.strategy, found.previous_version) == (Source.REPORTED, Strategy.CANARY, "1")
    assert found.first_seen_at == START + timedelta(seconds=330)


def test_a_report_after_its_telemetry_completes_what_was_detected(world: World) -> None:
    world.serve("1", 0, 900).serve("2", 300, 900)
    (detected,) = world.run(400)

    reported = world.report("2", strategy=Strategy.CANARY, actor="ci", commit="abc", previous_version="1")

    assert not reported.is_new
    (found,) = world.run(900)
    assert found.id == detected.id
    assert (found.source, found.actor, found.commit) == (Source.DETECTED, "ci", "abc")
    assert found.strategy is Strategy.CANARY
    assert found.started_at == detected.started_at


def test_a_report_that_finished_before_its_telemetry_arrived_is_matched(world: World) -> None:
    world.serve("1", 0, 900).serve("2", 320, 900).run(300)
    reported = world.report("2")
    world.progress(reported.deployment.id, status=Status.FINISHED)

    (found,) = world.run(900)

    assert (found.id, found.status) == (reported.deployment.id, Status.FINISHED)
    assert found.first_seen_at is not None


def test_the_very_first_version_that_is_reported_is_a_deployment_and_seen_once(world: World) -> None:
    reported = world.report("1")
    (found,) = world.serve("1", 20, 300).run(300)
    assert found.id == reported.deployment.id
    assert found.first_seen_at == START + timedelta(seconds=20)


def test_a_late_report_of_a_superseded_detection_is_matched_by_its_start(world: World) -> None:
    world.serve("1", 0, 300).serve("2", 300, 600).serve("3", 600, 900)
    second, _ = world.run(900)

    reported = world.report("2", started_at=(START + timedelta(seconds=290)).isoformat(), actor="ci")

    assert reported.deployment.id == second.id
    assert reported.deployment.status is Status.SUPERSEDED
    assert len(world.known()) == 2


def test_a_reported_rollback_is_matched_with_the_version_that_comes_back(world: World) -> None:
    world.serve("1", 0, 300).serve("2", 290, 600).serve("1", 610, 900).run(600)
    reported = world.report("1")

    deployed, rollback = world.run(900)

    assert rollback.id == reported.deployment.id
    assert rollback.rollback_of == deployed.id
    assert deployed.status is Status.ROLLED_BACK
    assert rollback.strategy is deployed.strategy


def test_a_report_of_the_same_version_with_a_new_build_is_told_apart_by_the_build(world: World) -> None:
    world.serve("main", 0, 3000, build="aaa").serve("main", 2420, 3000, build="bbb").run(2400)
    reported = world.report("main")
    assert any("has served since" in note for note in reported.deployment.notes)

    (found,) = world.run(3000)

    assert (found.id, found.version, found.previous_version) == (reported.deployment.id, "main@bbb", "main")
    assert world.deployments.find("checkout", "production", "main") == found


def test_a_retry_of_an_aborted_canary_is_a_new_deployment_and_is_not_doubled(world: World) -> None:
    world.serve("1", 0, 2000).serve("2", 310, 400).serve("2", 1010, 2000).run(300)
    first = world.report("2").deployment
    world.run(500)
    world.progress(first.id, status=Status.ROLLED_BACK)
    world.run(1000)
    second = world.report("2").deployment

    assert [found.id for found in world.run(2000)] == [first.id, second.id]


def test_clock_skew_between_report_and_telemetry_is_noticed(world: World) -> None:
    world.serve("1", -3000, 900).run(100)
    reported = world.report("2")
    world.serve("2", -200, -50).run(200)
    found = world.deployments.get(reported.deployment.id)
    assert found is not None
    assert any("before its reported start" in note for note in found.notes)
