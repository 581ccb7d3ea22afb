//! The conversation with a real OpenID provider, at times that the test chooses.
#![expect(clippy::expect_used, reason = "a test says what it expects by failing")]

use keyward_egress::{Allow, Options};
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::single_sign_on::Mapping;
use keyward_store::{Store, Target};
use keyward_testkit::oidc;
use keyward_vault::{Incoming, Provider, ProviderSettings, Returned, SignOnError, Vault};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const REDIRECT: &str = "http://127.0.0.1:1/sign-in/oidc/callback";

struct Scene {
    service: oidc::Provider,
    provider: Provider,
    vault: Vault,
    offset: Arc<AtomicI64>,
    _home: tempfile::TempDir,
}

/// A vault whose clock is so many milliseconds ahead, and whose client may reach loopback.
async fn vault(home: &Path, offset: Arc<AtomicI64>) -> Vault {
    let database = home.join("db");
    let store = Store::open(&Target::Sqlite(database.join("keyward.db"))).expect("a database");
    let allow = Allow::parse("127.0.0.0/8").expect("an allow list");
    let egress = keyward_egress::Client::new(Options { allow, ..Options::default() });
    let clock = Clock::new(move || {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis + offset.load(Ordering::Relaxed))
    });
    let (key, egress) = (home.join("keys").join("root.key"), egress.expect("a client"));
    Vault::unlock(store, egress, clock, &key, &database).await.expect("a vault")
}

impl Scene {
    async fn start() -> Self {
        let client = oidc::Client { id: "us", secret: None, method: "none", algorithm: "RS256" };
        let service = oidc::Provider::start(client);
        let settings = ProviderSettings {
            issuer: service.issuer(),
            client_id: "us".into(),
            client_secret: None,
            scopes: "openid email".into(),
            redirect_uri: REDIRECT.into(),
        };
        let provider = Provider::new(settings).expect("settings that can work");
        let home = tempfile::tempdir().expect("a directory");
        let offset = Arc::new(AtomicI64::new(0));
        let vault = vault(home.path(), offset.clone()).await;
        Self { service, provider, vault, offset, _home: home }
    }

    fn set(&self, faults: &Value) {
        let bob = json!({ "email": "bob@example.com", "email_verified": true, "groups": ["a"] });
        self.service.set(&json!({ "bob": bob }), faults);
    }

    fn pass(&self, millis: i64) {
        self.offset.fetch_add(millis, Ordering::Relaxed);
    }

    /// Signs in, with some time at the provider; gives the subject.
    async fn sign_in(&self, spent: i64) -> Result<Value, SignOnError> {
        let begun = self.provider.begin(&self.vault, "/").await?;
        let address = self.service.sign_in(&begun.location, "bob");
        let address = url::Url::parse(&address).expect("an address");
        let parameter = |name: &str| {
            let found = address.query_pairs().find(|(found, _)| found == name);
            found.map(|(_, value)| value.into_owned())
        };
        let returned = Returned {
            state: parameter("state").map(Incoming::new),
            code: parameter("code").map(Incoming::new),
            iss: parameter("iss"),
        };
        self.pass(spent);
        let mapping = Mapping::parse("groups", "a=default:viewer", "").expect("a mapping");
        let done = self.provider.complete(&self.vault, &begun.cookie, &returned, &mapping).await?;
        Ok(done.claims.get("sub").cloned().unwrap_or_default())
    }
}

#[tokio::test]
async fn keys_are_asked_for_again_once_a_minute_at_most() {
    let scene = Scene::start().await;
    scene.set(&json!({}));
    assert_eq!(scene.sign_in(0).await.expect("the first sign-in"), "bob");
    scene.set(&json!({ "new_key": true }));
    let refused = scene.sign_in(0).await;
    assert!(matches!(refused, Err(SignOnError::Provider(_))), "{refused:?}");
    scene.pass(61_000);
    assert_eq!(scene.sign_in(0).await.expect("the new key has been found"), "bob");
    // The earlier key is still published.
    scene.set(&json!({}));
    assert_eq!(scene.sign_in(0).await.expect("either key"), "bob");
}

#[tokio::test]
async fn a_person_has_ten_minutes() {
    let scene = Scene::start().await;
    scene.set(&json!({}));
    let late = scene.sign_in(600_000).await;
    assert!(matches!(late, Err(SignOnError::State)), "{late:?}");
    assert!(scene.service.token_calls().is_empty(), "no code was exchanged");
}
