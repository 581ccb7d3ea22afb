//! A keyward server of a test's own: data directory, output and all answers kept as evidence.

use keyward_testkit::evidence::Evidence;
use keyward_testkit::hosts::Hosts;
use keyward_testkit::postgres::Postgres;
use keyward_testkit::vendors::Vendors;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub const KEYWARD: &str = env!("CARGO_BIN_EXE_keyward");

/// Which database a server uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Runs a test on both databases, each with evidence of its own.
pub fn on_both(name: &str, test: impl Fn(Server)) {
    test(Server::start(&format!("{name}-sqlite"), Backend::Sqlite));
    test(Server::start(&format!("{name}-postgres"), Backend::Postgres));
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("not JSON ({}): {}", self.status, self.body))
    }

    /// A header's value, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON where the status is this one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Fails unless this is a problem of that code and status.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }
}

/// A running server.
pub struct Server {
    pub evidence: Evidence,
    pub backend: Backend,
    pub url: String,
    pub token: String,
    pub data: PathBuf,
    database_url: Option<String>,
    environment: Vec<(String, String)>,
    hosts: Option<Hosts>,
    private: tempfile::TempDir,
    child: Option<Child>,
}

impl Server {
    /// Initialises and starts a server that may reach loopback.
    pub fn start(test: &str, backend: Backend) -> Self {
        Self::start_with(test, backend, &[("KEYWARD_EGRESS_ALLOW", "127.0.0.0/8")])
    }

    /// The same with an environment of the test's own.
    pub fn start_with(test: &str, backend: Backend, environment: &[(&str, &str)]) -> Self {
        Self::start_among(test, backend, environment, None)
    }

    /// A server that finds vendors under their names and trusts their issuer, and may reach loopback.
    /// They must outlive it; what the environment says comes first.
    pub fn start_facing(
        test: &str,
        backend: Backend,
        vendors: &Vendors,
        environment: &[(&str, &str)],
    ) -> Self {
        let ca_file = vendors.ca_file();
        let own = [
            ("KEYWARD_EGRESS_ALLOW", "127.0.0.0/8"),
            ("KEYWARD_EGRESS_CA_FILE", ca_file.to_str().expect("a path")),
        ];
        let environment = [&own, environment].concat();
        Self::start_among(test, backend, &environment, Some(vendors.hosts().clone()))
    }

    fn start_among(
        test: &str,
        backend: Backend,
        environment: &[(&str, &str)],
        hosts: Option<Hosts>,
    ) -> Self {
        let evidence = Evidence::of(test);
        let database_url =
            (backend == Backend::Postgres).then(|| Postgres::shared().fresh_database());
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut server = Self {
            data: evidence.folder().join("data"),
            evidence,
            backend,
            url: String::new(),
            token: String::new(),
            database_url,
            environment: environment.iter().map(own).collect(),
            hosts,
            private: tempfile::tempdir().expect("a private folder"),
            child: None,
        };
        server.init();
        server.spawn();
        server
    }

    /// Starts a second node: the same database and root key, a data directory of its own.
    pub fn beside(&self, test: &str) -> Self {
        let evidence = Evidence::of(test);
        let key = self.data.join("keys/root.key").to_string_lossy().into_owned();
        let mut environment = self.environment.clone();
        environment.push(("KEYWARD_ROOT_KEY_FILE".to_owned(), key));
        let mut node = Self {
            data: evidence.folder().join("data"),
            evidence,
            backend: self.backend,
            url: String::new(),
            token: self.token.clone(),
            database_url: self.database_url.clone(),
            environment,
            hosts: self.hosts.clone(),
            private: tempfile::tempdir().expect("a private folder"),
            child: None,
        };
        node.spawn();
        node
    }

    /// Starts a server on a new directory, without an owner.
    pub fn start_new(test: &str) -> Self {
        let evidence = Evidence::of(test);
        let mut server = Self {
            data: evidence.folder().join("data"),
            evidence,
            backend: Backend::Sqlite,
            url: String::new(),
            token: String::new(),
            database_url: None,
            environment: Vec::new(),
            hosts: None,
            private: tempfile::tempdir().expect("a private folder"),
            child: None,
        };
        server.spawn();
        server
    }

    /// A command with this server's data directory, database and environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self
            .hosts
            .as_ref()
            .map_or_else(|| Command::new(KEYWARD), |hosts| hosts.command(KEYWARD));
        command.args(arguments).env_clear().env("KEYWARD_DATA_DIR", &self.data);
        command.env("KEYWARD_LOG", "trace,hyper=info,h2=info,rustls=info");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(url) = &self.database_url {
            command.env("KEYWARD_DATABASE_URL", url);
        }
        command
    }

    /// Runs a command to its end; gives its success and what it printed, which is kept.
    pub fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let output =
            self.command(arguments).stdin(Stdio::null()).output().expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.evidence.keep("commands.out", &output.stdout);
        self.evidence.keep("commands.err", &output.stderr);
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    }

    fn init(&mut self) {
        let (password, token) =
            (self.private.path().join("password"), self.private.path().join("token"));
        fs::write(&password, format!("{}\n", self.evidence.canary("owner-password"))).unwrap();
        let arguments = [
            "init",
            "--email",
            "alice@example.com",
            "--password-file",
            password.to_str().unwrap(),
            "--token-file",
            token.to_str().unwrap(),
        ];
        let (done, _, errors) = self.run(&arguments);
        assert!(done, "init failed: {errors}");
        self.token = fs::read_to_string(&token).unwrap().trim().to_owned();
        self.evidence.watch("owner-token", &self.token);
    }

    /// Starts the server process and waits until it says that it listens.
    pub fn spawn(&mut self) {
        let folder = self.evidence.folder();
        let open = |name: &str| {
            File::options()
                .create(true)
                .append(true)
                .open(folder.join(name))
                .expect("an output file")
        };
        let printed = folder.join("serve.out");
        let before = fs::read_to_string(&printed).unwrap_or_default().len();
        let child = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(open("serve.out"))
            .stderr(open("serve.err"))
            .spawn()
            .expect("the server starts");
        self.child = Some(child);
        let start = Instant::now();
        loop {
            let text = fs::read_to_string(&printed).unwrap_or_default();
            let line =
                text[before..].lines().find_map(|line| line.strip_prefix("keyward listening on "));
            if let Some(url) = line.filter(|_| text.ends_with('\n')) {
                self.url = url.to_owned();
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The end of the server's log.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.evidence.folder().join("serve.err")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running server");
        child.kill().expect("kill -9");
        child.wait().expect("its end");
    }

    /// Ends the process as an operator would; gives whether it exited with 0.
    pub fn stop(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return true };
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()));
        child.wait().is_ok_and(|status| status.success())
    }

    /// Goes on with another data directory and database at the next start; a database left behind on
    /// PostgreSQL is kept as evidence.
    pub fn move_to(&mut self, data: PathBuf, database_url: Option<String>) {
        if let Some(url) = &self.database_url {
            let dump = format!("{}.sql", url.rsplit('/').next().unwrap_or("database"));
            Postgres::shared().dump(url, &self.evidence.folder().join(dump));
        }
        (self.data, self.database_url) = (data, database_url);
    }

    /// Where its database is, on PostgreSQL.
    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// A private folder for what must not be swept.
    pub fn private(&self) -> &Path {
        self.private.path()
    }

    /// A call of the workspace's API as the owner.
    pub fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/workspaces/default{path}");
        self.call_as(&self.token, method, &path, body)
    }

    /// GET as the owner.
    pub fn get(&self, path: &str) -> Answer {
        self.api("GET", path, &Value::Null)
    }

    /// POST as the owner.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.api("POST", path, body)
    }

    /// A call with a token.
    pub fn call_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let authorization = format!("Bearer {token}");
        let headers =
            [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        self.send(method, path, &headers, &bytes)
    }

    /// Saves a workflow; gives its id and the path of its hook.
    pub fn workflow(&self, definition: &Value) -> (String, String) {
        let saved = self.post("/workflows", definition).expect(201);
        let hook = saved["trigger_url"].as_str().unwrap_or_default();
        let path = hook.find("/hooks/").map_or("", |at| &hook[at..]);
        (saved["id"].as_str().expect("an id").to_owned(), path.to_owned())
    }

    /// Sends JSON to a hook.
    pub fn hook(&self, path: &str, body: &Value) -> Answer {
        self.send(
            "POST",
            path,
            &[("Content-Type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    /// The run that a hook's answer names, once it has ended.
    pub fn run_of(&self, answer: &Answer) -> Value {
        let id = answer.header("keyward-run-id").expect("a run id").to_owned();
        self.ended(&id)
    }

    /// A run, once it has ended.
    pub fn ended(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let run = self.get(&format!("/runs/{id}")).expect(200);
            if !run["finished_at"].is_null() {
                return run;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "the run does not end: {run}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Any request; the answer is kept as evidence.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = self.send_unkept(method, path, headers, body);
        self.evidence.keep("answers", format!("{:?}\n{}\n", answer.headers, answer.body));
        answer
    }

    /// A request whose answer may show a token, and so is not kept.
    pub fn send_unkept(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.try_send(method, path, headers, body).expect("a connection")
    }

    /// The same to a server that may be gone; the answer's status is 0 where none came.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let address = self.url.strip_prefix("http://").expect("a plain URL");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(90)))?;
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes())?;
        // A server that refuses a large body may close before it has read all of it.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Ok(parse(&bytes))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.stop();
        if let Some(url) = &self.database_url {
            Postgres::shared().dump(url, &self.evidence.folder().join("database.sql"));
        }
        if !std::thread::panicking() {
            assert!(stopped, "the server did not end well: {}", self.log());
        }
    }
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = bytes.split_at(end.map_or(bytes.len(), |end| end + 4));
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let chunked =
        headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunk(body) } else { body.to_vec() };
    Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).unwrap_or(0);
        let start = end + 2;
        if size == 0 || body.len() < start + size {
            break;
        }
        out.extend_from_slice(&body[start..start + size]);
        body = &body[(start + size + 2).min(body.len())..];
    }
    out
}
