"""What looks like a return and is none, and what is one: restarts, silence, scale-ups, clocks, versions in turn."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from changes.traffic import World
from onejob.model.deployment import Status
from onejob.state.database import Database

NewWorld = Callable[[], World]
# Each example is an hour or two in the life of a service, looked at every 40 s: shorter than a version may be quiet.
few = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
minutes = st.integers(2, 40).map(lambda n: n * 60)
pauses = st.sampled_from([0.2, 0.5, 2.0, 7.0, 30.0])  # seconds between the requests of a version


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[NewWorld]:
    """As many worlds as an example-based test wants, each with an empty database of its own."""
    empty = tmp_path / "empty.db"
    database = Database(f"sqlite:///{empty}")
    database.migrate()
    database.close()
    opened: list[Database] = []

    def make() -> World:
        path = tmp_path / f"{len(opened)}.db"
        copyfile(empty, path)
        opened.append(Database(f"sqlite:///{path}"))
        event.listen(opened[-1].engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        return World(opened[-1])

    yield make
    for one in opened:
        one.close()


def told(world: World) -> list[tuple[str, str | None, bool]]:
    """Version, the one before, and whether it is a rollback, of every deployment."""
    return [(one.version, one.previous_version, one.rollback_of is not None) for one in world.known()]


def test_a_version_and_its_canary_that_fall_silent_one_after_the_other_come_back_as_they_were(world: World) -> None:
    """Scaled to zero: the old version goes a minute and a half before its canary, which answers what still comes."""
    world.serve("1", 0, 900).serve("2", 300, 990)
    world.serve("1", 7200, 9600).serve("2", 7200, 9600)
    world.run(9600, tick_s=30)
    assert told(world) == [("2", "1", False)]


@few
@given(silent_s=minutes, back_s=st.integers(0, 90), every_s=pauses, canary_every_s=pauses, ends_s=st.integers(0, 200))
def test_a_common_silence_changes_nothing(
    new_world: NewWorld, silent_s: int, back_s: int, every_s: float, canary_every_s: float, ends_s: int
) -> None:
    world, back = new_world(), 1500 + silent_s
    world.serve("1", 0, 1500, every_s=every_s).serve("2", 300, 1500 - ends_s, every_s=canary_every_s)
    world.serve("1", back, back + 2400, every_s=every_s)
    world.serve("2", back + back_s, back + 2400, every_s=canary_every_s)
    world.run(back + 2400, tick_s=40)
    assert told(world) == [("2", "1", False)]


@few
@given(
    gone_s=st.integers(0, 600),
    who=st.sampled_from(["1", "2"]),
    every_s=pauses,
    other_every_s=pauses,
    baseline=st.booleans(),
)
def test_a_restart_beside_another_version_is_nothing(
    new_world: NewWorld, gone_s: int, who: str, every_s: float, other_every_s: float, baseline: bool
) -> None:
    world, other = new_world(), "2" if who == "1" else "1"
    begins = {"1": 0.0, "2": 0.0 if baseline else 300.0}
    world.serve(other, begins[other], 4500, every_s=other_every_s)
    world.serve(who, begins[who], 1200, every_s=every_s)
    world.serve(who, 1200 + gone_s, 4500, every_s=every_s, instance="pod-2")
    world.run(4500, tick_s=40)
    assert told(world) == ([] if baseline else [("2", "1", False)])


@few
@given(silences=st.lists(minutes, min_size=1, max_size=3), every_s=pauses, more=st.integers(1, 5))
def test_an_idle_service_that_wakes_up_with_more_instances_is_nothing(
    new_world: NewWorld, silences: list[int], every_s: float, more: int
) -> None:
    world, at = new_world(), 0
    for number, silence in enumerate(silences):
        for instance in range(1 + number * more):
            world.serve("1", at, at + 300, every_s=every_s, instance=f"pod-{number}-{instance}")
        at += 300 + silence
    assert world.run(at, tick_s=40) == []


@few
@given(lengths=st.lists(st.integers(150, 900), min_size=2, max_size=5), overlap_s=st.integers(-40, 40))
def test_versions_that_take_turns_are_one_deployment_a_turn(
    new_world: NewWorld, lengths: list[int], overlap_s: int
) -> None:
    """1, 2, 1, 2, ...: each return of 1 takes 2 back, each return of 2 ships it again."""
    world, at = new_world(), 0
    for turn, length in enumerate([300, *lengths]):
        world.serve("12"[turn % 2], at, at + length + max(0, overlap_s))
        at += length + max(0, -overlap_s)
    world.run(at + 240, tick_s=20)
    wanted = [("2", "1", False), ("1", "2", True)] * len(lengths)
    assert told(world) == wanted[: len(lengths)]


@few
@given(ahead=st.tuples(st.integers(-900, 900), st.integers(-900, 900)), every_s=pauses, silent_s=minutes)
def test_clocks_that_differ_make_no_return(
    new_world: NewWorld, ahead: tuple[int, int], every_s: float, silent_s: int
) -> None:
    world, back = new_world(), 1500 + silent_s
    for version, begins, clock in (("1", 1000.0, ahead[0]), ("2", 1000.0, ahead[1])):
        world.serve(version, begins, begins + 1500, every_s=every_s, clock_ahead_s=clock)
        world.serve(version, begins + back, begins + back + 2400, every_s=every_s, clock_ahead_s=clock)
    world.now_s = 1000
    world.run(1000 + back + 2400, tick_s=40)
    assert [one for one in told(world) if one[2]] == []
    assert len(told(world)) <= 1


def test_a_rollback_is_noticed_while_the_bad_version_is_still_being_drained(world: World) -> None:
    world.serve("1", 0, 300).serve("2", 290, 800).serve("1", 600, 1200, instance="pod-9")
    deployed, rolled_back = world.run(1200)
    assert (rolled_back.version, rolled_back.rollback_of) == ("1", deployed.id)
    assert deployed.status is Status.ROLLED_BACK


def test_a_canary_that_failed_and_is_shipped_again_beside_the_old_version_is_told_at_once(world: World) -> None:
    world.serve("1", 0, 1500).serve("2", 300, 500).serve("2", 1000, 1500)
    world.run(700)
    world.progress(world.known()[0].id, status=Status.ROLLED_BACK)
    assert [one.version for one in world.run(1060)] == ["2", "2"]


@pytest.mark.parametrize("down_s", [0, 600, 7200])
def test_a_restart_of_onejob_does_not_forget_a_version_that_came_back(world: World, down_s: int) -> None:
    """It is stopped a look after the old version is back, before it is sure that the new one goes."""
    world.serve("1", 0, 300).serve("2", 290, 650).serve("1", 600, 12_000, instance="pod-9")
    world.run(630)
    assert told(world) == [("2", "1", False)]
    world.restart()
    world.now_s += down_s
    world.run(world.now_s + 300)
    assert told(world) == [("2", "1", False), ("1", "2", True)]


def test_a_rollback_that_takes_hours_is_noticed_when_it_is_through(world: World) -> None:
    world.serve("1", 0, 300, every_s=0.2).serve("2", 290, 900, every_s=0.2)
    for step in range(6):  # 90 minutes: each fifteen, a sixth more of the requests go to the old version
        begins = 900 + step * 900
        world.serve("2", begins, begins + 900, every_s=1.2 / (6 - step))
        world.serve("1", begins, begins + 900, every_s=1.2 / (step + 1), instance="pod-9")
    world.serve("1", 6300, 7200, every_s=0.2, instance="pod-9")
    assert len(world.run(6300, tick_s=20)) == 1
    deployed, rolled_back = world.run(7200, tick_s=20)
    assert (rolled_back.version, rolled_back.rollback_of) == ("1", deployed.id)
    assert deployed.status is Status.ROLLED_BACK


def test_a_canary_that_ends_hours_after_a_restart_beside_it_was_not_rolled_back_by_the_restart(world: World) -> None:
    world.serve("1", 0, 1200).serve("2", 300, 9000, every_s=2.0).serve("1", 1500, 10_800, instance="pod-9")
    world.run(10_800, tick_s=20)
    assert told(world) == [("2", "1", False)]
