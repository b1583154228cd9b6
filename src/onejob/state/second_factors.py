"""Second factors of users, their recovery codes, and logins whose password was right and whose code is waited for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from onejob.state.database import Database
from onejob.state.errors import ConflictError
from onejob.state.tables import recovery_codes, second_factors, waiting_logins


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """`secret` is as it is kept. Until a code confirmed it, it is asked for nowhere. `last_step` was used last."""

    user_id: str
    secret: str
    begun_at: datetime
    confirmed_at: datetime | None
    last_step: int


class SecondFactors:
    """Those in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, user_id: str) -> SecondFactor | None:
        """The one of a user, confirmed or not."""
        with self._database.read() as connection:
            found = select(second_factors).where(second_factors.c.user_id == user_id)
            row = connection.execute(found).mappings().one_or_none()
        return None if row is None else SecondFactor(**row)

    def users(self) -> set[str]:
        """The ids of those who have a confirmed one."""
        with self._database.read() as connection:
            confirmed = select(second_factors.c.user_id).where(second_factors.c.confirmed_at.is_not(None))
            return set(connection.execute(confirmed).scalars())

    def begin(self, user_id: str, secret: str, now: datetime) -> None:
        """One that has yet to be confirmed, in place of another such. ConflictError if there is a confirmed one."""
        unconfirmed = (second_factors.c.user_id == user_id) & second_factors.c.confirmed_at.is_(None)
        with self._database.write() as connection:
            connection.execute(delete(second_factors).where(unconfirmed))
            if connection.execute(select(second_factors).where(second_factors.c.user_id == user_id)).first():
                raise ConflictError("There is a second factor already: switch it off first.")
            begun = {"user_id": user_id, "secret": secret, "begun_at": now, "last_step": 0}
            connection.execute(insert(second_factors).values(begun))

    def confirm(self, user_id: str, step: int, code_hashes: Collection[str], now: datetime) -> bool:
        """From now on it is asked for. False if there is none that waits for it."""
        waits = (second_factors.c.user_id == user_id) & second_factors.c.confirmed_at.is_(None)
        with self._database.write() as connection:
            confirmed = update(second_factors).where(waits).values(confirmed_at=now, last_step=step)
            is_done = connection.execute(confirmed).rowcount == 1
            if is_done:
                _renew(connection, user_id, code_hashes)
        return is_done

    def use_step(self, user_id: str, step: int, secret: str) -> bool:
        """Each step is good once, and none before it afterwards; of two at once, one succeeds. `secret` as it is kept
        from now on.
        """
        is_later = (second_factors.c.user_id == user_id) & (second_factors.c.last_step < step)
        used = update(second_factors).where(is_later, second_factors.c.confirmed_at.is_not(None))
        with self._database.write() as connection:
            return connection.execute(used.values(last_step=step, secret=secret)).rowcount == 1

    def use_recovery_code(self, user_id: str, code_hash: str) -> bool:
        """It is used up; False if it is none of this user's."""
        is_it = (recovery_codes.c.user_id == user_id) & (recovery_codes.c.hash == code_hash)
        with self._database.write() as connection:
            return connection.execute(delete(recovery_codes).where(is_it)).rowcount == 1

    def renew_recovery_codes(self, user_id: str, code_hashes: Collection[str]) -> None:
        """These, and none of those before."""
        with self._database.write() as connection:
            _renew(connection, user_id, code_hashes)

    def recovery_codes_left(self, user_id: str) -> int:
        """How many are not used up."""
        counted = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user_id == user_id)
        with self._database.read() as connection:
            return connection.execute(counted).scalar_one()

    def remove(self, user_id: str) -> None:
        """It, and its recovery codes."""
        with self._database.write() as connection:
            for table in (second_factors, recovery_codes, waiting_logins):
                connection.execute(delete(table).where(table.c.user_id == user_id))

    def wait(self, waiting_hash: str, user_id: str, now: datetime, expires_at: datetime) -> None:
        """A password was right; those who waited too long are taken away by the way."""
        with self._database.write() as connection:
            connection.execute(delete(waiting_logins).where(waiting_logins.c.expires_at <= now))
            waits = {"hash": waiting_hash, "user_id": user_id, "expires_at": expires_at}
            connection.execute(insert(waiting_logins).values(waits))

    def waiting(self, waiting_hash: str, now: datetime) -> str | None:
        """The id of the user whose code is waited for."""
        is_it = (waiting_logins.c.hash == waiting_hash) & (waiting_logins.c.expires_at > now)
        with self._database.read() as connection:
            return connection.execute(select(waiting_logins.c.user_id).where(is_it)).scalar_one_or_none()

    def end_waiting(self, waiting_hash: str) -> bool:
        """The code came; False if another was faster."""
        with self._database.write() as connection:
            return connection.execute(delete(waiting_logins).where(waiting_logins.c.hash == waiting_hash)).rowcount == 1


def _renew(connection: Connection, user_id: str, code_hashes: Collection[str]) -> None:
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    connection.execute(insert(recovery_codes), [{"hash": one, "user_id": user_id} for one in code_hashes])
