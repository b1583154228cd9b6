"""Durations of both arms on a log axis, with the mass that moved shaded.

Exponential-histogram buckets are already equally wide on a log axis: neighbours are added up until the picture is calm,
and each arm is scaled to its own number of requests.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from onejob.web.charts.scale import Linear, Tick, area, path
from onejob.words import seconds

WIDTH, HEIGHT = 600, 150
_TOP, _FLOOR = 24, 130
_PER_DOUBLING = 32  # scale 5
_BASES = tuple(base * 10**power for power in range(-6, 4) for base in (1, 2, 5))
_EDGE_MASS = 0.0015  # the thinnest tails are not worth half of the axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A value marked on the axis."""

    at: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Two lines, the region between them where the new version has more, and what is marked."""

    control: str
    treatment: str
    moved: str
    ticks: list[Tick]
    control_mark: Line | None
    treatment_mark: Line | None
    summary: str


def draw(
    control: Mapping[int, int],
    treatment: Mapping[int, int],
    control_value: float | None,
    treatment_value: float | None,
    quantile: str,
) -> Histogram | None:
    """None when one arm has no durations to show."""
    if sum(control.values()) == 0 or sum(treatment.values()) == 0:
        return None
    first, last = _shown(control, treatment)
    fewest = min(sum(control.values()), sum(treatment.values()))
    group = 2 if fewest > 20_000 else 4 if fewest > 400 else 8
    places = range(first // group - 1, last // group + 2)
    left, right = _density(control, places, group), _density(treatment, places, group)
    x = Linear(places[0] * group, (places[-1] + 1) * group, 8, WIDTH - 8)
    y = Linear(0, max(*left, *right) or 1, _FLOOR, _TOP)
    centres = [x((place + 0.5) * group) for place in places]
    over = [(at, y(max(new, old))) for at, new, old in zip(centres, right, left, strict=True)]
    base = [(at, y(old)) for at, old in zip(centres, left, strict=True)]
    return Histogram(
        control=path(base),
        treatment=path((at, y(new)) for at, new in zip(centres, right, strict=True)),
        moved=area(over, base),
        ticks=_ticks(x),
        **_marks(x, control_value, treatment_value, quantile),
        summary=_summary(control_value, treatment_value, quantile),
    )


def _shown(control: Mapping[int, int], treatment: Mapping[int, int]) -> tuple[int, int]:
    ends = []
    for buckets in (control, treatment):
        total, seen = sum(buckets.values()), 0
        inside = []
        for index in sorted(buckets):
            before, seen = seen, seen + buckets[index]
            if seen > total * _EDGE_MASS and before < total * (1 - _EDGE_MASS):
                inside.append(index)
        ends += [inside[0], inside[-1]] if inside else list(buckets)
    middle = (min(ends) + max(ends)) // 2
    half = max((max(ends) - min(ends)) // 2, _PER_DOUBLING)
    return middle - half - 4, middle + half + 4


def _density(buckets: Mapping[int, int], places: range, group: int) -> list[float]:
    """Share of the arm's requests per place, smoothed once with its neighbours (1-2-1)."""
    total = sum(buckets.values())
    raw = [0.0] * (len(places) + 2)
    for index, number in buckets.items():
        at = index // group - places[0] + 1
        if 0 <= at < len(raw):
            raw[at] += number / total
    return [(raw[at - 1] + 2 * raw[at] + raw[at + 1]) / 4 for at in range(1, len(raw) - 1)]


def _ticks(x: Linear) -> list[Tick]:
    chosen: list[Tick] = []
    for value in _BASES:
        at = x(math.log2(value) * _PER_DOUBLING)
        if x.start + 16 <= at <= x.end - 16 and (not chosen or at - chosen[-1].at >= 64):
            chosen.append(Tick(at=at, label=seconds(value)))
    return chosen


def _marks(x: Linear, control: float | None, treatment: float | None, quantile: str) -> dict[str, Line | None]:
    """The labels lean away from each other, so that close values stay readable."""
    places = [x(math.log2(value) * _PER_DOUBLING) if value else None for value in (control, treatment)]
    treatment_is_right = places[0] is None or places[1] is None or places[1] >= places[0]
    anchors = ("end", "start") if treatment_is_right else ("start", "end")
    labels = (f"{quantile} {seconds(control)}", seconds(treatment))
    lines = [
        None if at is None or not x.start <= at <= x.end else Line(at=at, label=label, anchor=anchor)
        for at, label, anchor in zip(places, labels, anchors, strict=True)
    ]
    return {"control_mark": lines[0], "treatment_mark": lines[1]}


def _summary(control: float | None, treatment: float | None, quantile: str) -> str:
    if control is None or treatment is None:
        return "Distribution of the durations of both versions"
    return f"Distribution of durations: {quantile} {seconds(control)} before, {seconds(treatment)} in the new version"
