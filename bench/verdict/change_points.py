"""Change points on the SAP HANA performance series, against up to five annotators each.

The measures are those of the Turing Change Point Dataset (van den Burg & Williams 2020), margin 5: F1, whose precision
counts a detection that any annotator marked and whose recall is the annotators' average, both with the trivial change
at 0; and the covering of the annotators' segments. Averages over series; series that nobody marked are reported apart.

In the same run: Otava with its defaults and with max_pvalue = 1e-7 (the best of four on these very series: a flattered
rival), every annotator against the others, and reporting nothing. Ours was chosen on all 247 of these series, too; its
two halves by series number agree, but an unbiased figure needs series that nobody has looked at.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from bench.verdict import otava
from bench.verdict.results import AbsentError, Measure, Row
from numpy.typing import NDArray
from pyarrow import parquet

from onejob.stats.change_points import change_points

Floats = NDArray[np.float64]

MARGIN = 5
_TUNED = 1e-7
_SAMPLES, _QUICK_SAMPLES = 2_000, 200
_QUICK_STEP = 4  # of the series: the first ones are not like the others
_FETCH = (
    "sap-hana/series.parquet (series, value in order) and sap-hana/annotations.json are absent: take the series from "
    "github.com/SAP/performance-regression-data-set and the annotations from "
    "github.com/mtucci/changepoint-performance-regression-study"
)


@dataclass(frozen=True, slots=True)
class Annotated:
    """A series and what each annotator marked: the first indices of new levels."""

    number: int
    values: Floats
    marks: Mapping[str, Sequence[int]]

    @property
    def is_changed(self) -> bool:
        return any(self.marks.values())


def rows(data: Path, quick: bool) -> list[Row]:
    """The table; see results."""
    series = load(data)[:: _QUICK_STEP if quick else 1]
    samples = _QUICK_SAMPLES if quick else _SAMPLES
    found: list[Row] = []
    for who, detect in _detectors(series).items():
        try:
            points = detect()
        except AbsentError as absent:
            found.append(
                Row(measure=Measure.CHANGE_POINTS, name="F1, all series", who=who, value=None, note=str(absent))
            )
            continue
        scores = np.array([score(one, at) for one, at in zip(series, points, strict=True)])
        found += _summary(who, series, scores, samples)
    humans = np.array([_human(one) for one in series if len(one.marks) > 1])
    return found + _pair("annotators", "all", humans, samples)


def load(data: Path) -> list[Annotated]:
    """All annotated series; AbsentError says what to fetch."""
    folder = data / "sap-hana"
    if not (folder / "series.parquet").exists() or not (folder / "annotations.json").exists():
        raise AbsentError(_FETCH)
    table = parquet.read_table(folder / "series.parquet", columns=["series", "value"])
    numbers, values = (table.column(name).to_numpy() for name in ("series", "value"))
    annotations = json.loads((folder / "annotations.json").read_text())
    return [
        Annotated(a["series"], values[numbers == a["series"]][a["start"] : a["stop"]].astype(float), a["annotators"])
        for a in annotations.values()
    ]


def _detectors(series: Sequence[Annotated]) -> dict[str, Callable[[], list[list[int]]]]:
    values = [one.values.tolist() for one in series]
    return {
        "onejob": lambda: [[point.index for point in change_points(one.values)] for one in series],
        "Otava, default": lambda: [[p.index for p in points] for points in otava.change_points(values)],
        "Otava, tuned": lambda: [
            [p.index for p in points] for points in otava.change_points(values, max_pvalue=_TUNED)
        ],
        "report nothing": lambda: [[] for _ in series],
    }


def _summary(who: str, series: Sequence[Annotated], scores: Floats, samples: int) -> list[Row]:
    changed = np.array([one.is_changed for one in series])
    even = np.array([one.number // 2 % 2 == 0 for one in series])
    found = _pair(who, "all", scores, samples)
    if who == "onejob":
        found = [found[0].at_least(0.88), found[1].at_least(0.82)]
    for name, mine in (("changed", changed), ("unchanged", ~changed)):
        found += _pair(who, name, scores[mine], samples)
    if who == "onejob":
        found += _pair(who, "first half", scores[even], samples) + _pair(who, "second half", scores[~even], samples)
    return found


def _pair(who: str, which: str, scores: Floats, samples: int) -> list[Row]:
    """F1 and cover, averaged over series, with 95 % intervals from drawing series with replacement."""
    if not len(scores):
        return []
    rng = np.random.default_rng(1)
    drawn = scores[rng.integers(0, len(scores), (samples, len(scores)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return [
        Row(
            measure=Measure.CHANGE_POINTS,
            name=f"{name}, {which} series",
            who=who,
            value=float(scores[:, i].mean()),
            low=float(low[i]),
            high=float(high[i]),
            n=len(scores),
        )
        for i, name in enumerate(("F1", "cover"))
    ]


def score(one: Annotated, points: Iterable[int]) -> tuple[float, float]:
    """(F1, cover) of detected points."""
    found = list(points)
    marks = list(one.marks.values())
    return f1(marks, found), float(np.mean([cover(m, found, len(one.values)) for m in marks]))


def _human(one: Annotated) -> tuple[float, float]:
    """Each annotator against the others."""
    scores = []
    for name, marks in one.marks.items():
        others = {who: theirs for who, theirs in one.marks.items() if who != name}
        scores.append(score(Annotated(one.number, one.values, others), marks))
    f1s, covers = zip(*scores, strict=True)
    return float(np.mean(f1s)), float(np.mean(covers))


def f1(marks: Sequence[Iterable[int]], points: Iterable[int]) -> float:
    """Section 4.2 of the paper."""
    detected = {0, *points}
    annotated = [{0, *theirs} for theirs in marks]
    precision = _matched(set().union(*annotated), detected) / len(detected)
    recall = float(np.mean([_matched(theirs, detected) / len(theirs) for theirs in annotated]))
    return 2 * precision * recall / (precision + recall)


def _matched(truth: set[int], detected: set[int]) -> int:
    """How many true points have a detection within the margin; each detection serves one."""
    free, count = set(detected), 0
    for point in sorted(truth):
        near = [d for d in free if abs(d - point) <= MARGIN]
        if near:
            free.remove(min(near, key=lambda d: (abs(d - point), d)))
            count += 1
    return count


def cover(marks: Iterable[int], points: Iterable[int], length: int) -> float:
    """Average over true segments of the best Jaccard index with a detected one, weighted by length."""
    detected = _segments(points, length)
    total = 0.0
    for start, stop in _segments(marks, length):
        best = max((min(stop, b) - max(start, a)) / (max(stop, b) - min(start, a)) for a, b in detected)
        total += (stop - start) * best
    return total / length


def _segments(points: Iterable[int], length: int) -> list[tuple[int, int]]:
    edges = [0, *sorted({p for p in points if 0 < p < length}), length]
    return list(pairwise(edges))
