"""Why somebody is not let in, each with what to do. None says more than a stranger may know."""


class AccessError(Exception):
    """Anything about who may do what."""


class LoginRefusedError(AccessError):
    """Wrong name or password: which of both is not told."""


class TooManyTriesError(AccessError):
    """Too many wrong passwords lately, or too many at once. `is_first`: whether it is news."""

    def __init__(self, retry_after_s: int, *, is_first: bool = True) -> None:
        super().__init__(f"Too many tries. Wait {retry_after_s} s, then try again.")
        self.retry_after_s = retry_after_s
        self.is_first = is_first


class TooManyRequestsError(AccessError):
    """Let in, and asking too often."""

    def __init__(self, per_minute: int, retry_after_s: int) -> None:
        super().__init__(
            f"You ask too often: {per_minute:,} requests a minute are the most. Wait {retry_after_s} s, then ask less "
            "often; ONEJOB_REQUESTS_PER_MINUTE is the server's limit."
        )
        self.retry_after_s = retry_after_s


class WrongCodeError(AccessError):
    """A code of a second factor that is none, or none any more."""


class SealError(AccessError):
    """A secret that was encrypted with a key that is not here."""


class WeakPasswordError(AccessError):
    """A password that is not taken."""


class LinkRefusedError(AccessError):
    """A one-time link that is none, or none any more."""


class BadRequestError(AccessError):
    """A name, a role or a time that makes no sense."""


class ForbiddenError(AccessError):
    """Known, but not allowed to do this."""


class ProviderError(AccessError):
    """The OpenID provider cannot be asked, or says something that must not be believed."""


class NotHereError(AccessError):
    """Known, and nothing to do with this project: whether there is such a one is not told."""
