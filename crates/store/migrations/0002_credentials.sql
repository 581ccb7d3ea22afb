-- The life of a credential: settings, shares, soft deletion, use per version.

CREATE TABLE settings (
    workspace_id TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    revision BIGINT NOT NULL,
    tag BYTEA NOT NULL
);

-- Anew, because a key is unique among those that are not deleted, which a table's own constraint
-- cannot say. `deleted_at` and `due_at` repeat what the tagged lifecycle holds, for queries alone.
CREATE TABLE credentials_next (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    key TEXT NOT NULL,
    type TEXT NOT NULL,
    scope_kind TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    policy TEXT NOT NULL,
    code_access TEXT NOT NULL,
    details TEXT NOT NULL,
    version BIGINT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    owner_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    expires_at BIGINT,
    revision BIGINT NOT NULL,
    lifecycle TEXT NOT NULL,
    tag BYTEA NOT NULL,
    search TEXT NOT NULL,
    environment TEXT NOT NULL,
    tags TEXT NOT NULL,
    deleted_at BIGINT,
    due_at BIGINT,
    PRIMARY KEY (workspace_id, id)
);
INSERT INTO credentials_next SELECT workspace_id, id, key, type, scope_kind, scope_id, policy,
    code_access, details, version, status, status_reason, owner_id, created_at, updated_at,
    rotated_at, expires_at, revision, '{}', tag, search, environment, tags, NULL, NULL
    FROM credentials;
DROP TABLE credentials;
ALTER TABLE credentials_next RENAME TO credentials;
CREATE UNIQUE INDEX credentials_by_key ON credentials (workspace_id, key, scope_kind, scope_id)
    WHERE deleted_at IS NULL;
CREATE INDEX credentials_by_owner ON credentials (workspace_id, owner_id, id);
CREATE INDEX credentials_due ON credentials (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE shares (
    workspace_id TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    sharee TEXT NOT NULL,
    level TEXT NOT NULL,
    by_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, credential_id, sharee)
);
CREATE INDEX shares_by_sharee ON shares (workspace_id, sharee, credential_id);

-- Untagged: what was seen of each version in use. Grants nothing, serves pages and filters.
CREATE TABLE credential_activity (
    workspace_id TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    rejected_at BIGINT,
    runs BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, credential_id, version)
);
