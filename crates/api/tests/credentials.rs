//! Credentials through the router: what is saved, shown, refused and deleted, and by whom.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests stop where something is not as expected"
)]

#[path = "credentials/guards.rs"]
mod guards;
#[path = "credentials/retention.rs"]
mod retention;
#[path = "credentials/versions.rs"]
mod versions;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use keyward_api::{Api, NewOwner, create_owner, router};
use keyward_engine::Engine;
use keyward_model::actor::{Actor, Role};
use keyward_model::audit::{Action, Event};
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::credential::Credential;
use keyward_model::id::{CredentialId, WorkspaceId};
use keyward_model::tag::Tagged;
use keyward_model::tenant::{ApiToken, Member, MemberKind};
use keyward_sandbox::{Options, Sandbox};
use keyward_store::{Audited, Store, StoreError, Target, Tx};
use keyward_vault::{TokenKind, Vault};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tower::ServiceExt as _;

const DAY: i64 = 86_400_000;
const SECRET: &str = "canary-4f9Qz81LmXw7-vB2kT6";

/// Not a test of its own: the sandbox's first process, started from this binary.
#[test]
#[ignore = "started by the tests below"]
fn serves_as_zygote() {
    keyward_sandbox::zygote_main();
}

struct Fixture {
    router: axum::Router,
    vault: Vault,
    sandbox: Sandbox,
    workspace: WorkspaceId,
    owner: String,
    time: Arc<AtomicI64>,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("db");
        let store = Store::open(&Target::Sqlite(db.join("keyward.db"))).unwrap();
        let egress = keyward_egress::Client::new(keyward_egress::Options::default()).unwrap();
        let time = Arc::new(AtomicI64::new(1_700_000_000_000));
        let now = time.clone();
        // Goes on with each look, so that ids and lists are in the order of what happened.
        let clock = Clock::new(move || Timestamp::from_millis(now.fetch_add(1, Ordering::SeqCst)));
        let key = folder.path().join("keys/root.key");
        let vault = Vault::unlock(store, egress, clock, &key, &db).await.unwrap();
        let new = NewOwner {
            email: "owner@example.com".into(),
            workspace: "default".into(),
            password: None,
        };
        let owner = create_owner(&vault, new).await.unwrap().reveal().to_owned();
        let arguments = ["serves_as_zygote", "--exact", "--ignored", "--nocapture"];
        let sandbox = Sandbox::start(Options {
            executable: std::env::current_exe().unwrap(),
            arguments: arguments.map(str::to_owned).to_vec(),
            waiting: 1,
            ..Options::default()
        });
        let sandbox = sandbox.await.unwrap();
        let engine = Engine::new(vault.clone(), sandbox.clone(), vault.fresh());
        let slug = "default".to_owned();
        let workspace = vault.store().read(move |tx| tx.workspace_by_slug(&slug)).await.unwrap();
        Self {
            router: router(Api::new(engine, "http://127.0.0.1:1".into())),
            workspace: workspace.expect("the workspace").id,
            vault,
            sandbox,
            owner,
            time,
            folder,
        }
    }

    /// Which of the database's files hold a text, as they are now.
    fn found(&self, text: &str) -> Vec<String> {
        let mut places = Vec::new();
        for file in std::fs::read_dir(self.folder.path().join("db")).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                places.push(path.display().to_string());
            }
        }
        places
    }

    async fn end(self) {
        self.sandbox.shutdown().await;
        self.vault.store().close().await;
    }

    /// Sends a request below the workspace; no answer may hold the secret.
    async fn send_as(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/workspaces/default/{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(!text.contains("canary"), "{path}: {text}");
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap() })
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.send_as(&self.owner, method, path, body).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn create(&self, body: Value) -> Value {
        let (status, answer) = self.send(Method::POST, "credentials", body.clone()).await;
        assert_eq!(status, 201, "{body}: {answer}");
        answer
    }

    /// Makes an api_key and gives its id.
    async fn api_key(&self, key: &str) -> String {
        let body = json!({"key": key, "type": "api_key", "fields": {"value": SECRET}});
        self.create(body).await["id"].as_str().unwrap().to_owned()
    }

    /// The keys of a list.
    async fn keys(&self, query: &str) -> Vec<String> {
        let list = self.get(&format!("credentials{query}")).await;
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
    }

    /// Sends what must be refused and compares pointers and codes.
    async fn refused(&self, method: Method, path: &str, body: Value, expected: &[&str]) {
        let (status, answer) = self.send(method, path, body.clone()).await;
        assert_eq!(status, 422, "{body}: {answer}");
        let faults = answer["errors"].as_array().unwrap();
        let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
        let found: Vec<_> =
            faults.iter().map(|f| format!("{} {}", text(f, "pointer"), text(f, "code"))).collect();
        assert_eq!(found, expected, "{body}");
    }

    async fn write<T: Send + 'static>(
        &self,
        mut change: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) {
        let (id, now) = (self.vault.fresh(), self.vault.now());
        let event = Event::new(id, self.workspace, now, Actor::system(), Action::MemberJoined);
        let write = move |tx: &mut Tx<'_>| Ok(Audited::new(change(tx)?, vec![event.clone()]));
        self.vault.store().write(write).await.unwrap();
    }

    /// Makes a member of a role and gives a token.
    async fn member(&self, role: Role) -> String {
        let (workspace, now) = (self.workspace, self.vault.now());
        let member = Member {
            workspace,
            id: self.vault.fresh(),
            kind: MemberKind::Person,
            account: Some(self.vault.fresh()),
            email: format!("{}@example.com", role.as_str()),
            name: role.as_str().into(),
            role,
            created_at: now,
            left_at: None,
        };
        let (token, hash) = self.vault.new_token(TokenKind::Api).unwrap();
        let row = ApiToken {
            workspace,
            id: self.vault.fresh(),
            member: member.id,
            name: "token".into(),
            hash,
            scopes: String::new(),
            expires_at: None,
            created_at: now,
        };
        let member = self.vault.sign(workspace, member).await.unwrap();
        let row = self.vault.sign(workspace, row).await.unwrap();
        self.write(move |tx| {
            tx.insert_member(&member)?;
            tx.insert_token(&row)
        })
        .await;
        token.reveal().to_owned()
    }

    async fn row(&self, id: &str) -> Credential {
        let (workspace, id): (_, CredentialId) = (self.workspace, id.parse().unwrap());
        let row = self.vault.store().read(move |tx| tx.credential(workspace, id)).await.unwrap();
        row.unwrap().parts().0.clone()
    }
}

#[tokio::test]
async fn a_credential_is_saved_shown_changed_and_deleted() {
    let f = Fixture::new().await;
    let made = f
        .create(json!({
            "key": "SLACK", "type": "custom", "name": "Slack", "environment": "prod",
            "tags": ["alerts"], "scope": {"kind": "workspace"},
            "fields": {"token": SECRET, "account": {"value": "7", "secret": false}},
            "template": {"headers": {"X-Token": "v1 {{ token }} {{ account }}"}},
            "hosts": ["slack.com"], "methods": ["POST"], "places": ["header"],
        }))
        .await;
    let id = made["id"].as_str().unwrap();
    let mut shown = f.get(&format!("credentials/{id}")).await;
    assert_eq!(shown["fields"]["token"], json!({"secret": true, "set": true}));
    assert_eq!(shown["fields"]["account"], json!({"secret": false, "value": "7"}));
    assert_eq!(shown["owner"]["email"], "owner@example.com");
    assert_eq!((&shown["status"], &shown["version"]), (&json!("active"), &json!(1)));
    assert_eq!(f.get("credentials").await["items"], json!([shown]));
    shown["warnings"] = json!([]);
    assert_eq!(made, shown);

    f.time.fetch_add(1000, Ordering::SeqCst);
    let path = format!("credentials/{id}");
    let change = json!({"name": "Other", "fields": {"account": {"value": "8", "secret": false}}});
    let (status, changed) = f.send(Method::PATCH, &path, change).await;
    assert_eq!((status, &changed["name"], &changed["version"]), (200, &json!("Other"), &json!(1)));
    assert_eq!(changed["fields"]["account"]["value"], "8");
    assert_eq!(changed["rotated_at"], made["rotated_at"]);
    assert_ne!(changed["updated_at"], made["updated_at"]);

    let value = json!({"fields": {"token": "1234"}});
    let (status, put) = f.send(Method::PUT, &format!("{path}/value"), value).await;
    assert_eq!((status, &put["version"]), (200, &json!(2)));
    assert_eq!(put["fields"]["account"]["value"], "8", "plain fields stay");
    assert_eq!(put["warnings"][0]["pointer"], "/fields/token");
    let versions = f.get(&format!("{path}/versions")).await;
    let states: Vec<_> =
        versions["items"].as_array().unwrap().iter().map(|v| &v["state"]).collect();
    assert_eq!(states, ["current", "previous"]);

    let audit = f.get(&format!("{path}/audit")).await;
    let actions: Vec<_> = audit["items"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    assert_eq!(actions, ["credential.rotated", "credential.updated", "credential.created"]);

    assert_eq!(f.send(Method::DELETE, &path, Value::Null).await, (204, Value::Null));
    assert_eq!(f.send(Method::GET, &path, Value::Null).await.0, 404);
    assert_eq!(f.send(Method::DELETE, &path, Value::Null).await.0, 404);
    f.end().await;
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_with_every_fault() {
    let f = Fixture::new().await;
    let post = async |body, expected: &[&str]| {
        f.refused(Method::POST, "credentials", body, expected).await;
    };
    post(json!({}), &["/key missing", "/type missing", "/fields missing"]).await;
    post(
        json!({"key": "canary key", "type": "canary", "fields": {"a": "canary"}, "hosts": ["*"]}),
        &["/key invalid_value", "/type invalid_value", "/hosts/0 invalid_value"],
    )
    .await;
    let body = |more: Value| {
        let mut body = json!({"key": "K", "type": "api_key", "fields": {"value": SECRET}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    post(body(json!({"type": "oauth2"})), &["/type not_available"]).await;
    post(body(json!({"app": "slack", "scheme": "bot"})), &["/app unknown_app"]).await;
    post(body(json!({"scheme": "bot"})), &["/scheme invalid_value"]).await;
    post(body(json!({"scope": {"kind": "team"}})), &["/scope/kind invalid_value"]).await;
    post(body(json!({"scope": {"kind": "workflow"}})), &["/scope/workflow missing"]).await;
    let foreign =
        json!({"scope": {"kind": "workflow", "workflow": "wf_00000000000000000000000000"}});
    post(body(foreign), &["/scope/workflow invalid_value"]).await;
    post(
        body(json!({"other": SECRET, "a b": SECRET})),
        &["/other unknown_member", " unknown_member"],
    )
    .await;
    post(
        json!({"key": "K", "type": "custom", "fields": {"a": "x"}, "template": {"query": {"q": "{{ b }}"}}}),
        &["/template/query/q unknown_field"],
    )
    .await;

    let long = body(json!({"fields": {"value": "x".repeat(65_537)}}));
    let (status, answer) = f.send(Method::POST, "credentials", long).await;
    assert_eq!((status, &answer["code"]), (422, &json!("value_too_large")));
    assert_eq!(answer["errors"][0]["pointer"], "/fields/value");
    assert!(answer["detail"].as_str().unwrap().contains("65536"));
    f.create(body(json!({"fields": {"value": "x".repeat(65_536)}}))).await;

    let (status, answer) = f.send(Method::POST, "credentials", body(json!({}))).await;
    assert_eq!((status, &answer["code"]), (409, &json!("conflict")));
    f.end().await;
}

#[tokio::test]
async fn narrowing_is_plain_and_widening_needs_the_values() {
    let f = Fixture::new().await;
    let id = f.api_key("K").await;
    let path = format!("credentials/{id}");
    let change = async |body: Value| {
        let (status, answer) = f.send(Method::PATCH, &path, body.clone()).await;
        assert_eq!(status, 200, "{body}: {answer}");
        answer
    };
    let refused = async |body: Value, expected: &[&str]| {
        f.refused(Method::PATCH, &path, body, expected).await;
    };
    f.send(Method::PUT, &format!("{path}/value"), json!({"fields": {"value": SECRET}})).await;
    // Twice: the second opens what the first has wrapped, in both versions.
    change(json!({"hosts": ["a.example.com", "b.example.com"]})).await;
    let narrowed = change(json!({"hosts": ["a.example.com"], "methods": ["GET"]})).await;
    assert_eq!((&narrowed["version"], &narrowed["hosts"]), (&json!(2), &json!(["a.example.com"])));

    refused(json!({"hosts": []}), &["/fields missing"]).await;
    refused(json!({"methods": ["GET", "POST"]}), &["/fields missing"]).await;
    refused(json!({"hosts": ["a.example.com", "c.example.com"]}), &["/fields missing"]).await;
    refused(json!({"hosts": [], "fields": {"name": "X-Key"}}), &["/fields missing"]).await;
    let before = f.get(&path).await;
    assert_eq!(before["hosts"], json!(["a.example.com"]));

    let widened = change(json!({"hosts": [], "methods": [], "fields": {"value": SECRET}})).await;
    assert_eq!((&widened["version"], &widened["hosts"]), (&json!(3), &json!([])));
    let versions = f.get(&format!("{path}/versions")).await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 1, "earlier values do not widen");
    let both = change(json!({"hosts": ["x.org"], "fields": {"value": SECRET}})).await;
    assert_eq!(both["version"], 4);
    assert_eq!(change(json!({"hosts": ["x.org"], "places": ["query"]})).await["version"], 4);

    let same = f.row(&id).await.revision;
    change(json!({"key": "K", "type": "api_key", "scope": {"kind": "workspace"}})).await;
    assert_eq!(f.row(&id).await.revision, same, "nothing changed, nothing written");
    refused(
        json!({"key": "L", "type": "basic", "scope": {"kind": "personal"}}),
        &["/key immutable", "/type immutable", "/scope immutable"],
    )
    .await;
    refused(json!({"expires_at": "yesterday"}), &["/expires_at invalid_value"]).await;
    let put = format!("{path}/value");
    f.refused(Method::PUT, &put, json!({"fields": {"name": "X"}}), &["/fields missing"]).await;
    f.refused(Method::PUT, &put, json!({"fields": {"value": ""}}), &["/fields/value empty"]).await;

    let audit = f.get(&format!("{path}/audit?limit=200")).await;
    let reasons: Vec<_> =
        audit["items"].as_array().unwrap().iter().rev().map(|e| &e["reason"]).collect();
    let widened = ["widened", "", "version 2", "version 1"];
    let before = ["", "", "narrowed", "narrowed"];
    assert_eq!(reasons, [&before[..], &widened, &["narrowed", "", "narrowed"]].concat());
    f.end().await;
}

#[tokio::test]
async fn only_the_newest_versions_are_kept() {
    let f = Fixture::new().await;
    let path = format!("credentials/{}", f.api_key("K").await);
    for _ in 0..12 {
        let value = json!({"fields": {"value": SECRET}});
        assert_eq!(f.send(Method::PUT, &format!("{path}/value"), value).await.0, 200);
    }
    let versions = f.get(&format!("{path}/versions?limit=200")).await;
    let numbers: Vec<_> = versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (3..=13).rev().collect::<Vec<_>>(), "the current one and ten before it");
    f.end().await;
}

#[tokio::test]
async fn roles_decide_who_sees_and_changes() {
    let f = Fixture::new().await;
    let id = f.api_key("K").await;
    let body = json!({"key": "L", "type": "api_key", "fields": {"value": SECRET}});
    let (one, value) = (format!("credentials/{id}"), format!("credentials/{id}/value"));
    let fields = json!({"fields": {"value": SECRET}});
    // Role, list, making one, the rest; deleting comes last. What editors make is their own.
    for (role, list, created, rest) in [
        (Role::Viewer, 403, 403, 404),
        (Role::Operator, 200, 403, 403),
        (Role::Editor, 200, 201, 403),
        (Role::Admin, 200, 201, 200),
    ] {
        let token = f.member(role).await;
        let status = async |method, path: &str, body: &Value| {
            f.send_as(&token, method, path, body.clone()).await.0
        };
        assert_eq!(status(Method::GET, "credentials", &Value::Null).await, list, "{role:?}");
        assert_eq!(status(Method::POST, "credentials", &body).await, created, "{role:?}");
        let name = json!({"name": "x"});
        assert_eq!(status(Method::PATCH, &one, &name).await, rest, "{role:?}");
        assert_eq!(status(Method::PUT, &value, &fields).await, rest, "{role:?}");
        let seen = if list == 200 { 200 } else { 404 };
        assert_eq!(status(Method::GET, &one, &Value::Null).await, seen, "{role:?}");
        for path in ["/versions", "/rotation", "/dependents", "/audit"] {
            let path = format!("{one}{path}");
            assert_eq!(status(Method::GET, &path, &Value::Null).await, rest, "{role:?} {path}");
        }
        let deleted = if rest == 200 { 204 } else { rest };
        assert_eq!(status(Method::DELETE, &one, &Value::Null).await, deleted, "{role:?}");
        if role == Role::Editor {
            let (_, list) = f.send_as(&token, Method::GET, "credentials", Value::Null).await;
            let expected = json!({
                "id": id, "key": "K", "name": "K", "type": "api_key", "status": "active",
                "scope": {"kind": "workspace"},
            });
            assert_eq!(list["items"][0], expected);
            assert_eq!(list["items"][1]["scope"], json!({"kind": "personal"}));
        }
    }
    f.end().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let f = Fixture::new().await;
    for key in ["A", "B", "C"] {
        f.api_key(key).await;
    }
    f.time.fetch_add(10 * DAY, Ordering::SeqCst);
    f.create(json!({
        "key": "D", "type": "basic", "fields": {"username": "u", "password": SECRET},
        "environment": "dev", "tags": ["x"], "expires_at": "2023-11-25T00:00:00Z",
    }))
    .await;
    let expires = json!({"expires_at": "2023-11-25T00:00:00Z"});
    let first = f.get("credentials?q=d").await["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(f.send(Method::PATCH, &format!("credentials/{first}"), expires).await.0, 200);
    f.time.fetch_add(DAY, Ordering::SeqCst);
    let check = async |query: &str, expected: &[&str]| {
        assert_eq!(f.keys(query).await, expected, "{query}");
    };
    check("", &["A", "B", "C", "D"]).await;
    check("?type=basic", &["D"]).await;
    check("?type=oauth2", &[]).await;
    check("?status=expired", &["D"]).await;
    check("?status=suspended", &[]).await;
    check("?scope=workspace", &["A", "B", "C", "D"]).await;
    check("?scope=shared", &[]).await;
    check("?environment=dev", &["D"]).await;
    check("?tag=X", &["D"]).await;
    check("?owner=me&q=b", &["B"]).await;
    check("?owner=mem_00000000000000000000000000", &[]).await;
    check("?not_rotated_days=5", &["A", "B", "C"]).await;
    check("?unused_days=5", &["A", "B", "C", "D"]).await;
    check("?workflow=wf_00000000000000000000000000", &[]).await;
    check("?app=slack", &[]).await;
    let page = f.get("credentials?limit=3").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    check(&format!("?limit=3&cursor={cursor}"), &["D"]).await;
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("cursor=canary", "/cursor"),
        ("cursor=%00/cred_00000000000000000000000000", "/cursor"),
        ("type=canary", "/type"),
        ("status=canary", "/status"),
        ("scope=canary", "/scope"),
        ("owner=canary", "/owner"),
        ("unused_days=-1", "/unused_days"),
        ("not_rotated_days=36501", "/not_rotated_days"),
        ("workflow=canary", "/workflow"),
        ("q=%00", "/q"),
        ("canary=1", ""),
    ] {
        let path = format!("credentials?{query}");
        let (status, answer) = f.send(Method::GET, &path, Value::Null).await;
        assert_eq!((status, &answer["errors"][0]["pointer"]), (422, &json!(pointer)), "{query}");
    }
    f.end().await;
}

#[tokio::test]
async fn a_row_by_foreign_hands_stops_nobody() {
    let f = Fixture::new().await;
    let (good, bad) = (f.api_key("GOOD").await, f.api_key("WRONG").await);
    let forged = Credential {
        revision: 2,
        code_access: keyward_model::credential::CodeAccess::Readable,
        ..f.row(&bad).await
    };
    let forged = Tagged::stored(forged, [7; 32]);
    f.write(move |tx| tx.update_credential(&forged, 1)).await;
    let list = f.get("credentials").await;
    assert_eq!(list["items"][0]["id"], good.as_str());
    let marked = json!({
        "id": bad, "key": "WRONG", "scope": {"kind": "workspace"},
        "status": "error", "status_reason": "tampered",
    });
    assert_eq!(list["items"][1], marked);
    let path = format!("credentials/{bad}");
    assert_eq!(f.get(&path).await, marked);
    let (status, answer) = f.send(Method::PATCH, &path, json!({"name": "x"})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("conflict")));
    assert_eq!(f.send(Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(f.keys("").await, ["GOOD"]);
    f.end().await;
}

#[tokio::test]
async fn a_credential_in_use_is_deleted_on_confirmation_alone() {
    let f = Fixture::new().await;
    let id = f.api_key("K").await;
    let workflow = json!({
        "name": "Notify", "trigger": {"kind": "manual"},
        "steps": [{
            "id": "call", "kind": "http", "credential": {"$credential": "K"},
            "request": {"method": "GET", "url": "https://example.com/"},
        }],
    });
    let (status, saved) = f.send(Method::POST, "workflows", workflow).await;
    assert_eq!(status, 201, "{saved}");
    let dependents = json!([{
        "workflow_id": saved["id"], "name": "Notify", "active": true, "steps": ["call"],
        "last_used_at": null,
    }]);
    let path = format!("credentials/{id}");
    assert_eq!(f.get(&format!("{path}/dependents")).await["items"], dependents);
    for query in ["", "?confirm=false"] {
        let (status, answer) = f.send(Method::DELETE, &format!("{path}{query}"), Value::Null).await;
        assert_eq!((status, &answer["code"]), (409, &json!("credential_in_use")));
        assert_eq!(answer["dependents"], dependents);
    }
    f.refused(
        Method::DELETE,
        &format!("{path}?confirm=yes"),
        Value::Null,
        &["/confirm invalid_value"],
    )
    .await;

    // The workflow's own credential of that key is nearer, so the workspace's is free.
    let own = json!({
        "key": "K", "type": "api_key", "fields": {"value": SECRET},
        "scope": {"kind": "workflow", "workflow": saved["id"]},
    });
    let own = f.create(own).await;
    assert_eq!(own["scope"], json!({"kind": "workflow", "workflow": saved["id"]}));
    assert_eq!(f.send(Method::DELETE, &path, Value::Null).await.0, 204);
    let path = format!("credentials/{}", own["id"].as_str().unwrap());
    assert_eq!(f.send(Method::DELETE, &path, Value::Null).await.0, 409);
    assert_eq!(f.send(Method::DELETE, &format!("{path}?confirm=true"), Value::Null).await.0, 204);
    f.end().await;
}
