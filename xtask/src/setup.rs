//! What the checks need beside Rust: found, or installed by its name.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::must;

struct Need {
    /// A program's name or path.
    program: &'static str,
    /// The Debian package that holds it; none where people install it themselves.
    package: Option<&'static str>,
    is_there: fn(&str) -> bool,
    prepare: fn() -> Result<()>,
}

const NEEDS: &[Need] = &[
    Need { program: "cc", package: None, is_there, prepare: nothing },
    Need { program: "git", package: Some("git"), is_there, prepare: nothing },
    // Node.js 20 or later: what Debian 12 has is too old for the OpenID provider of the tests.
    Need { program: "node", package: None, is_there, prepare: nothing },
    Need { program: "npm", package: None, is_there, prepare: nothing },
    // Python with its `venv` module, for servers of the tests that are written in it.
    Need {
        program: "python3",
        package: Some("python3-venv"),
        is_there: has_venv,
        prepare: nothing,
    },
    // The server alone: nothing of this package runs by itself.
    Need {
        program: "/usr/sbin/mariadbd",
        package: Some("mariadb-server-core"),
        is_there,
        prepare: nothing,
    },
    Need { program: "setpriv", package: Some("util-linux"), is_there, prepare: nothing },
    // Lays names of their own over `/etc/hosts` for servers under test.
    Need { program: "mount", package: Some("mount"), is_there, prepare: nothing },
    Need {
        program: "/usr/lib/postgresql/15/bin/postgres",
        package: Some("postgresql-15"),
        is_there,
        prepare: no_system_cluster,
    },
];

/// Looks for every need and installs what is missing.
pub(crate) fn ensure() -> Result<()> {
    for need in NEEDS.iter().filter(|need| !(need.is_there)(need.program)) {
        let Some(package) = need.package else {
            bail!("`{}` is missing: install it and try again", need.program);
        };
        println!("installing {package} for {}", need.program);
        (need.prepare)()?;
        install(package).with_context(|| {
            format!("`{}` is missing; install the package {package}", need.program)
        })?;
    }
    Ok(())
}

/// Whether a program is in the search path, or at its own path.
pub(crate) fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).exists();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).exists())
}

/// Whether that Python can make environments; Debian has the module apart.
fn has_venv(python: &str) -> bool {
    let probe = Command::new(python).args(["-c", "import ensurepip, venv"]).output();
    probe.is_ok_and(|output| output.status.success())
}

fn install(package: &str) -> Result<()> {
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-q").stdin(Stdio::null());
        apt
    };
    must(apt().arg("update"))?;
    must(apt().args(["install", "-y", "--no-install-recommends", package]))
}

/// Debian's package would make and start a cluster of its own; ours are private to a test run.
fn no_system_cluster() -> Result<()> {
    let folder = Path::new("/etc/postgresql-common");
    let path = folder.join("createcluster.conf");
    let setting = "create_main_cluster = false";
    if std::fs::read_to_string(&path).is_ok_and(|text| text.contains(setting)) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    Ok(writeln!(file, "{setting}")?)
}

fn nothing() -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_there;

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert!(is_there("sh") && is_there("/bin/sh"));
        assert!(!is_there("no-such-program") && !is_there("/bin/no-such-program"));
    }
}
