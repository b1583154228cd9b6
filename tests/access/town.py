"""A server with two projects beside `default`, asked in memory: `shop` and `bank`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from onejob.model.access import Role
from onejob.model.project import Project
from onejob.state.database import Database
from onejob.tenancy import settings_of
from onejob.web.app import create_app
from onejob.web.nothing import Nothing
from onejob.web.projects import Projects
from onejob.web.services import Services, assemble
from state_sqlite import Template, unsynced

from .site import Site


class Kept:
    """Projects whose parts do not run."""

    def __init__(self, default: Services, services: Mapping[str, Services]) -> None:
        self._services = services
        self._apps: dict[str, ASGIApp] = {name: create_app(its) for name, its in services.items()}
        self._nothing = Nothing(default)
        self.told: dict[str, str] = {}

    def look(self) -> None:
        pass

    def running(self) -> Mapping[str, Services]:
        return self._services

    def troubles(self) -> Mapping[str, str]:
        return self.told

    def app(self, name: str) -> ASGIApp:
        found = None if name in self.told else self._apps.get(name)
        return found or self._nothing.at(name, self.told.get(name))


class Town(Site):
    """With the users ada (an admin), sho (operator of shop), and ban (admin of bank); the last two view `default`."""

    def __init__(self, database: Database, make: Callable[[str], Database], **settings: Any) -> None:
        super().__init__(database, **settings)
        projects = [Project(name=name, created_at=self.now) for name in ("shop", "bank")]
        clock, access = lambda: self.now, self.services.access
        services = {}
        for project in projects:
            access.projects.add(project)
            its = settings_of(self.services.settings, project)
            services[project.name] = assemble(
                its, make(project.name), clock=clock, access=access.of_project(project.name)
            )
        self.kept = Kept(self.services, services)
        self.services = replace(self.services, projects=self.kept)
        self.app: Any = Projects(create_app(self.services), self.kept.app, None)  # type: ignore[assignment]
        self.add_user()
        for name, project, role in (("sho", "shop", Role.OPERATOR), ("ban", "bank", Role.ADMIN)):
            self.add_user(name, Role.VIEWER)
            user = self.services.access.accounts.users.named(name)
            assert user is not None
            self.services.access.members.put(user.id, project, role)


def a_town(template: Template, folder: Path, **settings: Any) -> Town:
    """Over SQLite."""
    made = lambda name: unsynced(Database(template.copy(folder / f"{name}.db")))  # noqa: E731
    return Town(made("default"), made, **settings)
