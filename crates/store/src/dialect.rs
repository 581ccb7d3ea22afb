//! The few places where SQLite and PostgreSQL are spelled differently. Everything else is one SQL.

/// Marks where PostgreSQL locks the rows that a statement reads; a comment to SQLite, whose one
/// writer needs no row locks.
const LOCK: &str = "/*lock*/";

/// What SQLite scans a list of credentials by, because its own choice is the slower one where
/// several filters meet; PostgreSQL has no such words.
pub(crate) const BY_WHOLE_ROW: &str = " INDEXED BY sqlite_autoindex_credential_finding_1";
/// The same without the long texts.
pub(crate) const BY_NARROW_ROW: &str = " INDEXED BY credential_finding_narrow";

/// A statement as PostgreSQL reads it.
pub(crate) fn postgres(sql: &str) -> String {
    let sql = sql.replace(LOCK, "FOR UPDATE");
    sql.replace(BY_WHOLE_ROW, "").replace(BY_NARROW_ROW, "")
}

/// Ends a table whose rows lie in the order of its key, where the back end knows such a thing.
const CLUSTERED: &str = "\n) CLUSTERED;";

/// A migration as SQLite reads it.
pub(crate) fn sqlite_migration(sql: &str) -> String {
    let sql = sql.replace(" BYTEA", " BLOB").replace(" BIGINT", " INTEGER");
    sql.replace("\n);", "\n) STRICT;").replace(CLUSTERED, "\n) STRICT, WITHOUT ROWID;")
}

/// A migration as PostgreSQL reads it: text compares by bytes, as in SQLite.
pub(crate) fn postgres_migration(sql: &str) -> String {
    sql.replace(" TEXT", " TEXT COLLATE \"C\"").replace(CLUSTERED, "\n);")
}

/// How SQLite opens each connection. FULL: an answered write survives a power cut.
pub(crate) const SQLITE_SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16000;
";

/// How PostgreSQL opens each connection: a commit that is answered must be on disk.
pub(crate) const POSTGRES_SETTINGS: &str = "SET synchronous_commit = on";

/// What people and the audit write: as if one after the other, as SQLite's one writer does it.
pub(crate) const POSTGRES_BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";

/// The engine's bookkeeping: its statements are fenced by locked rows and need no more.
pub(crate) const POSTGRES_BEGIN_RECORD: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// A backup: one moment's rows, whatever is written meanwhile.
pub(crate) const POSTGRES_BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Whether a table is there.
pub(crate) const SQLITE_HAS_TABLE: &str =
    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1";
/// The same, where the connection's search path looks for it.
pub(crate) const POSTGRES_HAS_TABLE: &str =
    "SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass($1)";

/// Declares a file's statements as constants and lists them, so that a test prepares each one.
macro_rules! statements {
    ($($name:ident = $sql:expr;)*) => {
        $(const $name: &str = $sql;)*
        #[cfg(test)]
        pub(crate) const ALL: &[&str] = &[$($name),*];
    };
}
pub(crate) use statements;

#[cfg(test)]
mod tests {
    use crate::postgres::Connection;
    use crate::tls::Server;
    use crate::{
        accounts, apps, audit, credentials, idempotency, invitations, keys, members, meta, migrate,
        nodes, person, review, rewrap, runs, sessions, settings, shares, sqlite, steps, tokens,
        usage, uses, workflows, workspaces,
    };
    use keyward_testkit::postgres::Postgres;

    #[test]
    fn every_statement_prepares_on_both_back_ends() {
        let all = [
            accounts::ALL,
            apps::ALL,
            audit::ALL,
            audit::cuts::ALL,
            audit::sinks::ALL,
            credentials::ALL,
            credentials::finding::ALL,
            idempotency::ALL,
            invitations::ALL,
            keys::ALL,
            members::ALL,
            meta::ALL,
            nodes::ALL,
            person::ALL,
            review::ALL,
            rewrap::ALL,
            runs::ALL,
            sessions::ALL,
            settings::ALL,
            shares::ALL,
            steps::ALL,
            tokens::ALL,
            usage::ALL,
            uses::ALL,
            workflows::ALL,
            workspaces::ALL,
        ];
        let folder = tempfile::tempdir().unwrap();
        let file = sqlite::open(&folder.path().join("keyward.db")).unwrap();
        migrate::sqlite(&file).unwrap();
        let server = Server::parse(&Postgres::shared().fresh_database()).unwrap();
        let mut postgres = Connection::open(&server).unwrap();
        migrate::postgres(&mut postgres).unwrap();
        let mut refused = Vec::new();
        for sql in all.into_iter().flatten() {
            refused.extend(file.prepare(sql).err().map(|error| format!("SQLite: {sql}: {error}")));
            refused.extend(postgres.prepare(sql).err().map(|error| format!("{sql}: {error:?}")));
        }
        assert!(refused.is_empty(), "{refused:#?}");
    }
}
