"""How long judging takes: one deployment of 51 operations over 24 hours of 10 s bins, on one core.

    python bench/judge.py [--operations 51] [--hours 24] [--rate 1.0] [--json bench/results/judge.json]

Measured apart: the evidence of all bins (the core test on errors and six thresholds per operation, both sides), the
time-uniform intervals (on merged bins of like share), and one live look at one new bin. The counts are generated:
lognormal durations, equal in both arms. The limit stands beside the figure.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from onejob.stats import histogram
from onejob.verdict.counts import Counts
from onejob.verdict.evidence import Evidence
from onejob.verdict.fold import fold
from onejob.verdict.intervals import LatencyIntervals

BIN_S = 10
ONE_THREAD = "OPENBLAS_NUM_THREADS"
LIMITS_S = {"evidence": 0.5, "intervals": None, "one look": None}


def traffic(operations: int, bins: int, rate_per_s: float, rng: np.random.Generator) -> Counts:
    """Both arms in every bin, 20 % of the requests to treatment; one instance each."""
    cells = 2 * operations * bins
    index = np.arange(cells)
    arm = index // operations % 2
    count = rng.poisson(rate_per_s * BIN_S * np.where(arm == 1, 0.2, 0.8)).astype(np.int64)
    row = np.repeat(index, count)
    seconds = 0.03 * np.exp(rng.normal(0, 0.4, len(row)))
    position = histogram.position(np.ceil(np.log2(seconds) * histogram.PER_OCTAVE).astype(np.int64) - 1)
    filled, number = np.unique(row * histogram.SIZE + position, return_counts=True)
    return Counts(
        arm=arm,
        operation=index % operations,
        bin=index // (2 * operations),
        instance=arm.copy(),
        count=count,
        errors=rng.binomial(count, 0.002).astype(np.int64),
        timed=count,
        bucket_row=filled // histogram.SIZE,
        bucket_position=filled % histogram.SIZE,
        bucket_count=number.astype(np.int64),
        bins=bins,
    )


class NoIntervals(LatencyIntervals):
    """Leaves the intervals out, so that the evidence can be timed alone."""

    def consume(self, rows: Counts, evidence: Evidence) -> None:
        """Nothing."""


def judge(rows: Counts, operations: int, intervals: LatencyIntervals) -> float:
    evidence = Evidence()
    evidence.grow(operations, 2)
    intervals.grow(operations)
    began = time.process_time()
    fold(rows, evidence, intervals)
    return time.process_time() - began


def one_look(rows: Counts, operations: int) -> float:
    evidence, intervals = Evidence(), LatencyIntervals(0.01)
    evidence.grow(operations, 2)
    intervals.grow(operations)
    times = []
    for at in range(min(60, rows.bins)):
        one = rows.select(at, at + 1)
        began = time.process_time()
        fold(one, evidence, intervals)
        times.append(time.process_time() - began)
    return median(times[20:])


def on_one_core() -> None:
    """Start again with a single BLAS thread, as `onejob serve` has; numpy reads that when it is loaded."""
    if ONE_THREAD not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {ONE_THREAD: "1"})  # noqa: S606


def main() -> None:
    on_one_core()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--operations", type=int, default=51)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--rate", type=float, default=1.0, help="requests/s of each operation")
    parser.add_argument("--json", type=Path, default=Path("bench/results/judge.json"))
    chosen = parser.parse_args()
    bins = int(chosen.hours * 3600 / BIN_S)
    rows = traffic(chosen.operations, bins, chosen.rate, np.random.default_rng(1))
    alone = min(judge(rows, chosen.operations, NoIntervals(0.01)) for _ in range(3))
    both = judge(rows, chosen.operations, LatencyIntervals(0.01))
    measured = {"evidence": alone, "intervals": both - alone, "one look": one_look(rows, chosen.operations)}
    table = Table("what", "CPU seconds", "limit", title=f"{chosen.operations} operations, {chosen.hours:g} h")
    for what, seconds in measured.items():
        limit = LIMITS_S[what]
        table.add_row(what, f"{seconds:.3f}", "" if limit is None else f"{limit:g}")
    Console().print(table)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    result = [{"what": what, "cpu_s": round(s, 4), "limit_s": LIMITS_S[what]} for what, s in measured.items()]
    chosen.json.write_text(json.dumps({"rows": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
