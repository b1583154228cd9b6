"""Instances of one version that differ for good: what the judge learns of that from control, and keeps."""

from dataclasses import replace

import numpy as np

from onejob.model.evidence import Cell, EvidenceBatch
from onejob.stats import design_effect
from onejob.verdict.judge import Judge
from verdict.traffic import Scenario, a_deployment, looks

UNLIKE = (0, 12, -9, 5, -14, 8, -3, 15, -7)  # buckets of 2.2 % by which each of control's instances is slower


def unlike(batch: EvidenceBatch) -> EvidenceBatch:
    def moved(cell: Cell) -> Cell:
        by = UNLIKE[int(cell.instance[2:])] if cell.version == "1" else 0
        return replace(cell, buckets={at + by: n for at, n in cell.buckets.items()})

    return replace(batch, cells=tuple(map(moved, batch.cells)))


def test_what_instances_showed_is_not_forgotten_when_thresholds_move() -> None:
    traffic = Scenario(rates={"POST /orders": 150.0}, control_instances=9, share=lambda _: 0.1, seconds=120)
    judge, tolerated = Judge(a_deployment()), []
    for batch in looks(map(unlike, traffic.batches(1)), bins=2):
        verdict = judge.consume(batch)
        tolerated += [{row.signal: row.theta_0 for row in verdict.signals if row.family == "latency"}]
    later = tolerated[len(tolerated) // 3 :]
    for signal in ("latency_p50", "latency_p95"):
        assert min(row[signal] for row in later) > 3


def test_few_events_say_nothing_of_how_alike_instances_are() -> None:
    few, many = np.full((9, 1), 6.0), np.full((9, 1), 6_000.0)
    s_b, used, worth = design_effect.between_instances_each(np.hstack([few, many]), np.hstack([few, many]) * 10)
    assert (s_b == 0).all()
    assert used.tolist() == [9, 9]
    assert worth[0] < design_effect.LEAST_DF
    assert worth[1] > 7.5
    theta = design_effect.log_theta_0_each(s_b, worth, 9, 1)
    assert np.isnan(theta[0])
    assert theta[1] < design_effect.log_theta_0(None, 9, 1)


def test_what_a_cold_start_assumes_lowers_nothing_that_was_seen() -> None:
    seen = np.array([0.4])
    assert design_effect.log_theta_0_each(seen, np.array([8.0]), 9, 1)[0] >= 3.0 * 0.4 * np.sqrt(1 + 1 / 9)
