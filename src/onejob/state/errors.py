"""What can go wrong with the facts, each with what to do about it."""


class StateError(Exception):
    """Anything the state database could not do."""


class StateUnavailableError(StateError):
    """The database does not answer, is locked for too long, or its disk is full: try again later."""


class SchemaTooNewError(StateError):
    """The database was written by a newer onejob than this one."""


class CutOffRestorationError(StateError):
    """What is there is a part of a backup only."""


class TargetTakenError(StateError):
    """Where a backup is to be restored, something is already."""


class NotFoundError(StateError):
    """Nothing is stored under that id."""


class NotTheirsError(StateError):
    """It is another service's than the one that may be changed."""


class ConflictError(StateError):
    """Somebody else wrote first: read again and decide anew."""


class ForgottenMeanwhileError(ConflictError):
    """What was read names a customer, perhaps, who is forgotten by now."""


class BadCursorError(StateError):
    """A page cursor this server did not hand out."""
