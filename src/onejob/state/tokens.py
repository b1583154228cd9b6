"""Tokens of programs: found by the hash of what is presented."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, insert, select, update

from onejob.model.access import Role, Token, TokenKind
from onejob.state.database import Database
from onejob.state.errors import NotFoundError
from onejob.state.projects import role_in
from onejob.state.tables import memberships, tokens, users


@dataclass(frozen=True, slots=True)
class OwnedToken:
    """A token, and who owns it now: their name, None where nobody does; and their role in its project."""

    token: Token
    owner: str | None
    owner_role: Role | None


class Tokens:
    """Those in the database. Revoked ones stay, so that the list says what there was."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: Token) -> None:
        """A new one."""
        row: dict[str, Any] = {name: getattr(token, name) for name in Token.__slots__}
        row |= {"kind": str(token.kind), "role": token.role and str(token.role), "origins": json.dumps(token.origins)}
        with self._database.write() as connection:
            connection.execute(insert(tokens).values(row))

    def find(self, token_hash: str, kind: TokenKind, now: datetime) -> OwnedToken | None:
        """The one with this hash while it may be used: not expired, not revoked, its owner not disabled."""
        found = self._usable(kind, now, tokens.c.hash == token_hash)
        return found[0] if found else None

    def usable(self, kind: TokenKind, now: datetime) -> Sequence[Token]:
        """All of a kind that may be used now."""
        return [one.token for one in self._usable(kind, now)]

    def all(self, owner_id: str | None = None, project: str | None = None) -> Sequence[Token]:
        """Everyone's, or one user's, or one project's; the newest first."""
        query = select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id)
        query = query if owner_id is None else query.where(tokens.c.owner_id == owner_id)
        query = query if project is None else query.where(tokens.c.project == project)
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(query).mappings()]

    def get(self, token_id: str) -> Token:
        """The token with this id; NotFoundError if there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"There is no token {token_id!r}: `onejob token list` shows their ids.")
        return _token(row)

    def revoke(self, token_id: str, now: datetime) -> None:
        """From now on it opens nothing. The first time counts."""
        is_it = (tokens.c.id == token_id) & tokens.c.revoked_at.is_(None)
        with self._database.write() as connection:
            connection.execute(update(tokens).where(is_it).values(revoked_at=now))

    def used(self, token_ids: Collection[str], now: datetime) -> None:
        """They were."""
        with self._database.write() as connection:
            connection.execute(update(tokens).where(tokens.c.id.in_(list(token_ids))).values(last_used_at=now))

    def _usable(self, kind: TokenKind, now: datetime, *conditions: ColumnElement[bool]) -> list[OwnedToken]:
        there = (memberships.c.user_id == tokens.c.owner_id) & (memberships.c.project == tokens.c.project)
        columns = (users.c.name.label("owner"), users.c.role.label("owner_role"), memberships.c.role.label("there"))
        query = select(*tokens.c, *columns).outerjoin(users, users.c.id == tokens.c.owner_id)
        query = query.outerjoin(memberships, there)
        query = query.where(
            tokens.c.kind == str(kind),
            tokens.c.revoked_at.is_(None),
            tokens.c.expires_at > now,
            users.c.disabled_at.is_(None),
            *conditions,
        )
        with self._database.read() as connection:
            return [
                OwnedToken(_token(row), row["owner"], _owner_role(row)) for row in connection.execute(query).mappings()
            ]


def _owner_role(row: RowMapping) -> Role | None:
    return role_in(row["project"], row["owner_role"], row["there"]) if row["owner_role"] else None


def _token(row: RowMapping) -> Token:
    values: dict[str, Any] = {name: row[name] for name in Token.__slots__}
    values["kind"] = TokenKind(values["kind"])
    values["role"] = Role(values["role"]) if values["role"] else None
    values["origins"] = tuple(json.loads(values["origins"]))
    return Token(**values)
