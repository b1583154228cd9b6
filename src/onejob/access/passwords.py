"""Passwords: hashed with Argon2id, and checked in the same time whether there is such a user or not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from onejob.access.errors import TooManyTriesError, WeakPasswordError

LEAST, MOST = 12, 128
_LEAST_LOG10_GUESSES = 8  # what zxcvbn calls safely unguessable begins here
_LOOKED_AT = 72
# RFC 9106, section 4, second recommendation: 3 passes over 64 MiB.
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
# Each takes 64 MiB while it is checked: who sends many passwords at once makes them wait, not the server swap.
_AT_ONCE = threading.BoundedSemaphore(2)
# ... and each that waits holds one of the threads (40) that answer everybody else's requests, so few may.
_WAITING = threading.BoundedSemaphore(10)
_WAIT_S = 5


@contextmanager
def _in_turn() -> Iterator[None]:
    """TooManyTriesError where too many wait already."""
    if not _WAITING.acquire(blocking=False):
        raise TooManyTriesError(_WAIT_S, is_first=False)
    try:
        with _AT_ONCE:
            yield
    finally:
        _WAITING.release()


@cache
def prepare() -> str:
    """The hash that is checked where there is none: made once, before anybody can measure how long that takes."""
    return _HASHER.hash("a password that nobody has, hashed so that checking it takes as long as any")


def hashed(password: str) -> str:
    """What is kept of a password; TooManyTriesError."""
    with _in_turn():
        return _HASHER.hash(password)


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether it is the password; without a hash the same work is done for nothing, and the answer is no.

    TooManyTriesError where too many are checked at once.
    """
    with _in_turn():
        try:
            matches = _HASHER.verify(password_hash or prepare(), password[: MOST + 1])
        except (VerificationError, InvalidHashError):
            return False
    return matches and password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether it was hashed with other costs than today's."""
    return _HASHER.check_needs_rehash(password_hash)


def check(password: str, name: str) -> None:
    """WeakPasswordError for what is guessed first: length counts, what kinds of letters there are does not."""
    if len(password) < LEAST:
        raise WeakPasswordError(f"The password is too short: take at least {LEAST} characters, a sentence say.")
    if len(password) > MOST:
        raise WeakPasswordError(f"The password is too long: take at most {MOST} characters.")
    low = password.casefold()
    is_a_name = any(word in low and len(low) - len(word) < LEAST // 2 for word in (name.casefold(), "onejob"))
    if is_a_name or _log10_guesses(password, name) < _LEAST_LOG10_GUESSES:
        raise WeakPasswordError("The password is among the first that are guessed: take several words.")


def _log10_guesses(password: str, name: str) -> float:
    """Of somebody who tries frequent passwords first, alone, repeated, with digits behind or letters exchanged."""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its lists take 12 MB, and most servers set a password now and then

    # More than that takes it too long, and what is behind can only add to it.
    return float(zxcvbn(password[:_LOOKED_AT], user_inputs=[name, "onejob"])["guesses_log10"])
