-- Clients that registered themselves: what their registration access token hashes to, and when they last did something.
-- `changed` is the version of the store that a row is from, so that who holds clients in memory reads what changed alone.
ALTER TABLE clients ADD COLUMN management_hash BLOB;
ALTER TABLE clients ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX clients_by_change ON clients (changed);
CREATE INDEX clients_by_use ON clients (used_at) WHERE source = 'registered';

-- Clients that are gone, and in which version they went; after a while only the newest such version is kept.
CREATE TABLE removed_clients (
    client_id  TEXT PRIMARY KEY,
    changed    INTEGER NOT NULL,
    removed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX removed_clients_by_change ON removed_clients (changed);
CREATE TABLE forgotten_clients (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    changed  INTEGER NOT NULL
) STRICT;
INSERT INTO forgotten_clients VALUES (1, 0);

-- What a client was given ends with it: it must be found without a look at everybody's.
CREATE INDEX grants_by_client ON grants (client_id);

-- Initial access tokens (RFC 7591 section 1.2).
CREATE TABLE initial_tokens (
    id          BLOB PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    expires_at  INTEGER NOT NULL,
    uses_left   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX initial_tokens_by_end ON initial_tokens (expires_at);
