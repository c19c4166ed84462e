-- Device codes. The user code finds one too; it is kept as it is, since a digest of 34 bits hides nothing.
CREATE TABLE device_codes (
    id            BLOB PRIMARY KEY,
    secret_hash   BLOB NOT NULL,
    user_code     TEXT NOT NULL UNIQUE,
    client_id     TEXT NOT NULL,
    expires_at    INTEGER NOT NULL,
    interval_secs INTEGER NOT NULL,
    polled_at     INTEGER,
    denied        INTEGER NOT NULL DEFAULT 0,
    grant_id      BLOB REFERENCES grants (id) ON DELETE CASCADE,
    approval      TEXT,
    taken         INTEGER NOT NULL DEFAULT 0,
    data          TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_codes_by_end ON device_codes (expires_at);
CREATE INDEX device_codes_by_grant ON device_codes (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX device_codes_pending ON device_codes (client_id, expires_at) WHERE denied = 0 AND grant_id IS NULL;
