-- What users let clients have without being asked again: a row for each extent that was allowed.
CREATE TABLE consents (
    id         BLOB PRIMARY KEY,
    subject    TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    given_at   INTEGER NOT NULL,
    used_at    INTEGER,
    expires_at INTEGER NOT NULL,
    data       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX consents_by_subject ON consents (subject, client_id);
CREATE INDEX consents_by_client ON consents (client_id);
CREATE INDEX consents_by_end ON consents (expires_at);
