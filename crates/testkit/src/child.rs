//! Servers that are programs of their own: one ends with its value, and also when the process of the
//! test is killed.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SERVE: &str = include_str!("child/serve.sh");

/// A running program with a folder of its own, which is gone when it is.
#[derive(Debug)]
pub(crate) struct Running {
    shell: Child,
    folder: PathBuf,
    pid: u32,
}

impl Running {
    /// Starts a program in a folder that is given over to it. What it prints goes to `server.log`
    /// there.
    pub(crate) fn start(folder: PathBuf, program: &Path, arguments: &[&str]) -> Self {
        // A session of its own keeps the test runner's signals away: what ends it is its input.
        let mut shell = Command::new("setsid")
            .args(["sh", "-c", SERVE, "serve.sh"])
            .arg(&folder)
            .arg(program)
            .args(arguments)
            .current_dir(&folder)
            .env("HOME", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`setsid` starts");
        let mut line = String::new();
        let printed = shell.stdout.take().expect("its output");
        BufReader::new(printed).read_line(&mut line).expect("a line of its output");
        let pid = line.trim().parse().expect("the process id of the program");
        Self { shell, folder, pid }
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        // Of a zombie this leads nowhere.
        Path::new(&format!("/proc/{}/exe", self.pid)).exists()
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid.to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} reaches the server");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ended = self.shell.wait();
    }
}

/// A new folder, which only this user may enter, under the system's one for temporary files.
pub(crate) fn new_folder(name: &str) -> PathBuf {
    let prefix = format!("keyward-{name}-");
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder").keep()
}

/// Ports of 127.0.0.1 that are free at this moment; who is slower than another process tries again.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    held.map(|port| port.local_addr().expect("its address").port())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_and_its_folder_end_with_its_value() {
        let folder = new_folder("child");
        let running = Running::start(folder.clone(), Path::new("sleep"), &["600"]);
        assert!(running.is_alive() && folder.exists());
        let program = PathBuf::from(format!("/proc/{}/exe", running.pid()));
        drop(running);
        assert!(!program.exists() && !folder.exists());
    }

    #[test]
    fn a_program_that_ends_is_seen_to_have_ended() {
        let running = Running::start(new_folder("child"), Path::new("echo"), &["said"]);
        while running.is_alive() {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(running.log(), "said\n");
    }
}
