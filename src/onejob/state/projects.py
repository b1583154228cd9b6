"""Projects other than `default`, and who belongs to them: the server's, so kept in the state database of `default`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from onejob.model.access import Role
from onejob.model.project import DEFAULT_PROJECT, Project
from onejob.state.database import Database
from onejob.state.errors import ConflictError, NotFoundError
from onejob.state.tables import memberships, projects, removed_projects, tokens, users


class Projects:
    """Those in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, project: Project) -> None:
        """ConflictError if there is one of this name, or something is left of one."""
        row = {name: getattr(project, name) for name in Project.__slots__}
        try:
            with self._database.write() as connection:
                connection.execute(insert(projects).values(row))
        except IntegrityError as error:
            raise ConflictError(
                f"There is a project {project.name!r}, or it is being removed: choose another name, or wait."
            ) from error

    def all(self) -> Sequence[Project]:
        """By name, with those that are being removed."""
        with self._database.read() as connection:
            return [_project(row) for row in connection.execute(select(projects).order_by(projects.c.name)).mappings()]

    def get(self, name: str) -> Project:
        """The one with this name; NotFoundError if there is none, or not any more."""
        there = (projects.c.name == name) & projects.c.removed_at.is_(None)
        with self._database.read() as connection:
            row = connection.execute(select(projects).where(there)).mappings().one_or_none()
        return _project(row) if row is not None else _unknown(name)

    def change(self, name: str, **values: int | None) -> Project:
        """Set limits; NotFoundError."""
        if not values:
            return self.get(name)
        there = (projects.c.name == name) & projects.c.removed_at.is_(None)
        with self._database.write() as connection:
            changed = update(projects).where(there).values(values).returning(*projects.c)
            row = connection.execute(changed).mappings().one_or_none()
        return _project(row) if row is not None else _unknown(name)

    def remove(self, name: str, now: datetime) -> None:
        """From now on nobody belongs to it, and its tokens open nothing. NotFoundError."""
        there = (projects.c.name == name) & projects.c.removed_at.is_(None)
        its_own = (tokens.c.project == name) & tokens.c.revoked_at.is_(None)
        with self._database.write() as connection:
            if not connection.execute(update(projects).where(there).values(removed_at=now)).rowcount:
                _unknown(name)
            connection.execute(update(tokens).where(its_own).values(revoked_at=now))
            connection.execute(delete(memberships).where(memberships.c.project == name))

    def forget(self, name: str) -> None:
        """Nothing is left of one that was removed, where a server runs: its name is free. See `removed`."""
        gone = (projects.c.name == name) & projects.c.removed_at.is_not(None)
        with self._database.write() as connection:
            deleted = delete(projects).where(gone).returning(projects.c.name, projects.c.created_at)
            for row in connection.execute(deleted).mappings().all():
                connection.execute(insert(removed_projects).values(row))

    def removed(self) -> Sequence[tuple[str, datetime]]:
        """Name and making of each that there was once, for who did not run when it was removed."""
        with self._database.read() as connection:
            return [(name, made) for name, made in connection.execute(select(removed_projects))]


class Memberships:
    """Which users have which role where. In `default` everybody has the role that is written at the user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def role(self, user_id: str, project: str) -> Role | None:
        """An admin of the server is one everywhere; others are what they were made there, or nothing."""
        query = select(users.c.role, memberships.c.role.label("there")).outerjoin(
            memberships, (memberships.c.user_id == users.c.id) & (memberships.c.project == project)
        )
        with self._database.read() as connection:
            row = connection.execute(query.where(users.c.id == user_id)).mappings().one_or_none()
        return None if row is None else role_in(project, row["role"], row["there"])

    def of_user(self, user_id: str) -> Mapping[str, Role]:
        """Role by project."""
        columns = (memberships.c.project, memberships.c.role)
        query = select(*columns).where(memberships.c.user_id == user_id).order_by(memberships.c.project)
        with self._database.read() as connection:
            return {project: Role(role) for project, role in connection.execute(query)}

    def of_project(self, project: str) -> Mapping[str, Role]:
        """Role by the user's name."""
        query = select(users.c.name, memberships.c.role).join(users, users.c.id == memberships.c.user_id)
        query = query.where(memberships.c.project == project).order_by(users.c.name)
        with self._database.read() as connection:
            return {name: Role(role) for name, role in connection.execute(query)}

    def seen_by(self, user_id: str | None) -> Sequence[str]:
        """The names of the projects that a user may see, by name; of all for None, who needs no login."""
        query = select(projects.c.name).where(projects.c.removed_at.is_(None)).order_by(projects.c.name)
        if user_id is not None:
            their = select(memberships.c.project).where(memberships.c.user_id == user_id)
            is_admin = exists().where(users.c.id == user_id, users.c.role == str(Role.ADMIN))
            query = query.where(projects.c.name.in_(their) | is_admin)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def put(self, user_id: str, project: str, role: Role) -> None:
        """From now on they have this role there. NotFoundError if there is no such project."""
        its = (memberships.c.user_id == user_id) & (memberships.c.project == project)
        there = select(projects.c.name).where(projects.c.name == project, projects.c.removed_at.is_(None))
        with self._database.write() as connection:
            if connection.execute(there.with_for_update()).scalar_one_or_none() is None:
                _unknown(project)
            if not connection.execute(update(memberships).where(its).values(role=str(role))).rowcount:
                connection.execute(insert(memberships).values(user_id=user_id, project=project, role=str(role)))

    def remove(self, user_id: str, project: str) -> None:
        """They do not belong to it any more. NotFoundError if they did not."""
        its = (memberships.c.user_id == user_id) & (memberships.c.project == project)
        with self._database.write() as connection:
            if not connection.execute(delete(memberships).where(its)).rowcount:
                raise NotFoundError(f"This user does not belong to {project!r}: `onejob project list` shows who does.")


def role_in(project: str, of_server: str, there: str | None) -> Role | None:
    """What a user may do in a project, by their role on the server and their membership."""
    if project == DEFAULT_PROJECT or of_server == Role.ADMIN:
        return Role(of_server)
    return Role(there) if there else None


def _unknown(name: str) -> Any:
    raise NotFoundError(f"There is no project {name[:40]!r}: `onejob project list` shows which there are.")


def _project(row: RowMapping) -> Project:
    return Project(**row)
