//! `Idempotency-Key`: a POST that is sent again under its key does nothing again and gets the
//! answer of the first. The key is taken in the database before the work begins, so that this
//! holds across nodes and crashes; answers are kept sealed, since some hold a new token. Of an answer
//! that shows a run only the run's id is kept, so that nothing outlives the run.

use crate::auth::SignedIn;
use crate::body::{MAX_BODY, collect};
use crate::problem::Problem;
use crate::router::Api;
use crate::runs::{self, ShowsRun};
use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use keyward_model::credential::Sealed;
use keyward_model::id::{RunId, WorkspaceId};
use keyward_store::{Reply, StoreError};
use keyward_vault::{ReplyOwner, Vault, VaultError};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY: usize = 255;
const SESSIONS: &str = "/api/v1/sessions";
/// The status under which a key is taken while its request is worked on.
const WORKING: i64 = 0;
/// How long answers are kept.
const KEPT_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Forgets answers older than 24 hours; called once in a while by the composition root.
///
/// # Errors
/// Where the database cannot be used.
pub async fn forget_old_replies(vault: &Vault) -> Result<u64, VaultError> {
    let before = vault.now().plus_millis(-KEPT_MILLIS);
    Ok(vault.store().record(move |tx| tx.purge_idempotent_replies(before)).await?)
}

/// The middleware.
pub(crate) async fn keep(State(api): State<Api>, request: Request, next: Next) -> Response {
    match once(api, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn once(api: Api, request: Request, next: Next) -> Result<Response, Problem> {
    let path = request.uri().path();
    // A session's answer carries its cookie, which is kept nowhere.
    if request.method() != Method::POST || !path.starts_with("/api/v1/") || path == SESSIONS {
        return Ok(next.run(request).await);
    }
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let Ok(signed_in) = SignedIn::from_request_parts(&mut parts, &api).await else {
        // Without a caller nothing is kept; the operation itself says what is wrong.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let body = collect(body, MAX_BODY).await?;
    let slot = Slot::of(api.vault().clone(), &signed_in, key.as_bytes(), &parts, &body).await?;
    if !slot.take().await? {
        return slot.replay(&api).await;
    }
    let request = Request::from_parts(parts, Body::from(body));
    // On a task of its own: who hangs up must find the answer when they ask again.
    let work = tokio::spawn(async move {
        let response = next.run(request).await;
        slot.settle(response).await
    });
    work.await.unwrap_or_else(|_| {
        tracing::error!("a request handler panicked");
        Err(Problem::new("internal", "the server failed; its log says more"))
    })
}

/// The key that was sent.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all(KEY).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let visible = |byte: &u8| byte.is_ascii_graphic();
    let bytes = value.as_bytes();
    let right = (1..=MAX_KEY).contains(&bytes.len()) && bytes.iter().all(visible);
    match value.to_str() {
        Ok(text) if right && all.next().is_none() => Ok(Some(text.to_owned())),
        _ => {
            let detail =
                format!("`Idempotency-Key` takes 1 to {MAX_KEY} visible ASCII characters, once");
            Err(Problem::new("invalid_request", detail))
        }
    }
}

/// The place where the answer to one caller's key is kept.
#[derive(Clone)]
struct Slot {
    vault: Vault,
    workspace: WorkspaceId,
    /// The token or session, not its maker: another token may be allowed less.
    caller: String,
    key_hash: [u8; 32],
    /// The first is the one to store; the others are of older key generations.
    request_digests: Vec<[u8; 32]>,
}

impl Slot {
    async fn of(
        vault: Vault,
        signed_in: &SignedIn,
        key: &[u8],
        parts: &Parts,
        body: &Bytes,
    ) -> Result<Self, Problem> {
        let workspace = signed_in.member.workspace;
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        let key_hash = vault.request_name(workspace, &[b"key", key]).await?;
        let request = [b"request", target.as_bytes(), kind, body];
        let request_digests = vault.request_digests(workspace, &request).await?;
        let caller = signed_in.with.id();
        Ok(Self { vault, workspace, caller, key_hash, request_digests })
    }

    /// Takes the key; false where somebody did before.
    async fn take(&self) -> Result<bool, Problem> {
        let slot = self.clone();
        let reply = Reply {
            request_digest: self.request_digest().to_vec(),
            status: WORKING,
            body: Vec::new(),
            created_at: self.vault.now(),
        };
        let taken = self.vault.store().record(move |tx| {
            tx.put_idempotent_reply(slot.workspace, &slot.caller, &slot.key_hash, &reply)
        });
        match taken.await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The answer that was given before.
    async fn replay(&self, api: &Api) -> Result<Response, Problem> {
        let (status, body) = self.kept().await?;
        let run = std::str::from_utf8(&body).ok().and_then(|id| id.parse::<RunId>().ok());
        let mut response = match run {
            Some(run) => runs::show_again(api, self.workspace, run).await?,
            None => answer(status, Bytes::from(body)),
        };
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }

    /// Its status, and what was kept of its body.
    async fn kept(&self) -> Result<(StatusCode, Vec<u8>), Problem> {
        let slot = self.clone();
        let kept = self
            .vault
            .store()
            .read(move |tx| tx.idempotent_reply(slot.workspace, &slot.caller, &slot.key_hash));
        let kept = kept.await?.ok_or_else(working)?;
        if !self.request_digests.iter().any(|digest| kept.request_digest == digest) {
            let detail = "another request was sent under this `Idempotency-Key`; use a new key";
            return Err(Problem::new("conflict", detail));
        }
        let status = u16::try_from(kept.status).ok().and_then(|s| StatusCode::from_u16(s).ok());
        let status = status.ok_or_else(working)?;
        let sealed = Sealed::from_bytes(kept.body);
        let owner = self.owner(&kept.request_digest, kept.status);
        let body = self.vault.open_reply(self.workspace, &owner, &sealed).await?;
        Ok((status, body))
    }

    /// Keeps an answer that did something; after any other the key is free again.
    async fn settle(&self, response: Response) -> Result<Response, Problem> {
        let slot = self.clone();
        if !response.status().is_success() {
            let released = self.vault.store().record(move |tx| {
                tx.release_idempotency_key(slot.workspace, &slot.caller, &slot.key_hash)
            });
            log_failure(released.await);
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes());
        let body = body.map_err(|_| Problem::new("internal", "the answer broke off"))?;
        let status = i64::from(parts.status.as_u16());
        let kept = match parts.extensions.get() {
            Some(ShowsRun(run)) => Bytes::from(run.to_string()),
            None => body.clone(),
        };
        let sealed = self
            .vault
            .seal_reply(self.workspace, &self.owner(self.request_digest(), status), &kept)
            .await?;
        let settled = self.vault.store().record(move |tx| {
            let (workspace, caller, key) = (slot.workspace, &slot.caller, &slot.key_hash);
            tx.settle_idempotent_reply(workspace, caller, key, status, sealed.as_bytes())
        });
        log_failure(settled.await);
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn request_digest(&self) -> &[u8] {
        self.request_digests.first().map_or(&[], |digest| &digest[..])
    }

    fn owner<'a>(&'a self, request_digest: &'a [u8], status: i64) -> ReplyOwner<'a> {
        ReplyOwner { caller: &self.caller, key_hash: &self.key_hash, request_digest, status }
    }
}

/// What was done stays done and is answered, also where its answer could not be kept.
fn log_failure(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "an answer could not be kept for its idempotency key");
    }
}

fn working() -> Problem {
    let detail = "the first request under this `Idempotency-Key` is being worked on, or the server \
                  stopped in the middle of it: ask again soon, or look what it did and use a new key";
    Problem::new("conflict", detail)
}

fn answer(status: StatusCode, body: Bytes) -> Response {
    if body.is_empty() {
        return status.into_response();
    }
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{By, Presented};
    use crate::scopes::Scopes;
    use crate::testing::{self, Time};
    use keyward_model::actor::Role;
    use keyward_model::id::{Identifier as _, TokenId};
    use keyward_model::tenant::{Member, MemberKind};

    fn check(values: &[&[u8]], expected: Result<Option<&str>, ()>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, HeaderValue::from_bytes(value).expect("a header"));
        }
        let found = key(&headers).map_err(|problem| assert_eq!(problem.code(), "invalid_request"));
        assert_eq!(
            found.as_ref().map(Option::as_deref).map_err(|unit| *unit),
            expected,
            "{values:?}"
        );
    }

    #[test]
    fn keys_are_visible_bounded_and_sent_once() {
        check(&[], Ok(None));
        check(&[b"a"], Ok(Some("a")));
        check(&[b"\"8e03978e-40d5\""], Ok(Some("\"8e03978e-40d5\"")));
        check(&[&[b'~'; 255]], Ok(Some(&"~".repeat(255))));
        check(&[&[b'~'; 256]], Err(()));
        check(&[b""], Err(()));
        check(&[b"a b"], Err(()));
        check(&[b"a\tb"], Err(()));
        check(&["ä".as_bytes()], Err(()));
        check(&[b"a", b"a"], Err(()));
    }

    /// The slot of a caller's request under a key.
    async fn slot(
        vault: &Vault,
        workspace: WorkspaceId,
        caller: u8,
        key: &str,
        body: &str,
    ) -> Slot {
        let member = Member {
            workspace,
            id: vault.fresh(),
            kind: MemberKind::Person,
            account: Some(vault.fresh()),
            email: "a@b.c".into(),
            name: "a".into(),
            role: Role::Owner,
            created_at: vault.now(),
            left_at: None,
        };
        let id = TokenId::from_bytes([caller; 16]);
        let with = Presented { by: By::Token(id), scopes: Scopes::All, expires_at: None };
        let request = http::Request::post("/api/v1/workspaces").body(()).expect("a request");
        let body = Bytes::from(body.to_owned());
        let signed_in = SignedIn { member, with };
        let parts = request.into_parts().0;
        Slot::of(vault.clone(), &signed_in, key.as_bytes(), &parts, &body).await.expect("a slot")
    }

    async fn text(response: Response) -> (u16, String) {
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    async fn replayed(slot: &Slot) -> Result<(u16, String), &'static str> {
        match slot.kept().await {
            Ok((status, body)) => Ok((status.as_u16(), String::from_utf8(body).expect("text"))),
            Err(problem) => Err(problem.code()),
        }
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_its_caller_key_and_request() {
        let home = tempfile::tempdir().expect("a directory");
        let time = Time::start();
        let vault = testing::vault(home.path(), &time).await;
        let workspace = testing::workspace(&vault).await;
        let first = slot(&vault, workspace, 1, "k", "{}").await;
        assert!(first.take().await.expect("an answer"));
        // In flight: neither taken again nor answered.
        assert!(!first.take().await.expect("an answer"));
        assert_eq!(replayed(&first).await, Err("conflict"));
        let secret = r#"{"token":"kwa_canary-in-a-reply"}"#;
        let done = answer(StatusCode::CREATED, Bytes::from(secret));
        assert_eq!(text(first.settle(done).await.expect("the answer")).await, (201, secret.into()));
        let again = slot(&vault, workspace, 1, "k", "{}").await;
        assert!(!again.take().await.expect("an answer"));
        assert_eq!(replayed(&again).await, Ok((201, secret.to_owned())));
        let other_body = slot(&vault, workspace, 1, "k", "{ }").await;
        assert_eq!(replayed(&other_body).await, Err("conflict"));
        for (caller, key) in [(2, "k"), (1, "K")] {
            let other = slot(&vault, workspace, caller, key, "{}").await;
            assert!(other.take().await.expect("an answer"), "{caller} {key}");
        }
        // What is shown once lies in no file of the database.
        vault.store().close().await;
        for file in std::fs::read_dir(home.path().join("db")).expect("files") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("bytes");
            assert!(!String::from_utf8_lossy(&bytes).contains("canary-in-a-reply"));
        }
    }

    #[tokio::test]
    async fn a_key_is_free_again_after_a_failure_and_after_a_day() {
        let home = tempfile::tempdir().expect("a directory");
        let time = Time::start();
        let vault = testing::vault(home.path(), &time).await;
        let workspace = testing::workspace(&vault).await;
        let slot = slot(&vault, workspace, 1, "k", "{}").await;
        assert!(slot.take().await.expect("an answer"));
        let failed = Problem::not_found().into_response();
        assert_eq!(text(slot.settle(failed).await.expect("the answer")).await.0, 404);
        assert!(slot.take().await.expect("an answer"));
        slot.settle(answer(StatusCode::NO_CONTENT, Bytes::new())).await.expect("the answer");
        assert_eq!(replayed(&slot).await, Ok((204, String::new())));
        assert_eq!(forget_old_replies(&vault).await.expect("an answer"), 0);
        time.advance(KEPT_MILLIS + 1);
        assert_eq!(forget_old_replies(&vault).await.expect("an answer"), 1);
        assert!(slot.take().await.expect("an answer"));
    }
}
