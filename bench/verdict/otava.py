"""Apache Otava beside us: its change points, computed by its own code in an environment of its own.

It pins an older numpy than ours, so it cannot be a dependency, not even of the benchmarks. `uv` makes it a virtual
environment in `.tools` the first time; series go in and change points come out as JSON.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.verdict.results import AbsentError

_ROOT = Path(__file__).parents[2]
_HOME = _ROOT / ".tools" / "otava"
_UV = _ROOT / ".tools" / "bin" / "uv"
_VERSION = "apache-otava==0.8.0"
_PROGRAM = """
import json, sys
from otava.analysis import merge, split
asked = json.load(sys.stdin)
found = []
for values in asked["series"]:
    p = asked["max_pvalue"]
    weak = split(values, asked["window_len"], p * 10 if p < 0.05 else p)
    points = merge(weak, values, p, asked["min_magnitude"])
    found.append([[int(point.index), float(point.stats.pvalue)] for point in points])
json.dump(found, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Point:
    """The first index of the new level, and the p-value of the t-test between the segments."""

    index: int
    pvalue: float


def change_points(
    series: Sequence[Sequence[float]], *, window_len: int = 50, max_pvalue: float = 0.001, min_magnitude: float = 0.0
) -> list[list[Point]]:
    """What Otava finds in each series; its defaults are the defaults. AbsentError where it cannot be installed."""
    asked = {
        "series": [list(values) for values in series],
        "window_len": window_len,
        "max_pvalue": max_pvalue,
        "min_magnitude": min_magnitude,
    }
    command = [str(_python()), "-c", _PROGRAM]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    return [[Point(index, pvalue) for index, pvalue in points] for points in json.loads(done.stdout)]


@cache
def _python() -> Path:
    python = _HOME / "bin" / "python"
    installed = _HOME / "installed"
    if not installed.exists():
        try:
            subprocess.run([_UV, "venv", "--quiet", "--clear", "--python", "3.11", _HOME], check=True)
            subprocess.run([_UV, "pip", "install", "--quiet", "--python", python, _VERSION], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise AbsentError(f"{_VERSION} could not be installed for Python 3.11 by {_UV}: {error}") from error
        installed.touch()
    return python
