"""What can go wrong in the telemetry store, and what the reader can do about it."""


class StoreError(Exception):
    """Any failure of the telemetry store."""


class EngineUnavailable(StoreError):  # noqa: N818
    """The engine cannot answer now (starting, restarting, out of memory or disk): try again later."""


class QueryFailed(StoreError):  # noqa: N818
    """The engine refused the statement or its data; trying again will not help."""


class SchemaMismatch(StoreError):  # noqa: N818
    """The stored data cannot be read with these settings or by this release."""


class DataDirLocked(StoreError):  # noqa: N818
    """Another process owns the data directory."""


class EngineOutOfRoom(EngineUnavailable):
    """As above, for a reason that no statement is to blame for: its disk is full, or it is busy. However often."""


class HalfRestored(StoreError):  # noqa: N818
    """What is there is a part of a backup only."""


class TargetTaken(StoreError):  # noqa: N818
    """Where a backup is to be restored, something is already."""
