-- The life of a credential: settings, shares, soft deletion, use per version.

CREATE TABLE settings (
    workspace_id TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    revision BIGINT NOT NULL,
    tag BYTEA NOT NULL
);
