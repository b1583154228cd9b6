"""Sessions of browsers, and logins that are under way at a provider."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from onejob.model.access import Proof, Role, Session, User
from onejob.state.database import Database
from onejob.state.tables import provider_logins, sessions, users


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLogin:
    """What has to be known again when a browser comes back from the provider."""

    nonce: str
    verifier: str
    back: str


class Sessions:
    """Those in the database. One that was not seen for `idle` is over, as is one past its `expires_at`."""

    def __init__(self, database: Database, idle: timedelta) -> None:
        self._database = database
        self._idle = idle

    def add(self, session: Session) -> None:
        """A new one; those that are over are taken away by the way."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(self._is_over(session.created_at)))
            connection.execute(insert(sessions).values(asdict(session) | {"proof": str(session.proof)}))

    def find(self, session_hash: str, now: datetime) -> tuple[Session, User] | None:
        """The session and its user, unless either is over."""
        columns = [*sessions.c, *(column.label(f"user_{column.name}") for column in users.c if column.name != "id")]
        query = select(*columns).join(users, users.c.id == sessions.c.user_id)
        is_it = (sessions.c.hash == session_hash) & ~self._is_over(now) & users.c.disabled_at.is_(None)
        with self._database.read() as connection:
            row = connection.execute(query.where(is_it)).mappings().one_or_none()
        if row is None:
            return None
        session = _session({name: row[name] for name in Session.__slots__})
        user = {name: row[f"user_{name}"] for name in User.__slots__ if name not in ("id", "role")}
        return session, User(id=session.user_id, role=Role(row["user_role"]), **user)

    def of_user(self, user_id: str, now: datetime) -> Sequence[Session]:
        """Those that go on, the newest first."""
        query = select(sessions).where(sessions.c.user_id == user_id, ~self._is_over(now))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(sessions.c.seen_at.desc())).mappings()
            return [_session(row) for row in rows]

    def seen(self, session_hash: str, now: datetime) -> None:
        """It is in use."""
        with self._database.write() as connection:
            connection.execute(update(sessions).where(sessions.c.hash == session_hash).values(seen_at=now))

    def end(self, session_hash: str) -> None:
        """This one."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.hash == session_hash))

    def end_all(self, user_id: str) -> int:
        """All of a user; how many."""
        with self._database.write() as connection:
            return connection.execute(delete(sessions).where(sessions.c.user_id == user_id)).rowcount

    def keep_only(self, session_hash: str, user_id: str, proof: Proof) -> None:
        """All others of this user end; this one is proven by this from now on."""
        with self._database.write() as connection:
            others = (sessions.c.user_id == user_id) & (sessions.c.hash != session_hash)
            connection.execute(delete(sessions).where(others))
            kept = update(sessions).where(sessions.c.hash == session_hash, sessions.c.user_id == user_id)
            connection.execute(kept.values(proof=str(proof)))

    def begin_login(self, state_hash: str, login: ProviderLogin, now: datetime, expires_at: datetime) -> None:
        """A browser leaves for the provider."""
        with self._database.write() as connection:
            connection.execute(delete(provider_logins).where(provider_logins.c.expires_at <= now))
            row = asdict(login) | {"hash": state_hash, "expires_at": expires_at}
            connection.execute(insert(provider_logins).values(row))

    def end_login(self, state_hash: str, now: datetime) -> ProviderLogin | None:
        """What was kept when the browser left, once; None if it did not leave from here, or long ago."""
        is_it = (provider_logins.c.hash == state_hash) & (provider_logins.c.expires_at > now)
        kept = [provider_logins.c[name] for name in ProviderLogin.__slots__]
        with self._database.write() as connection:
            row = connection.execute(delete(provider_logins).where(is_it).returning(*kept)).mappings().one_or_none()
        return None if row is None else ProviderLogin(**row)

    def _is_over(self, now: datetime) -> ColumnElement[bool]:
        return or_(sessions.c.expires_at <= now, sessions.c.seen_at <= now - self._idle)


def _session(row: Mapping[Any, Any]) -> Session:
    return Session(**(dict(row) | {"proof": Proof(row["proof"])}))
