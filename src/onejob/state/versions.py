"""The versions telemetry has ever shown of each service: what makes a version new, or an old one that comes back."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.state.database import Database
from onejob.state.tables import versions

_KEY = ("service", "environment", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVersion:
    """`version` is the label of a Deployment; `builds` are the builds that count as this version.

    `rate_per_s` is its entry traffic when it was last seen.
    """

    service: str
    environment: str
    version: str
    builds: tuple[str, ...]
    first_seen_at: datetime
    last_seen_at: datetime
    rate_per_s: float


class KnownVersions:
    """The versions in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[KnownVersion]:
        """All versions of all services."""
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(select(versions)).mappings()]

    def of_service(self, service: str, environment: str) -> list[KnownVersion]:
        """All versions of a service, the first seen first."""
        here = (versions.c.service == service, versions.c.environment == environment)
        with self._database.read() as connection:
            rows = connection.execute(select(versions).where(*here).order_by(versions.c.first_seen_at)).mappings()
            return [_from_row(row) for row in rows]

    def save(self, known: list[KnownVersion]) -> None:
        """Store versions as they are known now."""
        if not known:
            return
        statement = (insert_sqlite if self._database.is_sqlite else insert_postgresql)(versions)
        renewed = {column.name: column for column in statement.excluded if column.name not in _KEY}
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=_KEY, set_=renewed), [_to_row(one) for one in known]
            )


def _to_row(version: KnownVersion) -> dict[str, Any]:
    values = {name: getattr(version, name) for name in KnownVersion.__slots__}
    return values | {"builds": json.dumps(version.builds)}


def _from_row(row: RowMapping) -> KnownVersion:
    values: dict[str, Any] = dict(row)
    values["builds"] = tuple(json.loads(values["builds"]))
    return KnownVersion(**values)
