//! The provider's packages: installed once by `npm ci` into Cargo's target folder, under a lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::evidence;

/// What the installed folder is made of; the lock file pins every package.
const FILES: &[(&str, &str)] = &[
    ("package.json", include_str!("../../oidc/package.json")),
    ("package-lock.json", include_str!("../../oidc/package-lock.json")),
    ("provider.mjs", include_str!("../../oidc/provider.mjs")),
];

/// The folder with the provider, ready to run.
///
/// # Panics
/// When `npm` is missing or fails.
pub(super) fn folder() -> PathBuf {
    let target = evidence::root().with_file_name("oidc-provider");
    fs::create_dir_all(&target).expect("a folder for the provider");
    let lock = File::create(target.join("lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let installed = target.join("installed");
    if !is_current(&installed) {
        install(&installed);
    }
    installed
}

fn is_current(folder: &Path) -> bool {
    let same = |(name, text): &(&str, &str)| {
        fs::read_to_string(folder.join(name)).is_ok_and(|found| found == *text)
    };
    // Written last.
    folder.join("done").exists() && FILES.iter().all(same)
}

fn install(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).expect("an earlier installation can be removed");
    }
    fs::create_dir_all(folder).expect("a folder for the installation");
    for (name, text) in FILES {
        fs::write(folder.join(name), text).expect("a file of the installation");
    }
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("`npm` starts; install Node.js 20 or later with it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "npm ci for the OpenID provider failed:\n{said}");
    fs::write(folder.join("done"), "").expect("the mark of a whole installation");
}
