//! A real mail server on loopback (PyPI `aiosmtpd`) with STARTTLS, TLS and AUTH, and an inbox that
//! tests read. It ends with its value. Recipients steer it, see `smtp/server.py`.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::authority::Authority;
use crate::call::call;
use crate::child::{self, Running};
use crate::python;

const SERVER: &str = include_str!("../smtp/server.py");
const PACKAGES: &[&str] = &["aiosmtpd==1.4.6", "atpublic==6.0.1", "attrs==25.3.0"];
const START_LIMIT: Duration = Duration::from_secs(60);

/// How mail is handed in; each has a port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// STARTTLS, then AUTH PLAIN or LOGIN, else no mail.
    StartTls,
    /// STARTTLS, then AUTH LOGIN, else no mail.
    LoginOnly,
    /// TLS from the first byte, then AUTH, else no mail.
    Tls,
    /// Neither TLS nor AUTH.
    Plain,
}

/// A running server.
#[derive(Debug)]
pub struct MailServer {
    _running: Running,
    ports: Value,
    authority: Authority,
}

impl MailServer {
    /// Starts a server that knows one user.
    ///
    /// # Panics
    /// When its package cannot be installed or it does not start; the message says what to do.
    pub fn start(user: &str, password: &str) -> Self {
        let python = python::venv("aiosmtpd", PACKAGES).join("bin/python");
        let authority = Authority::new("The mail server's issuer");
        let certified = authority.certify(&["localhost", "127.0.0.1"]);
        let folder = child::new_folder("smtp");
        let settings = json!({ "user": user, "password": password }).to_string();
        let files = [
            ("server.py", SERVER),
            ("settings.json", &settings),
            ("certificate.pem", &certified.certificate),
            ("key.pem", &certified.key),
        ];
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("a file of the mail server");
        }
        let running = Running::start(folder, &python, &["server.py"]);
        let ports = ready(&running);
        Self { _running: running, ports, authority }
    }

    /// The port of 127.0.0.1 for that way.
    pub fn port(&self, way: Way) -> u16 {
        self.named_port(match way {
            Way::StartTls => "starttls",
            Way::LoginOnly => "login",
            Way::Tls => "tls",
            Way::Plain => "plain",
        })
    }

    /// The certificate of the issuer of its certificate, which is for `localhost` and 127.0.0.1.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The mails so far: `way`, `tls`, `user`, `hello`, `mail_from`, `mail_options`, `rcpt_tos`,
    /// `headers` (lower-case names, decoded), `text`, `html`, `attachments` and `raw`.
    pub fn inbox(&self) -> Vec<Value> {
        let text = self.ask("GET");
        serde_json::from_str(&text).expect("the inbox as JSON")
    }

    /// Forgets the mails so far.
    pub fn clear(&self) {
        self.ask("DELETE");
    }

    fn ask(&self, method: &str) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], self.named_port("inbox")));
        call(address, method, "/", &[], "").expect("the inbox answers").body
    }

    fn named_port(&self, name: &str) -> u16 {
        let port = self.ports[name].as_u64().and_then(|port| port.try_into().ok());
        port.expect("a port")
    }
}

fn ready(running: &Running) -> Value {
    let begun = Instant::now();
    while begun.elapsed() < START_LIMIT && running.is_alive() {
        if let Ok(text) = fs::read_to_string(running.folder().join("ready.json")) {
            return serde_json::from_str(&text).expect("its ports as JSON");
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("the mail server does not start:\n{}", running.log());
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpStream;

    use super::*;

    /// Says one line after the other; gives the first line of each answer, and the greeting.
    fn say(port: u16, lines: &[&str]) -> Vec<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut replies = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let mut heard = vec![replies.next().unwrap()];
        for line in lines {
            stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
            let first = replies.next().unwrap();
            let mut last = first.clone();
            while last.as_bytes()[3] == b'-' {
                last = replies.next().unwrap();
            }
            heard.push(first);
        }
        heard
    }

    #[test]
    fn mails_are_taken_as_their_recipients_steer_it() {
        let server = MailServer::start("ada", "a password");
        let check = |way: Way, lines: &[&str], expected: &[&str]| {
            let heard = say(server.port(way), lines);
            let codes: Vec<&str> = heard.iter().map(|line| &line[..3]).collect();
            assert_eq!(codes, expected, "{lines:?} {heard:?}");
        };
        let mail = [
            "EHLO me",
            "MAIL FROM:<a@b.c>",
            "RCPT TO:<x@b.c>",
            "DATA",
            "Subject: Hi\r\n\r\nyou\r\n.",
        ];
        check(Way::Plain, &mail, &["220", "250", "250", "250", "354", "250"]);
        let [only] = server.inbox().try_into().unwrap();
        assert_eq!((&only["headers"]["subject"], &only["text"]), (&json!("Hi"), &json!("you\r\n")));
        assert_eq!((&only["tls"], &only["user"]), (&json!(false), &json!("")));
        let steered =
            ["EHLO me", "MAIL FROM:<a@b.c>", "RCPT TO:<bounce@b.c>", "RCPT TO:<later@b.c>"];
        check(Way::Plain, &steered, &["220", "250", "250", "550", "451"]);
        for way in [Way::StartTls, Way::LoginOnly] {
            let early = ["EHLO me", "AUTH LOGIN", "MAIL FROM:<a@b.c>"];
            check(way, &early, &["220", "250", "530", "530"]);
        }
        server.clear();
        assert!(server.inbox().is_empty());
    }
}
