"""Why telemetry was not accepted. Each says whether sending it again can help, as OTLP wants to know."""


class IntakeError(Exception):
    """Any refusal or failure of the intake."""


class BadRequest(IntakeError):  # noqa: N818  named as HTTP names it
    """The data itself is wrong: never send it again."""


class Unauthenticated(BadRequest):
    """No token, or none that may send telemetry from there: never send it again without another."""


class TooLarge(BadRequest):
    """More bytes than `max_request_bytes`, before or after decompression: never send it again, send smaller ones."""


class TryLater(IntakeError):  # noqa: N818
    """Nothing is wrong with the data; there is no room for it now."""

    def __init__(self, message: str, *, retry_after_s: int, is_overload: bool) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_overload = is_overload  # too much at once (429) rather than a fault on our side (503)


class PortInUse(IntakeError):  # noqa: N818
    """Another process listens there."""
