"""Why there is no backup, or none is restored; each says what to do."""


class BackupError(Exception):
    """Any failure of a backup or of its restoration."""


class BadBackup(BackupError):  # noqa: N818
    """The file is cut off, damaged, or of another release."""


class TargetInUse(BackupError):  # noqa: N818
    """Something is there already."""
