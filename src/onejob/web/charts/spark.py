"""The sparkline of a row: the deployment's worst signal, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

from onejob.web.charts.scale import Linear, path

WIDTH, HEIGHT = 120, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """Grey is the old version, coloured the new one."""

    before: str
    after: str


def draw(control: Sequence[tuple[float, float | None]], treatment: Sequence[tuple[float, float | None]]) -> Spark:
    """Values over Unix seconds; None is a gap."""
    known = [(at, value) for at, value in [*control, *treatment] if value is not None]
    if len(known) < 2:
        return Spark(before="", after="")
    times, values = [at for at, _ in known], [value for _, value in known]
    x = Linear(min(times), max(times), 2, WIDTH - 2)
    spread = max(values) - min(values) or max(values) or 1.0
    y = Linear(min(values) - spread * 0.1, max(values) + spread * 0.1, HEIGHT - 2, 2)
    drawn = [
        path(None if value is None else (x(at), y(value)) for at, value in points) for points in (control, treatment)
    ]
    return Spark(before=drawn[0], after=drawn[1])
