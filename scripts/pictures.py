"""Draw the pictures of docs/trust.md, from simulated deployments and the product's own statistics.

    python scripts/pictures.py [--deployments 1000] [--out docs/images]

Each picture is an SVG that follows the reader's light or dark theme. Seeds are fixed: the same code draws the same.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onejob.stats.confidence import running_mean_high, running_mean_low
from onejob.stats.core_test import LOG_RATIOS, Bins, log_evidence_per_bin
from onejob.web.charts.scale import Linear, area, number, path

Floats = NDArray[np.float64]

ALPHA = 0.01
BIN_S = 10
PER_BIN = 100  # requests of each arm in a bin: 20 a second in all
MOST = 60  # errors in a bin of both arms together; more do not happen at the rates drawn here
WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 170, 16, 44
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #333 } .axis { stroke: #999 } .grid { stroke: #ddd }
.line { fill: none; stroke-width: 2 } .limit { stroke: #333; stroke-dasharray: 5 4 }
.a { stroke: #b3261e } .b { stroke: #1f5fbf } .c { stroke: #2a7a3b } .d { stroke: #8a5a00 }
.fa { fill: #b3261e22 } .fb { fill: #1f5fbf22 }
.fc { fill: #2a7a3b22 } .ta { fill: #b3261e } .tb { fill: #1f5fbf } .tc { fill: #2a7a3b }
.td { fill: #8a5a00 }
@media (prefers-color-scheme: dark) { text { fill: #ccc } .grid { stroke: #444 } .limit { stroke: #ccc }
.a { stroke: #ff8a80 } .b { stroke: #8ab4f8 } .c { stroke: #81c995 } .d { stroke: #e0b25c }
.fa { fill: #ff8a8033 } .fb { fill: #8ab4f833 }
.fc { fill: #81c99533 } .ta { fill: #ff8a80 } .tb { fill: #8ab4f8 } .tc { fill: #81c995 }
.td { fill: #e0b25c } }
</style>"""


@dataclass(frozen=True)
class Line:
    """One curve: its class of colour, what is written at its end, and its points in the units of the axes."""

    colour: str
    label: str
    x: Floats
    y: Floats
    low: Floats | None = None  # a band from here to `y`
    marks: bool = False
    label_dy: int = 4


@dataclass(frozen=True)
class Axes:
    """Ticks are (value, label); the first and the last are the ends. `x` and `y` say what is drawn."""

    x: str
    y: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    x_is_log: bool = True
    y_is_log: bool = False


def chart(title: str, axes: Axes, lines: Sequence[Line], limits: Sequence[tuple[float, str]] = ()) -> str:
    """The picture as text; `limits` are dashed lines across it."""
    x = _scale(axes.x_ticks, axes.x_is_log, LEFT, WIDTH - RIGHT)
    y = _scale(axes.y_ticks, axes.y_is_log, HEIGHT - BOTTOM, TOP)
    parts = [_frame(axes, x, y)]
    parts += [_limit(y(at), label) for at, label in limits]
    parts += [_curve(line, x, y) for line in lines]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">\n<title>{escape(title)}</title>\n{STYLE}\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _scale(ticks: Sequence[tuple[float, str]], is_log: bool, start: float, end: float) -> Callable[[float], float]:
    low, high = ticks[0][0], ticks[-1][0]
    bend: Callable[[float], float] = (lambda v: float(np.log(max(v, low)))) if is_log else float
    linear = Linear(bend(low), bend(high), start, end)
    return lambda value: min(max(linear(bend(value)), min(start, end)), max(start, end))


def _frame(axes: Axes, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value, label in axes.y_ticks:
        at = number(y(value))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at}" dy="4" text-anchor="end">{escape(label)}</text>')
    for value, label in axes.x_ticks:
        at = number(x(value))
        parts.append(f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{escape(label)}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(axes.x)}</text>')
    middle = (TOP + bottom) / 2
    parts.append(f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(axes.y)}</text>')
    return "\n".join(parts)


def _limit(at: float, label: str) -> str:
    return (
        f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{number(at)}" y2="{number(at)}"/>'
        f'<text x="{LEFT + 6}" y="{number(at - 5)}">{escape(label)}</text>'
    )


def _curve(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    points = [(x(a), y(b)) for a, b in zip(line.x, line.y, strict=True)]
    parts = []
    if line.low is not None:
        lower = [(x(a), y(b)) for a, b in zip(line.x, line.low, strict=True)]
        parts.append(f'<path class="f{line.colour}" d="{area(points, lower)}"/>')
        parts.append(f'<path class="line {line.colour}" d="{path(lower)}"/>')
    parts.append(f'<path class="line {line.colour}" d="{path(points)}"/>')
    if line.marks:
        parts += [f'<circle class="t{line.colour}" cx="{number(a)}" cy="{number(b)}" r="3.5"/>' for a, b in points]
    end = points[-1] if line.low is None else (points[-1][0], (points[-1][1] + y(line.low[-1])) / 2)
    at = f'x="{number(end[0] + 6)}" y="{number(end[1])}" dy="{line.label_dy}"'
    parts.append(f'<text class="t{line.colour}" {at}>{escape(line.label)}</text>')
    return "\n".join(parts)


# --- simulated deployments -------------------------------------------------------------------------------------------


def simulated(rng: np.random.Generator, deployments: int, bins: int, rates: tuple[float, float]) -> tuple[Floats, ...]:
    """Errors of control and of treatment, each (deployments, bins), at these rates."""
    return tuple(rng.binomial(PER_BIN, rate, (deployments, bins)) for rate in rates)


def evidence(control: Floats, treatment: Floats) -> Floats:
    """The log of the core test's evidence that treatment is worse, at every look: the shape of its arguments."""
    costs = _costs()[np.minimum((control + treatment).astype(int), MOST)]
    log_e = np.cumsum(treatment[..., None] * LOG_RATIOS - costs, axis=1)
    most: Floats = log_e.max(axis=2)
    return most + np.log(np.exp(log_e - most[..., None]).mean(axis=2))


def _costs(log_ratios: Floats = LOG_RATIOS) -> Floats:
    """What the test pays for a bin, by the number of errors in it: (MOST + 1, ratios)."""
    k = np.arange(MOST + 1)
    each = np.full_like(k, PER_BIN)
    return -log_evidence_per_bin(Bins(each, each, k, np.zeros_like(k), np.zeros(len(k))), log_ratios=log_ratios)[0]


def z_scores(control: Floats, treatment: Floats) -> Floats:
    """The usual test for two proportions, at every look at all that has come so far."""
    requests = PER_BIN * np.arange(1, control.shape[1] + 1)
    events = [np.cumsum(arm, axis=1) for arm in (control, treatment)]
    pooled = (events[0] + events[1]) / (2 * requests)
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * 2 / requests)
    scores: Floats = (events[1] - events[0]) / requests / error
    return scores


# --- the four pictures -----------------------------------------------------------------------------------------------

_EVIDENCE = [(-4.0, "1/10,000"), (-2.0, "1/100"), (0.0, "1"), (2.0, "100"), (4.0, "10,000"), (5.5, "")]
_TIMES = [(60, "1 min"), (600, "10 min"), (3600, "1 h"), (6 * 3600, "6 h"), (24 * 3600, "24 h")]


def peeking(deployments: int) -> str:
    """How many of the harmless deployments were called worse by then, if one looks every ten seconds?"""
    rng, bins = np.random.default_rng(1), 24 * 3600 // BIN_S
    called = np.zeros((2, bins))
    for start in range(0, deployments, 50):
        arms = simulated(rng, min(50, deployments - start), bins, (0.01, 0.01))
        alarms = (z_scores(*arms) > 2.326, evidence(*arms) > np.log(1 / ALPHA))
        called += [np.maximum.accumulate(alarm, axis=1).sum(axis=0) for alarm in alarms]
    shown = np.unique(np.geomspace(6, bins, 120).astype(int)) - 1
    times, rates = (shown + 1.0) * BIN_S, called[:, shown] / deployments
    return chart(
        "Share of harmless deployments called worse, with a look every ten seconds",
        Axes("time since the deployment", "called worse by then", _TIMES, [(n / 10, f"{n * 10} %") for n in range(5)]),
        [Line("a", "usual test at 1 %", times, rates[0]), Line("b", "onejob at 1 %", times, rates[1])],
    )


def growing() -> str:
    """The evidence of four deployments, as it grows."""
    rng, bins = np.random.default_rng(4), 3600 // BIN_S
    times = (np.arange(bins) + 1.0) * BIN_S
    rates = (("a", "1 % → 5 %", 0.05), ("d", "1 % → 2 %", 0.02), ("b", "1 % → 1.4 %", 0.014), ("c", "harmless", 0.01))
    lines = []
    for colour, label, rate in rates:
        log_e = evidence(*simulated(rng, 1, bins, (0.01, rate)))[0] / np.log(10)
        crossed = int(np.argmax(log_e > 5.5)) or bins
        lines.append(Line(colour, label, times[:crossed], log_e[:crossed]))
    return chart(
        "Evidence that a version is worse, over time",
        Axes("time since the deployment", "evidence", _TIMES[:3], _EVIDENCE),
        lines,
        [(2.0, "1 / alpha: worse")],
    )


def sizes() -> str:
    """Intervals of three differences, in percentage points, as requests come."""
    requests = np.geomspace(300, 3e6, 90)
    lines = []
    for colour, label, rate in (("a", "worse", 0.012), ("c", "no worse", 0.002)):
        rng = np.random.default_rng(11)
        steps = np.diff(requests, prepend=0.0).astype(int)
        n = np.cumsum(steps).astype(float)
        events = [np.cumsum(rng.binomial(steps, p)).astype(float) for p in (0.002, rate)]
        lows = [running_mean_low(e, n, ALPHA / 2) for e in events]
        highs = [running_mean_high(e, n, ALPHA / 2) for e in events]
        lines.append(Line(colour, label, n, 100 * (highs[1] - lows[0]), low=100 * (lows[1] - highs[0])))
    return chart(
        "The interval of a difference of error rates narrows as requests come",
        Axes(
            "requests of the new version",
            "difference, points",
            [(300, "300"), (3e3, "3,000"), (3e4, "30,000"), (3e5, "300,000"), (3e6, "3 M")],
            [(v, f"{v:+g}") for v in (-2.0, -1.0, 0.0, 1.0, 2.0)],
        ),
        lines,
        [(0.1, "tolerance: +0.1 points")],
    )


def cost(deployments: int) -> str:
    """Requests until the verdict: ours, one that knew the damage beforehand, and a test of a size fixed beforehand."""
    rng, factors = np.random.default_rng(3), np.array([1.5, 2.0, 3.0, 5.0, 10.0])
    ours, oracle = [], []
    for factor in factors:
        bins = int(min(2400, 40 * 20 / (factor - 1) ** 1.6))
        arms = simulated(rng, deployments, bins, (0.01, 0.01 * factor))
        ours.append(_median_requests(evidence(*arms) > np.log(1 / ALPHA)))
        odds = np.log(0.01 * factor / (1 - 0.01 * factor)) - np.log(0.01 / 0.99)
        k = np.minimum((arms[0] + arms[1]).astype(int), MOST)
        known = _costs(np.array([odds]))[:, 0]
        oracle.append(_median_requests(np.cumsum(arms[1] * odds - known[k], axis=1) > np.log(1 / ALPHA)))
    fixed = np.full(len(factors), 2 * _fixed_size(0.01, 0.015))
    return chart(
        "Requests until a version that fails more often is called worse",
        Axes(
            "error rate, times as high",
            "requests",
            [(f, f"×{f:g}") for f in factors],
            [(100, "100"), (1e3, "1,000"), (1e4, "10,000"), (1e5, "100,000")],
            y_is_log=True,
        ),
        [
            Line("a", "planned for ×1.5", factors, fixed),
            Line("b", "onejob", factors, np.array(ours), marks=True, label_dy=-2),
            Line("c", "knowing the damage", factors, np.array(oracle), marks=True, label_dy=12),
        ],
    )


def _median_requests(crossed: NDArray[np.bool_]) -> float:
    first = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, crossed.shape[1])
    return float(np.median(first)) * 2 * PER_BIN


def _fixed_size(p0: float, p1: float) -> float:
    """Requests per arm that show p1 against p0 at 1 %, one-sided, with a power of 80 % (the usual formula)."""
    return float((2.326 + 0.842) ** 2 * (p0 * (1 - p0) + p1 * (1 - p1)) / (p1 - p0) ** 2)


def main() -> None:
    """All of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=1000, help="simulated per picture")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = {
        "peeking": lambda: peeking(options.deployments),
        "growing": growing,
        "sizes": sizes,
        "cost": lambda: cost(min(300, options.deployments)),
    }
    for name, draw in pictures.items():
        target = options.out / f"verdict-{name}.svg"
        target.write_text(draw())
        print(target)


if __name__ == "__main__":
    main()
