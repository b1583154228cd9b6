"""Customers: how each was served by a version, beside what it was used to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from onejob.model.verdict import State


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSide:
    """What was counted of one customer on one side, in bins of ten minutes.

    `count`, `errors`, `zeros` and `buckets` are of spans, `adjusted*` of the requests they stand for; `adjusted_sq` is
    the sum of the squares of how many each stands for, `logs` that of log2 of the durations in seconds. `failing` is
    the sum over bins of errors^2 / count, `between` that of logs^2 / timed spans: they say how unlike the bins are.
    """

    count: int
    errors: int
    adjusted: float
    adjusted_errors: float
    adjusted_sq: float
    tail_sampled: int
    bins: int
    failing: float
    logs: float
    between: float
    zeros: int
    buckets: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedCustomer:
    """A customer on both sides: `new` is the version, `old` what this customer had before."""

    customer: str
    new: ServedSide
    old: ServedSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How somebody was served; rates lie in 0..1, durations are seconds, and None is not known."""

    requests: int
    errors: int
    error_rate: float | None
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerChange:
    """`effect` with the interval that holds for all customers and looks at once; None where it is not known."""

    state: State
    effect: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCustomer:
    """A customer's own comparison. `errors` is the difference of error rates, `latency_p95` the ratio of the p95."""

    customer: str
    state: State
    new: Rates
    old: Rates
    errors: CustomerChange
    latency_p95: CustomerChange


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCustomers:
    """Those that a version served in [since, until), most affected first; each one's past begins at `past_since`.

    `customers` counts all of them, `compared` those that were looked at one by one, `worse` those of them that are
    worse. `alpha` is the rate of false alarms of all together.
    """

    since: datetime
    until: datetime
    past_since: datetime
    customers: int
    compared: int
    worse: int
    alpha: float
    items: tuple[ComparedCustomer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedStep:
    """Requests of one customer to one version in a step that begins at `bin_start` (Unix seconds); counts as above.

    `first_bin` and `last_bin` are when the version served it in this step.
    """

    service: str
    environment: str
    version: str
    build: str
    bin_start: int
    first_bin: int
    last_bin: int
    count: int
    errors: int
    adjusted: float
    adjusted_errors: float
    adjusted_sq: float
    tail_sampled: int
    zeros: int
    buckets: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A version served a customer within the ten minutes that begin at each of `bins` (Unix seconds, sorted)."""

    customer: str
    service: str
    environment: str
    version: str
    build: str
    bins: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerVersion:
    """A version of a service that served a customer; `deployment_id` is its latest deployment, where one is known."""

    service: str
    environment: str
    version: str
    build: str
    deployment_id: str | None
    first_at: datetime
    last_at: datetime
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerStep:
    """How a version served a customer in a step that begins at `at`."""

    at: datetime
    service: str
    environment: str
    version: str
    build: str
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerHistory:
    """One customer in [since, until): its versions, the latest to serve it first, and the same in steps of `step_s`."""

    customer: str
    since: datetime
    until: datetime
    step_s: int
    versions: tuple[CustomerVersion, ...]
    steps: tuple[CustomerStep, ...]
