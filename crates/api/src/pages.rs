//! Pages that the server itself shows: readiness, problems, the API's documentation, setting up.
//! Plain HTML without scripts, but for the form of setting up; nothing comes from elsewhere.

mod docs;
mod html;
mod markdown;
mod problems;

use crate::problem::Problem;
use crate::router::Api;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use html::escape;
use http::{HeaderMap, HeaderValue, header};
use keyward_vault::SinkState;
use std::sync::LazyLock;

const STYLE: &str = include_str!("pages/style.css");
const SET_UP_PAGE: &str = include_str!("pages/setup.html");
const SET_UP_SCRIPT: &str = include_str!("pages/setup.js");

/// What a page may load: its style, and nothing else.
const CSP: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                   frame-ancestors 'none'";
/// The same, with the script of the set-up form and its one request.
const CSP_WITH_SCRIPT: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                               connect-src 'self'; base-uri 'none'; form-action 'none'; \
                               frame-ancestors 'none'";

/// `GET /readyz`
pub(crate) async fn ready(State(api): State<Api>) -> Response {
    match api.store().healthy().await {
        Ok(()) => format!("ready\n{}", sinks(&api)).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// How audit sinks do, a line each; no addresses, for anybody may ask.
fn sinks(api: &Api) -> String {
    let line = |sink: SinkState| {
        let (place, kind, waiting) = (sink.place, sink.kind, sink.waiting);
        let state = match (sink.failing_since, &sink.failure) {
            (Some(since), Some(failure)) => format!("failing since {since}: {failure}"),
            (Some(since), None) => format!("failing since {since}"),
            (None, _) if waiting > 0 => "behind".to_owned(),
            (None, _) => "up to date".to_owned(),
        };
        let blocks = if sink.blocks { "; no value is released until it takes them" } else { "" };
        format!("audit sink {place} ({kind}): {state}, {waiting} records waiting{blocks}\n")
    };
    api.vault().audit_gate().sinks().into_iter().map(line).collect()
}

/// `GET /problems/{code}`: the page of a problem's or step error's code.
pub(crate) async fn problem(
    code: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(code) = code.map_err(|_| Problem::not_found())?;
    let (code, text) = problems::find(&code).ok_or_else(Problem::not_found)?;
    if wants_markdown(&headers) {
        let kind = HeaderValue::from_static("text/markdown; charset=utf-8");
        return Ok(([(header::CONTENT_TYPE, kind)], text).into_response());
    }
    let body = format!(
        "<p class=\"eyebrow\">Problem <code>{code}</code></p>\n{}\
         <p class=\"foot\"><a href=\"/api/docs\">API documentation</a></p>",
        markdown::render(text),
    );
    Ok(page(&problems::title(text), &body))
}

/// `GET /api/docs`
pub(crate) async fn docs() -> Response {
    static BODY: LazyLock<String> = LazyLock::new(|| docs::render(&crate::openapi::document()));
    page("API", &BODY)
}

/// `GET /setup`
pub(crate) async fn set_up() -> Response {
    let mut response = page("Set up", SET_UP_PAGE);
    set_csp(&mut response, CSP_WITH_SCRIPT);
    response
}

/// `GET /setup.js`
pub(crate) async fn set_up_script() -> Response {
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], SET_UP_SCRIPT).into_response()
}

/// `GET /pages.css`
pub(crate) async fn stylesheet() -> Response {
    let kind = HeaderValue::from_static("text/css; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], STYLE).into_response()
}

/// The page of a browser that came from a provider and is not signed in.
pub(crate) fn not_signed_in(provider: &str, problem: &Problem) -> Response {
    let (provider, detail) = (escape(provider), escape(problem.detail()));
    let body = format!(
        "<p class=\"eyebrow\">{provider}</p>\n<h1>You are not signed in</h1>\n<p>{detail}.</p>\n\
         <p class=\"foot\"><a href=\"/sign-in/oidc\">Try again</a></p>"
    );
    let mut response = page("Sign in", &body);
    *response.status_mut() = problem.status();
    response
}

/// Whether Markdown is asked for by name, and HTML is not.
fn wants_markdown(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/markdown") && !accept.contains("text/html"))
}

fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} · Keyward</title>\n<link rel=\"stylesheet\" href=\"/pages.css\">\n\
         </head>\n<body>\n<header><span class=\"mark\" aria-hidden=\"true\"></span>Keyward</header>\n\
         <main>\n{body}\n</main>\n</body>\n</html>\n"
    );
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = ([(header::CONTENT_TYPE, kind)], html).into_response();
    set_csp(&mut response, CSP);
    response
}

fn set_csp(response: &mut Response, policy: &'static str) {
    let policy = HeaderValue::from_static(policy);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn text(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn pages_load_nothing_from_elsewhere_and_hold_no_inline_code() {
        let problem = problem(Ok(Path("conflict".into())), HeaderMap::new()).await.expect("a page");
        for response in [problem, docs().await, set_up().await] {
            let csp = response.headers().get(header::CONTENT_SECURITY_POLICY).expect("a policy");
            assert!(csp.to_str().expect("text").starts_with("default-src 'none';"));
            let html = text(response).await;
            for forbidden in
                ["<style", " style=", "<script>", " onclick=", "javascript:", "src=\"http"]
            {
                assert!(!html.contains(forbidden), "{forbidden}");
            }
        }
    }

    #[tokio::test]
    async fn the_text_is_given_to_who_asks_for_markdown() {
        let check = async |accept: Option<&'static str>, kind: &str| {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            let response = problem(Ok(Path("not_found".into())), headers).await.expect("a page");
            let found = response.headers().get(header::CONTENT_TYPE).expect("a type").to_str();
            assert_eq!(found.expect("text").split(';').next(), Some(kind), "{accept:?}");
        };
        check(None, "text/html").await;
        check(Some("*/*"), "text/html").await;
        check(Some("text/html,text/markdown"), "text/html").await;
        check(Some("text/markdown"), "text/markdown").await;
        let unknown = problem(Ok(Path("../secret".into())), HeaderMap::new()).await;
        assert_eq!(unknown.err().map(|problem| problem.code()), Some("not_found"));
    }
}
