-- Payloads come last: whatever comes after one is found by reading through it.
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at REAL NOT NULL,
    spans INTEGER NOT NULL, -- or log records, or data points
    size INTEGER NOT NULL,
    kind TEXT NOT NULL DEFAULT 'traces',
    tables INTEGER NOT NULL DEFAULT 1, -- a bit for each table of its kind that it fills
    token TEXT, -- of a dead letter that is tried again: the one it was tried under before
    digest BLOB, -- of kind and payload; not of what an earlier release took, nor of a dead letter that is tried again
    payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    first_request INTEGER NOT NULL,
    last_request INTEGER NOT NULL,
    kind TEXT NOT NULL DEFAULT 'traces',
    token TEXT -- that the engine knows it by
);
-- `seen_at` is no date, but seconds on a clock of the spool's own that nobody sets.
CREATE TABLE IF NOT EXISTS digests (digest BLOB PRIMARY KEY, seen_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS digests_seen_at ON digests (seen_at);
-- As `digests`, but for good: a file may be imported again after months.
CREATE TABLE IF NOT EXISTS imported (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    died_at REAL NOT NULL,
    spans INTEGER NOT NULL,
    error TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'traces',
    tables INTEGER NOT NULL DEFAULT 1,
    token TEXT,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS dead_letters_by_age ON dead_letters (died_at);
