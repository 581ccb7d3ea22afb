//! Credentials come fresh to who knows the key, and refusals are as Nango writes them.

use serde_json::json;

use super::*;
use crate::call::{call, call_tls};

fn ask(nango: &Nango, authorization: &str, path: &str) -> (u16, Value) {
    let headers = [("Authorization", authorization)];
    let headers = if authorization.is_empty() { &[] } else { &headers[..] };
    let address = nango.listener.address();
    let answer = match nango.ca_pem() {
        Some(ca) => call_tls((address, "localhost", ca), "GET", path, headers, ""),
        None => call(address, "GET", path, headers, ""),
    };
    let answer = answer.expect("an answer");
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

fn with_connections(nango: &Nango) {
    let tokens = ["first", "second"].map(str::to_owned).to_vec();
    let life = Duration::from_secs(3600);
    let oauth = Credentials::OAuth2 { tokens, life };
    nango.connect("crm", "acme one", oauth, json!({ "region": "eu" }));
    nango.connect("mail", "acme", Credentials::ApiKey("key".to_owned()), Value::Null);
    let basic = Credentials::Basic("ada".to_owned(), "password".to_owned());
    nango.connect("jira", "acme", basic, Value::Null);
}

#[test]
fn credentials_are_refreshed_when_due() {
    let nango = Nango::start();
    with_connections(&nango);
    let bearer = format!("Bearer {}", nango.secret_key());
    let get = |path: &str| ask(&nango, &bearer, path);
    let crm = "/connection/acme%20one?provider_config_key=crm";
    let token = |path: &str| get(path).1["credentials"]["access_token"].clone();
    assert_eq!((token(crm), token(crm)), (json!("first"), json!("first")));
    let plural = "/connections/acme%20one?provider_config_key=crm";
    assert_eq!(token(&format!("{plural}&force_refresh=false")), "first");
    assert_eq!(token(&format!("{plural}&force_refresh=true")), "second");
    nango.expire("crm", "acme one");
    assert_eq!(token(crm), "second");
    let shown = get(&format!("{crm}&refresh_token=true")).1;
    assert_eq!(shown["credentials"]["refresh_token"], "refresh-2");
    assert_eq!((&shown["metadata"]["region"], &shown["provider"]), (&json!("eu"), &json!("crm")));
    let ends = shown["credentials"]["expires_at"].as_str().expect("a time");
    assert!(ends.parse::<Timestamp>().expect("a time") > Timestamp::now());

    let mail = get("/connection/acme?provider_config_key=mail").1;
    assert_eq!(mail["credentials"], json!({ "type": "API_KEY", "apiKey": "key" }));
    let jira = get("/connection/acme?provider_config_key=jira").1["credentials"].take();
    assert_eq!(jira, json!({ "type": "BASIC", "username": "ada", "password": "password" }));
    let listed = get("/connections?limit=1");
    assert_eq!(
        (listed.0, listed.1["connections"][1]["connection_id"].as_str()),
        (200, Some("acme"))
    );
    assert_eq!(nango.received().len(), 9);
}

#[test]
fn refusals_say_what_is_wrong() {
    for nango in [Nango::start(), Nango::start_tls()] {
        with_connections(&nango);
        let bearer = format!("Bearer {}", nango.secret_key());
        let check = |authorization: &str, path: &str, expected: (u16, &str)| {
            let (status, body) = ask(&nango, authorization, path);
            let code = body["error"]["code"].as_str().unwrap_or_default();
            assert_eq!((status, code), expected, "{path}");
        };
        let crm = "/connection/acme%20one?provider_config_key=crm";
        check("", crm, (401, "missing_auth_header"));
        check("Basic x", crm, (401, "malformed_auth_header"));
        check("Bearer x", crm, (401, "unknown_account"));
        check(&bearer, "/connection/acme", (400, "invalid_query_params"));
        check(&bearer, &format!("{crm}&x=1"), (400, "invalid_query_params"));
        check(&bearer, "/connection/acme?provider_config_key=x", (400, "unknown_provider_config"));
        check(&bearer, "/connection/x?provider_config_key=crm", (404, "not_found"));
        check(&bearer, "/elsewhere", (404, "not_found"));
        nango.break_off("crm", "acme one");
        check(&bearer, crm, (200, ""));
        nango.expire("crm", "acme one");
        check(&bearer, crm, (424, "invalid_credentials"));
        nango.queue(Reply::text("{}").with_status(503));
        check(&bearer, crm, (503, ""));
    }
}
