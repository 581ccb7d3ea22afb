-- Replacing keys: what each generation is there for, which root key wrapped it, how far each server
-- has followed, and how far a replacement has come.

ALTER TABLE workspace_keys ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE workspace_keys ADD COLUMN root TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN keys_epoch BIGINT NOT NULL DEFAULT 0;

CREATE TABLE key_rotations (
    workspace_id TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    phase TEXT NOT NULL,
    after_credential TEXT NOT NULL,
    after_version BIGINT NOT NULL,
    total BIGINT NOT NULL,
    rewrapped BIGINT NOT NULL,
    unreadable BIGINT NOT NULL,
    begun_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
