-- The audit trail: its filters, what was cut off, and what was handed on.

-- The place of a record among its credential's records of one chain; records of before have none.
ALTER TABLE audit ADD COLUMN credential_number BIGINT;

CREATE INDEX audit_by_key ON audit (workspace_id, key, id) WHERE key IS NOT NULL;
CREATE INDEX audit_by_actor ON audit (workspace_id, actor_id, id);
CREATE INDEX audit_by_action ON audit (workspace_id, action, id);
CREATE INDEX audit_by_workflow ON audit (workspace_id, workflow_id, id)
    WHERE workflow_id IS NOT NULL;
CREATE INDEX audit_refused ON audit (workspace_id, id) WHERE outcome = 'refused';

CREATE TABLE audit_stubs (
    workspace_id TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    count BIGINT NOT NULL,
    links BYTEA NOT NULL,
    cut_at BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, stream_id)
);

CREATE TABLE audit_cursors (
    workspace_id TEXT NOT NULL,
    sink TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, sink, stream_id)
);

-- Which node feeds a sink, of all workspaces; holds nothing of a tenant.
CREATE TABLE audit_feeders (
    sink TEXT NOT NULL PRIMARY KEY,
    node_id TEXT NOT NULL,
    held_until BIGINT NOT NULL,
    failing_since BIGINT
);
