//! Persistence, the only SQL: one Store over SQLite and PostgreSQL.
