"""What ends the reading of access logs; each message says what to do."""


class TailError(Exception):
    """Something that trying again does not mend."""


class FormatError(TailError):
    """A log format that cannot be read, or lines that are not in it."""


class SourceError(TailError):
    """A log that cannot be read."""


class StateError(TailError):
    """The file that says how far a log was read cannot be kept."""


class EndpointError(TailError):
    """What takes OTLP refuses what it is sent."""


class UnavailableError(Exception):
    """Nobody answers just now: worth another try, in `after_s` at the earliest."""

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


class StoppedError(Exception):
    """We were asked to stop, and waited as long as we may."""
