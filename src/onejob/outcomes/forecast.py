"""How much traffic a KPI's tolerance takes, from what it was of late: the judge's own tests, if nothing changes.

mean, counter    neighbouring bins are taken for two versions; an interval shrinks with the root of the traffic
yes or no        the judge's own forecast for rates, at the rate there is
throughput       how many events refute a ratio of the tolerance, where there is none
slope            depends on the age of processes: nothing is said
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onejob.model.evidence import JudgeSettings, ValueCell
from onejob.model.kpi import Kpi, KpiKind, KpiSource
from onejob.outcomes import warnings
from onejob.stats import octaves
from onejob.stats.batch_sums import RATIO
from onejob.stats.means import MIN_BATCHES, PairedMeans
from onejob.stats.throughput import PairedCounts
from onejob.verdict.kpi_outcome import LEAST_RATE
from onejob.verdict.missing import Rates, factor_for_ratio, missing_for_rates
from onejob.verdict.values import Told

_ASKED = 1_000.0  # requests from which a rate is forecast
_MOST_EVENTS = 1e9
_TOO_LITTLE = "There is too little of it yet to say how much traffic its tolerance takes."
_NEVER = (
    "No amount of traffic tells so small a change from what these few instances may differ by: run more of them, or "
    "tolerate more."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What a service said of a KPI: `requests` are per bin, `serving` are the instances that answered them."""

    kpi: Kpi
    cells: tuple[ValueCell, ...]
    requests: Mapping[int, int]
    serving: frozenset[str]
    bins: tuple[int, ...]
    width_s: int

    @property
    def told(self) -> Told:
        """As its tracker is told of it."""
        return Told(self.kpi, JudgeSettings())

    @property
    def answered(self) -> int:
        """Requests in all."""
        return sum(self.requests.values())

    @property
    def requests_per_s(self) -> float:
        """Of one of two versions that share the traffic."""
        return self.answered / (len(self.bins) * self.width_s) / 2 if self.bins else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """See `Preview`."""

    level: float | None = None
    needs: int | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()


def of(recent: Recent, alpha: float) -> Forecast:
    """Of any kind of KPI."""
    if not recent.cells:
        return Forecast()
    match recent.kpi.kind:
        case KpiKind.YES_NO:
            return _of_outcome(recent, alpha)
        case KpiKind.THROUGHPUT if recent.kpi.source is not KpiSource.METRIC:
            return _of_events(recent, alpha)
        case KpiKind.SLOPE:
            return Forecast(level=_mean(recent), notes=("How long a slope takes depends on the age of its processes.",))
    return _of_means(recent, alpha)


def _of_outcome(recent: Recent, alpha: float) -> Forecast:
    total = sum(sum(cell.counts.values()) for cell in recent.cells)
    p = sum(n for cell in recent.cells for k, n in cell.counts.items() if k != octaves.ZERO) / total
    rates = Rates(
        events=np.array([[p * _ASKED, p * _ASKED]]),
        requests=np.array([[_ASKED, _ASKED]]),
        tolerance=np.array([recent.kpi.tolerance * max(p, LEAST_RATE)]),
        phi=np.ones(1),
        shown=np.array([_ASKED]),
    )
    (missing,) = missing_for_rates(rates, [None], [0.0], alpha)
    more = missing.requests
    return _answer(recent, p, None if more is None else (_ASKED + more) / total * recent.answered)


def _of_events(recent: Recent, alpha: float) -> Forecast:
    seen = sum(sum(cell.counts.values()) for cell in recent.cells)
    instances = len({cell.instance for cell in recent.cells} | recent.serving)
    per = recent.answered if not recent.kpi.per_instance else instances * len(recent.bins) * recent.width_s
    events = events_needed(recent.kpi.tolerance, _allowance(recent), alpha)
    level = seen / per if per else None
    if warnings.too_small(recent.kpi):  # which says so itself
        return Forecast(level=level)
    return _answer(recent, level, None if events is None else events / seen * recent.answered)


def events_needed(tolerance: float, log_allowance: float, alpha: float) -> float | None:
    """Events of each version, as many in both, until a ratio beyond the tolerance is refuted; None if none are enough,
    as the test of counts bets on no rate that is off by less than a tenth.

    >>> events_needed(0.2, 0.0, 0.01) < events_needed(0.1, 0.0, 0.01), events_needed(0.02, 0.0, 0.01)
    (True, None)
    """
    room, events = math.log1p(tolerance) - log_allowance, 10.0
    while events < _MOST_EVENTS:
        test = PairedCounts()
        test.add(np.full((2, 1), events), np.ones((2, 1)), 1.0, float(np.log(2 / alpha)))
        high = test.interval()[1]
        if high is not None and math.log(high) <= room:
            return events
        events *= 1.2
    return None


def _of_means(recent: Recent, alpha: float) -> Forecast:
    test, weight = PairedMeans(), 0.0
    bins = list(_by_bin(recent))
    for (mean, n), (other, m) in zip(bins[::2], bins[1::2], strict=False):
        test.add(mean, other, n * m / (n + m))
        weight += (n + m) / 2
    level = sum(mean * n for mean, n in bins) / sum(n for _, n in bins) if bins else None
    low, high = test.interval(RATIO, alpha)
    effect = test.estimate(RATIO) if test.means() and level and level > 0 else None
    if effect is None or low is None or high is None or effect <= 0 or test.pairs < MIN_BATCHES:
        return Forecast(level=level, notes=(_TOO_LITTLE,))
    width, allowance = math.log(high / effect), _allowance(recent)
    factor = factor_for_ratio(width + allowance, math.log1p(recent.kpi.tolerance), allowance)
    if factor is None:
        return _answer(recent, level, None)
    # Fewer pairs of bins than this say nothing, however much is in each.
    pairs = max(MIN_BATCHES, factor * test.pairs)
    return _answer(recent, level, pairs * recent.width_s * recent.requests_per_s, pairs * recent.width_s)


def _by_bin(recent: Recent) -> Iterator[tuple[float, float]]:
    """Mean and number of each bin that has any."""
    of_bins: dict[int, list[ValueCell]] = {}
    for cell in recent.cells:
        of_bins.setdefault(cell.bin_start, []).append(cell)
    limit = octaves.cap(_counts(recent)) or 2 * octaves.MIDDLE
    is_step = recent.kpi.kind is KpiKind.THROUGHPUT
    for at in recent.bins:
        cells = of_bins.get(at, [])
        found = _of_steps(recent, at, cells) if is_step else _of_values(cells, limit, recent.kpi.per_instance)
        if cells and found[1]:
            yield found


def _of_steps(recent: Recent, at: int, cells: Sequence[ValueCell]) -> tuple[float, float]:
    did = float(recent.requests.get(at, 0))
    if recent.kpi.per_instance:
        did = float(len({cell.instance for cell in cells}) * recent.width_s)
    return sum(sum(cell.sums.values()) for cell in cells) / max(did, 1.0), did


def _of_values(cells: Sequence[ValueCell], limit: int, per_instance: bool) -> tuple[float, float]:
    each = [(octaves.capped_sum(one.counts, one.sums, limit), sum(one.counts.values())) for one in cells]
    if per_instance:
        return sum(total / n for total, n in each) / max(len(each), 1), float(len(each))
    number = sum(n for _, n in each)
    return sum(total for total, _ in each) / max(number, 1), float(number)


def _counts(recent: Recent) -> dict[int, int]:
    counts: dict[int, int] = {}
    for cell in recent.cells:
        for k, n in cell.counts.items():
            counts[k] = counts.get(k, 0) + n
    return counts


def _mean(recent: Recent) -> float:
    total = sum(sum(cell.sums.values()) for cell in recent.cells)
    return total / sum(sum(cell.counts.values()) for cell in recent.cells)


def _allowance(recent: Recent) -> float:
    """What two versions that share these instances may differ by without a change."""
    each = max(1, len({cell.instance for cell in recent.cells}) // 2)
    return recent.told.log_allowance(None, (each, each))


def _answer(recent: Recent, level: float | None, requests: float | None, seconds: float | None = None) -> Forecast:
    if requests is None:
        return Forecast(level=level, notes=(_NEVER,))
    per_s = recent.requests_per_s
    if seconds is None and per_s > 0:
        seconds = requests / per_s
    return Forecast(level=level, needs=math.ceil(requests) if requests > 0 else None, seconds=seconds)
