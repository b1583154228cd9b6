"""A rollout: the plan by which traffic moves to the new version, and every transition it made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """`observe` records what it would have done, `advise` also asks for it, `act` does it."""

    OBSERVE = "observe"
    ADVISE = "advise"
    ACT = "act"


class RolloutState(StrEnum):
    """`aborted` means all traffic is back on the old version, or that a person gave the router up
    (`Rollout.router_is_gone`); `promoted` means all is on the new one.
    """

    PENDING = "pending"
    HOLDING = "holding"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ABORTING = "aborting"
    ABORTED = "aborted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Send `share` (0..1) to the new version and hold for `hold_s` seconds.

    An undecided step is promoted when its hold ends and effects above these limits are excluded for every guardrail:
    `error_limit` is a difference of rates (0.3 = +30 points), `latency_limit` a ratio (3 = x3).
    After `timeout_s` without that, the rollout does what `RolloutPlan.on_timeout` says.
    """

    share: float
    hold_s: float
    error_limit: float
    latency_limit: float
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlan:
    """`driver` names who moves the traffic (`envoy`); `settings` are the driver's own, without secrets."""

    driver: str
    settings: Mapping[str, str]
    steps: tuple[Step, ...]
    mode: Mode = Mode.OBSERVE
    on_timeout: str = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One thing the rollout did, or (`is_dry_run`) would have done. `share` is the new version's from then on."""

    at: datetime
    from_state: RolloutState
    to_state: RolloutState
    step: int
    share: float
    reason: str
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """`step` indexes `plan.steps`; `share` is what the driver was last told; `step_started_at` starts the hold.

    `trouble` says why the driver cannot do its part at the moment, None while it can. `router_is_gone`: a person ended
    it without the router's word, so that nobody knows what it sends; `share` is the last one it confirmed.
    """

    id: str
    deployment_id: str
    plan: RolloutPlan
    state: RolloutState
    step: int
    share: float
    step_started_at: datetime
    transitions: tuple[Transition, ...] = field(default=())
    trouble: str | None = None
    router_is_gone: bool = False
