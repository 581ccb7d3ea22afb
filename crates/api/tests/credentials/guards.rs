//! What a change of an app's credential takes: all secrets anew, linked ones too, where they could
//! go elsewhere or less safely.

use super::{Fixture, SECRET};
use axum::http::Method;
use serde_json::{Value, json};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// An app with guarding fields and an action that reads.
fn app(id: &str, secrets: &[&str]) -> Value {
    let plain = [
        json!({"name": "base_url", "label": "URL", "format": "url"}),
        json!({"name": "account", "label": "Account", "required": false}),
        json!({"name": "tls", "label": "TLS", "one_of": ["verify", "off"], "default": "verify",
               "guards": true}),
        json!({"name": "ca_pem", "label": "CA", "format": "pem", "required": false}),
    ];
    let secret = |name: &&str| json!({"name": name, "label": "Secret", "secret": true});
    let fields: Vec<Value> = secrets.iter().map(secret).chain(plain).collect();
    json!({
        "id": id, "name": "App", "description": "An app.",
        "schemes": [{
            "id": "key", "name": "Key", "type": "custom", "hosts": ["{{ base_url }}"],
            "fields": fields,
        }],
        "actions": [{
            "id": "read", "name": "Read", "reads": true, "example": {},
            "inputs": {"type": "object", "properties": {"path": {"type": "string"}},
                       "required": ["path"], "additionalProperties": false},
            "request": {"url": "{{ credential.base_url }}/{{ inputs.path }}"},
        }],
    })
}

/// A credential of an app, changed by one request after the other.
struct Changed<'f> {
    f: &'f Fixture,
    path: String,
}

impl<'f> Changed<'f> {
    async fn new(f: &'f Fixture, app: &str, fields: &Value) -> Self {
        let mut fields = fields.clone();
        fields["base_url"] = json!("https://a.example.com");
        let made = f.create(json!({"key": "K", "app": app, "fields": fields})).await;
        Self { f, path: format!("credentials/{}", made["id"].as_str().unwrap()) }
    }

    async fn patched(&self, body: Value) -> Value {
        let (status, answer) = self.f.send(Method::PATCH, &self.path, body.clone()).await;
        assert_eq!(status, 200, "{body}: {answer}");
        answer
    }

    async fn refused(&self, body: Value, expected: &[&str]) {
        let before = self.f.get(&self.path).await;
        self.f.refused(Method::PATCH, &self.path, body, expected).await;
        assert_eq!(self.f.get(&self.path).await, before);
    }

    async fn put(&self, fields: Value) -> (u16, Value) {
        let body = json!({"fields": fields});
        self.f.send(Method::PUT, &format!("{}/value", self.path), body).await
    }

    async fn put_refused(&self, fields: Value, expected: &[&str]) {
        let (body, path) = (json!({"fields": fields}), &self.path);
        self.f.refused(Method::PUT, &format!("{path}/value"), body.clone(), expected).await;
        self.f.refused(Method::POST, &format!("{path}/versions"), body, expected).await;
    }

    /// The numbers of its versions, newest first.
    async fn versions(&self) -> Vec<i64> {
        let list = self.f.get(&format!("{}/versions", self.path)).await;
        let items = list["items"].as_array().unwrap().iter();
        items.map(|version| version["version"].as_i64().unwrap()).collect()
    }
}

async fn with_apps() -> Fixture {
    let f = Fixture::new().await;
    for (id, secrets) in [("one", &["token"][..]), ("two", &["user", "token"]), ("none", &[])] {
        let (status, answer) = f.send(Method::POST, "apps", app(id, secrets)).await;
        assert_eq!(status, 201, "{answer}");
    }
    let fields = json!({"token": SECRET, "base_url": "https://store.example.com"});
    f.create(json!({"key": "STORE", "app": "one", "fields": fields})).await;
    f
}

fn link(credential: &str, path: &str) -> Value {
    json!({"link": {"credential": credential, "inputs": {"path": path}, "output": "data.token"}})
}

#[tokio::test]
async fn how_safely_secrets_travel_changes_with_all_of_them() {
    let f = with_apps().await;
    let one = Changed::new(&f, "one", &json!({"token": SECRET})).await;
    assert_eq!(one.put(json!({"token": SECRET})).await.0, 200);
    let missing = &["/fields missing"];
    one.refused(json!({"fields": {"tls": "off"}}), missing).await;
    one.refused(json!({"fields": {"ca_pem": PEM}}), missing).await;
    one.refused(json!({"fields": {"tls": "off", "account": "7"}}), missing).await;
    // What is the same, or says nothing of it, is free.
    assert_eq!(one.patched(json!({"fields": {"tls": "verify"}})).await["version"], 2);
    assert_eq!(one.patched(json!({"fields": {"account": "7"}})).await["version"], 2);
    assert_eq!(one.versions().await, [2, 1]);

    let changed = one.patched(json!({"fields": {"tls": "off", "token": SECRET}})).await;
    assert_eq!(
        (&changed["version"], &changed["fields"]["tls"]["value"]),
        (&json!(3), &json!("off"))
    );
    assert_eq!(one.versions().await, [3], "what was sealed before does not travel so");
    one.refused(json!({"fields": {"tls": null}}), missing).await;
    one.put_refused(json!({"tls": "verify"}), missing).await;
    // A new value brings them all.
    assert_eq!(one.put(json!({"tls": "verify", "ca_pem": PEM, "token": SECRET})).await.0, 200);
    f.end().await;
}

#[tokio::test]
async fn an_empty_text_takes_an_optional_plain_field_away() {
    let f = with_apps().await;
    let fields = json!({"token": SECRET, "account": "7", "ca_pem": PEM});
    let one = Changed::new(&f, "one", &fields).await;
    let changed = one.patched(json!({"fields": {"account": ""}})).await;
    assert_eq!(changed["fields"].get("account"), None, "{changed}");
    one.refused(json!({"fields": {"ca_pem": ""}}), &["/fields missing"]).await;
    let changed = one.patched(json!({"fields": {"ca_pem": "", "token": SECRET}})).await;
    assert_eq!(changed["fields"].get("ca_pem"), None, "{changed}");
    let changed = one.patched(json!({"fields": {"ca_pem": "", "tls": ""}})).await;
    assert_eq!(changed["version"], 2, "nothing was there");
    one.refused(json!({"fields": {"base_url": ""}}), &["/fields/base_url invalid_value"]).await;
    f.end().await;
}

#[tokio::test]
async fn a_linked_secret_goes_nowhere_else_by_itself() {
    let f = with_apps().await;
    let two = Changed::new(&f, "two", &json!({"user": SECRET, "token": link("STORE", "a")})).await;
    let elsewhere = "https://b.example.com";
    let missing = &["/fields missing"];
    two.refused(json!({"hosts": []}), missing).await;
    two.refused(json!({"fields": {"base_url": elsewhere, "user": SECRET}}), missing).await;
    two.refused(json!({"fields": {"tls": "off", "user": SECRET}}), missing).await;
    two.refused(json!({"fields": {"tls": "off", "token": link("STORE", "a")}}), missing).await;
    two.put_refused(json!({"tls": "off", "user": SECRET}), missing).await;
    two.put_refused(json!({"token": link("STORE", "a")}), missing).await;
    // A value that leaves all else as it is keeps the link.
    assert_eq!(two.put(json!({"user": SECRET})).await.0, 200);
    let all = json!({"base_url": elsewhere, "user": SECRET, "token": link("STORE", "a")});
    let changed = two.patched(json!({"fields": all})).await;
    assert_eq!((&changed["version"], &changed["hosts"]), (&json!(3), &json!(["b.example.com"])));
    let typed = json!({"tls": "off", "user": SECRET, "token": SECRET});
    let changed = two.patched(json!({"fields": typed})).await;
    assert_eq!(changed["fields"]["token"].get("link"), None, "{changed}");
    assert_eq!(two.versions().await, [4]);
    f.end().await;
}

#[tokio::test]
async fn a_value_may_be_nothing_but_links() {
    let f = with_apps().await;
    let one = Changed::new(&f, "one", &json!({"token": link("STORE", "a")})).await;
    let at = &["/fields/token/link/credential invalid_value"];
    one.put_refused(json!({"token": link("NOBODY", "a")}), at).await;
    one.put_refused(json!({"account": "7"}), &["/fields missing"]).await;
    let (status, answer) = one.put(json!({"token": link("STORE", "b")})).await;
    assert_eq!((status, &answer["version"]), (200, &json!(2)), "{answer}");
    let staged = json!({"fields": {"token": link("STORE", "c")}});
    let (status, answer) = f.send(Method::POST, &format!("{}/versions", one.path), staged).await;
    assert_eq!((status, &answer["version"]), (201, &json!(3)), "{answer}");

    let to = |fields: Value| json!({"fields": fields});
    let elsewhere = "https://b.example.com";
    one.refused(to(json!({"base_url": elsewhere})), &["/fields missing"]).await;
    let again = json!({"base_url": elsewhere, "token": link("STORE", "b")});
    let changed = one.patched(to(again)).await;
    assert_eq!((&changed["version"], &changed["hosts"]), (&json!(4), &json!(["b.example.com"])));
    assert_eq!(one.versions().await, [4]);
    let again = json!({"tls": "off", "token": link("STORE", "b")});
    assert_eq!(one.patched(to(again)).await["version"], 5);
    // The new version opens: its key is wrapped for a narrower binding, and a value can follow.
    one.patched(json!({"methods": ["GET"]})).await;
    assert_eq!(one.put(json!({"token": SECRET})).await.0, 200);
    f.end().await;
}

#[tokio::test]
async fn without_secret_fields_plain_ones_are_the_value() {
    let f = with_apps().await;
    let none = Changed::new(&f, "none", &json!({"account": "7"})).await;
    none.put_refused(json!({"account": "7"}), &["/fields missing"]).await;
    let (status, answer) = none.put(json!({"account": "8"})).await;
    assert_eq!((status, &answer["version"]), (200, &json!(2)), "{answer}");
    let staged = json!({"fields": {"account": "9"}});
    let (status, answer) = f.send(Method::POST, &format!("{}/versions", none.path), staged).await;
    assert_eq!((status, &answer["version"]), (201, &json!(3)), "{answer}");
    let expires = "2030-01-01T00:00:00Z";
    none.patched(json!({"expires_at": expires})).await;
    let elsewhere = json!({"base_url": "https://b.example.com", "tls": "off"});
    let changed = none.patched(json!({"fields": elsewhere})).await;
    assert_eq!((&changed["version"], &changed["hosts"]), (&json!(4), &json!(["b.example.com"])));
    assert!(changed["expires_at"].as_str().unwrap().starts_with("2030-01-01"), "{changed}");
    assert_eq!(none.versions().await, [4]);
    none.patched(json!({"methods": ["GET"]})).await;
    f.end().await;
}
