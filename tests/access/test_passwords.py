"""What a password is kept as."""

import importlib

import pytest
from argon2 import Type, extract_parameters

from onejob.access import passwords


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
