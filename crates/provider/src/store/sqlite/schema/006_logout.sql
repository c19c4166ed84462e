-- Which clients a sign-in session was used for. sid is the session's id at that time: what the client knows it by, also
-- after the same user signed in anew.
CREATE TABLE participants (
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL,
    sid        BLOB NOT NULL,
    PRIMARY KEY (session_id, client_id, sid)
) STRICT, WITHOUT ROWID;

-- Clients that have yet to be told that a session has ended.
CREATE TABLE logout_notices (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    client_id TEXT NOT NULL,
    subject   TEXT NOT NULL,
    sid       BLOB NOT NULL,
    ended_at  INTEGER NOT NULL,
    tries     INTEGER NOT NULL,
    due_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX logout_notices_by_client ON logout_notices (client_id, due_at);
