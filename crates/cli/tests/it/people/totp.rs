//! One-time codes: set up, asked for, never accepted twice, and replaced by recovery codes.

use super::{Browser, Person, audit, public, sign_in, text};
use crate::server::{Answer, Server, on_both};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The code of a secret, so many steps of 30 seconds from now (RFC 6238).
fn code(secret: &str, steps: i64) -> String {
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = hmac::sign(&key, &(now / 30 + steps).to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

fn with_code(server: &Server, person: &Person, code: &str) -> Answer {
    let body = json!({ "email": person.email, "password": person.password, "totp": code });
    public(server, "/api/v1/sessions", &body, &[])
}

/// Sets an authenticator up with the code of the step before, so that later ones are free; gives
/// its secret and the recovery codes.
fn set_up(server: &Server, browser: &Browser) -> (String, Vec<String>) {
    let begun = browser.call(server, "POST", "/api/v1/account/totp", &Value::Null).expect(201);
    let secret = text(&begun["secret"]);
    server.evidence.watch("totp", &secret);
    let url = text(&begun["url"]);
    assert!(url.starts_with("otpauth://totp/Keyward:") && url.contains(&secret), "{url}");
    let confirm = |code: &str| {
        browser.call(server, "POST", "/api/v1/account/totp/confirm", &json!({ "code": code }))
    };
    confirm("000000x").expect_problem(422, "validation_failed");
    let confirmed = confirm(&code(&secret, -1)).expect(200);
    let codes: Vec<_> = confirmed["recovery_codes"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(codes.len(), 10);
    codes.iter().for_each(|code| server.evidence.watch("recovery", code));
    (secret, codes)
}

#[test]
fn a_code_is_asked_for_and_accepted_once() {
    on_both("people-totp", |server| {
        let bob = Person::join(&server, "bob", "editor");
        let browser = bob.browser(&server);
        let (secret, _) = set_up(&server, &browser);
        let account = browser.call(&server, "GET", "/api/v1/account", &Value::Null).expect(200);
        assert_eq!((&account["totp"], &account["recovery_codes"]), (&json!(true), &json!(10)));
        browser
            .call(&server, "POST", "/api/v1/account/totp", &Value::Null)
            .expect_problem(409, "conflict");

        let asked = sign_in(&server, &bob.email, &bob.password);
        assert_eq!(asked.expect_problem(401, "unauthenticated")["totp_required"], true);
        let unknown = sign_in(&server, &bob.email, "a wrong password");
        let unknown = unknown.expect_problem(401, "unauthenticated");
        assert_eq!(unknown["totp_required"], Value::Null, "only the right password learns that");
        with_code(&server, &bob, &code(&secret, -3)).expect_problem(401, "unauthenticated");
        let now = code(&secret, 0);
        let spaced = format!("{} {}", &now[..3], &now[3..]);
        assert!(Browser::of(&server, &with_code(&server, &bob, &spaced)).works(&server));
        with_code(&server, &bob, &now).expect_problem(401, "unauthenticated");
        with_code(&server, &bob, &code(&secret, -1)).expect_problem(401, "unauthenticated");
        let next = code(&secret, 1);
        assert!(Browser::of(&server, &with_code(&server, &bob, &next)).works(&server));
        let reasons: Vec<_> =
            audit(&server, "session.failed").iter().map(|e| text(&e["reason"])).collect();
        assert!(reasons.contains(&"totp".to_owned()) && reasons.contains(&"password".to_owned()));
    });
}

#[test]
fn a_recovery_code_works_once() {
    on_both("people-recovery", |server| {
        let bob = Person::join(&server, "bob", "editor");
        let (_, codes) = set_up(&server, &bob.browser(&server));
        let shouted = codes[0].to_uppercase();
        assert!(Browser::of(&server, &with_code(&server, &bob, &shouted)).works(&server));
        with_code(&server, &bob, &codes[0]).expect_problem(401, "unauthenticated");
        let browser = Browser::of(&server, &with_code(&server, &bob, &codes[9]));
        let account = browser.call(&server, "GET", "/api/v1/account", &Value::Null).expect(200);
        assert_eq!(account["recovery_codes"], 8);
        let other = Person::join(&server, "eve", "editor");
        set_up(&server, &other.browser(&server));
        with_code(&server, &other, &codes[1]).expect_problem(401, "unauthenticated");
    });
}

#[test]
fn one_code_at_the_same_moment_opens_one_session() {
    on_both("people-totp-race", |server| {
        let bob = Person::join(&server, "bob", "editor");
        let (secret, _) = set_up(&server, &bob.browser(&server));
        let now = code(&secret, 0);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let tries: Vec<_> =
                (0..4).map(|_| scope.spawn(|| with_code(&server, &bob, &now).status)).collect();
            tries.into_iter().map(|one| one.join().expect("an answer")).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3, "{statuses:?}");
    });
}

#[test]
fn an_authenticator_is_taken_away_by_password() {
    on_both("people-totp-off", |server| {
        let bob = Person::join(&server, "bob", "editor");
        let browser = bob.browser(&server);
        let remove = |password: &str| {
            browser.call(
                &server,
                "DELETE",
                "/api/v1/account/totp",
                &json!({ "password": password }),
            )
        };
        remove(&bob.password).expect_problem(404, "not_found");
        // One that was never confirmed is not asked for.
        browser.call(&server, "POST", "/api/v1/account/totp", &Value::Null).expect(201);
        assert!(bob.browser(&server).works(&server));
        set_up(&server, &browser);
        remove("a wrong password").expect_problem(403, "forbidden");
        sign_in(&server, &bob.email, &bob.password).expect_problem(401, "unauthenticated");
        assert_eq!(remove(&bob.password).status, 204);
        assert!(bob.browser(&server).works(&server));
    });
}
