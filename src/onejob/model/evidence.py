"""What the judge consumes: counts per bin. Everything downstream of the store works on these alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from onejob.model.kpi import Kpi, Tolerance
from onejob.model.verdict import FalseAlarms


class Arm(StrEnum):
    """The two sides of a comparison."""

    CONTROL = "control"
    TREATMENT = "treatment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Requests of one operation on one instance of one version whose spans *ended* in one bin.

    `bin_start` is in Unix seconds. `buckets` counts durations by OpenTelemetry exponential-histogram index at
    scale 5: index i holds (2^(i/32), 2^((i+1)/32)] seconds; `zeros` are durations of exactly zero.

    All of those count spans. Where spans are sampled, each stands for as many requests as its adjusted count says:
    `adjusted` and `adjusted_errors` are the requests so known, and those of them that failed; `adjusted_sq` is the sum
    of squares. None where each stands for itself. `tail_sampled` are spans that a tail sampler marked as its choice.
    """

    operation: str
    version: str
    build: str = ""
    instance: str
    bin_start: int
    count: int
    errors: int
    sum_s: float = 0.0
    sum_sq_s2: float = 0.0
    zeros: int = 0
    buckets: Mapping[int, int] = field(default_factory=dict)
    adjusted: float | None = None
    adjusted_errors: float | None = None
    adjusted_sq: float | None = None
    tail_sampled: int = 0

    @property
    def stands_for(self) -> tuple[float, float, float]:
        """Requests, those of them that failed, and the sum of squares over spans of how many each stands for."""
        if self.adjusted is None:
            return float(self.count), float(self.errors), float(self.count)
        failed = self.errors if self.adjusted_errors is None else self.adjusted_errors
        squares = self.adjusted**2 / max(1, self.count) if self.adjusted_sq is None else self.adjusted_sq
        return float(self.adjusted), float(failed), float(squares)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlCell:
    """What a service that the deployment did not touch did in one bin: `bin_start` in Unix seconds.

    `requests` are those that its `spans` stand for, `failed` is of the spans; `timed` are those of the operations whose
    durations are compared, and `slower_p50`, `slower_p95` those of them beyond the operation's edges.
    """

    service: str
    version: str
    bin_start: int
    requests: float
    spans: int
    failed: int
    timed: int
    slower_p50: int
    slower_p95: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCell:
    """Values of one KPI on one instance of one version in one bin; `bin_start` is in Unix seconds.

    `counts` and `sums` are per octave, so that a mean can leave extremes out exactly: octave k holds sizes in
    [2^(k-1100), 2^(k-1099)), negative values are in octave -k, zeros in octave 0. Of a yes/no KPI, yes is 1, no is 0.
    """

    kpi: str
    version: str
    build: str = ""
    instance: str
    bin_start: int
    counts: Mapping[int, int]
    sums: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoveltyCell:
    """Occurrences of one fingerprint in one version and bin: of an error, or of a log template.

    `count` is of traces, as one request may throw the same thing many times. `title`, `sample` (a stack or a line) and
    `trace_id` are of one of them. `is_known` says that the service showed it before the deployment began.
    """

    kind: str
    fingerprint: str
    version: str
    build: str = ""
    bin_start: int
    count: int
    title: str = ""
    sample: str = ""
    trace_id: str = ""
    is_known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """Page views with one web vital, as cells: `operation` is the page, buckets are of seconds for `lcp` and `inp`.

    `cls` has no unit; its buckets are of 0.1 + CLS, so that a page without any shift has a ratio to others.
    """

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterCount:
    """What the router saw of one arm since its last sample: requests it finished, and how many of them it failed.

    `errors_5xx` counts answers of 5xx, whoever made them, and requests whose client gave up before any answer;
    `resets` and `timeouts` say how many of those the upstream never answered itself. `share` is the share of traffic
    in 0..1 the arm was meant to get.
    """

    arm: Arm
    sampled_at: datetime
    requests: int
    errors_5xx: int
    resets: int
    timeouts: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalHistory:
    """What a service's past showed of the noise of one signal: `errors`, or an exceedance, `p50` to `p99.9`.

    `phi` is the design effect over `blocks` within-bin residuals between instances of one version; `s_b` is the sd of
    `instances` such instances' log odds beyond sampling noise. None where the past did not show it.
    """

    signal: str
    phi: float | None = None
    blocks: int = 0
    s_b: float | None = None
    instances: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMetrics:
    """Requests are counted by the service's own histograms, as spans tell of `share_of_spans` of them only.

    Their bins are `bin_width_s` wide; `edges` are indices of the buckets that end where theirs do, if not all of them.
    """

    bin_width_s: int
    share_of_spans: float
    edges: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStarts:
    """How quick a service's new instances were: `instances` that were seen to begin in the days before a deployment.

    `slower` is the share of requests in their start-up time that took longer than their operation's median.
    `settled_s` is the age from which on they were shown to be as quick as later; None where that was not shown.
    """

    instances: int
    slower: float
    settled_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """What the judge was told; kept with the first batch, so that a later change of settings changes no old verdict.

    `tolerance_errors` is a difference of rates, the other tolerances are ratios above 1. `phi_factor` makes every
    design effect larger, by what placebo deployments of the service needed; `history` is what its past says of noise,
    and `false_alarms` what was measured with both. `kpis` and `tolerances` are those of the deployment's service; of
    the tolerances, the first that covers a signal and its operation holds. `metrics` where requests are not those of
    spans. `warm_up_s` is the shorter of what was set and what `starts` showed.
    """

    alpha: float = 0.01
    tolerance_errors: float = 0.001
    tolerance_errors_ratio: float = 1.5
    tolerance_p50: float = 1.05
    tolerance_tail: float = 1.10
    warm_up_s: float = 120.0
    max_operations: int = 200
    phi_factor: float = 1.0
    history: tuple[SignalHistory, ...] = ()
    kpis: tuple[Kpi, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()
    false_alarms: FalseAlarms | None = None
    metrics: RequestMetrics | None = None
    starts: PastStarts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlService:
    """A service that the deployment did not touch, as long as it serves `version`: its own was not deployed either.

    `edges` are bucket indices of p50 and p95 per operation whose durations count. `rates` are, per signal and step to
    come, what `ExpectedSeries.rate` is of the deployed one.
    """

    service: str
    version: str
    edges: Mapping[str, tuple[int, ...]]
    rates: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedSeries:
    """What one signal of an operation would do if nothing had changed, and how far it strays from that.

    `signal` is `errors`, `latency_p50`, `latency_p95` or, of the operation `*`, `shortfall`. `rate` is, for each step
    to come, the expected share of requests that fail or are slower than bucket `edge` (index as in `Cell`); of a
    shortfall, the expected requests themselves. `scale` (up and down, widths) and `heights` (worse and better, moments)
    are what moments without a change showed, as in `stats.replay`. `before` are events and expected ones of each step
    of the hour before the change, at the level from before that hour; times `drift` that is the level of `rate`. Both
    are absent from what older versions stored. `scale_beside` and `heights_beside` are of what is beyond the control
    services of `Expectations`, empty where there are none.
    """

    operation: str
    signal: str
    edge: int | None
    rate: tuple[float, ...]
    scale: tuple[tuple[float, ...], ...]
    heights: tuple[tuple[float, ...], ...]
    before: tuple[tuple[float, ...], ...] = ()
    drift: float = 1.0
    scale_beside: tuple[tuple[float, ...], ...] = ()
    heights_beside: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """A service's past, as far as a change is judged by it; fixed before the first look.

    `first` is the Unix second at which the first judged step begins. `independent`: how many horizons the moments cover
    without overlap. `is_adjacent`: is the last of the moments the one right before the change? `days_back` tells of the
    season, and is empty where none is known. `requests` and `versions` are those of the past; `heft` is for how many
    requests a span stood then. `starts` are the steps at which the moments begin, empty in what older versions stored.
    """

    first: int
    step_s: int
    independent: float
    is_adjacent: bool
    days_back: tuple[int, ...]
    requests: int
    versions: tuple[str, ...]
    series: tuple[ExpectedSeries, ...]
    heft: float = 1.0
    starts: tuple[int, ...] = ()
    controls: tuple[ControlService, ...] = ()
    gap: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceBatch:
    """The counts one look of the judge consumed, stored with the verdict so that it can be recomputed.

    Holds every bin in [bins_from, bins_to) Unix seconds, all past their watermark; `seq` counts up from 0.
    `warmed` are instances that were sent warm-up requests before traffic. `share` is the share of traffic in 0..1 the
    treatment was meant to get all through the batch, if anybody said so. `settings` come with the first batch only;
    `expectations` once, where no old version serves beside the new one.
    `finished` marks the last batch: the arms no longer serve side by side. `values`, `vitals` and `novelties` are what
    spans said beyond requests. `controls` are counts of the services named in the expectations
    and, where `cells` are of the new version only, of other versions of the deployed service itself.
    """

    deployment_id: str
    seq: int
    judged_at: datetime
    bins_from: int
    bins_to: int
    bin_width_s: int
    cells: tuple[Cell, ...]
    router: tuple[RouterCount, ...] = ()
    warmed: tuple[str, ...] = ()
    share: float | None = None
    settings: JudgeSettings | None = None
    expectations: Expectations | None = None
    finished: bool = False
    values: tuple[ValueCell, ...] = ()
    vitals: tuple[Vital, ...] = ()
    novelties: tuple[NoveltyCell, ...] = ()
    controls: tuple[ControlCell, ...] = ()
