//! The door: right and wrong passwords, the cookie, and the guard that makes guessers wait.

use super::{Browser, OWNER, Person, accept, audit, invite, owner_password, public, sign_in};
use crate::server::{Backend, Server, on_both};
use serde_json::{Value, json};

#[test]
fn a_password_opens_a_session_with_a_cookie() {
    on_both("people-sign-in", |server| {
        let password = owner_password(&server);
        let answer = sign_in(&server, " Alice@Example.com ", &password);
        let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
        let browser = Browser::of(&server, &answer);
        let flags: Vec<_> = cookie.split("; ").skip(1).collect();
        assert_eq!(flags, ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"], "{cookie}");
        assert!(browser.cookie.starts_with("keyward=kwc_"));
        assert_eq!(browser.member["email"], OWNER);
        assert_eq!(browser.member["role"], "owner");
        let workspace = server.get("").expect(200);
        assert_eq!(browser.member["workspace"], workspace["id"]);
        assert!(browser.works(&server));
        let again = Browser::open(&server, OWNER, &password);
        assert_ne!(again.cookie, browser.cookie, "a new one at each sign-in");
        let made = audit(&server, "session.created");
        assert_eq!(made.len(), 2);
        assert_eq!(made[0]["actor"]["id"], browser.member["id"]);
    });
}

#[test]
fn under_https_the_cookie_is_for_this_host_alone() {
    let environment = [("KEYWARD_PUBLIC_URL", "https://keyward.example.com")];
    let server = Server::start_with("people-https", Backend::Sqlite, &environment);
    let answer = sign_in(&server, OWNER, &owner_password(&server));
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    let (name, flags) = set.split_once("=").unwrap();
    assert_eq!(name, "__Host-keyward");
    assert!(flags.ends_with("; Secure; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000"), "{set}");
    let browser = Browser::of(&server, &answer);
    assert!(browser.works(&server));
    let path = "/api/v1/sessions/current";
    let foreign = browser.call(&server, "DELETE", path, &Value::Null);
    foreign.expect_problem(403, "forbidden");
    let own = "https://keyward.example.com";
    assert_eq!(browser.call_from(&server, own, "DELETE", path, &Value::Null).status, 204);
    // The plain name is no way around the prefix.
    let token = browser.cookie.split_once('=').unwrap().1;
    let plain = format!("keyward={token}");
    let answer = server.send_unkept("GET", "/api/v1/workspaces", &[("Cookie", &plain)], b"");
    assert_eq!(answer.status, 401);
}

#[test]
fn whoever_is_refused_is_told_the_same() {
    on_both("people-refused", |server| {
        let bob = Person::join(&server, "bob", "viewer");
        let wrong = server.evidence.canary("wrong");
        let mut said = Vec::new();
        for email in [OWNER, &bob.email, "nobody@example.com"] {
            let answer = sign_in(&server, email, &wrong);
            answer.expect_problem(401, "unauthenticated");
            assert_eq!(answer.header("set-cookie"), None);
            said.push(answer.body);
        }
        assert_eq!(said[0], said[1]);
        assert_eq!(said[0], said[2]);
        let failed = audit(&server, "session.failed");
        assert_eq!(failed.len(), 2, "nothing of an address that nobody has");
        assert!(failed.iter().all(|event| event["outcome"] == "refused"));
        assert_eq!(failed[0]["reason"], "password");
        assert!(!server.log().contains("nobody@example.com"));

        let cases = [
            json!({ "email": "alice", "password": "x" }),
            json!({ "email": "a\u{0}@b.c", "password": "x" }),
            json!({ "email": OWNER }),
            json!({ "email": OWNER, "password": 7 }),
            json!({ "email": OWNER, "password": "x", "remember": true }),
        ];
        for body in cases {
            let answer = public(&server, "/api/v1/sessions", &body, &[]);
            answer.expect_problem(422, "validation_failed");
        }
    });
}

#[test]
fn guessing_one_account_is_held_up() {
    on_both("people-guessing", |server| {
        let wrong = server.evidence.canary("wrong");
        for email in [OWNER, "nobody@example.com"] {
            for _ in 0..5 {
                sign_in(&server, email, &wrong).expect_problem(401, "unauthenticated");
            }
            let held = sign_in(&server, email, &wrong);
            held.expect_problem(429, "rate_limited");
            let wait: u64 = held.header("retry-after").expect("a time").parse().expect("seconds");
            assert!((1..=30).contains(&wait), "{wait}");
        }
        // Nor does the right password help then; another account is not held up.
        sign_in(&server, OWNER, &owner_password(&server)).expect_problem(429, "rate_limited");
        let bob = Person::join(&server, "bob", "viewer");
        assert!(bob.browser(&server).works(&server));
        // A token is no password.
        server.get("/workflows").expect(200);
    });
}

#[test]
fn many_guesses_at_once_are_counted_each() {
    on_both("people-at-once", |server| {
        let wrong = server.evidence.canary("wrong");
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let guesses: Vec<_> =
                (0..16).map(|_| scope.spawn(|| sign_in(&server, OWNER, &wrong).status)).collect();
            guesses.into_iter().map(|guess| guess.join().expect("an answer")).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 11, "{statuses:?}");
    });
}

#[test]
fn guessing_from_one_address_is_held_up() {
    let server = Server::start("people-address", Backend::Sqlite);
    let wrong = server.evidence.canary("wrong");
    let (_, invitation) = invite(&server, &server.token, "eve@example.com", "viewer");
    for number in 0..12 {
        let email = format!("nobody{number}@example.com");
        sign_in(&server, &email, &wrong).expect_problem(401, "unauthenticated");
    }
    for number in 0..8 {
        let token = format!("kwi_{number}");
        accept(&server, &token, "Eve", &wrong).expect_problem(404, "not_found");
    }
    // Twenty in all: every door is shut to the address, and what it says of itself opens none.
    sign_in(&server, OWNER, &owner_password(&server)).expect_problem(429, "rate_limited");
    accept(&server, &invitation, "Eve", &wrong).expect_problem(429, "rate_limited");
    let body = json!({ "email": OWNER, "password": owner_password(&server) });
    let forged = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")];
    public(&server, "/api/v1/sessions", &body, &forged).expect_problem(429, "rate_limited");
    server.get("/workflows").expect(200);
}

#[test]
fn the_counters_outlive_the_process_and_right_passwords_clear_them() {
    let mut server = Server::start("people-counters", Backend::Sqlite);
    let (wrong, right) = (server.evidence.canary("wrong"), owner_password(&server));
    for _ in 0..4 {
        sign_in(&server, OWNER, &wrong).expect_problem(401, "unauthenticated");
    }
    Browser::open(&server, OWNER, &right);
    for _ in 0..5 {
        sign_in(&server, OWNER, &wrong).expect_problem(401, "unauthenticated");
    }
    assert!(server.stop());
    server.spawn();
    sign_in(&server, OWNER, &right).expect_problem(429, "rate_limited");
}

#[test]
fn set_up_links_cannot_be_guessed_fast() {
    let server = Server::start_new("people-set-up");
    let body = json!({ "token": "kws_guess", "email": OWNER, "workspace": "Main" });
    for _ in 0..20 {
        public(&server, "/api/v1/setup", &body, &[]).expect_problem(401, "unauthenticated");
    }
    public(&server, "/api/v1/setup", &body, &[]).expect_problem(429, "rate_limited");
}

#[test]
fn another_sites_page_signs_nobody_in() {
    let server = Server::start("people-login-csrf", Backend::Sqlite);
    let body = json!({ "email": OWNER, "password": owner_password(&server) });
    let evil = [("Origin", "https://evil.example")];
    let answer = public(&server, "/api/v1/sessions", &body, &evil);
    answer.expect_problem(403, "forbidden");
    assert_eq!(answer.header("set-cookie"), None);
    let own = [("Origin", server.url.as_str())];
    Browser::of(&server, &public(&server, "/api/v1/sessions", &body, &own));
}
