"""What onejob would have said of the deployments of the past, and what hearing it would have been worth."""

from dataclasses import dataclass
from datetime import datetime

from onejob.model.deployment import Deployment
from onejob.model.verdict import State, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What users met between the verdict that would have been and the end of the bad version.

    `requests` the version answered in that time; `failed` of them beyond what control's rate would have given;
    `waited_s` is the time users waited beyond what they would have waited for control. Only operations that the
    verdict calls worse count for the last two. `ended` says how it ended: the deployment's status, or `serving` where
    it still served when history ends.
    """

    since: datetime
    until: datetime
    ended: str
    requests: int
    failed: int
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestedDeployment:
    """A deployment and the verdict it would have got.

    `verdict` is the document of the look at which the verdict came to its state, for `undecided` and for looks after
    which nothing could change any more the last one. `decided_after_s` counts from the deployment's start.
    `said_then` is what the live verdict was, None where onejob was not there.
    """

    deployment: Deployment
    verdict: Verdict
    decided_after_s: float | None
    looks: int
    saved: Saved | None
    said_then: State | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """The report: all deployments that started in [since, until), oldest first.

    `source` names the store in words. `services` had traffic in that time; `notes` are sentences about what was left
    out and why.
    """

    id: str
    made_at: datetime
    since: datetime
    until: datetime
    source: str
    services: tuple[str, ...]
    deployments: tuple[BacktestedDeployment, ...]
    notes: tuple[str, ...]
    took_s: float
    engine_version: str
