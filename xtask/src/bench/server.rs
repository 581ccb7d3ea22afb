//! A server under measurement: started, found ready by the line it prints, and stopped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::http::{Connection, Url, request};
use super::subject::Subject;

const READY_LINE: &str = "listening on ";
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed where it is not stopped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    url: Url,
    ready_after: Duration,
}

impl Server {
    /// Starts the subject's server and waits until it says where it listens.
    pub(super) fn start(subject: &Subject) -> Result<Self> {
        let log = subject.folder.join(format!("{}.log", subject.name));
        let start = Instant::now();
        let mut child = Command::new(&subject.binary)
            .args((subject.serve)(subject))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log)?)
            .spawn()?;
        let output = child.stdout.take();
        let mut server = Self { child, url: Url::parse("http://")?, ready_after: Duration::ZERO };
        let url = output.and_then(|output| listening(output).recv_timeout(PATIENCE).ok());
        server.ready_after = start.elapsed();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        server.url =
            Url::parse(&url.with_context(|| format!("it did not get ready:\n{}", said()))?)?;
        let ready = server.url.at("/readyz");
        let response = Connection::open(&ready)?.exchange(&request("GET", &ready, None, ""))?;
        ensure!(response.status == 200, "it says that it listens, but is not ready");
        Ok(server)
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// From the start of the process to its ready line.
    pub(super) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an operator would.
    pub(super) fn stop(mut self) -> Result<()> {
        Command::new("kill").arg(self.pid().to_string()).status()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status} after SIGTERM");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to kill or to wait for.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The address of the ready line, from a thread that goes on reading so that the server can write.
fn listening(output: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let address = line.split_once(READY_LINE).map(|(_, address)| address.trim().to_owned());
            // The receiver is gone once it has its line.
            let _sent = address.map(|address| sender.send(address));
        }
    });
    receiver
}
