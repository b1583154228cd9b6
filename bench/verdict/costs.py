"""CPU seconds to judge one deployment-day: evidence and intervals of a day in one go, and looked at live."""

from pathlib import Path

import numpy as np
from bench import judge
from bench.verdict.results import Measure, Row, Unit

from onejob.verdict.intervals import LatencyIntervals

LIMITS_S = {51: 0.5, 200: 1.5}
_BINS, _BINS_QUICK = 24 * 360, 360
_LOOKS = 24 * 360


def rows(_: Path, quick: bool) -> list[Row]:
    """By number of operations, at one request a second each; the least of three, as other work only adds."""
    found = []
    for operations, limit in LIMITS_S.items():
        bins = _BINS_QUICK if quick else _BINS
        counts = judge.traffic(operations, bins, 1.0, np.random.default_rng(1))
        alone = min(judge.judge(counts, operations, judge.NoIntervals(0.01)) for _ in range(1 if quick else 3))
        both = judge.judge(counts, operations, LatencyIntervals(0.01))
        look = judge.one_look(counts, operations)
        hours = f"{operations} operations, {bins * judge.BIN_S // 3600} h"
        evidence = _seconds(f"{hours}: evidence", alone)
        found.append(evidence if quick else evidence.at_most(limit))
        found.append(_seconds(f"{hours}: intervals", both - alone))
        found.append(_seconds(f"{operations} operations: one live look", look))
        found.append(_seconds(f"{operations} operations, 24 h live, a look every 10 s", look * _LOOKS))
    return found


def _seconds(name: str, value: float) -> Row:
    return Row(measure=Measure.COST, name=name, value=value, unit=Unit.SECONDS)
