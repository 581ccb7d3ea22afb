//! Somebody else's hand in the rows of people: it signs nobody in.

use super::{Browser, OWNER, Person, accept, invite, owner_password, sign_in};
use crate::server::{Backend, Server};
use rusqlite::{Connection, params_from_iter};
use serde_json::Value;
use std::time::Duration;

/// Runs statements on the server's database behind its back; gives how many rows the last changed.
#[track_caller]
fn edit(server: &Server, sql: &str, values: &[&str]) -> usize {
    let connection = Connection::open(server.data.join("db/keyward.sqlite")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
        .execute(sql, params_from_iter(values))
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Runs each edit of a table's rows, checks, and puts them back.
#[track_caller]
fn each_edit(server: &Server, table: &str, edits: &[&str], mut check: impl FnMut(&str)) {
    edit(server, &format!("CREATE TABLE kept AS SELECT * FROM {table}"), &[]);
    for sql in edits {
        assert!(edit(server, sql, &[]) > 0, "{sql}");
        check(sql);
        edit(server, &format!("DELETE FROM {table}"), &[]);
        edit(server, &format!("INSERT INTO {table} SELECT * FROM kept"), &[]);
    }
    edit(server, "DROP TABLE kept", &[]);
}

/// A right password after wrong ones, which an edit turns it into, must not be held up.
fn forget_failures(server: &Server) {
    edit(server, "DELETE FROM sign_in_failures", &[]);
}

#[test]
fn a_copied_hash_signs_nobody_in() {
    let server = Server::start("people-copied-hash", Backend::Sqlite);
    let eve = Person::join(&server, "eve", "viewer");
    let sql = "UPDATE accounts SET password_hash =
        (SELECT password_hash FROM accounts WHERE email = 'eve@example.com') WHERE email = ?1";
    assert_eq!(edit(&server, sql, &[OWNER]), 1);
    sign_in(&server, OWNER, &eve.password).expect_problem(401, "unauthenticated");
    let sql = "UPDATE accounts SET (password_hash, tag) = (SELECT password_hash, tag FROM accounts
        WHERE email = 'eve@example.com') WHERE email = ?1";
    assert_eq!(edit(&server, sql, &[OWNER]), 1);
    sign_in(&server, OWNER, &eve.password).expect_problem(401, "unauthenticated");
    assert!(eve.browser(&server).works(&server));
}

#[test]
fn an_edited_account_signs_nobody_in() {
    let server = Server::start("people-accounts", Backend::Sqlite);
    let (password, eve) = (owner_password(&server), Person::join(&server, "eve", "viewer"));
    let open = Browser::open(&server, OWNER, &password);
    let edits = [
        "UPDATE accounts SET password_hash = '' WHERE email LIKE 'alice%'",
        "UPDATE accounts SET name = 'Eve' WHERE email LIKE 'alice%'",
        "UPDATE accounts SET totp_step = totp_step + 1 WHERE email LIKE 'alice%'",
        "UPDATE accounts SET totp_confirmed = 7 WHERE email LIKE 'alice%'",
        "UPDATE accounts SET recovery = zeroblob(32) WHERE email LIKE 'alice%'",
        "UPDATE accounts SET recovery = zeroblob(31) WHERE email LIKE 'alice%'",
        "UPDATE accounts SET oidc_subject = 'https://id.example.com eve' WHERE email LIKE 'alice%'",
        "UPDATE accounts SET revision = revision + 1 WHERE email LIKE 'alice%'",
        "UPDATE accounts SET created_at = 1 WHERE email LIKE 'alice%'",
        "UPDATE accounts SET tag = zeroblob(32) WHERE email LIKE 'alice%'",
        "UPDATE accounts SET tag = x'' WHERE email LIKE 'alice%'",
        "UPDATE accounts SET id = 'acc_00000000000000000000000000' WHERE email LIKE 'alice%'",
        "DELETE FROM accounts WHERE email LIKE 'alice%'",
    ];
    each_edit(&server, "accounts", &edits, |sql| {
        assert_eq!(sign_in(&server, OWNER, &password).status, 401, "{sql}");
        assert!(!open.works(&server), "{sql}");
        forget_failures(&server);
    });
    // One account's address on the other's row.
    let swap = [
        "UPDATE accounts SET email = CASE WHEN email LIKE 'alice%' THEN 'x@example.com' ELSE 'alice@example.com' END",
    ];
    each_edit(&server, "accounts", &swap, |sql| {
        assert_eq!(sign_in(&server, OWNER, &eve.password).status, 401, "{sql}");
        forget_failures(&server);
    });
    assert!(open.works(&server), "put back");
    Browser::open(&server, OWNER, &password);
}

#[test]
fn an_edited_session_signs_nobody_in() {
    let server = Server::start("people-session-rows", Backend::Sqlite);
    let eve = Person::join(&server, "eve", "viewer").browser(&server);
    let owner = Browser::open(&server, OWNER, &owner_password(&server));
    // What an edit sets that was there already stays good.
    let cases = [
        ("account_id = (SELECT id FROM accounts WHERE email LIKE 'alice%')", [false, true]),
        ("account_id = (SELECT id FROM accounts WHERE email LIKE 'eve%')", [true, false]),
        ("seen_at = seen_at + 1", [false, false]),
        ("created_at = created_at + 1000", [false, false]),
        ("address = '192.0.2.1'", [false, false]),
        ("user_agent = 'x'", [false, false]),
        ("tag = zeroblob(32)", [false, false]),
        ("id = 'ses_0000000000000000000000000' || rowid", [false, false]),
    ];
    for (set, expected) in cases {
        each_edit(&server, "sessions", &[&format!("UPDATE sessions SET {set}")], |sql| {
            assert_eq!([eve.works(&server), owner.works(&server)], expected, "{sql}");
        });
    }
    // One's hash or tag on the other's row.
    let eves = "account_id = (SELECT id FROM accounts WHERE email LIKE 'eve%')";
    let swaps = [
        format!(
            "UPDATE sessions SET tag = (SELECT tag FROM sessions WHERE NOT {eves}) WHERE {eves}"
        ),
        format!("UPDATE sessions SET hash = zeroblob(32) WHERE {eves}"),
        format!("DELETE FROM sessions WHERE {eves}"),
    ];
    each_edit(&server, "sessions", &swaps.each_ref().map(String::as_str), |sql| {
        assert_eq!([eve.works(&server), owner.works(&server)], [false, true], "{sql}");
    });
    assert!(eve.works(&server) && owner.works(&server), "put back");
}

#[test]
fn an_edited_invitation_invites_nobody() {
    let server = Server::start("people-invitation-rows", Backend::Sqlite);
    let (_, token) = invite(&server, &server.token, "bob@example.com", "viewer");
    let (_, _other) = invite(&server, &server.token, "olga@example.com", "owner");
    let password = server.evidence.canary("bob");
    let edits = [
        "UPDATE invitations SET role = 'owner' WHERE email LIKE 'bob%'",
        "UPDATE invitations SET role = 'emperor' WHERE email LIKE 'bob%'",
        "UPDATE invitations SET email = 'eve@example.com' WHERE email LIKE 'bob%'",
        "UPDATE invitations SET expires_at = expires_at + 1 WHERE email LIKE 'bob%'",
        "UPDATE invitations SET inviter_id = 'mem_00000000000000000000000000' WHERE email LIKE 'bob%'",
        "UPDATE invitations SET tag = (SELECT tag FROM invitations o WHERE o.id != invitations.id)",
        "UPDATE routes SET target_id = (SELECT id FROM invitations WHERE email LIKE 'olga%') WHERE kind = 'invitation'",
        "DELETE FROM routes WHERE kind = 'invitation'",
    ];
    for table_edits in [&edits[..6], &edits[6..]] {
        let table = if table_edits[0].contains("routes") { "routes" } else { "invitations" };
        each_edit(&server, table, table_edits, |sql| {
            assert_eq!(accept(&server, &token, "Bob", &password).status, 404, "{sql}");
            forget_failures(&server);
        });
    }
    assert_eq!(accept(&server, &token, "Bob", &password).expect(201)["role"], "viewer");
}

#[test]
fn an_edited_membership_gives_nothing() {
    let server = Server::start("people-member-rows", Backend::Sqlite);
    let eve = Person::join(&server, "eve", "viewer");
    let left = Person::join(&server, "lea", "admin");
    let open = left.browser(&server);
    server.call_as(&server.token, "DELETE", &left.path(), &Value::Null);
    assert!(!open.works(&server));
    let browser = eve.browser(&server);
    let edits = [
        "UPDATE members SET role = 'owner' WHERE email LIKE 'eve%'",
        "UPDATE members SET kind = 'service' WHERE email LIKE 'eve%'",
        "UPDATE members SET account_id = (SELECT id FROM accounts WHERE email LIKE 'lea%') WHERE email LIKE 'eve%'",
        "UPDATE members SET account_id = NULL WHERE email LIKE 'eve%'",
        "UPDATE members SET name = 'x' WHERE email LIKE 'eve%'",
        "UPDATE members SET left_at = 1 WHERE email LIKE 'eve%'",
        "UPDATE members SET tag = zeroblob(32) WHERE email LIKE 'eve%'",
    ];
    each_edit(&server, "members", &edits, |sql| {
        assert!(!browser.works(&server), "{sql}");
    });
    assert!(browser.works(&server), "put back");
    let back = ["UPDATE members SET left_at = NULL WHERE email LIKE 'lea%'"];
    each_edit(&server, "members", &back, |sql| {
        let refused = sign_in(&server, &left.email, &left.password);
        refused.expect_problem(403, "forbidden");
        assert!(!open.works(&server), "{sql}");
    });
}
