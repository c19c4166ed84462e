-- Times are milliseconds since 1970. Ids are 16 bytes that sort by time of birth, so rows are appended, not scattered.

CREATE TABLE version (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    counter  INTEGER NOT NULL
) STRICT;
INSERT INTO version VALUES (1, 1);

-- The family of everything issued from one authorization. What belongs to it goes when it goes, at keep_until.
CREATE TABLE grants (
    id               BLOB PRIMARY KEY,
    client_id        TEXT NOT NULL,
    subject          TEXT,
    session_id       BLOB,
    created_at       INTEGER NOT NULL,
    revoked_at       INTEGER,
    session_ended_at INTEGER,
    keep_until       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_keep_until ON grants (keep_until);
CREATE INDEX grants_by_subject ON grants (subject, client_id) WHERE subject IS NOT NULL;
CREATE INDEX grants_by_session ON grants (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE codes (
    id          BLOB PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    grant_id    BLOB NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    expires_at  INTEGER NOT NULL,
    refusals    INTEGER NOT NULL DEFAULT 0,
    redeemed_at INTEGER,
    retired     INTEGER NOT NULL DEFAULT 0,
    data        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_by_grant ON codes (grant_id);

CREATE TABLE refresh_tokens (
    id              BLOB PRIMARY KEY,
    secret_hash     BLOB NOT NULL,
    grant_id        BLOB NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    last_used_at    INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    rotated_at      INTEGER,
    successor       BLOB,
    data            TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (idle_expires_at);

CREATE TABLE sessions (
    id           BLOB PRIMARY KEY,
    secret_hash  BLOB NOT NULL,
    subject      TEXT NOT NULL,
    auth_time    INTEGER NOT NULL,
    acr          TEXT,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_subject ON sessions (subject);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE users (
    username      TEXT PRIMARY KEY,
    subject       TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    claims        TEXT NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
    client_id   TEXT PRIMARY KEY,
    metadata    TEXT NOT NULL,
    source      TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    kid        TEXT PRIMARY KEY,
    key_use    TEXT NOT NULL,
    algorithm  TEXT NOT NULL,
    pkcs8      BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    publish_at INTEGER NOT NULL,
    use_from   INTEGER NOT NULL,
    retire_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
