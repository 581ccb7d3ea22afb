-- Apps of a workspace, and what a run's trigger holds of sealed values.

ALTER TABLE runs ADD COLUMN seals TEXT NOT NULL DEFAULT '{}';

CREATE TABLE apps (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    manifest TEXT NOT NULL,
    source TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
