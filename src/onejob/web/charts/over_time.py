"""Both arms over time, the rollout's steps as bands and the moment of the verdict marked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from onejob.web.charts.scale import Linear, Tick, path, round_steps

WIDTH, HEIGHT = 600, 150
_LEFT, _RIGHT, _TOP, _FLOOR = 44, 590, 18, 130

Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A step of the rollout: from, to, and the share of traffic it had."""

    start: float
    width: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A vertical line with its words; `anchor` keeps them on the paper."""

    at: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything the template needs to draw it."""

    control: str
    treatment: str
    bands: list[Band]
    grid: list[Tick]
    times: list[Moment]
    verdict: Moment | None
    control_label: Moment | None
    treatment_label: Moment | None
    control_label_y: float
    treatment_label_y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What happened meanwhile; `steps` are (from, to, share), times are Unix seconds."""

    since: float
    until: float
    started: float
    decided: float | None
    steps: Sequence[tuple[float, float, str]] = ()
    names: tuple[str, str] = ("control", "new")


def draw(arms: Mapping[str, Points], events: Events, label: Callable[[float], str]) -> Chart | None:
    """`arms` has `control` and `treatment`: (Unix seconds, value or None for a gap). None when there is nothing."""
    values = [value for points in arms.values() for _, value in points if value is not None]
    if not values:
        return None
    x = Linear(events.since, events.until, _LEFT, _RIGHT)
    y = _vertical(values)
    lines = {arm: _line(points, x, y) for arm, points in arms.items()}
    heights = {arm: _label_height(points, y) for arm, points in arms.items()}
    _separate(heights)
    return Chart(
        control=path(lines.get("control", [])),
        treatment=path(lines.get("treatment", [])),
        bands=_bands(events, x),
        grid=[Tick(at=y(value), label=label(value)) for value in round_steps(y.low, y.high)],
        times=_times(events, x),
        verdict=_verdict(events, x),
        control_label=_end_of(arms.get("control", ()), x, events.names[0]),
        treatment_label=_end_of(arms.get("treatment", ()), x, events.names[1]),
        control_label_y=heights.get("control", _TOP),
        treatment_label_y=heights.get("treatment", _TOP),
    )


def _vertical(values: Sequence[float]) -> Linear:
    """From zero unless that would flatten everything of interest; one wild bin does not set the scale."""
    ordered = sorted(values)
    high = min(ordered[-1], ordered[int(len(ordered) * 0.98) - 1] * 1.6) if len(ordered) > 20 else ordered[-1]
    low = ordered[0] * 0.9 if ordered[0] > 0.5 * high else 0.0
    return Linear(low, high * 1.06 or 0.01, _FLOOR, _TOP + 4)  # nothing but zeros: an error rate, up to 1 %


def _line(points: Points, x: Linear, y: Linear) -> list[tuple[float, float] | None]:
    return [None if value is None else (x(at), max(y(value), _TOP - 14)) for at, value in points]


def _bands(events: Events, x: Linear) -> list[Band]:
    bands = []
    for start, end, label in events.steps:
        left, right = max(x(start), _LEFT), min(x(end), _RIGHT)
        if right > left:
            bands.append(Band(start=left, width=right - left, label=label if right - left >= 34 else ""))
    return bands


def _times(events: Events, x: Linear) -> list[Moment]:
    ends = [
        Moment(at=_LEFT, label=_clock(events.since, events), anchor="start"),
        Moment(at=_RIGHT, label=_clock(events.until, events), anchor="end"),
    ]
    decided = x(events.decided) if events.decided is not None else _LEFT - 200
    if decided > _RIGHT - 100:
        del ends[1]
    at = x(events.started)
    if _LEFT + 84 < at < _RIGHT - 84 and abs(at - decided) > 96:
        ends.append(Moment(at=at, label=f"{_clock(events.started, events)} started", anchor="middle"))
    return ends


def _verdict(events: Events, x: Linear) -> Moment | None:
    if events.decided is None or not events.since <= events.decided <= events.until:
        return None
    at = x(events.decided)
    clock = datetime.fromtimestamp(events.decided, UTC).strftime("%H:%M:%S")
    return Moment(at=at, label=f"verdict {clock}", anchor="middle" if at < _RIGHT - 44 else "end")


def _clock(at: float, events: Events) -> str:
    form = "%H:%M" if events.until - events.since >= 600 else "%H:%M:%S"
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _end_of(points: Points, x: Linear, name: str) -> Moment | None:
    known = [at for at, value in points if value is not None]
    if not known:
        return None
    at = x(known[-1])
    has_room = at < _RIGHT - 6.0 * len(name) - 4
    return Moment(at=at + 4 if has_room else _RIGHT, label=name, anchor="start" if has_room else "end")


def _label_height(points: Points, y: Linear) -> float:
    known = [value for _, value in points if value is not None][-6:]
    if not known:
        return _TOP
    return min(max(y(sum(known) / len(known)), _TOP + 8), _FLOOR - 4)


def _separate(heights: dict[str, float]) -> None:
    """The lower line is named below itself, the upper one above, and never on top of each other."""
    control, treatment = heights.get("control"), heights.get("treatment")
    if control is None or treatment is None:
        return
    is_above = treatment < control
    heights["treatment"] = _inside(treatment + (-8 if is_above else 15))
    heights["control"] = _inside(control + (15 if is_above else -8))
    if abs(heights["treatment"] - heights["control"]) < 12:
        heights["treatment" if is_above else "control"] = max(heights.values()) - 13


def _inside(height: float) -> float:
    return min(max(height, _TOP + 8), _FLOOR - 4)
