//! Setting up, workspaces, members, tokens, repeats and pages through the router.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests stop where something is not as expected"
)]

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use keyward_api::{Api, new_set_up_token, router};
use keyward_engine::Engine;
use keyward_model::clock::{Clock, Timestamp};
use keyward_sandbox::{Options, Sandbox};
use keyward_store::{Store, Target};
use keyward_vault::Vault;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tower::ServiceExt as _;

const TOKENS: &str = "/api/v1/workspaces/main/tokens";

/// Not a test of its own: the sandbox's first process, started from this binary.
#[test]
#[ignore = "started by the tests below"]
fn serves_as_zygote() {
    keyward_sandbox::zygote_main();
}

struct Server {
    router: axum::Router,
    vault: Vault,
    sandbox: Sandbox,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    replayed: bool,
    body: Value,
}

impl Server {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("db");
        let store = Store::open(&Target::Sqlite(db.join("keyward.db"))).unwrap();
        let egress = keyward_egress::Client::new(keyward_egress::Options::default()).unwrap();
        let time = Arc::new(AtomicI64::new(1_700_000_000_000));
        // Goes on with each look, so that ids and lists are in the order of what happened.
        let clock = Clock::new(move || Timestamp::from_millis(time.fetch_add(1, Ordering::SeqCst)));
        let key = folder.path().join("keys/root.key");
        let vault = Vault::unlock(store, egress, clock, &key, &db).await.unwrap();
        let arguments = ["serves_as_zygote", "--exact", "--ignored", "--nocapture"];
        let sandbox = Sandbox::start(Options {
            executable: std::env::current_exe().unwrap(),
            arguments: arguments.map(str::to_owned).to_vec(),
            waiting: 1,
            ..Options::default()
        });
        let sandbox = sandbox.await.unwrap();
        let engine = Engine::new(vault.clone(), sandbox.clone(), vault.fresh());
        let router = router(Api::new(engine, "http://127.0.0.1:1".into()));
        Self { router, vault, sandbox, _folder: folder }
    }

    /// A server that is set up, and its owner's token.
    async fn with_owner() -> (Self, String) {
        let server = Self::new().await;
        let link = new_set_up_token(&server.vault).await.unwrap();
        let body =
            json!({ "token": link.reveal(), "email": "ada@example.com", "workspace": "Main" });
        let made = server.send(Method::POST, "/api/v1/setup", "", "", body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let token = made.body["token"].as_str().unwrap().to_owned();
        (server, token)
    }

    async fn end(self) {
        self.sandbox.shutdown().await;
        self.vault.store().close().await;
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        key: &str,
        body: Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.header("content-type", "application/json").body(Body::from(body));
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("idempotency-replayed");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, replayed, body }
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(Method::GET, path, token, "", Value::Null).await
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, token, "", body).await
    }

    async fn actions(&self, token: &str, workspace: &str) -> Vec<String> {
        let audit = self.get(token, &format!("/api/v1/workspaces/{workspace}/audit")).await;
        let items = audit.body["items"].as_array().unwrap().iter();
        items.map(|item| item["action"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn the_link_makes_one_owner() {
    let server = Server::new().await;
    let link = new_set_up_token(&server.vault).await.unwrap();
    let set_up = async |token: &str, email: &str| {
        let body = json!({ "token": token, "email": email, "password": "correct horse battery" });
        server.post("", "/api/v1/setup", body).await
    };
    assert_eq!(set_up("kws_wrong", "a@b.c").await.status, 401);
    assert_eq!(set_up("", "a@b.c").await.status, 401);
    let refused = set_up(link.reveal(), "a.b.c").await;
    assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!("/email")));
    let made = set_up(link.reveal(), "A@b.c").await;
    assert_eq!((made.status, &made.body["workspace"]["slug"]), (201, &json!("default")));
    let again = set_up(link.reveal(), "b@b.c").await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("conflict")));
    let token = made.body["token"].as_str().unwrap();
    let members = server.get(token, "/api/v1/workspaces/default/members").await.body;
    assert_eq!(members["items"].as_array().unwrap().len(), 1);
    assert_eq!(members["items"][0]["email"], "a@b.c");
    assert_eq!(members["items"][0]["role"], "owner");
    // Nothing is written down of what was refused.
    let expected = ["token.created", "member.joined", "workspace.created"];
    assert_eq!(server.actions(token, "default").await, expected);
    server.end().await;
}

#[tokio::test]
async fn workspaces_are_seen_by_their_members_alone() {
    let (server, owner) = Server::with_owner().await;
    for expected in ["main-2", "main-3"] {
        let made = server.post(&owner, "/api/v1/workspaces", json!({ "name": " Main " })).await;
        assert_eq!((made.status, &made.body["slug"]), (201, &json!(expected)));
        assert_eq!(made.body["name"], "Main");
    }
    assert_eq!(server.actions(&owner, "main-2").await, ["member.joined", "workspace.created"]);
    let page = server.get(&owner, "/api/v1/workspaces?limit=2").await.body;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest =
        server.get(&owner, &format!("/api/v1/workspaces?limit=2&cursor={cursor}")).await.body;
    let slug = |page: &Value, at: usize| page["items"][at]["slug"].clone();
    assert_eq!([slug(&page, 0), slug(&page, 1), slug(&rest, 0)], ["main", "main-2", "main-3"]);
    assert_eq!(rest["next_cursor"], Value::Null);
    let wrong = server.get(&owner, "/api/v1/workspaces?cursor=main").await;
    assert_eq!((wrong.status, &wrong.body["errors"][0]["pointer"]), (422, &json!("/cursor")));
    // Nobody is a member of what does not exist, and the answers are the same.
    for path in ["nope", "ws_00000000000000000000000000", "nope/members", "nope/audit"] {
        let answer = server.get(&owner, &format!("/api/v1/workspaces/{path}")).await;
        assert_eq!((answer.status, &answer.body["code"]), (404, &json!("not_found")), "{path}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_until_it_is_revoked() {
    let (server, owner) = Server::with_owner().await;
    let made = server.post(&owner, TOKENS, json!({ "name": "CI", "scopes": ["read"] })).await;
    assert_eq!(made.status, 201);
    let (id, token) = (made.body["id"].as_str().unwrap(), made.body["token"].as_str().unwrap());
    let main = |path: &str| format!("/api/v1/workspaces/main{path}");
    for (path, expected) in
        [("", 200), ("/audit", 200), ("/runs", 200), ("/credentials", 200), ("/members", 403)]
    {
        assert_eq!(server.get(token, &main(path)).await.status, expected, "{path}");
    }
    let other = json!({ "name": "x" });
    assert_eq!(server.post(token, "/api/v1/workspaces", other.clone()).await.status, 403);
    assert_eq!(server.post(token, TOKENS, other).await.status, 403);
    let same = server.post(token, TOKENS, json!({ "name": "x", "scopes": ["read"] })).await;
    assert_eq!(same.status, 201);
    // Its maker's other tokens are seen, but not ended, by a narrowed one.
    let listed = server.get(token, TOKENS).await.body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    assert!(!listed.to_string().contains("kwa_"), "{listed}");
    let first = format!("{TOKENS}/{}", listed["items"][0]["id"].as_str().unwrap());
    let end = async |token: &str, path: &str| {
        server.send(Method::DELETE, path, token, "", Value::Null).await.status
    };
    assert_eq!(end(token, &first).await, 403);
    assert_eq!(end(token, &format!("{TOKENS}/{id}")).await, 204);
    assert_eq!(server.get(token, &main("")).await.status, 401);
    assert_eq!(end(&owner, &format!("{TOKENS}/{id}")).await, 404);
    assert_eq!(server.actions(&owner, "main").await[0], "token.revoked");
    server.end().await;
}

#[tokio::test]
async fn a_repeated_post_does_nothing_twice() {
    let (server, owner) = Server::with_owner().await;
    let body = json!({ "name": "CI" });
    let post = async |key: &str, body: &Value| {
        server.send(Method::POST, TOKENS, &owner, key, body.clone()).await
    };
    let (first, again) = (post("k", &body).await, post("k", &body).await);
    assert_eq!(
        (first.status, first.replayed, again.status, again.replayed),
        (201, false, 201, true)
    );
    assert_eq!(first.body, again.body);
    let other = post("k", &json!({ "name": "other" })).await;
    assert_eq!((other.status, &other.body["code"]), (409, &json!("conflict")));
    assert_eq!(post("a b", &body).await.status, 400);
    // What was refused did nothing, so its key may be used for the corrected request.
    assert_eq!(post("fix", &json!({ "name": "" })).await.status, 422);
    assert_eq!(post("fix", &body).await.status, 201);
    // At once: one does the work, the others wait for its answer or are told to.
    let all = (0..8).map(|_| post("race", &body));
    let all = futures_util::future::join_all(all).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 201 && !answer.replayed).count(), 1);
    assert!(all.iter().all(|answer| [201, 409].contains(&answer.status)));
    // One's first token, and one for each key that did something.
    let listed = server.get(&owner, TOKENS).await.body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 4);
    server.end().await;
}

#[tokio::test]
async fn who_hangs_up_finds_the_answer() {
    let (server, owner) = Server::with_owner().await;
    let body = json!({ "name": "CI" });
    let post = || server.send(Method::POST, TOKENS, &owner, "k", body.clone());
    // As far as it gets before its client is gone: the work goes on behind it.
    let mut gone = Box::pin(post());
    let started =
        async || server.get(&owner, TOKENS).await.body["items"].as_array().unwrap().len() > 1;
    while !started().await {
        tokio::select! {
            biased;
            _ = &mut gone => panic!("it was too fast to hang up"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(gone);
    let mut answer = post().await;
    while answer.status == 409 {
        tokio::task::yield_now().await;
        answer = post().await;
    }
    assert_eq!((answer.status, answer.replayed), (201, true));
    let listed = server.get(&owner, TOKENS).await.body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    server.end().await;
}

#[tokio::test]
async fn every_problem_links_to_its_page() {
    let server = Server::new().await;
    let page = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        server.router.clone().oneshot(request).await.unwrap()
    };
    for (code, ..) in keyward_model::error::PROBLEM_CODES {
        let response = page(&format!("/problems/{code}")).await;
        assert_eq!(response.status(), 200, "{code}");
        assert!(response.headers().contains_key("content-security-policy"), "{code}");
    }
    for path in ["/api/docs", "/setup", "/setup.js", "/pages.css", "/readyz", "/healthz"] {
        assert_eq!(page(path).await.status(), 200, "{path}");
    }
    assert_eq!(page("/problems/none").await.status(), 404);
    server.vault.store().close().await;
    assert_eq!(page("/readyz").await.status(), 503);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_leaves_no_other_way_to_sign_in() {
    let (server, owner) = Server::with_owner().await;
    // Made by the set-up link without a password.
    let body = json!({ "name": "soon", "expires_at": "2033-01-01T00:00:00Z" });
    let made = server.send(Method::POST, TOKENS, &owner, "", body).await;
    let soon = made.body["token"].as_str().unwrap().to_owned();
    let password = json!({ "new": "twelve chars and more" });
    for (method, path, body) in [
        (Method::PUT, "/api/v1/account/password", password.clone()),
        (Method::POST, "/api/v1/account/totp", Value::Null),
        (Method::POST, "/api/v1/account/totp/confirm", json!({ "code": "000000" })),
        (Method::DELETE, "/api/v1/account/totp", json!({ "password": "" })),
    ] {
        let refused = server.send(method, path, &soon, "", body).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.body);
    }
    let path = "/api/v1/account/password";
    let set = server.send(Method::PUT, path, &owner, "", password.clone()).await;
    assert_eq!(set.status, 204, "{}", set.body);
    // With the password it is somebody who knows more than the token.
    let again = json!({ "current": password["new"], "new": "thirteen chars and more" });
    assert_eq!(server.send(Method::PUT, path, &soon, "", again).await.status, 204);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_role_is_refused_stands_in_the_audit_trail() {
    const BASE: &str = "/api/v1/workspaces/main";
    let (server, owner) = Server::with_owner().await;
    let at = |path: &str| format!("{BASE}{path}");
    let mut tokens = Vec::new();
    for role in ["viewer", "editor"] {
        let body = json!({ "kind": "service", "name": role, "role": role });
        let member = server.send(Method::POST, &at("/members"), &owner, "", body).await.body;
        let body = json!({ "name": role, "member": member["id"] });
        let made = server.send(Method::POST, TOKENS, &owner, "", body).await;
        tokens.push(made.body["token"].as_str().unwrap().to_owned());
    }
    let workflow = json!({ "name": "W", "trigger": { "kind": "manual" }, "steps": [
        { "id": "s", "kind": "code", "source": "return 1" }] });
    let made = server.send(Method::POST, &at("/workflows"), &owner, "", workflow).await.body;
    let list = at(&format!("/workflows/{}/allowlist", made["id"].as_str().unwrap()));
    let narrow = json!({ "enabled": true, "keys": ["A"] });
    assert_eq!(server.send(Method::PUT, &list, &owner, "", narrow.clone()).await.status, 200);
    let wide = json!({ "enabled": false, "keys": [] });
    let common = json!({ "key": "K", "type": "api_key", "fields": { "value": "canary-refused" },
        "scope": { "kind": "workspace" } });
    let file = json!({ "format": "env", "content": "K=canary-refused",
        "scope": { "kind": "workspace" } });
    for (token, method, path, body, action) in [
        (&tokens[0], Method::PUT, list.clone(), narrow, "workflow.allowlist_changed"),
        (&tokens[1], Method::PUT, list, wide, "workflow.allowlist_changed"),
        (&tokens[0], Method::POST, at("/credentials"), common.clone(), "credential.created"),
        (&tokens[1], Method::POST, at("/credentials"), common, "credential.created"),
        (&tokens[1], Method::POST, at("/credentials/import"), file, "credential.created"),
    ] {
        let audit = at(&format!("/audit?outcome=refused&action={action}"));
        let count = async || {
            let page = server.send(Method::GET, &audit, &owner, "", Value::Null).await.body;
            page["items"].as_array().unwrap().len()
        };
        let before = count().await;
        let refused = server.send(method, &path, token, "", body).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.body);
        assert_eq!(count().await, before + 1, "{path}");
    }
    server.end().await;
}
