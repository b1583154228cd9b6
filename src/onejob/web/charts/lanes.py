"""The time line: a lane per service, one mark per deployment, rollbacks joined to what they took back by an arc."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from onejob.model.deployment import Status
from onejob.state.timeline import Mark
from onejob.web.charts.scale import Linear, Tick

WIDTH = 1232
LANE = 24
_LEFT, _RIGHT = 132, 1220
_MOST_LANES = 8
_APART = 11.0  # marks closer than this would hide each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A mark with its place; `shape` names a symbol, `words` is its text alternative."""

    id: str
    at: float
    shape: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One service: its middle line, its marks and its arcs (from, to)."""

    service: str
    middle: float
    marks: list[Placed]
    arcs: list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """The whole picture; `hidden` counts the services there was no room for."""

    lanes: list[Lane]
    days: list[Tick]
    height: int
    hidden: int
    left: float = _LEFT
    right: float = _RIGHT


def draw(marks: Sequence[Mark], since: datetime, until: datetime) -> Lanes:
    """Services with the newest deployments first."""
    services = list(dict.fromkeys(mark.service for mark in marks))
    x = Linear(since.timestamp(), until.timestamp(), _LEFT + 8, _RIGHT - 8)
    shown = services[:_MOST_LANES]
    lanes = [
        _lane(service, [mark for mark in marks if mark.service == service], 14 + LANE * row, x)
        for row, service in enumerate(shown)
    ]
    return Lanes(
        lanes=lanes,
        days=_days(since, until, x),
        height=LANE * len(shown) + 22,
        hidden=len(services) - len(shown),
    )


def _lane(service: str, marks: Sequence[Mark], middle: float, x: Linear) -> Lane:
    """Old to new, each pushed right of the one before; the last ones are then pushed back onto the paper."""
    taken_back = {mark.rollback_of for mark in marks}
    moments = [(mark.started_at, mark.id, _shape(mark), _words(mark), mark.rollback_of) for mark in marks]
    for mark in marks:
        if mark.status == Status.ROLLED_BACK and mark.finished_at and mark.id not in taken_back:
            words = f"{mark.service} {mark.version}: rolled back, {_when(mark.finished_at)}"
            moments.append((mark.finished_at, mark.id, "rollback", words, mark.id))
    moments.sort(key=lambda moment: moment[0])
    places = _spread([x(at.timestamp()) for at, *_ in moments])
    placed = [
        Placed(id=mark_id, at=place, shape=shape, words=words)
        for place, (_, mark_id, shape, words, _) in zip(places, moments, strict=True)
    ]
    first = {one.id: one.at for one in reversed(placed)}
    arcs = [
        (first[origin], place)
        for place, (*_, origin) in zip(places, moments, strict=True)
        if origin is not None and origin in first
    ]
    return Lane(service=service, middle=middle, marks=placed, arcs=arcs)


def _spread(places: list[float]) -> list[float]:
    room = (_RIGHT - _LEFT) / max(len(places), 1)
    apart = min(_APART, room)
    for index in range(1, len(places)):
        places[index] = max(places[index], places[index - 1] + apart)
    limit = _RIGHT - 6.0
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - apart
    return places


def _shape(mark: Mark) -> str:
    if mark.rollback_of:
        return "rollback"
    return mark.state or "none"


def _words(mark: Mark) -> str:
    state = "rollback" if mark.rollback_of else (mark.state or "not judged yet").replace("_", " ")
    return f"{mark.service} {mark.version}: {state}, {_when(mark.started_at)}"


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _days(since: datetime, until: datetime, x: Linear) -> list[Tick]:
    """Midnights while there are enough of them, else round hours or minutes."""
    span = until - since
    steps = (
        timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4),
        timedelta(days=1), timedelta(days=5), timedelta(days=30), timedelta(days=180),
    )  # fmt: skip
    step = next((candidate for candidate in steps if span / candidate <= 9), timedelta(days=365))
    first = datetime.fromtimestamp(-(-since.timestamp() // step.total_seconds()) * step.total_seconds(), UTC)
    ticks, at = [], first
    while at <= until:
        ticks.append(Tick(at=x(at.timestamp()), label=_day_label(at, until, step)))
        at += step
    return [tick for tick, following in pairwise([*ticks, Tick(at=2e6, label="")]) if following.at - tick.at > 40]


def _day_label(at: datetime, until: datetime, step: timedelta) -> str:
    if step < timedelta(days=1):
        return f"{at:%H:%M}"
    if at.date() == until.astimezone(UTC).date():
        return "today"
    return f"{at:%a}" if step == timedelta(days=1) else f"{at.day} {at:%b}"
