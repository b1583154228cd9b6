"""Finding the deployments of the past: with the live detection, but only where there is something to find."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.config import Settings
from onejob.history.detection import DetectionReplay, Found
from onejob.history.presence import Presence
from onejob.history.scratch import scratch_database
from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.store.past import VersionBins

START = 1_800_000_000
WIDTH = 10
HERE = "production"
SETTINGS = Settings(judge_horizon_s=3000, tick_s=30)


def serves(version: str, *spans: tuple[int, int], build: str = "", every: int = 1, count: int = 20) -> VersionBins:
    """In bins of [from, to) minutes after START."""
    bins = np.concatenate(
        [np.arange(START + low * 60, START + high * 60, WIDTH * every, dtype=np.int64) for low, high in spans]
    )
    return VersionBins(
        environment="",
        version=version,
        build=build,
        version_source="service.version",
        bins=bins,
        counts=np.full(len(bins), count, dtype=np.int64),
    )


class EveryTick(DetectionReplay):
    """Looks at every tick, as the live detection does."""

    def _following(self, at: int, wanted: np.ndarray, last: int) -> int:
        return at + 1


def found(
    *rows: VersionBins,
    kind: type[DetectionReplay] = DetectionReplay,
    stored: Sequence[Deployment] = (),
    minutes: int = 90,
) -> list[Found]:
    with scratch_database() as database:
        replay = kind(database, Presence("shop", WIDTH, rows), stored, SETTINGS)
        return replay.run(HERE, at(-1), at(minutes))


def at(minutes: float) -> datetime:
    return datetime.fromtimestamp(START, UTC) + timedelta(minutes=minutes)


def told(found: Sequence[Found]) -> list[list[tuple[object, ...]]]:
    """All that was known and when, without the ids, which are drawn by chance."""
    names = {one.last.id: n for n, one in enumerate(found)}
    return [[(known.since, *_told(known.deployment, names)) for known in one.known] for one in found]


def _told(deployment: Deployment, names: dict[str, int]) -> tuple[object, ...]:
    fields = ("version", "previous_version", "strategy", "status", "started_at", "finished_at")
    return (*(getattr(deployment, name) for name in fields), names.get(deployment.rollback_of or ""))


def a_stored(**changes: object) -> Deployment:
    values: dict[str, object] = {
        "id": "dep_1",
        "service": "shop",
        "environment": HERE,
        "version": "2",
        "previous_version": "1",
        "strategy": Strategy.CANARY,
        "source": Source.REPORTED,
        "status": Status.FINISHED,
        "started_at": at(30),
        "finished_at": at(50),
    }
    return Deployment(**(values | changes))  # type: ignore[arg-type]


def test_a_new_version_beside_the_old_one_is_a_rolling_deployment() -> None:
    (one,) = found(serves("1", (0, 60)), serves("2", (30, 90)))
    assert (one.last.version, one.last.previous_version, one.last.strategy) == ("2", "1", Strategy.ROLLING)
    assert one.last.started_at == at(30)
    assert one.known[0].since - at(30) <= timedelta(seconds=WIDTH + SETTINGS.watermark_s + SETTINGS.tick_s)


def test_a_version_that_takes_over_at_once_becomes_known_as_such_later() -> None:
    (one,) = found(serves("1", (0, 30)), serves("2", (30, 90)))
    assert next(known.deployment.strategy for known in one.known) is Strategy.ROLLING
    assert one.last.strategy is Strategy.ALL_AT_ONCE
    assert one.at(one.known[0].since) == one.known[0].deployment
    assert one.at(one.known[0].since - timedelta(seconds=1)) is None


def test_what_serves_from_the_beginning_is_no_deployment() -> None:
    assert found(serves("1", (0, 90)), serves("2", (0, 90))) == []


def test_the_clock_of_the_replay_hides_the_future() -> None:
    (one,) = found(serves("1", (0, 90)), serves("2", (30, 90)), minutes=40)
    assert one.last.status is Status.IN_PROGRESS
    assert found(serves("1", (0, 90)), serves("2", (30, 90)), minutes=30) == []


def test_a_stored_deployment_is_not_found_a_second_time_and_ends_when_it_ended() -> None:
    (one,) = found(serves("1", (0, 60)), serves("2", (30, 90)), stored=[a_stored()])
    assert one.last == a_stored()
    assert [known.deployment.status for known in one.known] == [Status.IN_PROGRESS, Status.FINISHED]
    assert one.known[0].since >= at(30)
    assert one.known[1].since >= at(50)


def test_a_stored_deployment_of_later_does_not_hide_one_that_was_never_reported() -> None:
    stored = a_stored(started_at=at(70), finished_at=None, status=Status.IN_PROGRESS)
    both = found(serves("1", (0, 20), (40, 71)), serves("2", (20, 40), (70, 90)), stored=[stored])
    assert [(one.last.version, one.last.source) for one in both if one.last.version == "2"] == [
        ("2", Source.DETECTED),
        ("2", Source.REPORTED),
    ]


MINUTE = st.integers(0, 80)
SPAN = st.tuples(MINUTE, st.integers(1, 40)).map(lambda pair: (pair[0], min(90, pair[0] + pair[1])))
ROW = st.builds(
    lambda version, spans, build, every, count: (version, tuple(spans), build, every, count),
    st.sampled_from("123"),
    st.lists(SPAN, min_size=1, max_size=3),
    st.sampled_from(["", "", "b1", "b2"]),
    st.sampled_from([1, 1, 3, 9]),
    st.sampled_from([1, 20]),
)


@settings(max_examples=6, deadline=None, derandomize=True)  # each looks at every tick of an hour
@given(st.lists(ROW, min_size=1, max_size=3, unique_by=lambda row: (row[0], row[2])))
def test_looking_only_where_something_begins_or_ends_finds_what_looking_always_finds(
    rows: list[tuple[object, ...]],
) -> None:
    made = [serves(row[0], *merged(row[1]), build=row[2], every=row[3], count=row[4]) for row in rows]  # type: ignore[arg-type]
    assert told(found(*made, minutes=60)) == told(found(*made, kind=EveryTick, minutes=60))


def merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without overlaps."""
    apart: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if apart and low <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(high, apart[-1][1]))
        else:
            apart.append((low, high))
    return apart
