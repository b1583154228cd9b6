"""A deployment: one version of one service starting to serve one environment."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Strategy(StrEnum):
    """How traffic moves from the old version to the new one."""

    CANARY = "canary"
    ROLLING = "rolling"
    BLUE_GREEN = "blue_green"
    ALL_AT_ONCE = "all_at_once"


class Source(StrEnum):
    """Who noticed the deployment first."""

    REPORTED = "reported"
    DETECTED = "detected"


class Status(StrEnum):
    """Where the deployment is in its life; says nothing about whether it is any good."""

    IN_PROGRESS = "in_progress"
    FINISHED = "finished"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`version` is a label: `service.version`, or `version@build` where only the build changed.

    `started_at` is when traffic was first sent (reported) or seen (detected); all times are aware and UTC.
    `traffic_share` is the share of traffic in 0..1 that the reporter says the version gets now, if it says so.
    `rollback_of` is the id of the deployment whose version this one takes back.
    `notes` are sentences about oddities of the report or of the clocks, shown to the user as they are.
    """

    id: str
    service: str
    environment: str
    version: str
    previous_version: str | None
    strategy: Strategy
    source: Source
    status: Status
    started_at: datetime
    finished_at: datetime | None = None
    first_seen_at: datetime | None = None
    traffic_share: float | None = None
    commit: str | None = None
    repository: str | None = None
    actor: str | None = None
    url: str | None = None
    rollback_of: str | None = None
    notes: tuple[str, ...] = ()
