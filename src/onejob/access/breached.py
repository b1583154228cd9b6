"""Passwords that were in a breach: looked up in a file on this machine, so that no network learns which one it is.

The file is what https://haveibeenpwned.com/Passwords offers for download, in one piece: a line `SHA1:COUNT` for each
password, in the order of the hashes. It is tens of gigabytes, so it is searched where it is: some thirty reads.
"""

import hashlib
import re
from pathlib import Path
from typing import BinaryIO

from onejob.access.errors import AccessError

_LINE = re.compile(rb"([0-9A-F]{40}):[0-9]+\s*")


class BreachedPasswords:
    """Thread-safe. AccessError if the file cannot be read, or is another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                self._hash_at(file, 0)
        except OSError as error:
            raise AccessError(f"{path} cannot be read ({error.strerror}): set ONEJOB_BREACHED_PASSWORDS.") from error

    def has(self, password: str) -> bool:
        """Whether it was in a breach."""
        # What the file is sorted by; nothing is kept of it.
        wanted = hashlib.sha1(password.encode("utf-8", "replace"), usedforsecurity=False).hexdigest().upper().encode()
        with self._path.open("rb") as file:
            start, end = 0, file.seek(0, 2)
            while start < end:  # the line that is wanted begins at `start` or behind it, and before `end`
                middle = (start + end) // 2
                found = self._hash_at(file, middle)
                if found == wanted:
                    return True
                if found is None or found > wanted:
                    end = middle
                else:
                    start = middle + 1
        return False

    def _hash_at(self, file: BinaryIO, offset: int) -> bytes | None:
        """Of the first line that begins at the offset or behind it; None at the end."""
        file.seek(max(offset - 1, 0))
        if offset:
            file.readline(100)
        line = file.readline(100)
        if not line:
            return None
        found = _LINE.fullmatch(line)
        if found is None:
            raise AccessError(
                f"{self._path} is no list of SHA-1 hashes, sorted, as `SHA1:COUNT`: set ONEJOB_BREACHED_PASSWORDS."
            )
        return found[1]
