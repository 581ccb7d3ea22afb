//! A real MariaDB server on loopback with TLS, set up for tests; its program is in Debian's package
//! `mariadb-server-core`, which starts nothing by itself.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::authority::Authority;
use crate::child::{self, Running};

/// Who may do everything, with the password that the server was started with.
pub const USER: &str = "keyward";
/// A database without tables.
pub const DATABASE: &str = "shop";

const PROGRAM: &str = "/usr/sbin/mariadbd";
const SYSTEM_TABLES: &[&str] =
    &["/usr/share/mysql/mysql_system_tables.sql", "/usr/share/mysql/mysql_system_tables_data.sql"];
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct MariaDb {
    // Kept for its end, which is the server's.
    _running: Running,
    authority: Authority,
    port: u16,
}

impl MariaDb {
    /// Starts a server where [`USER`] has that password. TLS is offered and not demanded, with a
    /// certificate for `localhost` and 127.0.0.1.
    ///
    /// # Panics
    /// When MariaDB is missing or does not start; the message says what to do.
    pub fn start(password: &str) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "MariaDB is not at {PROGRAM}; `cargo xtask test` installs it"
        );
        // The port is only known to be free at the moment of asking.
        let started = (0..3).find_map(|_| start(password));
        started.expect("MariaDB starts")
    }

    /// Its port at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of its issuer, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }
}

fn start(password: &str) -> Option<MariaDb> {
    let folder = child::new_folder("mariadb");
    let authority = Authority::new("Tests of MariaDB");
    prepare(&folder, &authority, password).expect("files for MariaDB");
    let [port] = child::free_ports();
    let at = |name: &str| folder.join(name).display().to_string();
    let mut arguments = common(&folder);
    arguments.extend([
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-name-resolve".to_owned(),
        format!("--socket={}", at("socket")),
        format!("--init-file={}", at("init.sql")),
        format!("--ssl-cert={}", at("certificate.pem")),
        format!("--ssl-key={}", at("key.pem")),
    ]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = Running::start(folder, Path::new(PROGRAM), &arguments);
    answers(port, &running).then_some(MariaDb { _running: running, authority, port })
}

fn prepare(folder: &Path, authority: &Authority, password: &str) -> io::Result<()> {
    let at = |name: &str| folder.join(name);
    fs::create_dir(at("data"))?;
    let certified = authority.certify(&["localhost", "127.0.0.1"]);
    fs::write(at("certificate.pem"), certified.certificate)?;
    fs::write(at("key.pem"), certified.key)?;
    let users = format!(
        "CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;\n\
         CREATE USER '{USER}'@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO '{USER}'@'%';\n"
    );
    fs::write(at("init.sql"), users)?;
    make_system_tables(folder)
}

/// What Debian's `mariadb-install-db` does, which needs programs of the bigger package.
fn make_system_tables(folder: &Path) -> io::Result<()> {
    let log = File::create(folder.join("bootstrap.log"))?;
    let mut server = Command::new(PROGRAM)
        .args(common(folder))
        .arg("--bootstrap")
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let mut input = server.stdin.take().expect("its input");
    input.write_all(b"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n")?;
    for file in SYSTEM_TABLES {
        input.write_all(&fs::read(file)?)?;
    }
    drop(input);
    let status = server.wait()?;
    let log = || fs::read_to_string(folder.join("bootstrap.log")).unwrap_or_default();
    if status.success() { Ok(()) } else { Err(io::Error::other(log())) }
}

/// What both runs of the program take.
fn common(folder: &Path) -> Vec<String> {
    let mut arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", folder.join("data").display()),
        // At its start it removes files of others in a shared one.
        format!("--tmpdir={}", folder.display()),
        "--innodb-log-file-size=4M".to_owned(),
        "--innodb-buffer-pool-size=8M".to_owned(),
    ];
    // It refuses to run as root unless it is told to.
    if fs::metadata(folder).is_ok_and(|metadata| metadata.uid() == 0) {
        arguments.push("--user=root".to_owned());
    }
    arguments
}

/// Whether it greets, before it ends or the time is up.
fn answers(port: u16, running: &Running) -> bool {
    let start = Instant::now();
    while running.is_alive() {
        let greeting = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).and_then(|mut stream| {
            let mut head = [0; 5];
            stream.read_exact(&mut head).map(|()| head)
        });
        // The last is the version of the protocol.
        if let Ok([.., 10]) = greeting {
            return true;
        }
        assert!(start.elapsed() < START_LIMIT, "MariaDB does not answer:\n{}", running.log());
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_ends_with_its_value() {
        let server = MariaDb::start("a password");
        let address = (Ipv4Addr::LOCALHOST, server.port());
        assert!(TcpStream::connect(address).is_ok());
        assert!(server.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
        drop(server);
        assert!(TcpStream::connect(address).is_err());
    }
}
