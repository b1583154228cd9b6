"""What a benchmark found, as rows: a value with its 95 % interval, beside its target.

Benchmarks print numbers that nobody can compare unless they come in one shape. So each says what it found in `Row`s,
and here they are made (with exact intervals for shares), printed and written.

A benchmark of its own data set is a module of this package with one function:

    def rows(data: Path, quick: bool) -> list[Row]

`data` is the folder that holds the public data sets, each in its own folder. Where the set is absent, raise
`AbsentError` with what to fetch and from where: the run says so and goes on. `quick` asks for an answer within seconds.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from rich.table import Table
from scipy.stats import beta

SURE = 0.95


class AbsentError(Exception):
    """A data set is not at hand; the message says what to fetch, from where, and into which folder."""


class Measure(StrEnum):
    """What a row tells about; the lines of the table in RESULTS.md, in their order."""

    FALSE_ALARMS = "false alarms per deployment"
    DEFENCES = "defences against dependent noise"
    DELAY = "delay and power beside the oracle"
    COVERAGE = "coverage of intervals over all looks"
    UNDECIDED = "harmless deployments still undecided after a day"
    ETA = "calibration of the time still needed"
    BEFORE_AFTER = "before/after"
    CHANGE_POINTS = "change points"
    LOCALISATION = "multi-attribute incidents"
    ROOT_CAUSE = "root cause from spans and metrics"
    TEMPLATES = "new log templates"
    COST = "cost"
    PEERS = "peers as published"


class Unit(StrEnum):
    """How a value reads."""

    SHARE = "share"  # printed in per cent
    RATIO = "times"
    SECONDS = "s"
    NUMBER = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `low` and `high` are its 95 % interval, None where it has none; `value` None: could not be measured.

    `who` is the judge or baseline measured ("onejob" is ours), `n` the number of cases behind the value. `target` is
    in words and None where there is none; `met` says whether it is, None without target.
    """

    measure: Measure
    name: str
    value: float | None
    who: str = "onejob"
    low: float | None = None
    high: float | None = None
    unit: Unit = Unit.NUMBER
    n: int | None = None
    target: str | None = None
    met: bool | None = None
    note: str = ""

    def at_most(self, limit: float, *, surely: bool = False) -> "Row":
        """With a target: the value (surely: its upper bound) is at most the limit."""
        return self._aimed(limit, "<=", self.high if surely else self.value, surely)

    def at_least(self, limit: float, *, surely: bool = False) -> "Row":
        """With a target: the value (surely: its lower bound) is at least the limit."""
        return self._aimed(limit, ">=", self.low if surely else self.value, surely)

    def _aimed(self, limit: float, sign: str, found: float | None, surely: bool) -> "Row":
        is_met = found is not None and (found <= limit if sign == "<=" else found >= limit)
        words = f"{'bound ' if surely else ''}{sign} {written(limit, self.unit)}"
        return replace(self, target=words, met=is_met)


def share(measure: Measure, name: str, hits: int, n: int, *, who: str = "onejob", note: str = "") -> Row:
    """`hits` of `n`, with the exact (Clopper-Pearson 1934) two-sided 95 % interval."""
    low, high = clopper_pearson(hits, n)
    value = hits / n if n else None
    return Row(measure=measure, name=name, value=value, low=low, high=high, who=who, unit=Unit.SHARE, n=n, note=note)


def clopper_pearson(hits: int, n: int, sure: float = SURE) -> tuple[float, float]:
    """Exact two-sided interval of a binomial share; (0, 1) when nothing was tried.

    >>> [round(x, 4) for x in clopper_pearson(0, 300)]
    [0.0, 0.0122]
    """
    tail = (1 - sure) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def quantile(measure: Measure, name: str, values: Sequence[float], q: float, *, who: str = "onejob") -> Row:
    """The q-quantile of the values (infinite ones count), with the distribution-free interval from order statistics."""
    ordered, n = np.sort(np.asarray(values, dtype=float)), len(values)
    if not n:
        return Row(measure=measure, name=name, value=None, who=who, n=0)
    low, high = (round(q * n + z * math.sqrt(n * q * (1 - q))) for z in (-1.96, 1.96))
    at = (min(max(i, 0), n - 1) for i in (low, math.ceil(q * n) - 1, high))
    ends = [float(ordered[i]) if np.isfinite(ordered[i]) else None for i in at]
    return Row(measure=measure, name=name, value=ends[1], low=ends[0], high=ends[2], who=who, n=n)


def written(value: float | None, unit: Unit) -> str:
    """The value as people read it."""
    if value is None:
        return "-"
    if unit is Unit.SHARE:
        return f"{value * 100:.3g} %"
    return f"{value:.3g}" + (f" {unit}" if unit else "")


def table(rows: Iterable[Row]) -> Table:
    """All rows for the terminal, by measure."""
    out = Table("what", "who", "value", "95 %", "n", "target", "met")
    before = None
    for row in rows:
        if row.measure is not before:
            out.add_section()
            out.add_row(f"[bold]{row.measure}[/]")
        out.add_row(*_columns(row), style=_STYLE[row.met])
        before = row.measure
    return out


_STYLE = {None: "", True: "green", False: "red"}
_MET = {None: "", True: "yes", False: "**no**"}


def _columns(row: Row) -> tuple[str, ...]:
    ends = (
        "" if row.low is None and row.high is None else f"{written(row.low, row.unit)} .. {written(row.high, row.unit)}"
    )
    met = {None: "", True: "yes", False: "no"}[row.met]
    n = "" if row.n is None else str(row.n)
    return row.name, row.who, written(row.value, row.unit), ends, n, row.target or "", met


def markdown(rows: Sequence[Row]) -> str:
    """The rows of one measure as a table in a page; a note stands in the last column."""
    lines = ["| what | who | value | 95 % interval | n | target | met | |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        *words, _ = _columns(row)
        lines.append(f"| {' | '.join([*words, _MET[row.met], row.note])} |")
    return "\n".join(lines) + "\n"


def write(rows: Sequence[Row], path: Path) -> None:
    """As JSON: `{"rows": [{"name", "value", "low", "high", "target", "met", ...}]}`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": [asdict(row) for row in rows]}, indent=1) + "\n")
