"""How often something came over time: columns, of which the latest version's part stands out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from onejob.model.known_error import ErrorCount
from onejob.web.charts.scale import Linear, Tick, round_steps

WIDTH, HEIGHT = 600, 150
_LEFT, _RIGHT, _TOP, _FLOOR = 44, 590, 10, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A part of a column; `look` is `latest` for the latest version's, `before` for the others'."""

    x: float
    y: float
    width: float
    height: float
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything the template needs to draw it."""

    columns: list[Column]
    grid: list[Tick]
    times: list[Tick]
    has_old: bool


def draw(counts: Sequence[ErrorCount], since: datetime, until: datetime, step_s: int, newest: str) -> Chart | None:
    """Steps of `step_s` in [since, until); None when nothing came."""
    parts: dict[int, tuple[int, int]] = {}  # (others, newest) by step
    for one in counts:
        old, new = parts.get(one.bin_start, (0, 0))
        parts[one.bin_start] = (old, new + one.count) if one.version == newest else (old + one.count, new)
    if not parts:
        return None
    x = Linear(since.timestamp(), until.timestamp(), _LEFT, _RIGHT)
    y = Linear(0.0, max(old + new for old, new in parts.values()) * 1.05, _FLOOR, _TOP)
    width = max(x(since.timestamp() + step_s) - x(since.timestamp()) - 0.6, 0.8)
    drawn: list[Column] = []
    for at, (old, new) in sorted(parts.items()):
        left = max(x(at), _LEFT)
        drawn += [_column(left, width, y, 0, old, "before")] if old else []
        drawn += [_column(left, width, y, old, old + new, "latest")] if new else []
    return Chart(
        columns=drawn,
        grid=[Tick(at=y(value), label=f"{value:,.0f}") for value in round_steps(0.0, y.high) if value == int(value)],
        times=[Tick(at=x(at.timestamp()), label=at.astimezone(UTC).strftime("%-d %b %H:%M")) for at in (since, until)],
        has_old=any(old for old, _ in parts.values()),
    )


def _column(left: float, width: float, y: Linear, low: float, high: float, look: str) -> Column:
    return Column(x=left, y=y(high), width=width, height=y(low) - y(high), look=look)
