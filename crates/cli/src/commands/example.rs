//! `serve --example`: an echo service, and a workflow that talks to it with a credential; run once
//! so that a newcomer sees what is kept and what is hidden.

use crate::config::Config;
use crate::logging;
use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use keyward_api::{NewOwner, create_owner};
use keyward_vault::Vault;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const KEY: &str = "EXAMPLE_API_KEY";
const WORKFLOW: &str = "Example: two steps, one credential";
const BASE: &str = "/api/v1/workspaces/example";

/// The echo service: answers with the request that it got.
pub(crate) struct Echo {
    address: SocketAddr,
}

impl Echo {
    /// Starts it on the port after the server's, and lets steps reach it.
    pub(crate) async fn start(config: &mut Config) -> anyhow::Result<Self> {
        let port = config.listen.port().checked_add(1).filter(|port| *port > 1).unwrap_or(0);
        let preferred = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = match preferred {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(("127.0.0.1", 0)).await.context("the echo service")?,
        };
        let address = listener.local_addr()?;
        let separator = if config.egress_allow.is_empty() { "" } else { "," };
        config.egress_allow.push_str(&format!("{separator}{address}"));
        let service = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, service).await });
        Ok(Self { address })
    }
}

async fn answer(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> axum::Json<Value> {
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned().into())
        })
        .collect();
    axum::Json(json!({
        "method": method.as_str(),
        "path": uri.path(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

/// Makes the example where it is not there yet, runs it once, and says what to try.
pub(crate) async fn run(
    config: &Config,
    vault: &Vault,
    service: Router,
    echo: &Echo,
) -> anyhow::Result<()> {
    let token_file = config.data_dir.join("keys/example-owner.token");
    let token = owner_token(vault, &token_file).await?;
    let client = Client { service, token };
    client.make_credential(echo).await?;
    let hook = client.make_workflow(echo).await?;
    let path = hook.find("/hooks/").and_then(|at| hook.get(at..)).unwrap_or_default();
    let body = json!({ "greeting": "hello" });
    let (_, headers, answer) = client.call(Method::POST, path, Some(&body)).await?;
    let run = headers.get("keyward-run-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let server = hook.split("/hooks/").next().unwrap_or_default();
    logging::print("");
    logging::print(
        "The example workflow ran once. Its answer, with the credential's value hidden:",
    );
    logging::print(&serde_json::to_string_pretty(&answer)?);
    logging::print("");
    logging::print(&format!("the run    {server}{BASE}/runs/{run}"));
    logging::print(&format!("try        curl -s {hook} -d greeting=hello"));
    logging::print(&format!(
        "sign in    send `Authorization: Bearer $(cat {})`",
        token_file.display()
    ));
    logging::print(&format!("reference  {server}/api/docs"));
    Ok(())
}

/// The example owner's token, from the file of an earlier start or newly made.
async fn owner_token(vault: &Vault, path: &PathBuf) -> anyhow::Result<String> {
    if let Ok(token) = fs::read_to_string(path) {
        return Ok(token.trim().to_owned());
    }
    let owner =
        NewOwner { email: "owner@example.com".into(), workspace: "example".into(), password: None };
    let token = create_owner(vault, owner)
        .await
        .context("the example needs a data directory of its own")?;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", token.reveal())?;
    Ok(token.reveal().to_owned())
}

/// The API, called in this process.
struct Client {
    service: Router,
    token: String,
}

impl Client {
    /// A credential with a random value that nobody has ever seen, bound to the echo service.
    async fn make_credential(&self, echo: &Echo) -> anyhow::Result<()> {
        let host = format!("http://{}", echo.address);
        let list = self.api(Method::GET, &format!("{BASE}/credentials?q={KEY}"), None).await?;
        let found = list.pointer("/items/0").cloned();
        if let Some(found) = found {
            if found.pointer("/hosts/0").and_then(Value::as_str) == Some(&host) {
                return Ok(());
            }
            let id = found.pointer("/id").and_then(Value::as_str).unwrap_or_default();
            self.api(Method::DELETE, &format!("{BASE}/credentials/{id}?confirm=true"), None)
                .await?;
        }
        let mut random = [0u8; 24];
        fs::File::open("/dev/urandom")
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut random))?;
        let value = format!("example_{}", data_encoding::BASE64URL_NOPAD.encode(&random));
        let credential = json!({
            "key": KEY, "name": "Example API key", "type": "api_key",
            "fields": { "value": value }, "hosts": [host],
        });
        self.api(Method::POST, &format!("{BASE}/credentials"), Some(&credential)).await?;
        Ok(())
    }

    /// The workflow, saved anew where it is missing or speaks to another address; gives its hook.
    async fn make_workflow(&self, echo: &Echo) -> anyhow::Result<String> {
        let definition = definition(echo);
        let list = self.api(Method::GET, &format!("{BASE}/workflows"), None).await?;
        let items = list.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
        let named = |item: &&Value| item.pointer("/name").and_then(Value::as_str) == Some(WORKFLOW);
        let saved = match items.iter().find(named).and_then(|item| item.pointer("/id")?.as_str()) {
            Some(id) => {
                let path = format!("{BASE}/workflows/{id}");
                let saved = self.api(Method::GET, &path, None).await?;
                match saved.pointer("/definition") == Some(&definition) {
                    true => saved,
                    false => self.api(Method::PUT, &path, Some(&definition)).await?,
                }
            }
            None => self.api(Method::POST, &format!("{BASE}/workflows"), Some(&definition)).await?,
        };
        let hook = saved.pointer("/trigger_url").and_then(Value::as_str);
        Ok(hook.context("the example workflow has no trigger")?.to_owned())
    }

    async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, _, answer) = self.call(method, path, body).await?;
        let detail = answer.pointer("/detail").and_then(Value::as_str).unwrap_or_default();
        anyhow::ensure!(status.is_success(), "the example: {path} answered {status}: {detail}");
        Ok(answer)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, HeaderMap, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(path);
        if path.starts_with("/api/") {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        let request =
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body))?;
        let (parts, body) = self.service.clone().oneshot(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let answer = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok((parts.status, parts.headers, answer))
    }
}

fn definition(echo: &Echo) -> Value {
    let url = format!("http://{}", echo.address);
    let source = format!(
        "interface Echo {{ method: string; headers: Record<string, string> }}\n\n\
         const key: string = credential(\"{KEY}\");\n\
         console.log(\"this is what code gets of the credential:\", key);\n\
         const response = await fetch(\"{url}/from-code\", {{ headers: {{ \"x-api-key\": key }} }});\n\
         const echo = (await response.json()) as Echo;\n\
         return {{ greeting: trigger.body.greeting, echoed: echo.headers[\"x-api-key\"] }};\n"
    );
    json!({
        "name": WORKFLOW,
        "description": "A code step and an HTTP step, each with the same credential.",
        "trigger": { "kind": "http", "method": "POST", "respond": "result" },
        "steps": [
            { "id": "ask", "kind": "code", "language": "typescript", "source": source },
            { "id": "tell", "kind": "http", "credential": { "$credential": KEY },
              "request": { "method": "POST", "url": format!("{url}/from-http"),
                           "json": { "greeting": "{{ steps.ask.output.greeting }}",
                                     "seen_by_code": "{{ steps.ask.output.echoed }}" } } },
        ],
    })
}
