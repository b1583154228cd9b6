"""Which requests went through which deployment's new version, by the versions of the spans in their traces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from onejob.explain.edges import Kinship
from onejob.explain.overlap import Candidate
from onejob.explain.overlap_reading import Passages, Served
from onejob.explain.tables import Bools
from onejob.model.deployment import Deployment, Status
from onejob.model.explanation import Relation
from onejob.verdict.arms import is_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests to `service`, what else their traces went through, and how the services there are related to it."""

    service: str
    served: Served
    passages: Passages
    related: Mapping[str, Kinship]

    def candidate(self, one: Deployment, *, is_judged: bool = False) -> Candidate:
        """The deployment with the requests that went through its new version."""
        exposed, is_by_time = self._exposed(one, is_judged=is_judged)
        return Candidate(
            deployment_id=one.id,
            service=one.service,
            version=one.version,
            began_at=began_at(one),
            kinship=Kinship(Relation.ITSELF, 0) if is_judged else self._kinship(one),
            exposed=exposed,
            is_by_time=is_by_time,
        )

    def is_related(self, one: Deployment) -> bool:
        """Does a call lead from one service to the other, or are they the same?"""
        return self._kinship(one) is not None

    def without(self, gone: Sequence[Deployment]) -> "Traffic":
        """As if nobody had gone through these while they served: their damage is not what is looked for."""
        kept = np.ones(len(self.served), dtype=np.bool_)
        for one in gone:
            kept &= ~(self._through(one) & self._during(one))
        return Traffic(
            service=self.service, served=self.served.take(kept), passages=self.passages, related=self.related
        )

    def _kinship(self, one: Deployment) -> Kinship | None:
        return Kinship(Relation.SAME_SERVICE, 0) if one.service == self.service else self.related.get(one.service)

    def _exposed(self, one: Deployment, *, is_judged: bool) -> tuple[Bools, bool]:
        """A change of configuration alone has no version: then all that its service was asked while it was there.

        Not so where it is said to get a part of the traffic: which part, no span tells.
        """
        mine = self._through(one)
        is_whole = one.traffic_share is None or one.traffic_share >= 1
        if not mine.any() and one.first_seen_at is None and is_whole and not is_judged:
            return self._touched(one) & self._during(one), True
        was_there_before = one.version == one.previous_version or one.rollback_of is not None
        return (mine & self._during(one) if was_there_before else mine), False

    def _through(self, one: Deployment) -> Bools:
        return self._answered_by(one.service, lambda version, build: is_version(one.version, version, build))

    def _touched(self, one: Deployment) -> Bools:
        return self._answered_by(one.service, lambda *_: True)

    def _answered_by(self, service: str, matches: Callable[[str, str], bool]) -> Bools:
        if service == self.service:
            return self.served.of_version(matches)
        return self.served.in_traces(self.passages.through(service, matches))

    def _during(self, one: Deployment) -> Bools:
        begun = self.served.start_s >= began_at(one).timestamp()
        if one.finished_at is None or one.status in (Status.FINISHED, Status.IN_PROGRESS):
            return begun
        return begun & (self.served.start_s < one.finished_at.timestamp())


def began_at(one: Deployment) -> datetime:
    """Its first request, as far as is known; telemetry may have seen it before it was reported."""
    return min(one.started_at, one.first_seen_at or one.started_at)
