//! Names for one process only: a program is started in a mount namespace of its own, in which another
//! file lies over `/etc/hosts`. The machine's own file is never touched.

use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const OWN: &str = "/etc/hosts";
/// `sh -c ENTER sh FILE PROGRAM [ARGUMENT...]`; the program keeps the process id.
const ENTER: &str = r#"mount --bind "$1" /etc/hosts || exit 125; shift; exec "$@""#;
/// As root, and as somebody else, who is root in a user namespace.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// A file of names for programs that are started through it.
#[derive(Debug, Clone)]
pub struct Hosts {
    file: PathBuf,
    way: &'static [&'static str],
}

impl Hosts {
    /// Writes the file into a folder that must outlive the programs: the machine's own names, and
    /// before them these.
    ///
    /// # Panics
    /// Where mount namespaces are not permitted: tests that need names cannot do without.
    pub fn new(folder: &Path, names: &[&str], address: IpAddr) -> Self {
        let own = fs::read_to_string(OWN).unwrap_or_default();
        let lines: String = names.iter().map(|name| format!("{address} {name}\n")).collect();
        let file = folder.join("hosts");
        fs::write(&file, lines + &own).expect("a file of names");
        let hosts = |way| Self { file: file.clone(), way };
        let mut said = String::new();
        for hosts in WAYS.map(hosts) {
            let mut probe = hosts.command("true");
            let output = probe.stdin(Stdio::null()).output().expect("`unshare` starts");
            if output.status.success() {
                return hosts;
            }
            said += &String::from_utf8_lossy(&output.stderr);
        }
        panic!(
            "no mount namespace for names of a test's own, neither as root nor as a user:\n{said}"
        )
    }

    /// A command that starts a program under these names. Arguments and environment are added to it
    /// as to any other.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        // By its path, since a test may clear the environment.
        let mut command = Command::new("/usr/bin/unshare");
        command.args(self.way).args(["--", "/bin/sh", "-c", ENTER, "sh"]);
        command.arg(&self.file).arg(program);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_programs_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = fs::read(OWN).expect("the machine's names");
        let address = IpAddr::from([127, 77, 1, 2]);
        let hosts = Hosts::new(folder.path(), &["slack.com", "api.example.com"], address);
        let asked = |mut command: Command| {
            command.args(["hosts", "api.example.com"]).env_clear().env("A", "B");
            let output = command.output().expect("`getent` starts");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let found = asked(hosts.command("getent"));
        assert_eq!(found.split_whitespace().collect::<Vec<_>>(), ["127.77.1.2", "api.example.com"]);
        assert!(!asked(Command::new("getent")).contains("127.77.1.2"));
        assert_eq!(fs::read(OWN).expect("the machine's names"), own);
    }

    #[test]
    fn the_program_keeps_the_process_id() {
        let folder = tempfile::tempdir().expect("a folder");
        let hosts = Hosts::new(folder.path(), &["slack.com"], IpAddr::from([127, 77, 1, 2]));
        let mut command = hosts.command("sh");
        let child = command.args(["-c", "echo $$"]).stdout(Stdio::piped()).spawn();
        let child = child.expect("`sh` starts");
        let pid = child.id().to_string();
        let output = child.wait_with_output().expect("its output");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), pid);
    }
}
