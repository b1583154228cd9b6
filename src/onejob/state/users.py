"""Users, and the one-time links by which they choose a password."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from onejob.model.access import Role, User
from onejob.state.database import Database
from onejob.state.errors import ConflictError, NotFoundError
from onejob.state.tables import links, sessions, users, waiting_logins


class Users:
    """Those in the database. Names are compared as they are stored: in lower case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, user: User) -> None:
        """ConflictError if the name, or the provider's subject, is another user's."""
        row = {name: getattr(user, name) for name in User.__slots__} | {"role": str(user.role)}
        try:
            with self._database.write() as connection:
                connection.execute(insert(users).values(row))
        except IntegrityError as error:
            raise ConflictError(f"There is a user {user.name!r} already: choose another name.") from error

    def get(self, user_id: str) -> User | None:
        """The user with this id."""
        return self._one(users.c.id == user_id)

    def named(self, name: str) -> User | None:
        """The user with this name."""
        return self._one(users.c.name == name)

    def with_subject(self, subject: str) -> User | None:
        """The user whom a provider knows by this subject."""
        return self._one(users.c.subject == subject)

    def all(self) -> Sequence[User]:
        """By name."""
        with self._database.read() as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.name)).mappings()]

    def count(self) -> int:
        """How many there are."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(users)).scalar_one()

    def change(self, user_id: str, *, log_out: bool = False, keep_an_admin: bool = True, **values: Any) -> User:
        """Set columns; `log_out` ends all of their sessions, begun logins and links with it. ConflictError for the last
        admin, unless it is not for us to keep one.
        """
        with self._database.write() as connection:
            admins = _admins(connection)
            changed = update(users).where(users.c.id == user_id).values(values).returning(*users.c)
            row = connection.execute(changed).mappings().one_or_none()
            if row is None:
                raise NotFoundError(f"There is no user {user_id}.")
            if keep_an_admin and admins == {user_id} and _admins(connection) == set():
                raise ConflictError("This is the last admin: make somebody else one first.")
            if log_out:
                _end(connection, user_id, sessions, waiting_logins, links)
            return _user(row)

    def add_link(self, link_hash: str, user_id: str, expires_at: datetime) -> None:
        """A new link; older ones of the same user lead nowhere from now on."""
        with self._database.write() as connection:
            _end(connection, user_id, links)
            connection.execute(insert(links).values(hash=link_hash, user_id=user_id, expires_at=expires_at))

    def linked(self, link_hash: str, now: datetime) -> User | None:
        """Whose link this is, while it is one."""
        with self._database.read() as connection:
            joined = select(users).join(links, links.c.user_id == users.c.id)
            row = connection.execute(joined.where(_is_link(link_hash, now))).mappings().one_or_none()
        return None if row is None else _user(row)

    def use_link(self, link_hash: str, now: datetime, password_hash: str) -> User | None:
        """Give its user this password, and end the link; None if it is none any more. Of two at once, one succeeds."""
        with self._database.write() as connection:
            used = delete(links).where(_is_link(link_hash, now)).returning(links.c.user_id)
            user_id = connection.execute(used).scalar_one_or_none()
            if user_id is None:
                return None
            _end(connection, user_id, sessions, waiting_logins)
            changed = update(users).where(users.c.id == user_id).values(password_hash=password_hash)
            return _user(connection.execute(changed.returning(*users.c)).mappings().one())

    def _one(self, condition: ColumnElement[bool]) -> User | None:
        with self._database.read() as connection:
            row = connection.execute(select(users).where(condition)).mappings().one_or_none()
        return None if row is None else _user(row)


def _end(connection: Connection, user_id: str, *tables: Table) -> None:
    for table in tables:
        connection.execute(delete(table).where(table.c.user_id == user_id))


def _is_link(link_hash: str, now: datetime) -> ColumnElement[bool]:
    return (links.c.hash == link_hash) & (links.c.expires_at > now)


def _admins(connection: Connection) -> set[str]:
    """Without any, nobody could let anybody in again."""
    able = select(users.c.id).where(users.c.role == str(Role.ADMIN), users.c.disabled_at.is_(None))
    return set(connection.execute(able.with_for_update()).scalars())


def _user(row: RowMapping) -> User:
    return User(**(dict(row) | {"role": Role(row["role"])}))
