-- Pushed authorization requests. A row stays until keep_until, so that who came in time can finish and reuse is seen.
CREATE TABLE pushed (
    id          BLOB PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    expires_at  INTEGER NOT NULL,
    keep_until  INTEGER NOT NULL,
    used_at     INTEGER,
    data        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pushed_by_keep_until ON pushed (keep_until);
