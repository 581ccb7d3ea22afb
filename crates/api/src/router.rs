//! The router: every operation, the hooks, and what every answer has in common.

use crate::operation::Operation;
use crate::problem::Problem;
use crate::single_sign_on::SignIn;
use crate::{
    account, apps, audit, credentials, hooks, idempotency, invitations, list, members, metrics,
    openapi, pages, runs, sessions, setup, single_sign_on, tokens, workflows, workspaces,
};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use http::{HeaderName, HeaderValue};
use keyward_engine::Engine;
use keyward_store::Store;
use keyward_vault::Vault;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    engine: Engine,
    public_url: String,
    sign_in: SignIn,
    tests: credentials::TestLimit,
}

impl Api {
    /// An API over an engine; `public_url` has no slash at its end.
    pub fn new(engine: Engine, public_url: String) -> Self {
        Self::with_sign_in(engine, public_url, SignIn::default())
    }

    /// The same, where people sign in in other ways than with passwords alone.
    pub fn with_sign_in(engine: Engine, public_url: String, sign_in: SignIn) -> Self {
        Self(Arc::new(Inner { engine, public_url, sign_in, tests: Default::default() }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn vault(&self) -> &Vault {
        self.0.engine.vault()
    }

    pub(crate) fn store(&self) -> &Store {
        self.vault().store()
    }

    pub(crate) fn sign_in(&self) -> &SignIn {
        &self.0.sign_in
    }

    pub(crate) fn public_url(&self) -> &str {
        &self.0.public_url
    }

    /// How often credentials were tested lately.
    pub(crate) fn tests(&self) -> &credentials::TestLimit {
        &self.0.tests
    }
}

/// Every operation of the API, in the order of the documentation.
pub(crate) fn operations() -> Vec<Operation> {
    [
        setup::operations(),
        single_sign_on::operations(),
        sessions::operations(),
        account::operations(),
        workspaces::operations(),
        members::operations(),
        invitations::operations(),
        tokens::operations(),
        credentials::operations(),
        apps::operations(),
        workflows::operations(),
        runs::operations(),
        audit::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The whole HTTP side.
pub fn router(api: Api) -> Router {
    let mut router = probes()
        .route("/hooks/{token}", any(hooks::receive))
        .route("/hooks/{token}/{*rest}", any(hooks::receive))
        .route("/setup", get(pages::set_up))
        .route("/sign-in/oidc", get(single_sign_on::begin))
        .route(single_sign_on::CALLBACK, get(single_sign_on::complete))
        .route("/setup.js", get(pages::set_up_script))
        .route("/pages.css", get(pages::stylesheet))
        .route("/problems/{code}", get(pages::problem))
        .route("/api/openapi.json", get(openapi::serve))
        .route("/api/docs", get(pages::docs))
        .route("/api/workflow.schema.json", get(workflows::schema))
        .route("/api/app.schema.json", get(apps::schema));
    for operation in operations() {
        let handler = match operation.query.is_empty() {
            true => operation.handler.route_layer(from_fn(list::no_query)),
            false => operation.handler,
        };
        router = router.route(operation.path, handler);
    }
    router
        .method_not_allowed_fallback(|| async {
            Problem::new("method_not_allowed", "this address does not know that method")
        })
        .fallback(|| async { Problem::not_found() })
        .layer(from_fn_with_state(api.clone(), idempotency::keep))
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("referrer-policy", "no-referrer"))
        .layer(header("cache-control", "no-store"))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a request handler panicked");
            Problem::new("internal", "the server failed; its log says more").into_response()
        }))
        .with_state(api)
}

/// What a node answers that does not play the part of the API.
pub fn probe_router(api: Api) -> Router {
    probes().with_state(api)
}

fn probes() -> Router<Api> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(pages::ready))
        .route("/metrics", get(metrics::metrics))
}

fn header(name: &'static str, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
    SetResponseHeaderLayer::if_not_present(name, value)
}
