"""A second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for the day when it is lost.

A code is good for its own 30 seconds and those around them, as clocks differ, and once (RFC 6238, section 5.2): the
last step that was used is kept, and neither it nor any before it is taken again. A recovery code is 120 bits of chance,
of which one round of SHA-256 is kept; it is used up by being used.
"""

import base64
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pyotp

from onejob.access.errors import BadRequestError, WrongCodeError
from onejob.access.limits import OF_CODES, Tries
from onejob.access.sealed import Seal
from onejob.access.secrets import hash_of, new_secret
from onejob.config import Settings
from onejob.model.access import Role, User
from onejob.state.second_factors import SecondFactor, SecondFactors
from onejob.state.tries import TryCounts

STEP_S = 30
RECOVERY_CODES = 10
WAIT_LASTS = timedelta(minutes=5)  # from the password to the code
ENROLMENT_LASTS = timedelta(minutes=15)  # from the QR code to the first code
_WRONG = "The code is wrong, or was used already: wait for the next one."
_BYTES = 15  # of a recovery code: 24 letters


class SecondFactorBook:
    """Thread-safe. `clock` has to be right to within half a minute of that of people's telephones."""

    def __init__(
        self, factors: SecondFactors, tries: TryCounts, settings: Settings, clock: Callable[[], datetime]
    ) -> None:
        self._factors = factors
        self._tries = Tries(tries, clock, "code", OF_CODES)
        self._seal = Seal(settings.secret_keys)
        self._required = settings.require_second_factor
        self._issuer = " ".join(filter(None, ("onejob", urlsplit(settings.public_url or "").hostname)))
        self._clock = clock

    def is_on(self, user_id: str) -> bool:
        """Whether this user is asked for a code."""
        factor = self._factors.of(user_id)
        return factor is not None and factor.confirmed_at is not None

    def is_required(self, role: Role) -> bool:
        """Whether whoever has this role, and logs in by password, must have one."""
        return self._required == "all" or (self._required == "admins" and role is Role.ADMIN)

    def users(self) -> set[str]:
        """The ids of those who have one."""
        return self._factors.users()

    def recovery_codes_left(self, user_id: str) -> int:
        """How many are not used up."""
        return self._factors.recovery_codes_left(user_id)

    def begin(self, user: User) -> None:
        """A new secret, which is asked for nowhere until `confirm`. ConflictError if there is a factor already."""
        self._factors.begin(user.id, self._seal.sealed(pyotp.random_base32(), user.id), self._clock())

    def enrolment(self, user: User) -> tuple[str, str] | None:
        """The secret that waits for its first code, and the address that apps read from a QR code."""
        factor = self._factors.of(user.id)
        if factor is None or factor.confirmed_at or factor.begun_at <= self._clock() - ENROLMENT_LASTS:
            return None
        secret = self._seal.opened(factor.secret, user.id)
        return secret, pyotp.TOTP(secret).provisioning_uri(name=user.name, issuer_name=self._issuer)

    def confirm(self, user: User, code: str, source: str) -> list[str]:
        """From now on codes are asked for. The recovery codes, which nobody can tell again. WrongCodeError,
        TooManyTriesError.
        """
        begun = self.enrolment(user)
        if begun is None:
            raise BadRequestError("This took too long: begin again.")
        self._tries.take(user.name, source)
        now, codes = self._clock(), _new_codes()
        step = matching_step(begun[0], code, now)
        if step is None or not self._factors.confirm(user.id, step, [hash_of(one) for one in codes], now):
            raise WrongCodeError("The code is another one: is the clock of your telephone right?")
        self._tries.forget(user.name, source)
        return [_shown(one) for one in codes]

    def prove(self, user: User, code: str, source: str) -> str:
        """Use up a code of the app, or a recovery code; says which it was. WrongCodeError, TooManyTriesError."""
        self._tries.take(user.name, source)
        typed = _plain(code)
        if typed.isdigit():
            is_right, how = self._use_step(self._factors.of(user.id), typed), "code"
        else:
            is_right, how = self._factors.use_recovery_code(user.id, hash_of(typed)), "recovery code"
        if not is_right:
            raise WrongCodeError(_WRONG)
        self._tries.forget(user.name, source)
        return how

    def renew_recovery_codes(self, user: User) -> list[str]:
        """New ones; those before open nothing any more."""
        codes = _new_codes()
        self._factors.renew_recovery_codes(user.id, [hash_of(one) for one in codes])
        return [_shown(one) for one in codes]

    def remove(self, user_id: str) -> None:
        """The password alone is enough again."""
        self._factors.remove(user_id)

    def wait(self, user: User) -> str:
        """The password was right: the secret by which a browser shows that, when it brings the code."""
        waiting, now = new_secret(), self._clock()
        self._factors.wait(hash_of(waiting), user.id, now, now + WAIT_LASTS)
        return waiting

    def waiting(self, waiting: str) -> str | None:
        """The id of the user whose code is waited for."""
        return self._factors.waiting(hash_of(waiting), self._clock())

    def end_waiting(self, waiting: str) -> bool:
        """It came."""
        return self._factors.end_waiting(hash_of(waiting))

    def _use_step(self, factor: SecondFactor | None, code: str) -> bool:
        if factor is None or factor.confirmed_at is None:
            return False
        secret = self._seal.opened(factor.secret, factor.user_id)
        step = matching_step(secret, code, self._clock())
        sealed = self._seal.sealed(secret, factor.user_id)  # by the key of today
        return step is not None and self._factors.use_step(factor.user_id, step, sealed)


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """The step of 30 seconds whose code it is: this one, the one before or the one after. Each is compared, and in
    constant time.
    """
    totp, typed, found = pyotp.TOTP(secret), _plain(code).encode(), None
    current = int(now.timestamp()) // STEP_S
    for step in range(current - 1, current + 2):
        if hmac.compare_digest(totp.generate_otp(step).encode(), typed):
            found = step
    return found


def _new_codes() -> list[str]:
    return [base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]


def _shown(code: str) -> str:
    return "-".join(code[start : start + 6] for start in range(0, len(code), 6))


def _plain(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()
