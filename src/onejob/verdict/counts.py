"""Cells as columns: the judge's arithmetic is over arrays of (arm, operation, bin), never over requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onejob.model.deployment import Deployment
from onejob.model.evidence import Arm, Cell
from onejob.stats import histogram
from onejob.verdict.arms import arm_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
CONTROL, TREATMENT = 0, 1
InstanceKey = tuple[str, str, str]


def instance_key(cell: Cell) -> InstanceKey:
    """An instance of another version or build is another instance, even when it reuses the name."""
    return cell.version, cell.build, cell.instance


@dataclass(frozen=True, slots=True)
class Weights:
    """The requests that sampled spans stand for, per cell, those that failed, and the sum of squares over spans."""

    requests: Floats
    failed: Floats
    squares: Floats

    def select(self, start: int, stop: int) -> "Weights":
        """Some of the cells."""
        return Weights(self.requests[start:stop], self.failed[start:stop], self.squares[start:stop])


@dataclass(frozen=True, slots=True)
class Counts:
    """One row per cell, in the order of their bins; then one row per filled bucket, in the order of their cells.

    `arm` is 0 for control and 1 for treatment, `operation` and `bin` are indices, `instance` is an index into the
    judge's list of instances. Buckets are those of timed cells only: warm-up is not in them. All count spans;
    `weights` tells of requests where those are sampled, `tail_sampled` how many spans a tail sampler chose.
    """

    arm: Ints
    operation: Ints
    bin: Ints
    instance: Ints
    count: Ints
    errors: Ints
    timed: Ints  # requests whose durations count
    bucket_row: Ints  # which cell
    bucket_position: Ints
    bucket_count: Ints
    bins: int
    weights: Weights | None = None
    tail_sampled: int = 0

    @property
    def requests(self) -> Floats:
        """That the cells' spans stand for."""
        return self.count.astype(float) if self.weights is None else self.weights.requests

    @property
    def failed(self) -> Floats:
        """Of those requests."""
        return self.errors.astype(float) if self.weights is None else self.weights.failed

    @property
    def squares(self) -> Floats:
        """Sums of squares of what each span stands for."""
        return self.count.astype(float) if self.weights is None else self.weights.squares

    @property
    def per_span(self) -> Floats:
        """How many requests a span of each cell stands for, on average."""
        return self.requests / np.maximum(self.count, 1)

    def select(self, first: int, last: int) -> "Counts":
        """The bins in [first, last), as views: a day's bins are cut into pieces without being copied."""
        start, stop = np.searchsorted(self.bin, (first, last))
        low, high = np.searchsorted(self.bucket_row, (start, stop))
        return Counts(
            arm=self.arm[start:stop],
            operation=self.operation[start:stop],
            bin=self.bin[start:stop] - first,
            instance=self.instance[start:stop],
            count=self.count[start:stop],
            errors=self.errors[start:stop],
            timed=self.timed[start:stop],
            bucket_row=self.bucket_row[low:high] - start,
            bucket_position=self.bucket_position[low:high],
            bucket_count=self.bucket_count[low:high],
            bins=last - first,
            weights=None if self.weights is None else self.weights.select(int(start), int(stop)),
        )


def table(rows: Counts, values: Ints, operations: int) -> Ints:
    """Sum `values` per cell into an array of shape (arm, operation, bin)."""
    return amounts(rows, values, operations).astype(np.int64)


def amounts(rows: Counts, values: Ints | Floats, operations: int) -> Floats:
    """The same of what are no whole numbers."""
    key = (rows.arm * operations + rows.operation) * rows.bins + rows.bin
    flat = np.bincount(key, weights=values, minlength=2 * operations * rows.bins)
    return flat.astype(float).reshape(2, operations, rows.bins)


def exceedances(rows: Counts, edges: Ints, operations: int) -> Ints:
    """Requests slower than each threshold: shape (arm, operation, 1 + threshold, bin); index 0: all timed.

    `edges`: positions (operation, threshold), -1 for none; they rise with the quantile.
    """
    levels = edges.shape[1] + 1
    first = (rows.arm * operations + rows.operation) * levels * rows.bins + rows.bin
    key = first[rows.bucket_row]
    key += (_levels(edges) * rows.bins).reshape(-1)[_places(rows)]
    flat = np.bincount(key, weights=rows.bucket_count, minlength=2 * operations * levels * rows.bins)
    counted = flat.astype(np.int64).reshape(2, operations, levels, rows.bins)
    for level in range(levels - 2, -1, -1):  # from how many lie between two thresholds to how many lie beyond one
        counted[:, :, level] += counted[:, :, level + 1]
    return counted


def exceedances_by_cell(rows: Counts, edges: Ints) -> Ints:
    """The same per cell: shape (cells, thresholds)."""
    levels = edges.shape[1] + 1
    key = rows.bucket_row * levels + _levels(edges).reshape(-1)[_places(rows)]
    flat = np.bincount(key, weights=rows.bucket_count, minlength=len(rows.arm) * levels)
    at_level = flat.astype(np.int64).reshape(-1, levels)
    return at_level[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]


def _levels(edges: Ints) -> Ints:
    """How many thresholds each position of a histogram lies beyond: shape (operation, SIZE)."""
    known = np.where(edges < 0, histogram.SIZE, edges)
    result: Ints = (np.arange(histogram.SIZE)[None, None, :] > known[:, :, None]).sum(axis=1)
    return result


def _places(rows: Counts) -> Ints:
    """Where the filled buckets are in the histograms of all operations, laid end to end."""
    places = (rows.operation * histogram.SIZE)[rows.bucket_row]
    places += rows.bucket_position
    return places


def histograms(rows: Counts, operations: int, keep: NDArray[np.bool_] | None = None) -> Ints:
    """Dense histograms per (arm, operation), of the cells in `keep` (all when None)."""
    cell, position, count = rows.bucket_row, rows.bucket_position, rows.bucket_count
    if keep is not None:
        kept = np.flatnonzero(keep[cell])
        cell, position, count = cell[kept], position[kept], count[kept]
    key = ((rows.arm * operations + rows.operation) * histogram.SIZE)[cell]
    key += position
    flat = np.bincount(key, weights=count, minlength=2 * operations * histogram.SIZE)
    return flat.astype(np.int64).reshape(2, operations, histogram.SIZE)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where cells go: the bins of the batch, and the judge's own numbering of operations and instances."""

    bins_from: int
    bins_to: int
    bin_width_s: int
    operations: Mapping[str, int]
    other: int
    instances: Mapping[InstanceKey, int]
    mature_from: Mapping[InstanceKey, float]  # Unix s from which an instance's durations count


def place(deployment: Deployment, cells: Sequence[Cell], where: Placement) -> Counts:
    """Columns of the cells that belong to an arm; all of them lie in the bins (see `clean`)."""
    started = deployment.started_at.timestamp()
    mine = [(c, arm) for c in cells if (arm := arm_of(deployment, c)) is not None]
    # A treatment that answers before its deployment began is being tried out, not shipped.
    mine = [(c, arm) for c, arm in mine if arm is Arm.CONTROL or c.bin_start + where.bin_width_s > started]
    mine.sort(key=lambda pair: pair[0].bin_start)
    timed = [c.bin_start >= where.mature_from[instance_key(c)] for c, _ in mine]
    buckets = [(row, c) for row, (c, _) in enumerate(mine) if timed[row]]
    return Counts(
        arm=_ints([TREATMENT if arm is Arm.TREATMENT else CONTROL for _, arm in mine]),
        operation=_ints([where.operations.get(c.operation, where.other) for c, _ in mine]),
        bin=_ints([(c.bin_start - where.bins_from) // where.bin_width_s for c, _ in mine]),
        instance=_ints([where.instances[instance_key(c)] for c, _ in mine]),
        count=_ints([c.count for c, _ in mine]),
        errors=_ints([c.errors for c, _ in mine]),
        timed=_ints([_timed(c) if t else 0 for (c, _), t in zip(mine, timed, strict=True)]),
        bucket_row=_ints([row for row, c in buckets for _ in range(len(c.buckets) + 1)]),
        bucket_position=histogram.position(
            _ints([i for _, c in buckets for i in (*c.buckets.keys(), histogram.LOWEST)])
        ),
        bucket_count=_ints([n for _, c in buckets for n in (*c.buckets.values(), c.zeros)]),
        bins=(where.bins_to - where.bins_from) // where.bin_width_s,
        weights=_weights([c for c, _ in mine]),
        tail_sampled=sum(c.tail_sampled for c, _ in mine),
    )


def _weights(cells: Sequence[Cell]) -> Weights | None:
    if all(c.adjusted is None for c in cells):
        return None
    requests, failed, squares = np.array([c.stands_for for c in cells], dtype=float).T
    return Weights(requests, failed, squares)


def _timed(cell: Cell) -> int:
    return cell.zeros + sum(cell.buckets.values())


def _ints(values: Sequence[int]) -> Ints:
    return np.asarray(values, dtype=np.int64)
