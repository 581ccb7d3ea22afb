//! A stand-in for the part of Nango's API that hands out the credentials of connections, written from
//! its public reference: nothing runnable of its server is published as a package.

mod answer;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::authority::Authority;
use crate::canary::canary;
use crate::echo::{Received, Reply};
use crate::listener::Listener;

/// What a connection hands out.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// `OAUTH2`: access tokens that end and are followed by the next; the last is given again and
    /// again.
    OAuth2 {
        /// The access tokens, the first one current.
        tokens: Vec<String>,
        /// How long each lives.
        life: Duration,
    },
    /// `API_KEY`.
    ApiKey(String),
    /// `BASIC`: user name and password.
    Basic(String, String),
}

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Nango {
    listener: Listener,
    state: Arc<Mutex<State>>,
    secret_key: String,
    authority: Option<Authority>,
}

#[derive(Debug, Default)]
struct State {
    secret_key: String,
    connections: Vec<Connection>,
    queue: VecDeque<Reply>,
    received: Vec<Received>,
}

#[derive(Debug)]
struct Connection {
    integration: String,
    id: String,
    credentials: Credentials,
    metadata: Value,
    /// How many access tokens have been left behind.
    refreshed: usize,
    /// When the current one ends.
    ends: Timestamp,
    /// Whether the vendor refuses to refresh.
    broken: bool,
}

impl Nango {
    /// Starts a server without connections on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// The same over TLS, with a certificate of a private issuer for `localhost` and 127.0.0.1.
    pub fn start_tls() -> Self {
        Self::start_with(Some(Authority::new("Nango's issuer")))
    }

    fn start_with(authority: Option<Authority>) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let secret_key = canary("nango/secret-key");
        let state = State { secret_key: secret_key.clone(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let answering = Arc::clone(&state);
        let answer = move |received| lock(&answering).answer(received);
        let tls = authority.as_ref().map(|issuer| issuer.server(&["localhost", "127.0.0.1"]));
        Self { listener: Listener::start(socket, tls, answer), state, secret_key, authority }
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listener.address())
    }

    /// The certificate of the issuer of its certificate, as PEM; none without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.authority.as_ref().map(Authority::pem)
    }

    /// The secret key of its one environment, a canary.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Adds a connection of an integration (a provider configuration key) under an id, in place of
    /// an earlier one.
    pub fn connect(&self, integration: &str, id: &str, credentials: Credentials, metadata: Value) {
        let (integration, id) = (integration.to_owned(), id.to_owned());
        let ends = ends(&credentials);
        let mut state = lock(&self.state);
        state.connections.retain(|known| (&known.integration, &known.id) != (&integration, &id));
        let (refreshed, broken) = (0, false);
        state.connections.push(Connection {
            integration,
            id,
            credentials,
            metadata,
            refreshed,
            ends,
            broken,
        });
    }

    /// Ends the current access token of a connection, so that the next question refreshes it.
    pub fn expire(&self, integration: &str, id: &str) {
        self.change(integration, id, |connection| connection.ends = Timestamp::UNIX_EPOCH);
    }

    /// Lets refreshing a connection fail: once its token has ended, it is answered with 424.
    pub fn break_off(&self, integration: &str, id: &str) {
        self.change(integration, id, |connection| connection.broken = true);
    }

    /// Answers the next request that has no answer queued yet with this.
    pub fn queue(&self, reply: Reply) {
        lock(&self.state).queue.push_back(reply);
    }

    /// All requests so far, in the order of their arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }

    fn change(&self, integration: &str, id: &str, change: impl FnOnce(&mut Connection)) {
        let mut state = lock(&self.state);
        change(state.find(integration, id).expect("a connection of that integration and id"));
    }
}

impl State {
    fn find(&mut self, integration: &str, id: &str) -> Option<&mut Connection> {
        let mut all = self.connections.iter_mut();
        all.find(|known| (known.integration.as_str(), known.id.as_str()) == (integration, id))
    }
}

fn ends(credentials: &Credentials) -> Timestamp {
    let Credentials::OAuth2 { life, .. } = credentials else { return Timestamp::MAX };
    let life = SignedDuration::try_from(*life).expect("a moderate life");
    Timestamp::now().saturating_add(life).unwrap_or(Timestamp::MAX)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
