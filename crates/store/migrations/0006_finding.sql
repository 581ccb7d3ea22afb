-- What lists of credentials are filtered and searched by: one narrow row each, in the order of the
-- list, so that the rarest match is found by reading 100,000 of them. It repeats what the tagged
-- rows hold and is believed in nothing else. `last_used_at` is that of all versions.

CREATE TABLE credential_finding (
    workspace_id TEXT NOT NULL,
    deleted BIGINT NOT NULL,
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    search TEXT NOT NULL,
    tags TEXT NOT NULL,
    type TEXT NOT NULL,
    scope_kind TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    status TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    PRIMARY KEY (workspace_id, deleted, key, id)
) CLUSTERED;
INSERT INTO credential_finding SELECT workspace_id, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END,
    key, id, search, tags, type, scope_kind, scope_id, environment, status, owner_id, version,
    rotated_at, expires_at, (SELECT max(u.last_used_at) FROM credential_uses u
        WHERE u.workspace_id = credentials.workspace_id AND u.credential_id = credentials.id)
    FROM credentials;
-- Everything but the two texts, which may be long.
CREATE INDEX credential_finding_narrow ON credential_finding (workspace_id, deleted, key, id, type,
    scope_kind, scope_id, environment, status, owner_id, version, rotated_at, expires_at,
    last_used_at);

ALTER TABLE credentials DROP COLUMN search;
ALTER TABLE credentials DROP COLUMN environment;
ALTER TABLE credentials DROP COLUMN tags;

CREATE INDEX credentials_rejected ON credential_activity (workspace_id, credential_id, version)
    WHERE rejected_at IS NOT NULL;
-- Where values were released to, each origin found by one look.
CREATE INDEX audit_destinations ON audit (workspace_id, credential_id, destination, id)
    WHERE action = 'credential.used' AND outcome = 'allowed';
