"""Complaints: what customers said, when, and which deployments it follows. Shown beside a verdict, never part of it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a ticket says now. `external_id` is the ticket's at its `source`, `reference` what people call it.

    `told_at` orders what was said of one ticket; `service` is the one it names, if any.
    """

    source: str
    external_id: str
    reference: str
    customer: str
    at: datetime
    summary: str
    told_at: datetime
    url: str | None = None
    service: str | None = None
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A ticket is gone (`is_deleted`), or is no customer's any more."""

    source: str
    external_id: str
    told_at: datetime
    is_deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A deployment that a complaint came after."""

    deployment_id: str
    service: str
    environment: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A complaint that is on record, with the deployments that it follows, the latest first."""

    id: str
    source: str
    reference: str
    customer: str
    at: datetime
    summary: str
    url: str | None
    service: str | None
    is_closed: bool
    received_at: datetime
    deployments: tuple[Followed, ...] = ()
