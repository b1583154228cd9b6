"""What can go wrong when acting on a verdict. Every message says what to do."""


class ActError(Exception):
    """Base of all errors of this folder."""


class PlanError(ActError):
    """A rollout plan or a driver's settings that make no sense."""


class RolloutRefusedError(ActError):
    """A rollout that must not start, or a command that does not fit where the rollout is."""


class RolloutUnknownError(ActError):
    """There is no such rollout or deployment."""


class DriverError(ActError):
    """The traffic could not be moved or read: base of the two below."""


class DriverUnreachableError(DriverError):
    """The router does not answer now; trying again later is right."""


class DriverMisconfiguredError(DriverError):
    """The router answers, but cannot do what the plan asks until somebody changes a configuration."""


class NoSplitError(DriverMisconfiguredError):
    """The router has the versions, but no route whose traffic could be split between them."""
