"""Plans: checked steps, with defaults for everything a user leaves out.

A step's limits say which damage must be excluded before more users meet the new version: a step that reaches few may
leave much open, one that reaches many may not.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise

from onejob.act.errors import PlanError
from onejob.model.rollout import Mode, RolloutPlan, Step

# (up to this share, errors as a difference, latency as a ratio). Beyond the last one the verdict's own tolerances
# apply: a limit of "no effect at all" stands for them, because an effect within its tolerance is always allowed.
_LIMITS = ((0.10, 0.30, 3.0), (0.50, 0.05, 1.5), (1.00, 0.0, 1.0))
_LEAST_TIMEOUT_S = 1800.0  # a service with a request every few seconds needs about that long for x1.5
_TIMEOUT_IN_HOLDS = 10.0
_LEAST_SHARE = 0.0001  # one weight in 10,000
_MOST_STEPS = 50
_LARGEST = 1e300  # a larger integer is no float


class OnTimeout(StrEnum):
    """What becomes of a step that could not exclude its limits in time."""

    PAUSE = "pause"
    ABORT = "abort"
    PROMOTE = "promote"


def make_step(
    share: float,
    hold_s: float,
    *,
    error_limit: float | None = None,
    latency_limit: float | None = None,
    timeout_s: float | None = None,
) -> Step:
    """A step with the default limits of its share and a timeout of ten holds, at least half an hour."""
    _check_number("share", share, _LEAST_SHARE, 1.0, "0.1 is 10 % of the traffic")
    _check_number("hold_s", hold_s, 0.0, 30 * 86_400.0, "seconds")
    default_errors, default_latency = default_limits(share)
    step = Step(
        share=share,
        hold_s=hold_s,
        error_limit=default_errors if error_limit is None else error_limit,
        latency_limit=default_latency if latency_limit is None else latency_limit,
        timeout_s=max(_LEAST_TIMEOUT_S, _TIMEOUT_IN_HOLDS * hold_s) if timeout_s is None else timeout_s,
    )
    _check_number("error_limit", step.error_limit, 0.0, 1.0, "0.3 is +30 points")
    _check_number("latency_limit", step.latency_limit, 1.0, 1000.0, "3 is three times as slow")
    _check_number("timeout_s", step.timeout_s, hold_s, 90 * 86_400.0, "seconds, no less than hold_s")
    return step


def default_limits(share: float) -> tuple[float, float]:
    """(error_limit, latency_limit) of a step of this share."""
    return next((errors, latency) for up_to, errors, latency in _LIMITS if share <= up_to)


def make_plan(
    driver: str,
    settings: Mapping[str, str],
    *,
    mode: Mode,
    steps: Sequence[Step] | None = None,
    on_timeout: str = OnTimeout.PAUSE,
) -> RolloutPlan:
    """A checked plan that ends at 100 %; without steps the default ones."""
    chosen = DEFAULT_STEPS if steps is None else tuple(steps)
    if not chosen:
        raise PlanError("steps is empty: leave it out for the default ones, or send at least one.")
    if len(chosen) > _MOST_STEPS:
        raise PlanError(f"A rollout has at most {_MOST_STEPS} steps, this one has {len(chosen)}.")
    shares = [step.share for step in chosen]
    if any(later <= earlier for earlier, later in pairwise(shares)):
        raise PlanError(f"The shares of the steps must rise, these are {shares}.")
    if on_timeout not in list(OnTimeout):
        raise PlanError(f"on_timeout is one of {', '.join(OnTimeout)}, not {on_timeout!r}.")
    if chosen[-1].share < 1.0:
        chosen = (*chosen, make_step(1.0, 0.0))
    return RolloutPlan(driver=driver, settings=dict(settings), steps=chosen, mode=mode, on_timeout=str(on_timeout))


def _check_number(name: str, value: float, low: float, high: float, hint: str) -> None:
    if not low <= value <= high:  # false for NaN too
        raise PlanError(f"{name} must be between {low:g} and {high:g} ({hint}), not {_shown(value)}.")


def _shown(value: float) -> str:
    if value != value:  # noqa: PLR0124 - as math.isnan, which cannot take every integer
        return "no number"
    return f"{value:g}" if abs(value) < _LARGEST else "a number that large"


# Evidence of a step arrives with the exporters' delay: the last hold leaves time to take the promotion back.
DEFAULT_STEPS = (make_step(0.10, 60.0), make_step(0.50, 120.0), make_step(1.0, 30.0))
