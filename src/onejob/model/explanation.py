"""Why a verdict came out as it did; every claim counts, and links to traces of both arms."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryingOperation:
    """An operation that carries the verdict; `share` is its part of the whole excess, in 0..1."""

    operation: str
    signal: str
    share: float
    effect: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeValue:
    """A value that concentrates the damage.

    "Bad" are the treatment's requests beyond what control would have had: slow ones or failed ones.
    `coverage` = share of the bad that have the value; `rest_share` = share of the others that have it;
    `lift` = how much likelier a request with the value is bad than one without. `is_new`: control never had it.
    Values that concentrate it together (up to three) are joined: `tenant.size & region`, `large & eu`.
    `customers` had a bad one, among the requests looked into: at least so many; 0 where requests name none.
    """

    operation: str
    signal: str
    name: str
    value: str
    lift: float
    coverage: float
    rest_share: float
    bad: int
    total: int
    is_new: bool = False
    customers: int = 0


class CallKind(StrEnum):
    """How the calls at one place of the call tree changed."""

    SLOWER = "slower"
    MORE = "more"
    WAITING = "waiting"
    FAILING = "failing"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallChange:
    """One node of the call tree, aligned over both arms by `path` (labels from the entry operation down).

    `added_s` is seconds added per request at this node itself, so that all nodes add up; `calls_*` are per request;
    `each_*_s` mean seconds per call; `error_rate_*` the share of calls that failed.
    """

    path: tuple[str, ...]
    service: str
    kind: CallKind
    added_s: float
    calls_control: float
    calls_treatment: float
    each_control_s: float
    each_treatment_s: float
    error_rate_control: float = 0.0
    error_rate_treatment: float = 0.0
    is_cause: bool = False


class CauseKind(StrEnum):
    """What kind of trouble a service has."""

    CPU = "cpu"
    MEMORY = "memory"
    NETWORK = "network"
    ERRORS = "errors"
    SLOW = "slow"
    CALLS = "more calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAtFault:
    """A service in which damage to the operation arises, whoever it shows at; `share` in 0..1 of all that was found.

    Per request, beyond what the old version's took: seconds of its own work (`own_s`), of calls it makes more often
    (`calls_s`), and on the way from or to it (`way_s`); `failures` that began in it.
    """

    operation: str
    service: str
    kind: CauseKind
    share: float
    own_s: float
    calls_s: float
    way_s: float
    failures: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSpan:
    """One span of an exemplar; `offset_s` from the start of its trace; `path` aligns it with CallChange.path."""

    span_id: str
    parent_span_id: str
    label: str
    path: tuple[str, ...]
    service: str
    kind: str
    offset_s: float
    duration_s: float
    is_error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExemplarTrace:
    """A trace that shows the difference; `arm` is control or treatment."""

    arm: str
    trace_id: str
    started_at: datetime
    duration_s: float
    is_error: bool
    spans: tuple[TraceSpan, ...]


class Relation(StrEnum):
    """What a deployment's service has to do with the judged one."""

    ITSELF = "itself"
    SAME_SERVICE = "same_service"
    CALLED = "called"
    CALLING = "calling"


LIKELY = 0.5  # a posterior from which on a suspect is said to have done it


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectedDeployment:
    """One of several deployments that may have done the damage; the judged one is among them.

    `posterior` is the probability in 0..1 that it did, alone or with another, by the evidence in the traces. They add
    up to more than 1 where two may have done it together; what they lack to 1 is something else.
    `separable`: the evidence tells it from every other suspect. `steps` is how many calls lie between it and the judged
    service. `began_at` is when it was reported to start, or its first request where that was seen earlier. `reasons`
    are sentences without a full stop.
    """

    deployment_id: str
    service: str
    version: str
    relation: Relation
    steps: int
    began_at: datetime
    posterior: float
    separable: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything the page shows under a `worse`. Lists are sorted, the most telling first.

    `services` are those where the damage to the leading operation arises, at most three; none where no difference is
    beyond noise. `suspects` are at most three, and none where no other deployment could have done it.
    """

    deployment_id: str
    made_at: datetime
    operations: tuple[CarryingOperation, ...]
    attributes: tuple[AttributeValue, ...]
    calls: tuple[CallChange, ...]
    traces: tuple[ExemplarTrace, ...]
    notes: tuple[str, ...] = ()
    suspects: tuple[SuspectedDeployment, ...] = ()
    services: tuple[ServiceAtFault, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Were there no requests to look into?"""
        return not (self.attributes or self.calls or self.traces)
