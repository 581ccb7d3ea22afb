-- People: accounts, sessions, invitations, and members who are persons or service accounts.
-- accounts, sessions and sign_in_failures belong to the whole server.

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    totp BYTEA,
    totp_confirmed BIGINT NOT NULL,
    totp_step BIGINT NOT NULL,
    recovery BYTEA NOT NULL,
    oidc_subject TEXT UNIQUE,
    set_up BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    tag BYTEA NOT NULL
);

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    tag BYTEA NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account_id, id);

-- key is the HMAC of an e-mail address or of a network address.
CREATE TABLE sign_in_failures (
    key BYTEA NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);

CREATE TABLE invitations (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    inviter_id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

DROP TABLE members;
CREATE TABLE members (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    account_id TEXT,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    left_at BIGINT,
    tag BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
-- Whoever left may come back, as another member.
CREATE UNIQUE INDEX members_by_account ON members (account_id, workspace_id)
    WHERE left_at IS NULL;
