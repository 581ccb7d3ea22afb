//! The private PostgreSQL: databases are separate, durable and only for who knows the password.
#![expect(clippy::expect_used, reason = "a test's helper fails the test")]

use std::process::Command;

use keyward_testkit::postgres::Postgres;

fn query(url: &str, sql: &str) -> (bool, String) {
    let output = Command::new("/usr/lib/postgresql/15/bin/psql")
        .args(["-X", "-A", "-t", "-d", url, "-c", sql])
        .output()
        .expect("psql starts");
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&text).trim().to_owned())
}

#[test]
fn databases_are_separate() {
    let postgres = Postgres::shared();
    let (first, second) = (postgres.fresh_database(), postgres.fresh_database());
    assert!(query(&first, "create table t (x text)").0);
    assert!(query(&first, "insert into t values ('here')").0);
    assert_eq!(query(&first, "select x from t").1, "here");
    assert!(!query(&second, "select x from t").0);
}

#[test]
fn commits_are_durable_and_the_password_is_asked_for() {
    let url = Postgres::shared().fresh_database();
    assert_eq!(query(&url, "show fsync").1, "on");
    assert_eq!(query(&url, "show listen_addresses").1, "127.0.0.1");
    assert_eq!(query(&url, "show unix_socket_directories").1, "");
    assert_eq!(query(&url, "show server_version_num").1.get(..2), Some("15"));
    let (user, rest) = url.split_once('@').expect("a password");
    let wrong = format!("{user}x@{rest}");
    let (worked, message) = query(&wrong, "select 1");
    assert!(!worked && message.contains("password authentication failed"), "{message}");
}

#[test]
fn a_dump_holds_the_rows() {
    let postgres = Postgres::shared();
    let url = postgres.fresh_database();
    assert!(query(&url, "create table t (x text)").0);
    assert!(query(&url, "insert into t values ('in the dump')").0);
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("dump.sql");
    postgres.dump(&url, &file);
    assert!(std::fs::read_to_string(file).expect("the dump").contains("in the dump"));
}
