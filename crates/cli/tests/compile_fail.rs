//! Each file of `tests/ui` is one wrong move that the types must refuse. Its first line says which
//! compiler error, and a piece of its text: `//! expect: E0451 of struct`.
//!
//! The files are checked against the libraries that are built already, one `rustc` call each,
//! because a project of their own would build every dependency a second time.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATES: &[&str] = &[
    "keyward_model", "keyward_store", "keyward_egress", "keyward_sandbox", "keyward_vault",
    "keyward_engine", "serde_json",
];

#[test]
fn every_wrong_move_is_refused_for_its_own_reason() {
    let libraries = libraries();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the cases")
        .map(|entry| entry.expect("a case").path())
        .collect();
    cases.sort();
    assert!(cases.len() > 15, "the cases are there");
    let failures: Vec<String> =
        cases.iter().filter_map(|case| check(case, &libraries).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The newest build of each library, as Cargo names it.
fn libraries() -> Vec<(String, PathBuf)> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--package", "keyward-cli", "--message-format", "json"])
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let artifacts = text.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.replace('-', "_");
        let library = message["filenames"].as_array()?.iter().find_map(|file| {
            let file = file.as_str()?;
            file.ends_with(".rlib").then(|| PathBuf::from(file))
        })?;
        CRATES.contains(&name.as_str()).then_some((name, library))
    });
    let found: Vec<_> = artifacts.collect();
    for wanted in CRATES {
        assert!(found.iter().any(|(name, _)| name == wanted), "{wanted} is built");
    }
    found
}

fn check(case: &Path, libraries: &[(String, PathBuf)]) -> Result<(), String> {
    let source = fs::read_to_string(case).map_err(|error| error.to_string())?;
    let expected = source.lines().next().and_then(|line| line.strip_prefix("//! expect: "));
    let (code, text) = expected.and_then(|line| line.split_once(' ')).ok_or("no expectation")?;
    let folder = libraries[0].1.parent().expect("the libraries' folder");
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition", "2024", "--emit", "metadata", "--crate-type", "bin", "-o", "/dev/null",
    ]);
    rustc.arg("-L").arg(format!("dependency={}", folder.display()));
    for (name, library) in libraries {
        rustc.arg("--extern").arg(format!("{name}={}", library.display()));
    }
    let output = rustc.arg(case).output().map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let name = case.file_stem().unwrap_or_default().to_string_lossy();
    if output.status.success() {
        return Err(format!("{name}: compiles, and must not"));
    }
    let codes: Vec<&str> =
        errors.split("error[").skip(1).filter_map(|rest| rest.split(']').next()).collect();
    match codes.iter().all(|found| *found == code) && !codes.is_empty() && errors.contains(text) {
        true => Ok(()),
        false => Err(format!("{name}: expected {code} with `{text}`, got\n{errors}")),
    }
}
