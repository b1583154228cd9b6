"""Why there is no backup, or none is restored; each says what to do."""


class BackupError(Exception):
    """Any failure of a backup or of its restoration."""


class NotOursToBackUp(BackupError):  # noqa: N818
    """What is to be backed up lies in a database that has tools of its own for that."""


class BadBackup(BackupError):  # noqa: N818
    """The file is cut off, damaged, or of another release."""


class TargetInUse(BackupError):  # noqa: N818
    """Something is there already."""
