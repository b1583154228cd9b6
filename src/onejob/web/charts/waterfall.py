"""Two traces side by side, aligned by call path: the same row is the same call in both.

Spans with the same path share a row, so that 41 queries read as one line of 41 marks; both sides have one time scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from onejob.model.explanation import ExemplarTrace, TraceSpan
from onejob.web.charts.scale import Linear, number
from onejob.web.pages.sentence import short_label

WIDTH = 600
ROW = 17
_LEFT, _RIGHT = 176, 592
_MOST_ROWS = 22
_MOST_BARS = 80
_BAR = 9

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One call path in one trace; `bars` is an SVG path, empty where the trace has no such call."""

    label: str
    short: str
    title: str
    times: int
    bars: str
    failed: str
    is_cause: bool
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """One side."""

    rows: list[Row]
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both sides with the same rows; `hidden` counts paths there was no room for."""

    control: Waterfall
    treatment: Waterfall
    hidden: int


def draw(control: ExemplarTrace | None, treatment: ExemplarTrace | None, cause: Path) -> Pair:
    """Either trace may be missing; its side then has the rows without bars."""
    sides = [trace.spans if trace else () for trace in (control, treatment)]
    longest = max((_end(spans) for spans in sides), default=0.0)
    x = Linear(0, longest or 1.0, _LEFT, _RIGHT)
    paths = _paths([*sides[1], *sides[0]])
    shown = _most_telling(paths, sides[1] or sides[0], cause)
    drawn = [_side(spans, shown, cause, x) for spans in sides]
    return Pair(control=drawn[0], treatment=drawn[1], hidden=len(paths) - len(shown))


def _end(spans: Sequence[TraceSpan]) -> float:
    start = _start(spans)
    return max((span.offset_s - start + span.duration_s for span in spans), default=0.0)


def _start(spans: Sequence[TraceSpan]) -> float:
    return min((span.offset_s for span in spans), default=0.0)


def _paths(spans: Sequence[TraceSpan]) -> list[Path]:
    """Every call path, callers before what they call, otherwise by the time they begin."""
    first: dict[Path, float] = {}
    for span in spans:
        first[span.path] = min(first.get(span.path, span.offset_s), span.offset_s)
    return sorted(first, key=lambda path: [first.get(path[: depth + 1], 0.0) for depth in range(len(path))])


def _most_telling(paths: list[Path], spans: Sequence[TraceSpan], cause: Path) -> list[Path]:
    if len(paths) <= _MOST_ROWS:
        return paths
    spent: dict[Path, float] = {}
    for span in spans:
        spent[span.path] = spent.get(span.path, 0.0) + span.duration_s
    ranked = sorted(paths, key=lambda path: (path != cause, -spent.get(path, 0.0)))
    kept = set(ranked[:_MOST_ROWS])
    return [path for path in paths if path in kept]


def _side(spans: Sequence[TraceSpan], paths: Sequence[Path], cause: Path, x: Linear) -> Waterfall:
    start = _start(spans)
    by_path: dict[Path, list[TraceSpan]] = {}
    for span in spans:
        by_path.setdefault(span.path, []).append(span)
    rows = []
    for index, path in enumerate(paths):
        mine = by_path.get(path, [])
        y = 3 + index * ROW
        rows.append(
            Row(
                label=path[-1] if path else "",
                short=short_label(path[-1], 26) if path else "",
                title=" › ".join(path),
                times=len(mine),
                bars=_bars([span for span in mine if not span.is_error], start, x, y),
                failed=_bars([span for span in mine if span.is_error], start, x, y),
                is_cause=path == cause,
                y=y,
            )
        )
    return Waterfall(rows=rows, height=ROW * len(paths) + 5)


def _bars(spans: Sequence[TraceSpan], start: float, x: Linear, y: float) -> str:
    parts = []
    for span in sorted(spans, key=lambda span: span.offset_s)[:_MOST_BARS]:
        left = x(span.offset_s - start)
        width = max(x(span.offset_s - start + span.duration_s) - left, 1.6)
        gap = 1.0 if len(spans) > 1 and width > 3 else 0.0
        parts.append(f"M{number(left)},{number(y)}h{number(width - gap)}v{_BAR}h-{number(width - gap)}z")
    return "".join(parts)
