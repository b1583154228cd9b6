"""What is wrong with a report, and what to send instead."""


class ChangesError(Exception):
    """Anything that keeps a change from being recorded."""


class InvalidReportError(ChangesError):
    """A field cannot be right; `field` names it, the message says what to send instead."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownDeploymentError(ChangesError):
    """No deployment has that id."""


class ProgressConflictError(ChangesError):
    """The deployment is over in a way the report contradicts."""
