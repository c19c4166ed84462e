-- Opaque access tokens: what a JWT would say, kept instead of signed. With a grant they go when it goes.
CREATE TABLE access_tokens (
    id          BLOB PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    grant_id    BLOB REFERENCES grants (id) ON DELETE CASCADE,
    expires_at  INTEGER NOT NULL,
    claims      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX access_tokens_by_end ON access_tokens (expires_at);

-- Signed access tokens that were revoked one by one: id is their jti. Kept as long as they would have lived.
CREATE TABLE revoked_tokens (
    id         TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);
