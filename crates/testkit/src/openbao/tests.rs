//! The server does what the tests of sources count on.

use super::*;
use crate::call::call_tls;

/// A request as a client makes it; gives status and JSON.
fn ask(bao: &OpenBao, token: &str, namespace: &str, path: &str, body: &Value) -> (u16, Value) {
    let (scheme, address) = bao.url().split_once("://").expect("a URL");
    let address = address.parse().expect("an address");
    let headers = [("X-Vault-Token", token), ("X-Vault-Namespace", namespace)];
    let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let (method, body) =
        if body.is_null() { ("GET", String::new()) } else { ("POST", body.to_string()) };
    let path = format!("/v1/{path}");
    let answer = match scheme {
        "https" => {
            let server = (address, "localhost", bao.ca_pem());
            call_tls(server, method, &path, &headers, &body)
        }
        _ => call(address, method, &path, &headers, &body),
    };
    let answer = answer.expect("an answer");
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

/// The same without a body.
fn read(bao: &OpenBao, token: &str, namespace: &str, path: &str) -> (u16, Value) {
    ask(bao, token, namespace, path, &Value::Null)
}

fn check(bao: &OpenBao) {
    let arrived = |operation: &str, path: &str| Arrived {
        operation: operation.to_owned(),
        path: path.to_owned(),
    };
    assert_eq!(bao.requests(), [], "the test's own are not among them");
    bao.put("secret/a", &json!({ "k": "one" }));
    bao.put("secret/a", &json!({ "k": "two" }));
    bao.put("kv1/a", &json!({ "k": "three", "ttl": "7s" }));
    bao.put("team-a/secret/a", &json!({ "k": "four" }));
    let token = bao.token("", 600);

    let (status, found) = read(bao, &token, "", "secret/data/a");
    assert_eq!((status, &found["data"]["data"]["k"]), (200, &json!("two")));
    assert_eq!(found["data"]["metadata"]["version"], 2);
    let (status, found) = read(bao, &token, "", "kv1/a");
    assert_eq!((status, &found["data"]["k"]), (200, &json!("three")));
    assert_eq!(found["lease_duration"], 7);
    assert_eq!(read(bao, &token, "", "secret/data/none").0, 404);
    assert_eq!(read(bao, "s.wrong", "", "secret/data/a").0, 403);

    let AppRole { role_id, secret_id } = bao.app_role(NAMESPACE);
    let sign_in = json!({ "role_id": role_id, "secret_id": secret_id });
    let (status, signed) = ask(bao, "", NAMESPACE, "auth/approle/login", &sign_in);
    assert_eq!((status, &signed["auth"]["lease_duration"]), (200, &json!(7)));
    let theirs = signed["auth"]["client_token"].as_str().expect("a token");
    let (status, found) = read(bao, theirs, NAMESPACE, "secret/data/a");
    assert_eq!((status, &found["data"]["data"]["k"]), (200, &json!("four")));
    assert_eq!(read(bao, theirs, "", "team-a/secret/data/a").0, 200);

    bao.set_password("", "a password for tests");
    let sign_in = json!({ "password": "a password for tests" });
    assert_eq!(ask(bao, "", "", "auth/userpass/login/keyward", &sign_in).0, 200);

    let expected = [
        arrived("read", "secret/data/a"),
        arrived("read", "kv1/a"),
        arrived("read", "secret/data/none"),
        arrived("read", "secret/data/a"),
        arrived("update", "team-a/auth/approle/login"),
        arrived("read", "team-a/secret/data/a"),
        arrived("read", "team-a/secret/data/a"),
        arrived("update", "auth/userpass/login/keyward"),
    ];
    assert_eq!(bao.requests(), expected);
    assert_eq!((bao.count("secret/data/a"), bao.count("secret/data/b")), (2, 0));

    bao.revoke("", &token);
    assert_eq!(read(bao, &token, "", "secret/data/a").0, 403);
    let token = bao.token("", 600);
    bao.seal();
    assert_eq!(read(bao, &token, "", "secret/data/a").0, 503);
    bao.unseal();
    assert_eq!(read(bao, &token, "", "secret/data/a").0, 200);
}

#[test]
fn secrets_are_read_with_tokens_and_requests_are_counted() {
    let short = Options { token_ttl: 7, ..Options::default() };
    check(&OpenBao::start_with(short));
    check(&OpenBao::start_with(Options { tls: true, ..short }));
}

#[test]
fn tokens_end_after_their_time() {
    let bao = OpenBao::start();
    bao.put("secret/a", &json!({ "k": "one" }));
    let token = bao.token("", 1);
    assert_eq!(read(&bao, &token, "", "secret/data/a").0, 200);
    let start = Instant::now();
    while read(&bao, &token, "", "secret/data/a").0 != 403 {
        assert!(start.elapsed() < START_LIMIT, "the token does not end");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_paused_server_goes_on() {
    let bao = OpenBao::start();
    bao.pause();
    let state = fs::read_to_string(format!("/proc/{}/stat", bao.pid())).expect("its state");
    assert!(state.contains(") T "), "{state}");
    bao.resume();
    assert_eq!(read(&bao, "", "", "sys/seal-status").1["sealed"], false);
}
