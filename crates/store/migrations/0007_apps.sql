-- Apps of a workspace; what a run's trigger holds of sealed values; and whether a run that is not
-- stored is one only until its secrets are known.

ALTER TABLE runs ADD COLUMN seals TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN withheld BIGINT NOT NULL DEFAULT 0;

-- The manifest, which may be long, stands last: looking at a tag reads none of it.
CREATE TABLE apps (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    author_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    manifest TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
