CREATE TABLE IF NOT EXISTS identity (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at REAL NOT NULL,
    spans INTEGER NOT NULL,
    size INTEGER NOT NULL,
    payload BLOB NOT NULL,
    token TEXT -- of a dead letter that is tried again: the one it was tried under before
);
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    first_request INTEGER NOT NULL,
    last_request INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS digests (digest BLOB PRIMARY KEY, seen_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS digests_seen_at ON digests (seen_at);
-- As `digests`, but for good: a file may be imported again after months.
CREATE TABLE IF NOT EXISTS imported (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    died_at REAL NOT NULL,
    spans INTEGER NOT NULL,
    error TEXT NOT NULL,
    payload BLOB NOT NULL,
    token TEXT
);
