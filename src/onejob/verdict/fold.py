"""Bins in their order: what they are judged by is fixed before each, from control's past alone."""

from onejob.verdict import counts
from onejob.verdict.counts import CONTROL, Counts
from onejob.verdict.evidence import Evidence
from onejob.verdict.intervals import LatencyIntervals

# Filled buckets taken at once: arrays of 8 MB are reused, larger ones are given back each time and cost page faults.
_MOST_BUCKETS = 1_000_000


def fold(rows: Counts, evidence: Evidence, intervals: LatencyIntervals) -> None:
    """Add the bins to the evidence and to the intervals; thresholds are frozen again where they are due."""
    if not len(rows.arm):
        return
    most = max(1, _MOST_BUCKETS * rows.bins // max(1, len(rows.bucket_row)))
    control = counts.table(rows, rows.count, evidence.operations)[CONTROL].sum(axis=0)
    at = 0
    while at < rows.bins:
        if evidence.refreeze():
            intervals.fix_edges(evidence)
        upcoming = min(most, evidence.bins_until_refreeze(control[at:]))
        chunk = rows.select(at, at + upcoming)
        intervals.consume(chunk, evidence)
        evidence.consume(chunk)
        at += upcoming
