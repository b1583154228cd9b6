"""`onejob user`, `token` and `audit`, against a server that wants to know who asks."""

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from access.serving import served
from access.site import PASSWORD, Site
from onejob.model.access import Role
from onejob.state.database import Database

from .conftest import Replay, Run


@pytest.fixture
def site(sqlite_database: Database) -> Site:
    """With one user: ada, an admin."""
    site = Site(sqlite_database)
    site.add_user()
    return site


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    with served(site.app) as url:
        yield url


@pytest.fixture
def token(site: Site) -> str:
    """Of an admin."""
    return site.program(Role.ADMIN, name="root").token


def test_without_a_token_one_is_told_where_it_goes(onejob: Run, url: str) -> None:
    result = onejob("status", url=url)
    assert result.returncode == 1
    assert "set ONEJOB_TOKEN" in result.stderr


def test_a_token_that_is_none_is_told_as_such_and_not_repeated(onejob: Run, url: str) -> None:
    result = onejob("status", url=url, token="onejob_api_nothing")
    assert result.returncode == 1
    assert "The token is none" in result.stderr
    assert "onejob_api_nothing" not in result.stderr
    broken = onejob("status", url=url, token="two words")
    assert broken.returncode == 2
    assert "two words" not in broken.stderr


def test_a_pipelines_token_is_made_used_listed_and_revoked(onejob: Run, url: str, token: str) -> None:
    made = onejob("token", "create", "CI", "--role", "developer", "--service", "checkout", url=url, token=token)
    assert made.returncode == 0, made.stderr
    new = made.stdout.strip()
    assert new.startswith("onejob_api_")
    assert "It is shown this once" in made.stderr
    started = onejob("deployment", "start", "checkout", "2", url=url, token=new)
    assert started.returncode == 0, started.stderr
    refused = onejob("deployment", "start", "payments", "2", url=url, token=new)
    assert (refused.returncode, "is for checkout, not for payments" in refused.stderr) == (1, True)
    listed = onejob("token", "list", url=url, token=token).stdout
    line = next(line for line in listed.splitlines() if "\tCI\t" in line)
    assert new not in listed
    revoked = onejob("token", "revoke", line.split("\t")[0], url=url, token=token)
    assert revoked.returncode == 0, revoked.stderr
    assert onejob("status", url=url, token=new).returncode == 1


@pytest.mark.parametrize("options", [(), ("--ingest", "--role", "viewer")])
def test_a_token_is_for_one_thing(onejob: Run, replay: Replay, options: tuple[str, ...]) -> None:
    result = onejob("token", "create", "x", *options, url=replay.url)
    assert result.returncode == 2
    assert "--role ROLE, or --ingest" in result.stderr
    assert replay.requests == []


def test_a_user_is_added_and_chooses_a_password_by_the_printed_link(
    onejob: Run, url: str, token: str, site: Site
) -> None:
    added = onejob("user", "add", "bo", "--role", "operator", url=url, token=token)
    assert added.returncode == 0, added.stderr
    address, _, code = added.stdout.strip().partition("#")
    assert address == f"{url}/welcome"
    assert site.browser().post("/welcome", code=code, password=PASSWORD, again=PASSWORD).status_code == 303
    assert "bo\toperator\tpassword" in onejob("user", "list", url=url, token=token).stdout
    assert onejob("user", "role", "bo", "viewer", url=url, token=token).stdout == "bo\tviewer\tpassword\n"
    assert onejob("user", "disable", "bo", url=url, token=token).stdout == "bo\tviewer\tdisabled\n"
    assert site.browser().log_in("bo").status_code == 401
    assert onejob("user", "enable", "bo", url=url, token=token).returncode == 0
    assert onejob("user", "link", "bo", url=url, token=token).stdout.startswith(f"{url}/welcome#")
    unknown = onejob("user", "logout", "cy", url=url, token=token)
    assert unknown.returncode == 4
    assert "There is no user 'cy'" in unknown.stderr
    assert onejob("user", "logout", "../tokens", url=url, token=token).returncode == 4


def test_the_second_factor_of_somebody_who_lost_it_is_reset(onejob: Run, url: str, token: str, site: Site) -> None:
    book = site.services.access.accounts.second_factors
    user = site.services.access.accounts.users.named("ada")
    assert user
    book.begin(user)
    begun = book.enrolment(user)
    assert begun
    book.confirm(user, pyotp.TOTP(begun[0]).at(site.now), "10.0.0.9")
    assert "ada\tadmin\tpassword and code" in onejob("user", "list", url=url, token=token).stdout
    reset = onejob("user", "reset-second-factor", "ada", url=url, token=token)
    assert (reset.returncode, reset.stdout) == (0, "ada\tadmin\tpassword\n"), reset.stderr
    assert not book.is_on(user.id)


def test_a_log_that_is_whole_is_verified_and_its_head_printed(
    onejob: Run, url: str, token: str, site: Site, tmp_path: Path
) -> None:
    for number in range(1001):  # more than one answer has
        site.services.record(actor=f"user{number}", action="x", object="y", source="z")
    early = onejob("audit", "verify", url=url, token=token).stdout.strip()
    assert early == str(site.services.audit.head())
    site.services.record(actor="bo", action="x", object="y", source="z")
    later = onejob("audit", "verify", "--head", early, url=url, token=token)
    assert later.returncode == 0, later.stderr
    exported = tmp_path / "audit.jsonl"
    exported.write_text(onejob("audit", "export", url=url, token=token).stdout)
    offline = onejob("audit", "verify", str(exported), "--head", early)
    assert offline.stdout == later.stdout

    lines = exported.read_text().splitlines()
    for damaged in (lines[:500] + lines[501:], lines[1:], [*lines[:-2], lines[-1]], [lines[1], lines[0], *lines[2:]]):
        exported.write_text("\n".join(damaged))
        result = onejob("audit", "verify", str(exported))
        assert result.returncode == 1
        assert "The audit log was tampered with" in result.stderr
    exported.write_text("\n".join(lines[:500]))
    assert onejob("audit", "verify", str(exported)).returncode == 0, "by itself it looks whole"
    cut = onejob("audit", "verify", str(exported), "--head", early)
    assert (cut.returncode, "its end was cut off" in cut.stderr) == (1, True)


def test_a_change_in_the_database_is_found_by_the_command(
    onejob: Run, url: str, token: str, site: Site, sqlite_database: Database
) -> None:
    for _ in range(3):
        site.services.record(actor="ada", action="x", object="y", source="z")
    with sqlite_database.write() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'bo' WHERE seq = 2")
    result = onejob("audit", "verify", url=url, token=token)
    assert result.returncode == 1
    assert "entry 2 was changed after it was written" in result.stderr


def test_what_is_no_head_and_no_log_is_told_as_such(onejob: Run, replay: Replay, tmp_path: Path) -> None:
    assert onejob("audit", "verify", "--head", "nonsense", url=replay.url).returncode == 2
    (tmp_path / "no.log").write_text("nonsense")
    assert onejob("audit", "verify", str(tmp_path / "no.log")).returncode == 2
    (tmp_path / "no.log").write_text('{"seq": 1}')
    assert onejob("audit", "verify", str(tmp_path / "no.log")).returncode == 1
