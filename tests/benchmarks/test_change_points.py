"""The measures of change points are those of the paper."""

import pytest
from bench.verdict.change_points import cover, f1


def test_a_perfect_detection_scores_one() -> None:
    assert f1([[50, 80], [50]], [50, 80]) == pytest.approx(2 / (1 + 1 / 1))
    assert cover([50, 80], [50, 80], 100) == 1


def test_precision_counts_any_annotator_and_recall_averages_them() -> None:
    """Two detections and the trivial one, all marked by somebody; the second annotator marked one more."""
    precision, recall = 1.0, (2 / 2 + 3 / 4) / 2
    assert f1([[50], [50, 80, 90]], [50, 80]) == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_detection_within_the_margin_serves_one_mark_only() -> None:
    precision, recall = 2 / 2, 2 / 3
    assert f1([[50, 54]], [52]) == pytest.approx(2 * precision * recall / (precision + recall))
    assert f1([[50]], [56]) == pytest.approx(0.5)


def test_reporting_nothing_covers_as_much_as_the_longest_segment() -> None:
    assert cover([80], [], 100) == pytest.approx(0.8 * 0.8 + 0.2 * 0.2)
