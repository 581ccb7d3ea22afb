//! Python packages for real servers in tests: each set installed once into an environment of its own
//! in Cargo's target folder, under a lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::evidence;

/// The folder of an environment that holds exactly these packages (`name==version`) and what they
/// need. Its interpreter is `bin/python`, its programs lie beside it.
///
/// # Panics
/// When Python or its `venv` module is missing, or the installation fails; the message says what to
/// do.
pub fn venv(name: &str, packages: &[&str]) -> PathBuf {
    let pinned = packages.iter().all(|package| package.contains("=="));
    assert!(pinned, "every package has its version: {packages:?}");
    let folder = evidence::root().with_file_name("python");
    fs::create_dir_all(&folder).expect("a folder for Python's packages");
    let lock = File::create(folder.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    let installed = folder.join(name);
    let done = installed.join("done"); // written last
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return installed;
    }
    if installed.exists() {
        fs::remove_dir_all(&installed).expect("an earlier installation can be removed");
    }
    run(Path::new("python3"), |python| python.args(["-m", "venv"]).arg(&installed));
    run(&installed.join("bin/python"), |python| {
        python.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        python.args(["--no-input", "--only-binary", ":all:"]).args(packages)
    });
    fs::write(done, wanted).expect("the mark of a whole installation");
    installed
}

fn run(python: &Path, with: impl FnOnce(&mut Command) -> &mut Command) {
    let mut command = Command::new(python);
    let output = with(&mut command)
        .stdin(Stdio::null())
        .output()
        .expect("`python3` starts; install python3 and python3-venv");
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?} failed (python3-venv?):\n{printed}{said}");
}
