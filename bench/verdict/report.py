"""RESULTS.md: what a full run found, with the command and the machine. Written by the run, never by hand."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy
import scipy
from bench.verdict.benches import Found
from bench.verdict.results import Measure, Row, markdown, written

import onejob

PAGE = Path(__file__).parent / "RESULTS.md"

# The plan's measures in its order, each with what was promised.
PROMISES = {
    Measure.FALSE_ALARMS: "upper 95 % bound <= 1 % per deployment, all signals, a look every 10 s for 24 h",
    Measure.DEFENCES: "each defence alone and together; no target of its own",
    Measure.DELAY: "median <= 1.3 x the oracle's for errors, <= 1.75 x for durations; power >= 95 % by 3 x",
    Measure.COVERAGE: ">= 99 % of deployments, over all looks",
    Measure.UNDECIDED: "no target",
    Measure.ETA: "no target; well calibrated is 50 % within the p50 time and 90 % within the p90 time",
    Measure.BEFORE_AFTER: "AUC >= 0.85, FPR <= 5 % at TPR >= 0.60",
    Measure.CHANGE_POINTS: "F1 >= 0.88, cover >= 0.82",
    Measure.LOCALISATION: "top-1 exact >= 0.70, top-3 >= 0.90, < 200 ms each",
    Measure.ROOT_CAUSE: "@1 >= 0.60, @3 >= 0.80",
    Measure.TEMPLATES: ">= 95 % found within a minute, <= 1 false per 100,000 lines",
    Measure.COST: "evidence of a day < 0.5 s of one core at 51 operations, < 1.5 s at 200",
    Measure.PEERS: "all of Kayenta's own test vectors",
}


def page(found: Found, command: str, minutes: float, cpu_minutes: float) -> str:
    """The whole page; the minutes are the run's and its processes' together."""
    rows = found.rows
    lines = [
        "# What the verdict was measured to do",
        "",
        f"`{command}` on {date.today().isoformat()}, {minutes:.0f} minutes ({cpu_minutes:.0f} of processor time) on "
        f"{machine()}.",
        "",
        "Intervals are two-sided 95 %: exact (Clopper-Pearson) for shares, from order statistics or bootstrap for the",
        "rest. A bound in a target is an end of that interval. What each row means is said in the module that measures",
        "it, in this folder. No parameter is chosen by data set or by row. Why targets are missed, and what was tried:",
        "[MISSED.md](MISSED.md).",
        "",
        "| measure | promised | rows that meet it | furthest from it |",
        "|---|---|---|---|",
        *(_line(measure, [row for row in rows if row.measure is measure]) for measure in Measure),
        "",
        *([f"Not measured, as the data was absent: {', '.join(found.absent)}.", ""] if found.absent else []),
        *([f"Not measured, as the benchmark failed: {', '.join(found.failed)}.", ""] if found.failed else []),
    ]
    for measure in Measure:
        mine = [row for row in rows if row.measure is measure]
        if mine:
            lines += [f"## {measure[0].upper()}{measure[1:]}", "", markdown(mine)]
    return "\n".join(lines)


def machine() -> str:
    """What ran it."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    cpu = names[0] if names else platform.processor() or platform.machine()
    python = f"Python {platform.python_version()}, numpy {numpy.__version__}, scipy {scipy.__version__}"
    return f"{os.cpu_count()} cores of {cpu}, {platform.system()}, {python}, onejob {onejob.__version__}"


def _line(measure: Measure, rows: Sequence[Row]) -> str:
    aimed = [row for row in rows if row.target is not None]
    missed = [row for row in aimed if not row.met]
    met = f"{len(aimed) - len(missed)} of {len(aimed)}" if aimed else "-" if rows else "not measured"
    worst = "; ".join(f"{row.name}: {written(row.value, row.unit)} ({row.target})" for row in missed[:3])
    more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
    return f"| {measure} | {PROMISES[measure]} | {met} | {worst}{more} |"
