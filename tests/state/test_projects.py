"""Projects and who belongs to them, on SQLite and on PostgreSQL."""

from datetime import timedelta

import pytest

from onejob.access.token_book import TokenBook, Wanted
from onejob.model.access import LOCAL, Role, TokenKind, User
from onejob.model.project import Project
from onejob.state.database import Database
from onejob.state.errors import ConflictError, NotFoundError
from onejob.state.projects import Memberships, Projects
from onejob.state.tokens import Tokens
from onejob.state.users import Users
from state.builders import NOW


def _user(database: Database, name: str, role: Role = Role.VIEWER) -> str:
    Users(database).add(User(id=f"usr_{name}", name=name, role=role, created_at=NOW))
    return f"usr_{name}"


def test_a_project_comes_back_as_it_was_until_nothing_is_left_of_it(state_database: Database) -> None:
    projects = Projects(state_database)
    shop = Project(name="shop", created_at=NOW, traces_retention_days=3, spool_max_bytes=2**40)
    projects.add(shop)
    projects.add(Project(name="bank", created_at=NOW))
    assert [one.name for one in projects.all()] == ["bank", "shop"]
    assert projects.get("shop") == shop
    assert projects.change("shop", traces_retention_days=None).own_limits() == {"spool_max_bytes": 2**40}
    with pytest.raises(ConflictError, match="choose another name"):
        projects.add(shop)

    projects.remove("shop", NOW)
    for gone in (projects.get, projects.change, lambda name: projects.remove(name, NOW)):
        with pytest.raises(NotFoundError, match="no project 'shop'"):
            gone("shop")
    with pytest.raises(ConflictError):
        projects.add(shop)
    projects.forget("bank")
    assert projects.removed() == []
    projects.forget("shop")
    projects.add(shop)
    assert len(projects.all()) == 2
    assert projects.removed() == [("shop", NOW)]


def test_a_role_holds_in_its_own_project_and_an_admins_everywhere(state_database: Database) -> None:
    projects, members = Projects(state_database), Memberships(state_database)
    for name in ("shop", "bank"):
        projects.add(Project(name=name, created_at=NOW))
    bo, root = _user(state_database, "bo"), _user(state_database, "root", Role.ADMIN)
    members.put(bo, "shop", Role.DEVELOPER)
    members.put(bo, "shop", Role.OPERATOR)
    assert [members.role(bo, name) for name in ("default", "shop", "bank")] == [Role.VIEWER, Role.OPERATOR, None]
    assert {members.role(root, name) for name in ("default", "shop", "bank")} == {Role.ADMIN}
    assert members.role("usr_nobody", "shop") is None
    assert (members.of_user(bo), members.of_project("shop")) == ({"shop": Role.OPERATOR}, {"bo": Role.OPERATOR})
    assert [members.seen_by(who) for who in (bo, root, None)] == [["shop"], ["bank", "shop"], ["bank", "shop"]]
    with pytest.raises(NotFoundError):
        members.put(bo, "nowhere", Role.ADMIN)
    members.remove(bo, "shop")
    with pytest.raises(NotFoundError):
        members.remove(bo, "shop")


def test_what_is_removed_leaves_no_token_and_no_member(state_database: Database) -> None:
    projects, members, tokens = Projects(state_database), Memberships(state_database), Tokens(state_database)
    for name in ("shop", "bank"):
        projects.add(Project(name=name, created_at=NOW))
        wanted = Wanted(name=name, kind=TokenKind.INGEST, lasts=timedelta(days=1), project=name)
        TokenBook(tokens, lambda: NOW).make(wanted, LOCAL)
    members.put(_user(state_database, "bo"), "shop", Role.ADMIN)
    projects.remove("shop", NOW)
    assert [token.project for token in tokens.usable(TokenKind.INGEST, NOW)] == ["bank"]
    assert members.of_project("shop") == {}
    projects.forget("shop")
