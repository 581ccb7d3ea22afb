-- One text for both back ends; `dialect.rs` turns TEXT, BIGINT and BYTEA into the back end's own.
-- Tables of tenant data have workspace_id first in primary key and indexes (it is the shard key).
-- The exceptions look something up before the workspace is known: `routes` (hash of a token or
-- trigger to its row), `members_by_email` (sign-in) and `idempotency_by_age` (forgetting).
-- What a node has to drive is found by reading all of `runs_open`, which holds open runs alone.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE workspace_keys (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, generation)
);

CREATE TABLE routes (
    kind TEXT NOT NULL,
    hash BYTEA NOT NULL,
    workspace_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    PRIMARY KEY (kind, hash)
);

CREATE TABLE members (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE UNIQUE INDEX members_by_email ON members (email, workspace_id);

CREATE TABLE tokens (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash BYTEA NOT NULL,
    scopes TEXT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

-- search, environment and tags repeat what the tagged details hold, for filters alone.
CREATE TABLE credentials (
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
    tag BYTEA NOT NULL,
    search TEXT NOT NULL,
    environment TEXT NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, key, scope_kind, scope_id)
);

CREATE TABLE credential_versions (
    workspace_id TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    fields BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, credential_id, version)
);

CREATE TABLE credential_uses (
    workspace_id TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, credential_id, workflow_id, day)
);

CREATE TABLE workflows (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    active BIGINT NOT NULL,
    owner_id TEXT NOT NULL,
    trigger_hash BYTEA NOT NULL,
    trigger_token BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE workflow_versions (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    author_id TEXT NOT NULL,
    definition TEXT NOT NULL,
    compiled TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id, version)
);

CREATE TABLE workflow_keys (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    key TEXT NOT NULL,
    step TEXT NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id, key, step)
);
CREATE INDEX workflow_keys_by_key ON workflow_keys (workspace_id, key);

CREATE TABLE allowlists (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    keys TEXT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id)
);

CREATE TABLE runs (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    status TEXT NOT NULL,
    origin TEXT NOT NULL,
    starter_kind TEXT NOT NULL,
    starter_id TEXT NOT NULL,
    starter_name TEXT NOT NULL,
    member_id TEXT,
    no_store BIGINT NOT NULL,
    retry_of TEXT,
    node_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    wake_at BIGINT,
    error_code TEXT,
    error_message TEXT,
    error_step TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    run_key BYTEA,
    payload TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX runs_by_workflow ON runs (workspace_id, workflow_id, id);
CREATE INDEX runs_open ON runs (workspace_id, id) WHERE finished_at IS NULL;
CREATE INDEX runs_failed ON runs (workspace_id, id) WHERE status = 'failed';
CREATE INDEX runs_cancelled ON runs (workspace_id, id) WHERE status = 'cancelled';

CREATE TABLE steps (
    workspace_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    wake_at BIGINT,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    input TEXT,
    output TEXT,
    error_code TEXT,
    error_message TEXT,
    logs TEXT NOT NULL,
    credentials TEXT NOT NULL,
    seals TEXT NOT NULL,
    PRIMARY KEY (workspace_id, run_id, position)
);

CREATE TABLE run_secrets (
    workspace_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    id TEXT NOT NULL,
    details TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, run_id, id)
);

CREATE TABLE audit (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    credential_id TEXT,
    key TEXT,
    workflow_id TEXT,
    run_id TEXT,
    step TEXT,
    destination TEXT,
    stream_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    opened_after BYTEA,
    mac BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, stream_id, number)
);
CREATE INDEX audit_by_credential ON audit (workspace_id, credential_id, id)
    WHERE credential_id IS NOT NULL;
CREATE INDEX audit_by_run ON audit (workspace_id, run_id, id) WHERE run_id IS NOT NULL;

CREATE TABLE idempotency (
    workspace_id TEXT NOT NULL,
    caller TEXT NOT NULL,
    key_hash BYTEA NOT NULL,
    request_digest BYTEA NOT NULL,
    status BIGINT NOT NULL,
    body BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, caller, key_hash)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);
