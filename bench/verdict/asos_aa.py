"""Means of real KPIs, no change: what ASOS's A/B tests earned per user and half day, with the arms dealt anew.

The recordings (Liu, Cardoso, Couturier, McCoy 2021) have users and mean per user of both arms, about twice a day, for
four metrics of 99 variants. What was earned between two of them is a pair. Whether a variant was better nobody knows,
so a coin swaps the arms of each pair or not: neither is better then, while sizes, tails and trends are a real shop's.
What the coin takes away is the memory of the difference; how our test takes noise that remembers is measured elsewhere
(docs/verdict.md).

Trajectories too short for our test to say anything are left out, as they would flatter it. Whoever looks after every
pair is compared: our sequence for means without the allowance that a KPI has in the product, and a t-test of the pairs
so far. Deals of one recording are not independent days, so the interval is about these recordings.
"""

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from bench.verdict import workers
from bench.verdict.results import AbsentError, Measure, Row, share
from numpy.typing import NDArray
from scipy.stats import t as student

from onejob.stats.batch_sums import RATIO
from onejob.stats.means import MIN_BATCHES, PairedMeans

Floats = NDArray[np.float64]

ALPHA = 0.01
DEALS, DEALS_QUICK = 4, 1
LEAST_PAIRS = 5  # before which nobody would do a t-test
_COLUMNS = ("time_since_start", "count_c", "count_t", "mean_c", "mean_t")
_FILE = Path("asos-digital-experiments") / "asos_digital_experiments_dataset.parquet"
_FETCH = "fetch the ASOS digital experiments data set (CC-BY-4.0) from osf.io/64jsb and put it there as parquet"


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Of one variant and metric: users so far and what each earned since the time before; shape (arm, pair)."""

    users: Floats
    means: Floats


def rows(data: Path, quick: bool) -> list[Row]:
    """The share of trajectories in which "treatment earns less" is found at any look."""
    known = trajectories(data / _FILE)
    jobs = [(at, seed) for at in range(len(known)) for seed in range(DEALS_QUICK if quick else DEALS)]
    found = workers.each(partial(_one, data / _FILE), jobs)
    name = "real A/A: means of ASOS's experiments, arms dealt anew"
    ours = share(Measure.FALSE_ALARMS, name, sum(mine for mine, _ in found), len(found))
    theirs = share(Measure.FALSE_ALARMS, name, sum(test for _, test in found), len(found), who="repeated t-test")
    return [ours if quick else ours.at_most(ALPHA, surely=True), theirs]


@cache
def trajectories(path: Path) -> tuple[Trajectory, ...]:
    """Those with enough pairs; raises AbsentError."""
    if not path.exists():
        raise AbsentError(f"no {path}; {_FETCH}")
    table = pq.read_table(path)
    keys = zip(*(table[name].to_pylist() for name in ("experiment_id", "variant_id", "metric_id")), strict=True)
    groups: dict[tuple[object, ...], list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    columns = {name: np.array(table[name], dtype=float) for name in _COLUMNS}
    found = (_trajectory({name: values[mine] for name, values in columns.items()}) for mine in groups.values())
    return tuple(one for one in found if one.users.shape[1] >= MIN_BATCHES)


def _trajectory(rows: dict[str, Floats]) -> Trajectory:
    order = np.argsort(rows["time_since_start"])
    users = np.stack([rows["count_c"], rows["count_t"]])[:, order]
    sums = users * np.stack([rows["mean_c"], rows["mean_t"]])[:, order]
    usable = (users > 0).all(axis=0) & np.isfinite(sums).all(axis=0)
    users, sums = users[:, usable], sums[:, usable]
    return Trajectory(users, np.diff(sums, axis=1, prepend=0.0) / users)


def _one(path: Path, job: tuple[int, int]) -> tuple[bool, bool]:
    known = trajectories(path)[job[0]]
    is_swapped = np.random.default_rng(list(job)).random(known.users.shape[1]) < 0.5
    users, means = (np.where(is_swapped, values[::-1], values) for values in (known.users, known.means))
    weight = users[0] * users[1] / users.sum(axis=0)
    return sequence_alarms(means, weight), t_test_alarms(means, weight)


def sequence_alarms(means: Floats, weight: Floats) -> bool:
    """Is treatment's mean found to be below control's, looking after every pair?"""
    test = PairedMeans()
    for (control, treatment), w in zip(means.T, weight, strict=True):
        test.add(float(treatment), float(control), float(w))
        if test.log_evidence(RATIO, 1.0)[1] >= np.log(1 / ALPHA):
            return True
    return False


def t_test_alarms(means: Floats, weight: Floats) -> bool:
    """One-sided at alpha on the differences so far, each brought to one variance, after every pair."""
    difference = (means[1] - means[0]) * np.sqrt(weight)
    n = np.arange(1, len(difference) + 1)
    total, squares = np.cumsum(difference), np.cumsum(difference**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = total / np.sqrt(n * (squares - total**2 / n) / (n - 1))
        return bool((t < student.ppf(ALPHA, n - 1))[LEAST_PAIRS - 1 :].any())
