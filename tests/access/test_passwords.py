"""What a password is kept as."""

import hashlib
import importlib
import random
from pathlib import Path

import pytest
from argon2 import Type, extract_parameters

from onejob.access import passwords
from onejob.access.breached import BreachedPasswords
from onejob.access.errors import AccessError, WeakPasswordError
from onejob.config import Settings
from onejob.model.access import Role
from onejob.state.database import Database

from .site import PASSWORD, Site


@pytest.fixture(autouse=True)
def _real_costs(_cheap_passwords: None) -> None:
    """Those of a server, instead of those of the other tests."""
    importlib.reload(passwords)


def test_a_password_is_hashed_as_rfc_9106_recommends_and_salted() -> None:
    first, second = passwords.hashed("several words in a row"), passwords.hashed("several words in a row")
    assert first != second
    for kept in (first, passwords.prepare()):
        costs = extract_parameters(kept)
        assert (costs.type, costs.time_cost, costs.memory_cost, costs.salt_len) == (Type.ID, 3, 65_536, 16)
    assert passwords.is_right("several words in a row", first)
    assert not passwords.is_right("several words in a raw", first)
    assert not passwords.is_right("several words in a row", None)
    assert not passwords.is_right("several words in a row", "no hash at all")


def test_a_hash_with_other_costs_is_made_anew_at_the_next_login() -> None:
    assert passwords.is_outdated("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43)
    assert not passwords.is_outdated(passwords.prepare())


@pytest.mark.parametrize(
    "password",
    [
        "Password1234!",
        "qwertyuiop12",
        "iloveyou2023",
        "trustno1trustno1",
        "1q2w3e4r5t6y",
        "administrator1",
        "december2025",
        "Adalovelace1",
    ],
)
def test_a_password_that_many_people_have_is_refused_with_what_to_do(password: str) -> None:
    with pytest.raises(WeakPasswordError, match="take several words"):
        passwords.check(password, "adalovelace")


def test_of_the_most_frequent_passwords_that_are_long_enough_none_is_taken() -> None:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    frequent = [password for password in FREQUENCY_LISTS["passwords"] if len(password) >= passwords.LEAST]
    assert len(frequent) > 200
    for password in frequent:
        with pytest.raises(WeakPasswordError):
            passwords.check(password, "ada")


@pytest.mark.parametrize("password", [PASSWORD, "quite different words", "J7#kd8Qp2!mZ", "zwölf Böxkämpfer" * 8])
def test_words_and_what_a_program_makes_up_are_taken(password: str) -> None:
    passwords.check(password, "ada")


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def a_list(path: Path, breached: list[str], end: str = "\r\n") -> BreachedPasswords:
    lines = sorted(f"{sha1(password)}:{random.Random(1).randint(1, 10**7)}" for password in breached)
    path.write_bytes(end.join(lines).encode())
    return BreachedPasswords(path)


@pytest.mark.parametrize("size", [1, 2, 3, 500])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_breached_password_is_found_in_its_file_and_no_other(tmp_path: Path, size: int, end: str) -> None:
    breached = a_list(tmp_path / "list.txt", [f"breached {number}" for number in range(size)], end)
    assert all(breached.has(f"breached {number}") for number in range(size))
    assert not any(breached.has(f"other {number}") for number in range(300))


def test_a_breached_password_is_refused(sqlite_database: Database, tmp_path: Path) -> None:
    a_list(tmp_path / "list.txt", ["other words in a row", "and many more"])
    site = Site(sqlite_database, breached_passwords=tmp_path / "list.txt")
    _, code = site.services.access.accounts.add("bo", Role.VIEWER)
    choose = lambda words: site.browser().post("/welcome", code=code, password=words, again=words)  # noqa: E731
    refused = choose("other words in a row")
    assert (refused.status_code, "was in a breach" in refused.text) == (400, True)
    assert choose(PASSWORD).status_code == 303


def test_a_file_that_is_no_list_of_hashes_is_refused_at_the_start(sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("password1\npassword2\n")
    with pytest.raises(AccessError, match="ONEJOB_BREACHED_PASSWORDS"):
        Site(sqlite_database, breached_passwords=tmp_path / "list.txt")
    with pytest.raises(ValueError, match="does not point to a file"):
        Settings(breached_passwords=tmp_path / "none.txt")
