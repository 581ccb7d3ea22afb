//! Single sign-on: `GET /sign-in/oidc` sends a browser to the provider, `GET /sign-in/oidc/callback`
//! takes it back with a session. What is believed and granted is decided in the model.

mod answer;
mod people;

use crate::cookie;
use crate::guard::Client;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use crate::sessions;
use answer::{Refusal, refuse};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use keyward_model::single_sign_on::{Identity, Mapping, return_path};
use keyward_vault::{Incoming, Provider, Returned, SignOnError};
use schemars::JsonSchema;
use serde::Serialize;
use url::form_urlencoded::parse;

/// The path that the provider sends browsers back to, under the public URL.
pub const CALLBACK: &str = "/sign-in/oidc/callback";
/// The cookie that waits for a browser's return; `__Host-` goes before it under https.
const COOKIE: &str = "keyward-sign-in";
/// How long it waits, in seconds.
const WAIT_SECONDS: i64 = 600;

/// How people sign in.
pub struct SignIn {
    /// The provider, where there is one.
    pub provider: Option<SingleSignOn>,
    /// Whether passwords are taken.
    pub passwords: bool,
}

impl Default for SignIn {
    fn default() -> Self {
        Self { provider: None, passwords: true }
    }
}

/// The provider, and what its claims give.
pub struct SingleSignOn {
    /// The provider.
    pub provider: Provider,
    /// Which claims give which roles.
    pub mapping: Mapping,
    /// What people call it.
    pub name: String,
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/api/v1/sign-in",
            "waysToSignIn",
            "Say which ways of signing in there are.",
            Access::Public,
            ways,
        )
        .answer::<Ways>(200),
    ]
}

/// The ways of signing in.
#[derive(Serialize, JsonSchema)]
struct Ways {
    /// Whether `POST /api/v1/sessions` takes passwords.
    password: bool,
    /// Single sign-on, where there is any.
    single_sign_on: Option<Way>,
}

/// A provider that people sign in at.
#[derive(Serialize, JsonSchema)]
struct Way {
    /// What people call it.
    name: String,
    /// Where a browser goes; `?return=/path` says where it ends.
    path: &'static str,
}

async fn ways(State(api): State<Api>) -> Json<Ways> {
    let sign_in = api.sign_in();
    let way = |provider: &SingleSignOn| Way { name: provider.name.clone(), path: "/sign-in/oidc" };
    Json(Ways { password: sign_in.passwords, single_sign_on: sign_in.provider.as_ref().map(way) })
}

/// `GET /sign-in/oidc?return=/path`
pub(crate) async fn begin(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(sign_on) = &api.sign_in().provider else {
        return Problem::not_found().into_response();
    };
    let asked = parameter(query.as_deref(), "return").unwrap_or_default();
    let return_to = return_path(&asked).unwrap_or("/");
    match sign_on.provider.begin(api.vault(), return_to).await {
        Ok(begun) => {
            let cookie = cookie::named(&api, COOKIE, &begun.cookie, WAIT_SECONDS);
            redirect(&begun.location, [cookie])
        }
        Err(error) => refuse(sign_on, &headers, error.into()),
    }
}

/// `GET /sign-in/oidc/callback`
pub(crate) async fn complete(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    client: Client,
    headers: HeaderMap,
) -> Response {
    let Some(sign_on) = &api.sign_in().provider else {
        return Problem::not_found().into_response();
    };
    let secret = |name| parameter(query.as_deref(), name).map(Incoming::new);
    let returned = Returned {
        state: secret("state"),
        code: secret("code"),
        iss: parameter(query.as_deref(), "iss"),
    };
    match finish(&api, sign_on, &headers, &returned, &client).await {
        Ok((return_to, session)) => redirect(&return_to, [session, forget(&api)]),
        Err(refusal) => {
            let mut response = refuse(sign_on, &headers, refusal);
            response.headers_mut().append(header::SET_COOKIE, forget(&api));
            response
        }
    }
}

/// Where the browser goes on, and the cookie of its session.
async fn finish(
    api: &Api,
    sign_on: &SingleSignOn,
    headers: &HeaderMap,
    returned: &Returned,
    client: &Client,
) -> Result<(String, HeaderValue), Refusal> {
    let kept = cookie::find(api, COOKIE, headers).ok_or(SignOnError::State)?;
    let (provider, mapping) = (&sign_on.provider, &sign_on.mapping);
    let signed_on = provider.complete(api.vault(), kept, returned, mapping).await?;
    let identity = Identity::of(&signed_on.claims);
    let account = people::admit(api, mapping, &signed_on.claims, &identity).await?;
    let opened = sessions::open(api, &account, None, client).await?;
    Ok((signed_on.return_to, opened.cookie))
}

/// The cookie has done its work.
fn forget(api: &Api) -> HeaderValue {
    cookie::named(api, COOKIE, "", 0)
}

/// The first parameter of that name.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// The browser's next address is read with GET whatever this one was.
fn redirect<const N: usize>(location: &str, cookies: [HeaderValue; N]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // Made of visible ASCII: a parsed URL, or a checked path.
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
