"""Bins in their order: what they are judged by is fixed before each, from control's past alone."""

from onejob.verdict import counts
from onejob.verdict.counts import CONTROL, Counts
from onejob.verdict.evidence import Evidence
from onejob.verdict.intervals import LatencyIntervals


def fold(rows: Counts, evidence: Evidence, intervals: LatencyIntervals) -> None:
    """Add the bins to the evidence and to the intervals; thresholds are frozen again where they are due."""
    if not len(rows.arm):
        return
    control = counts.table(rows, rows.count, evidence.operations)[CONTROL].sum(axis=0)
    at = 0
    while at < rows.bins:
        if evidence.refreeze():
            intervals.fix_edges(evidence)
        upcoming = evidence.bins_until_refreeze(control[at:])
        chunk = rows.select(at, at + upcoming)
        intervals.consume(chunk, evidence)
        evidence.consume(chunk)
        at += upcoming
