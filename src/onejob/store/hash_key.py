"""The data directory's own key of hashes: equal values hash alike, and only who has the key can try values out."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from onejob.store.errors import StoreError

KEY_FILE = "hash-key"
_KEY = re.compile("[0-9a-f]{32}")


def hash_key(data_dir: Path) -> str:
    """16 bytes in hex, made the first time. Raises StoreError if there is something else in its file.

    Made in one step, so that a crash leaves none or a whole one. Another key would be other hashes from then on.
    """
    path = data_dir / KEY_FILE
    if not path.exists():
        _make(path)
    key = path.read_text(errors="replace").strip()
    if not _KEY.fullmatch(key):
        raise StoreError(
            f"{path} is not the key of the hashes that onejob made: take it from a backup, or delete it; then equal "
            "values are hashed to others than before."
        )
    return key


def _make(path: Path) -> None:
    """Who comes second, at the same time, takes the first one's."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secrets.token_hex(16)}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
