"""Before/after on 184 real web KPIs with labelled changes (AIOps 2018, as prepared for kontrast).

A KPI is a value a minute for two to twenty days; after its change there are two more hours. Half of the changes broke
something, and the other half are moments two hours earlier in the same KPIs, when nothing was changed. Every
judge gets the series up to then and the hour after, and gives a number; AUC says how well the number tells the two
apart, with a 95 % interval from drawing KPIs (not cases: both cases of a KPI stay together) with replacement.

Baselines in the same run: the shift of the mean against the hours before, in standard deviations (naive); the same
on the difference to the same minute yesterday; Otava's t-test, which cannot see what time of day it is.
Which of ours was chosen on what: `_TAIL_ERRORS` (stats/scan.py) at moments *before* the changes; nothing on the labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.verdict import otava
from bench.verdict.results import AbsentError, Measure, Row, Unit, share
from numpy.typing import NDArray
from pyarrow import csv, parquet

from onejob.stats import expectation, replay, scan

Floats = NDArray[np.float64]

STEP_S = 300
HORIZON_S = 3_600
MINUTES_A_STEP = STEP_S // 60
ALPHA = 0.01
_FETCH = (
    "kontrast/kpis.parquet (inst, timestamp, value) and kontrast/changes.csv (metric, change_start, label, case_id) "
    "are absent: take the AIOps 2018 series from github.com/NetManAIOps/kontrast and bring them into this shape"
)
_SAMPLES, _QUICK_SAMPLES = 2_000, 200
_RECALL, _FALSE = 0.60, 0.05


@dataclass(frozen=True, slots=True)
class Case:
    """Values a minute; the change came before minute `at`."""

    kpi: int
    values: Floats
    at: int
    is_erroneous: bool


def rows(data: Path, quick: bool) -> list[Row]:
    """The table; see verdict.results."""
    cases = load(data)
    truth = np.array([c.is_erroneous for c in cases])
    kpi = np.array([c.kpi for c in cases])
    samples = _QUICK_SAMPLES if quick else _SAMPLES
    found: list[Row] = []
    for who, judge in _judges(cases).items():
        try:
            found += _scored(who, judge(), truth, kpi, samples)
        except AbsentError as absent:
            found.append(Row(measure=Measure.BEFORE_AFTER, name="AUC", who=who, value=None, note=str(absent)))
    return found + _own_alarms(cases[:: 7 if quick else 1])


def load(data: Path) -> list[Case]:
    """All cases; AbsentError says what to fetch."""
    folder = data / "kontrast"
    if not (folder / "kpis.parquet").exists() or not (folder / "changes.csv").exists():
        raise AbsentError(_FETCH)
    kpis = parquet.read_table(folder / "kpis.parquet").to_pandas().groupby("inst", observed=True)
    cases = []
    for change in csv.read_csv(folder / "changes.csv").to_pylist():
        one = kpis.get_group(change["metric"]).sort_values("timestamp")
        at = int(np.searchsorted(one.timestamp.to_numpy(), change["change_start"]))
        values = one.value.to_numpy(dtype=float)
        cases.append(Case(change["case_id"] // 4, values, at, bool(change["label"])))
    return cases


def probability(case: Case, at: int | None = None) -> float:
    """How often a moment without a change would look as changed as this one: onejob's judgement of one value series."""
    moment = case.at if at is None else at
    values, change = _steps(case.values, moment)
    horizon = min(HORIZON_S // STEP_S, len(values) - change)
    series = replay.value_series(values[: change + horizon], STEP_S)
    season = expectation.seasonal(series)
    allowed = np.arange(len(season)) < change
    where = replay.frame(allowed, season, at=change, gap=0, horizon=horizon, step_s=STEP_S)
    one = replay.replay(series, where)
    height = float(scan.heights(replay.since(one, where), one.scale, STEP_S).max())
    return scan.null(one.heights.max(axis=0), where.independent).exceedance(height)


def _judges(cases: list[Case]) -> dict[str, Callable[[], Floats]]:
    return {
        "onejob": lambda: np.array([-np.log(max(probability(c), 1e-300)) for c in cases]),
        "naive": lambda: np.array([_naive(c.values, c.at) for c in cases]),
        "same time yesterday": lambda: np.array([_yesterday(c) for c in cases]),
        "Otava": lambda: _otava(cases),
    }


def _steps(values: Floats, at: int) -> tuple[Floats, int]:
    """Means of five minutes, the change between two of them; and the number of the first step after it."""
    first = at % MINUTES_A_STEP
    steps = (len(values) - first) // MINUTES_A_STEP
    means = values[first : first + steps * MINUTES_A_STEP].reshape(steps, MINUTES_A_STEP).mean(axis=1)
    return means, (at - first) // MINUTES_A_STEP


def _naive(values: Floats, at: int) -> float:
    """|mean of the hour after - mean of the two hours before|, in standard deviations of the two hours before."""
    before, after = values[at - 120 : at], values[at : at + 60]
    return float(abs(after.mean() - before.mean()) / (before.std() + 1e-12))


def _yesterday(case: Case) -> float:
    day = 1_440
    return _naive(case.values[day:] - case.values[:-day], case.at - day)


def _otava(cases: list[Case]) -> Floats:
    """-log p of the strongest change within the hour, from a day of five-minute means before it."""
    series, changes = [], []
    for case in cases:
        values, at = _steps(case.values, case.at)
        first = max(0, at - 288)
        series.append(values[first : at + HORIZON_S // STEP_S].tolist())
        changes.append(at - first)
    found = otava.change_points(series, max_pvalue=0.5)
    return np.array([_strongest(points, at) for points, at in zip(found, changes, strict=True)])


def _strongest(points: list[otava.Point], at: int) -> float:
    return max((-float(np.log(max(p.pvalue, 1e-300))) for p in points if p.index >= at - 1), default=0.0)


def _scored(who: str, scores: Floats, truth: NDArray[np.bool_], kpi: NDArray[np.int64], samples: int) -> list[Row]:
    auc = Row(
        measure=Measure.BEFORE_AFTER,
        name="AUC",
        who=who,
        value=_auc(scores, truth),
        **_interval(_auc, scores, truth, kpi, samples),
        unit=Unit.NUMBER,
        n=len(truth),
    )
    found = Row(
        measure=Measure.BEFORE_AFTER,
        name=f"found at {_FALSE:.0%} false alarms",
        who=who,
        value=_recall(scores, truth),
        **_interval(_recall, scores, truth, kpi, samples),
        unit=Unit.SHARE,
        n=int(truth.sum()),
    )
    return [auc.at_least(0.85), found.at_least(_RECALL)] if who == "onejob" else [auc, found]


def _own_alarms(cases: list[Case]) -> list[Row]:
    """Alarms at the product's own threshold, which knows no label."""
    truth = np.array([c.is_erroneous for c in cases])
    alarms = np.array([probability(c) <= ALPHA for c in cases])
    quiet = [probability(c, at) <= ALPHA for c in cases if c.is_erroneous for at in _quiet_moments(c)]
    name = f"at alpha = {ALPHA:.0%}"
    return [
        share(
            Measure.BEFORE_AFTER,
            f"false alarms {name}, labelled normal",
            int(alarms[~truth].sum()),
            int((~truth).sum()),
        ),
        share(Measure.BEFORE_AFTER, f"false alarms {name}, moments before", sum(quiet), len(quiet)),
        share(Measure.BEFORE_AFTER, f"found {name}", int(alarms[truth].sum()), int(truth.sum())),
    ]


def _quiet_moments(case: Case) -> list[int]:
    """Hours of the past, further apart the further back, that leave 46 hours before them."""
    back = [6, 9, 13, 17, 21, 26, 33, 41, 50, 60, 70, 90, 110, 150, 200]
    return [at for at in (case.at - 60 * hours for hours in back) if at >= 46 * 60]


def _auc(scores: Floats, truth: NDArray[np.bool_]) -> float:
    """Probability that an erroneous change scores above a normal one; ties count half."""
    bad, good = scores[truth], scores[~truth]
    above = (bad[:, None] > good).mean() + 0.5 * (bad[:, None] == good).mean()
    return float(above)


def _recall(scores: Floats, truth: NDArray[np.bool_]) -> float:
    """Share of erroneous changes above the threshold that at most 5 % of the normal ones are above."""
    good = np.sort(scores[~truth])[::-1]
    return float((scores[truth] > good[int(_FALSE * len(good))]).mean())


def _interval(
    measure: Callable[[Floats, NDArray[np.bool_]], float],
    scores: Floats,
    truth: NDArray[np.bool_],
    kpi: NDArray[np.int64],
    samples: int,
) -> dict[str, float]:
    """95 % by drawing KPIs with replacement (Efron & Tibshirani 1993, cluster bootstrap)."""
    rng = np.random.default_rng(1)
    groups = [np.flatnonzero(kpi == k) for k in np.unique(kpi)]
    values = []
    for _ in range(samples):
        drawn = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        values.append(measure(scores[drawn], truth[drawn]))
    low, high = np.quantile(values, [0.025, 0.975])
    return {"low": float(low), "high": float(high)}
