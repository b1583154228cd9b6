"""SQLite's write-ahead log, in which what was deleted stands until it is written over."""

from __future__ import annotations

import sqlite3


def truncate_log(connection: sqlite3.Connection) -> bool:
    """Empty it; False, and at once, while somebody reads it: who writes meanwhile must not wait for who reads."""
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
    return not is_busy
