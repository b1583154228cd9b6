"""Router counters to evidence: what was added since the last look."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime

from onejob.act.drivers.base import ArmCounters
from onejob.model.evidence import Arm, RouterCount


class Sampler:
    """Remembers the last look at one router, in memory only.

    The first look, and the first after the router was restarted, is a baseline and yields nothing: what happened in
    between cannot be told apart by share. That loses at most a second of counts, and never counts one twice.
    """

    def __init__(self) -> None:
        self._seen: dict[Arm, ArmCounters] = {}

    def sample(self, counters: Mapping[Arm, ArmCounters], share: float, now: datetime) -> list[RouterCount]:
        """What both arms added while `share` was in force; nothing if neither added anything."""
        if any(counters[arm].answered < before.answered for arm, before in self._seen.items()):
            self._seen = {}
        added = [_added(arm, self._seen[arm], counters[arm], share, now) for arm in counters if arm in self._seen]
        self._seen = {arm: _highest(self._seen.get(arm), found) for arm, found in counters.items()}
        return added if any(count.requests for count in added) else []


def _added(arm: Arm, before: ArmCounters, found: ArmCounters, share: float, now: datetime) -> RouterCount:
    requests = max(0, found.requests - before.requests)
    failed = min(requests, max(0, found.failed - before.failed))
    timeouts = min(failed, max(0, found.timeouts - before.timeouts))
    resets = min(failed - timeouts, max(0, found.resets - before.resets))
    share = share if arm is Arm.TREATMENT else 1 - share
    return RouterCount(
        arm=arm, sampled_at=now, requests=requests, errors_5xx=failed, resets=resets, timeouts=timeouts, share=share
    )


def _highest(before: ArmCounters | None, found: ArmCounters) -> ArmCounters:
    """Counts that are off by a few for a moment must not be counted again when they come back."""
    if before is None:
        return found
    return ArmCounters(**{f.name: max(getattr(before, f.name), getattr(found, f.name)) for f in fields(ArmCounters)})
