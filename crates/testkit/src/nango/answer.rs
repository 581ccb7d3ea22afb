//! What the server answers, and how it refuses.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{Connection, Credentials, State, ends};
use crate::echo::{Received, Reply};

const KNOWN: [&str; 4] =
    ["provider_config_key", "force_refresh", "refresh_token", "refresh_github_app_jwt_token"];

/// A refusal: status, code and message.
type Refusal = (u16, &'static str, &'static str);

impl State {
    pub(super) fn answer(&mut self, received: Received) -> Reply {
        let queued = self.queue.pop_front();
        let reply = queued.unwrap_or_else(|| match self.decide(&received) {
            Ok(body) => Reply::json(&body),
            Err((status, code, message)) => {
                let error = json!({ "error": { "code": code, "message": message } });
                Reply::json(&error).with_status(status)
            }
        });
        self.received.push(received);
        reply
    }

    fn decide(&mut self, request: &Received) -> Result<Value, Refusal> {
        self.authenticate(request)?;
        let mut segments = request.path().trim_matches('/').split('/').map(decoded);
        let collection = segments.next().unwrap_or_default();
        if request.method != "GET" || !matches!(&*collection, "connection" | "connections") {
            return Err((404, "not_found", "There is no such endpoint"));
        }
        let query = query(request);
        match segments.next() {
            Some(id) => self.connection(&id, &query),
            None => Ok(json!({
                "connections": self.connections.iter().map(Connection::listed).collect::<Vec<_>>(),
            })),
        }
    }

    fn authenticate(&self, request: &Received) -> Result<(), Refusal> {
        let header = request.header("authorization").ok_or((
            401,
            "missing_auth_header",
            "Authentication failed. The request is missing the Authorization header.",
        ))?;
        let key = header.strip_prefix("Bearer ").ok_or((
            401,
            "malformed_auth_header",
            "Authentication failed. The Authorization header is malformed.",
        ))?;
        if key != self.secret_key {
            let message = "Authentication failed. The provided authorization header does not match any account.";
            return Err((401, "unknown_account", message));
        }
        Ok(())
    }

    fn connection(&mut self, id: &str, query: &Map<String, Value>) -> Result<Value, Refusal> {
        if query.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            return Err((400, "invalid_query_params", "Unrecognized key in the query"));
        }
        let integration = query.get("provider_config_key").and_then(Value::as_str);
        let integration = integration.unwrap_or_default();
        if integration.is_empty() {
            return Err((400, "invalid_query_params", "provider_config_key: Required"));
        }
        if !self.connections.iter().any(|known| known.integration == integration) {
            return Err((400, "unknown_provider_config", "Provider does not exists"));
        }
        let found = self.find(integration, id);
        let found = found.ok_or((404, "not_found", "Failed to find connection"))?;
        let is_set = |name: &str| query.get(name).is_some_and(|value| value == "true");
        if is_set("force_refresh") || found.ends <= Timestamp::now() {
            found.refresh()?;
        }
        Ok(found.shown(is_set("refresh_token")))
    }
}

impl Connection {
    fn refresh(&mut self) -> Result<(), Refusal> {
        if !matches!(self.credentials, Credentials::OAuth2 { .. }) {
            return Ok(());
        }
        if self.broken {
            let message = "The external API returned an error when trying to refresh the access \
                           token. Please try again later.";
            return Err((424, "invalid_credentials", message));
        }
        self.refreshed += 1;
        self.ends = ends(&self.credentials);
        Ok(())
    }

    fn listed(&self) -> Value {
        json!({
            "connection_id": self.id, "provider": self.integration,
            "provider_config_key": self.integration, "metadata": self.metadata, "errors": [],
        })
    }

    fn shown(&self, with_refresh_token: bool) -> Value {
        let mut shown = self.listed();
        shown["connection_config"] = json!({});
        shown["credentials"] = match &self.credentials {
            Credentials::OAuth2 { tokens, .. } => {
                let token = tokens.get(self.refreshed).or(tokens.last());
                let mut own = json!({
                    "type": "OAUTH2", "access_token": token, "expires_at": self.ends.to_string(),
                    "raw": { "access_token": token, "token_type": "bearer" },
                });
                if with_refresh_token {
                    own["refresh_token"] = json!(format!("refresh-{}", self.refreshed));
                }
                own
            }
            Credentials::ApiKey(key) => json!({ "type": "API_KEY", "apiKey": key }),
            Credentials::Basic(user, password) => {
                json!({ "type": "BASIC", "username": user, "password": password })
            }
        };
        shown
    }
}

fn query(request: &Received) -> Map<String, Value> {
    let pairs = request.query().split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), Value::String(decoded(value)))).collect()
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
