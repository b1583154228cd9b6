"""What hearing the verdict at once would have been worth: what users met until the bad version was gone.

Counted, not extrapolated: the requests the version really answered from the verdict on, the failures among them beyond
control's rate, and the time they took beyond control's mean, in the operations that the verdict calls worse. Control's
rate and mean are those from the deployment's start to the verdict.
"""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from onejob.history.presence import Presence
from onejob.model.backtest import Saved
from onejob.model.deployment import Deployment, Status
from onejob.model.evidence import Arm
from onejob.model.verdict import EffectKind, State, Verdict
from onejob.store.past import OperationTotal, Past
from onejob.verdict.arms import arm_of_version

SERVING = "serving"
_STILL = timedelta(minutes=5)
_DRAINS = timedelta(hours=1)  # how long after its end a version may answer its last requests

Totals = dict[str, tuple[int, float]]  # requests and their sum, by operation


def saved(deployment: Deployment, verdict: Verdict, presence: Presence, past: Past, until: datetime) -> Saved | None:
    """None unless the verdict is worse and the version served on after it."""
    since = verdict.decided_at
    if verdict.state is not State.WORSE or since is None:
        return None
    end = _last_answer(deployment, presence, since, until)
    if end is None:
        return None
    started, decided, ended = (math.floor(moment.timestamp()) for moment in (deployment.started_at, since, end))
    before = past.totals(deployment.service, deployment.environment, started, decided)
    after = past.totals(deployment.service, deployment.environment, decided, ended)
    return Saved(
        since=since,
        until=end,
        ended=SERVING if until - end < _STILL else str(deployment.status),
        requests=presence.requests(_is(deployment, Arm.TREATMENT), decided, ended),
        failed=round(_excess(deployment, verdict, EffectKind.DIFFERENCE, before, after)),
        waited_s=_excess(deployment, verdict, EffectKind.RATIO, before, after),
    )


def _last_answer(deployment: Deployment, presence: Presence, since: datetime, until: datetime) -> datetime | None:
    """When the version answered last, as this deployment; None if it did not after `since`."""
    is_gone = deployment.status in (Status.FAILED, Status.ROLLED_BACK, Status.SUPERSEDED)
    if is_gone and deployment.finished_at is not None:
        until = min(until, deployment.finished_at + _DRAINS)
    first, last = (math.floor(moment.timestamp()) for moment in (since, until))
    bins = presence.bins(_is(deployment, Arm.TREATMENT), first, last)
    return datetime.fromtimestamp(int(bins[-1]) + presence.width_s, UTC) if len(bins) else None


def _excess(
    deployment: Deployment,
    verdict: Verdict,
    kind: EffectKind,
    before: Iterable[OperationTotal],
    after: Iterable[OperationTotal],
) -> float:
    """Failures (of differences) or seconds (of ratios) beyond what control's mean would have given."""
    worse = {s.operation for s in verdict.signals if s.state is State.WORSE and s.effect_kind is kind}
    control = _by_operation(before, _is(deployment, Arm.CONTROL), kind)
    treatment = _by_operation(after, _is(deployment, Arm.TREATMENT), kind)
    return sum(
        max(0.0, total - count * control[operation][1] / control[operation][0])
        for operation, (count, total) in treatment.items()
        if operation in worse and operation in control
    )


def _by_operation(totals: Iterable[OperationTotal], is_mine: Callable[[str, str], bool], kind: EffectKind) -> Totals:
    found: Totals = {}
    for one in totals:
        if is_mine(one.version, one.build):
            count, total = found.get(one.operation, (0, 0.0))
            value = one.errors if kind is EffectKind.DIFFERENCE else one.sum_s
            found[one.operation] = (count + one.count, total + value)
    return found


def _is(deployment: Deployment, arm: Arm) -> Callable[[str, str], bool]:
    return lambda version, build: arm_of_version(deployment, version, build) is arm
