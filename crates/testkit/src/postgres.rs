//! A private PostgreSQL 15 cluster for tests: loopback only, SCRAM password, TLS for who asks, fsync
//! on, run by an unprivileged user, and gone when the run is.
//!
//! nextest runs each test in a process of its own, so the cluster belongs to the whole run: the
//! first test that asks starts it, the others find it by the run's id, and a watcher stops and
//! removes it when the runner's process ends, however it ends. Under plain `cargo test` the run is
//! the test process itself.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::authority::Authority;

const BIN: &str = "/usr/lib/postgresql/15/bin";
const USER: &str = "keyward";
const SERVE: &str = include_str!("postgres/serve.sh");
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running cluster. Get it with [`Postgres::shared`].
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    password: String,
    ca_pem: String,
}

impl Postgres {
    /// The cluster of this test run, started by whoever asks first.
    ///
    /// # Panics
    /// When PostgreSQL 15 is missing or does not start; the message says what to do.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let run = Run::current();
            run.join().unwrap_or_else(|e| panic!("no PostgreSQL for this test: {e}"))
        })
    }

    /// Makes a new, empty database and returns its URL. It lives as long as the cluster.
    pub fn fresh_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kw_{}_{number}_{}", std::process::id(), nanos());
        let status = self.tool("createdb").arg(&name).status().expect("createdb starts");
        assert!(status.success(), "createdb ended with {status}");
        self.url(&name)
    }

    /// Writes all rows of the database at `url` to `file` as text, for the canary sweep.
    pub fn dump(&self, url: &str, file: &Path) {
        let name = url.rsplit('/').next().unwrap_or_default();
        let mut dump = self.tool("pg_dump");
        dump.arg("--inserts").arg("--file").arg(file).arg(name);
        let status = dump.status().expect("pg_dump starts");
        assert!(status.success(), "pg_dump ended with {status}");
    }

    /// The certificate of whoever vouches for it, as PEM: TLS is offered and not demanded, with a
    /// certificate for `localhost` and 127.0.0.1.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    fn tool(&self, name: &str) -> Command {
        let mut tool = Command::new(Path::new(BIN).join(name));
        tool.args(["-h", "127.0.0.1", "-U", USER, "-p"]).arg(self.port.to_string());
        tool.env("PGPASSWORD", &self.password);
        tool
    }
}

/// What the cluster belongs to: one folder, and the process whose end is the cluster's end.
struct Run {
    dir: PathBuf,
    watched: u32,
}

impl Run {
    fn current() -> Self {
        let (id, watched) = match std::env::var("NEXTEST_RUN_ID") {
            Ok(id) => (id, std::os::unix::process::parent_id()),
            Err(_) => (format!("{}-{}", std::process::id(), nanos()), std::process::id()),
        };
        Self { dir: std::env::temp_dir().join(format!("keyward-postgres-{id}")), watched }
    }

    /// Finds the run's cluster or starts it; a lock makes the run's other processes wait.
    fn join(&self) -> io::Result<Postgres> {
        fs::create_dir_all(&self.dir)?;
        let lock = File::create(self.dir.join("lock"))?;
        lock.lock()?;
        let found = match fs::read_to_string(self.dir.join("ready")) {
            Ok(ready) => self.parse_ready(&ready)?,
            Err(_) => self.start()?,
        };
        drop(lock);
        Ok(found)
    }

    fn start(&self) -> io::Result<Postgres> {
        if !Path::new(BIN).join("postgres").exists() {
            return Err(io::Error::other(format!(
                "PostgreSQL 15 is not in {BIN}; `cargo xtask test` installs it"
            )));
        }
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700))?;
        let password = random_hex()?;
        fs::write(self.dir.join("password"), &password)?;
        self.give_to_server_user()?;
        self.initdb()?;
        self.certify()?;
        let port = self.serve()?;
        fs::write(self.dir.join("ready"), format!("{port} {password}"))?;
        Ok(Postgres { port, password, ca_pem: self.ca_pem()? })
    }

    fn ca_pem(&self) -> io::Result<String> {
        fs::read_to_string(self.dir.join("ca.pem"))
    }

    fn parse_ready(&self, ready: &str) -> io::Result<Postgres> {
        let unreadable =
            || io::Error::other("another test's cluster left an unreadable `ready` file");
        let (port, password) = ready.split_once(' ').ok_or_else(unreadable)?;
        let port = port.parse().map_err(|_| unreadable())?;
        Ok(Postgres { port, password: password.to_owned(), ca_pem: self.ca_pem()? })
    }

    fn initdb(&self) -> io::Result<()> {
        let log = File::create(self.dir.join("initdb.log"))?;
        let status = as_server_user(&format!("{BIN}/initdb"))
            .args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "-D"])
            .arg(self.dir.join("data"))
            .arg(format!("--pwfile={}", self.dir.join("password").display()))
            .current_dir("/")
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()?;
        if status.success() { Ok(()) } else { Err(self.failure("initdb.log")) }
    }

    /// What the server offers TLS with. PostgreSQL wants the key readable to nobody else.
    fn certify(&self) -> io::Result<()> {
        let authority = Authority::new("Tests of PostgreSQL");
        let certified = authority.certify(&["localhost", "127.0.0.1"]);
        let files = [
            ("ca.pem", authority.pem()),
            ("certificate.pem", &certified.certificate),
            ("key.pem", &certified.key),
        ];
        for (name, text) in files {
            let path = self.dir.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            if is_root() {
                chown(&path, Some(id_of(&["-u", "postgres"])?), None)?;
            }
        }
        Ok(())
    }

    /// Starts the server and waits until it answers. The port is only known to be free at the
    /// moment of asking, so another process may take it: then the next one is tried.
    fn serve(&self) -> io::Result<u16> {
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let mut server = self.spawn(port)?;
            if self.answers(port, &mut server)? {
                return Ok(port);
            }
        }
        Err(self.failure("server.log"))
    }

    fn spawn(&self, port: u16) -> io::Result<Child> {
        as_server_user("sh")
            .args(["-c", SERVE, "serve.sh"])
            .arg(&self.dir)
            .args([BIN, &port.to_string(), &self.watched.to_string()])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }

    fn answers(&self, port: u16, server: &mut Child) -> io::Result<bool> {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            let port = port.to_string();
            let mut probe = Command::new(format!("{BIN}/pg_isready"));
            probe.args(["-q", "-h", "127.0.0.1", "-U", USER, "-p", &port]);
            if probe.status()?.success() {
                // Only now is it certain that what answers is not someone else's server.
                return Ok(server.try_wait()?.is_none());
            }
            if server.try_wait()?.is_some() {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(self.failure("server.log"))
    }

    fn give_to_server_user(&self) -> io::Result<()> {
        if !is_root() {
            return Ok(());
        }
        let uid = id_of(&["-u", "postgres"])?;
        chown(&self.dir, Some(uid), None)?;
        chown(self.dir.join("password"), Some(uid), None)
    }

    fn failure(&self, log: &str) -> io::Error {
        let text = fs::read_to_string(self.dir.join(log)).unwrap_or_default();
        io::Error::other(format!("PostgreSQL did not start:\n{text}"))
    }
}

/// PostgreSQL refuses to run as root. A session of its own keeps the runner's signals away.
fn as_server_user(program: &str) -> Command {
    let mut command = Command::new("setsid");
    if is_root() {
        command.args(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.arg(program);
    command
}

fn is_root() -> bool {
    id_of(&["-u"]).is_ok_and(|uid| uid == 0)
}

fn id_of(arguments: &[&str]) -> io::Result<u32> {
    let output = Command::new("id").args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| io::Error::other(format!("`id {}` failed", arguments.join(" "))))
}

/// Tells two runs apart that happen to have the same process id.
fn nanos() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos())
}

fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 16];
    io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
