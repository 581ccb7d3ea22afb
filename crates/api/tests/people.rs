//! What time does to people's doors: sessions that end, invitations that expire, waits that pass.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests stop where something is not as expected"
)]

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use keyward_api::{Api, NewOwner, create_owner, forget_old_sessions, router};
use keyward_engine::Engine;
use keyward_model::clock::{Clock, Timestamp};
use keyward_sandbox::{Options, Sandbox};
use keyward_store::{Store, Target};
use keyward_vault::{Incoming, Vault};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tower::ServiceExt as _;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const OWNER: &str = "ada@example.com";
const PASSWORD: &str = "twelve chars and more";

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
    owner: String,
    time: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// The cookie that came with it.
    fn cookie(&self) -> String {
        let set = self.headers["set-cookie"].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }
}

impl Server {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("db");
        let store = Store::open(&Target::Sqlite(db.join("keyward.db"))).unwrap();
        let egress = keyward_egress::Client::new(keyward_egress::Options::default()).unwrap();
        let time = Arc::new(AtomicI64::new(1_700_000_000_000));
        let now = time.clone();
        let clock = Clock::new(move || Timestamp::from_millis(now.load(Ordering::SeqCst)));
        let key = folder.path().join("keys/root.key");
        let vault = Vault::unlock(store, egress, clock, &key, &db).await.unwrap();
        let new = NewOwner {
            email: OWNER.into(),
            workspace: "main".into(),
            password: Some(Incoming::new(PASSWORD.into())),
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
        let router = router(Api::new(engine, "http://127.0.0.1:1".into()));
        Self { router, vault, sandbox, owner, time, _folder: folder }
    }

    fn pass(&self, millis: i64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    async fn end(self) {
        self.sandbox.shutdown().await;
        self.vault.store().close().await;
    }

    async fn send(
        &self,
        from: &str,
        method: Method,
        path: &str,
        header: (&str, &str),
        body: Value,
    ) -> Answer {
        let peer: SocketAddr = format!("{from}:9").parse().unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).extension(ConnectInfo(peer));
        let request = request.header(header.0, header.1).header("content-type", "application/json");
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, headers, body }
    }

    async fn sign_in(&self, from: &str, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.send(from, Method::POST, "/api/v1/sessions", ("accept", "*/*"), body).await
    }

    async fn works(&self, cookie: &str) -> bool {
        let header = ("cookie", cookie);
        let path = "/api/v1/workspaces/main";
        self.send("192.0.2.1", Method::GET, path, header, Value::Null).await.status == 200
    }

    async fn as_owner(&self, method: Method, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.owner);
        self.send("192.0.2.1", method, path, ("authorization", &bearer), body).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_when_idle_and_after_thirty_days() {
    let server = Server::new().await;
    let idle = server.sign_in("192.0.2.1", OWNER, PASSWORD).await.cookie();
    let used = server.sign_in("192.0.2.1", OWNER, PASSWORD).await.cookie();
    // Each look puts the end off by seven days, up to thirty in all.
    for day in 1..=29 {
        server.pass(DAY);
        assert!(server.works(&used).await, "day {day}");
        if day == 6 {
            assert_eq!(forget_old_sessions(&server.vault).await.unwrap(), 0);
        }
        if day == 7 {
            assert!(!server.works(&idle).await);
            assert_eq!(forget_old_sessions(&server.vault).await.unwrap(), 1);
        }
    }
    server.pass(DAY - 1);
    assert!(server.works(&used).await);
    server.pass(1);
    assert!(!server.works(&used).await);
    assert_eq!(forget_old_sessions(&server.vault).await.unwrap(), 1);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_lasts_seven_days() {
    let server = Server::new().await;
    let mut tokens = Vec::new();
    for email in ["in-time@example.com", "late@example.com"] {
        let body = json!({ "email": email, "role": "editor" });
        let path = "/api/v1/workspaces/main/invitations";
        let made = server.as_owner(Method::POST, path, body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        tokens.push(made.body["token"].as_str().unwrap().to_owned());
    }
    let accept = async |token: &str| {
        let path = format!("/api/v1/invitations/{token}/accept");
        let body = json!({ "name": "New", "password": PASSWORD });
        server.send("192.0.2.1", Method::POST, &path, ("accept", "*/*"), body).await.status
    };
    server.pass(7 * DAY - 1);
    assert_eq!(accept(&tokens[0]).await, 201);
    server.pass(1);
    assert_eq!(accept(&tokens[1]).await, 404);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_grow_and_pass() {
    let server = Server::new().await;
    let wrong = async || server.sign_in("192.0.2.1", OWNER, "not the password").await;
    for _ in 0..5 {
        assert_eq!(wrong().await.status, 401);
    }
    for seconds in [30, 60, 120] {
        let held = wrong().await;
        assert_eq!(held.status, 429, "{}", held.body);
        assert_eq!(held.headers["retry-after"], seconds.to_string().as_str());
        // Another address is no way around.
        assert_eq!(server.sign_in("198.51.100.1", OWNER, PASSWORD).await.status, 429);
        server.pass(seconds * 1000 - 1);
        assert_eq!(wrong().await.status, 429);
        server.pass(1);
        assert_eq!(wrong().await.status, 401);
    }
    server.pass(15 * MINUTE);
    for _ in 0..5 {
        assert_eq!(wrong().await.status, 401, "all is forgotten");
    }
    server.pass(30_000);
    assert_eq!(server.sign_in("192.0.2.1", OWNER, PASSWORD).await.status, 201);
    for _ in 0..5 {
        assert_eq!(wrong().await.status, 401, "the right password cleared the account");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_counted_by_their_network() {
    let server = Server::new().await;
    for number in 0..20 {
        let (from, email) = (format!("[2001:db8::{number:x}]"), format!("n{number}@example.com"));
        assert_eq!(server.sign_in(&from, &email, "not the password").await.status, 401);
    }
    assert_eq!(server.sign_in("[2001:db8::ffff:1]", OWNER, PASSWORD).await.status, 429);
    let other = server.sign_in("[2001:db8:0:1::1]", OWNER, PASSWORD).await;
    assert_eq!(other.status, 201, "{}", other.body);
    assert_eq!(server.sign_in("192.0.2.1", OWNER, PASSWORD).await.status, 201);
    server.end().await;
}
