//! The files of what is expected: one JSON document an app, written anew on demand.

use serde_json::{Map, Value};
use std::path::PathBuf;

/// A file beside the tests.
pub(crate) fn path(folder: &str, app: &str) -> PathBuf {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    PathBuf::from(tests).join(folder).join(format!("{app}.json"))
}

/// Reads one of them, if it is there.
pub(crate) fn read(folder: &str, app: &str) -> Option<Value> {
    let text = std::fs::read_to_string(path(folder, app)).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{folder}/{app}.json: {e}")))
}

/// Whether the expected files are to be written, not compared.
pub(crate) fn writes() -> bool {
    std::env::var_os("KEYWARD_WRITE_DOCS").is_some()
}

/// Compares an app's entries one by one; an app without a file, or with one too many, fails.
pub(crate) fn compare(folder: &str, app: &str, found: &Map<String, Value>) {
    if writes() {
        let mut text = serde_json::to_string_pretty(found).expect("JSON");
        text.push('\n');
        std::fs::write(path(folder, app), text).expect("the file");
    }
    let expected = read(folder, app);
    let again =
        "set KEYWARD_WRITE_DOCS=1 to write it anew, and read it against the vendor's reference";
    let expected = expected.unwrap_or_else(|| panic!("no tests/{folder}/{app}.json: {again}"));
    for (name, found) in found {
        assert_eq!(expected.get(name), Some(found), "{app} {name}: {again}");
    }
    let names = expected.as_object().into_iter().flat_map(Map::keys);
    let gone: Vec<_> = names.filter(|name| !found.contains_key(*name)).collect();
    assert!(gone.is_empty(), "{app}: {gone:?} is in no manifest: {again}");
}
