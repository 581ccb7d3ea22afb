//! The rule about layers: which of our crates may import which, and which third-party crates stay
//! behind the wall of one of ours. A new edge is a change of the architecture: change the table
//! here, and say why in the commit.

use serde_json::Value;

use super::source::{code_only, is_word, line_of, test_modules};
use super::tree::{Fault, File, Tree};
use crate::workspace::{list, text};

struct Layer {
    name: &'static str,
    may_import: &'static [&'static str],
}

/// Lowest first. Tests may import anything that stands lower than their own crate, and testkit.
const LAYERS: &[Layer] = &[
    Layer { name: "model", may_import: &[] },
    Layer { name: "testkit", may_import: &["model"] },
    Layer { name: "connectors", may_import: &["model"] },
    Layer { name: "store", may_import: &["model"] },
    Layer { name: "egress", may_import: &["model"] },
    Layer { name: "sandbox", may_import: &["model"] },
    Layer { name: "vault", may_import: &["model", "store", "egress"] },
    Layer { name: "engine", may_import: &["model", "store", "vault", "sandbox"] },
    Layer { name: "api", may_import: &["model", "store", "vault", "engine"] },
    Layer {
        name: "cli",
        may_import: &[
            "model", "connectors", "store", "egress", "sandbox", "vault", "engine", "api",
        ],
    },
    Layer { name: "xtask", may_import: &["testkit"] },
];

struct Wall {
    /// A crate's name, or the beginning of several ones' with a `*` at the end.
    foreign: &'static str,
    owners: &'static [&'static str],
    instead: &'static str,
}

const WALLS: &[Wall] = &[
    // The vault's are not ours: databases of other people, whose rows a step reads.
    Wall { foreign: "rusqlite", owners: &["store", "vault"], instead: "ask the store" },
    Wall { foreign: "postgres", owners: &["store"], instead: "ask the store" },
    Wall { foreign: "tokio-postgres*", owners: &["store", "vault"], instead: "ask the store" },
    Wall { foreign: "mysql*", owners: &[], instead: "they dial by themselves; ask the vault" },
    Wall { foreign: "aws-lc-rs", owners: &["vault"], instead: "cryptography is the vault's" },
    Wall { foreign: "jsonwebtoken", owners: &["vault"], instead: "cryptography is the vault's" },
    Wall { foreign: "argon2", owners: &["vault"], instead: "cryptography is the vault's" },
    Wall { foreign: "hyper-rustls", owners: &["egress"], instead: "egress is the only way out" },
    Wall { foreign: "reqwest", owners: &[], instead: "egress is the only way out" },
    Wall { foreign: "rquickjs*", owners: &["sandbox"], instead: "scripts run in the sandbox" },
    Wall { foreign: "swc*", owners: &["sandbox"], instead: "scripts are parsed in the sandbox" },
    Wall { foreign: "landlock", owners: &["sandbox"], instead: "confinement is the sandbox's" },
    Wall { foreign: "seccompiler", owners: &["sandbox"], instead: "confinement is the sandbox's" },
    Wall { foreign: "axum", owners: &["api", "cli"], instead: "HTTP in is the api's" },
];

/// Paths that open a connection: a crate may use them only where it owns the way out.
const CLIENT_PATHS: &[&str] =
    &["hyper::client", "hyper_util::client", "TcpStream::connect", "TcpSocket"];
const CLIENT_OWNERS: &[&str] = &["egress", "testkit", "xtask"];

/// A package of the workspace with its direct dependencies.
#[derive(Debug)]
pub(super) struct Package {
    name: String,
    dependencies: Vec<(String, Kind)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shipped,
    TestOnly,
}

/// Reads the workspace's packages out of `cargo metadata`.
pub(super) fn packages(metadata: &Value) -> Vec<Package> {
    let dependency = |dependency: &Value| {
        let test_only = text(dependency, "kind") == "dev";
        (
            text(dependency, "name").to_owned(),
            if test_only { Kind::TestOnly } else { Kind::Shipped },
        )
    };
    let package = |package: &Value| Package {
        name: short(text(package, "name")).to_owned(),
        dependencies: list(package, "dependencies").map(dependency).collect(),
    };
    list(metadata, "packages").map(package).collect()
}

/// Finds dependencies in manifests that the table or a wall forbids.
pub(super) fn check_manifests(packages: &[Package]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for package in packages {
        let manifest = manifest(&package.name);
        if layer(&package.name).is_none() {
            faults.push(Fault::new(&manifest, 1, "this crate is in no layer: give it one in xtask/src/tidy/imports.rs, with a reason"));
            continue;
        }
        for (dependency, kind) in &package.dependencies {
            if let Some(message) = refuse(&package.name, dependency, *kind) {
                faults.push(Fault::new(&manifest, 1, message));
            }
        }
    }
    faults
}

fn refuse(package: &str, dependency: &str, kind: Kind) -> Option<String> {
    if dependency.starts_with("keyward-") {
        let imported = short(dependency);
        let message =
            format!("`{package}` may not depend on `{imported}`: imports go downwards only");
        return (!may_import(package, imported, kind)).then_some(message);
    }
    let wall = WALLS.iter().find(|wall| covers(wall.foreign, dependency))?;
    let message = format!("`{dependency}` stays out of `{package}`: {}", wall.instead);
    (kind == Kind::Shipped && !wall.owners.contains(&package)).then_some(message)
}

/// Finds `keyward_x::` paths that the table forbids, and connections made elsewhere than in egress.
pub(super) fn check_sources(tree: &Tree) -> Vec<Fault> {
    tree.rust_files().flat_map(check_source).collect()
}

fn check_source(file: &File) -> Vec<Fault> {
    let mut segments = file.path.split('/');
    let crate_name = match segments.next() {
        Some("crates") => segments.next().unwrap_or_default(),
        Some("xtask") => "xtask",
        _ => return Vec::new(),
    };
    // `testing.rs` stands under `#[cfg(test)]`, as `tests.rs` does.
    let for_tests = file.path.ends_with("/testing.rs") || file.path.ends_with("/tests.rs");
    let shipped_folder = segments.next() == Some("src") && !for_tests;
    let code = code_only(&file.text);
    let tests = test_modules(&code);
    let kind_at = |line: usize| match shipped_folder && !tests.iter().any(|t| t.contains(&line)) {
        true => Kind::Shipped,
        false => Kind::TestOnly,
    };
    let mut faults = Vec::new();
    for (at, found) in code.match_indices("keyward_") {
        let line = line_of(&code, at);
        let begins = !code.get(..at).is_some_and(|before| before.ends_with(is_word));
        let tail = code.get(at + found.len()..).unwrap_or_default();
        let imported = tail.split(|c| !is_word(c)).next().unwrap_or_default();
        let known = layer(imported).is_some() && begins;
        if known && imported != crate_name && !may_import(crate_name, imported, kind_at(line)) {
            let message = format!(
                "`{crate_name}` may not import `keyward_{imported}`: imports go downwards only"
            );
            faults.push(Fault::new(&file.path, line, message));
        }
    }
    for (at, path) in CLIENT_PATHS.iter().flat_map(|path| code.match_indices(path)) {
        let line = line_of(&code, at);
        if kind_at(line) == Kind::Shipped && !CLIENT_OWNERS.contains(&crate_name) {
            let message = format!("`{path}` opens a connection: egress is the only way out");
            faults.push(Fault::new(&file.path, line, message));
        }
    }
    faults
}

fn may_import(package: &str, imported: &str, kind: Kind) -> bool {
    let Some(layer) = layer(package) else { return false };
    let place = |name| LAYERS.iter().position(|layer| layer.name == name);
    let stands_lower = place(imported) < place(package);
    layer.may_import.contains(&imported)
        || kind == Kind::TestOnly && (imported == "testkit" || stands_lower)
}

fn layer(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

fn covers(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn short(package: &str) -> &str {
    package.strip_prefix("keyward-").unwrap_or(package)
}

fn manifest(name: &str) -> String {
    if name == "xtask" { "xtask/Cargo.toml".into() } else { format!("crates/{name}/Cargo.toml") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{check_manifests, check_sources, packages};
    use crate::tidy::tree::{Tree, places};

    fn manifest_faults(package: &str, dependency: &str, kind: Option<&str>) -> usize {
        let metadata = json!({"packages": [{
            "name": package, "dependencies": [{"name": dependency, "kind": kind}],
        }]});
        check_manifests(&packages(&metadata)).len()
    }

    #[test]
    fn manifests_follow_the_table() {
        let cases = [
            ("keyward-vault", "keyward-store", None, 0),
            ("keyward-store", "keyward-vault", None, 1),
            ("keyward-model", "keyward-testkit", None, 1),
            ("keyward-model", "keyward-testkit", Some("dev"), 0),
            ("keyward-cli", "keyward-testkit", None, 1),
            ("keyward-engine", "keyward-egress", None, 1),
            ("keyward-engine", "keyward-egress", Some("dev"), 0),
            ("keyward-egress", "keyward-engine", Some("dev"), 1),
            ("keyward-testkit", "keyward-store", None, 1),
            ("keyward-newcomer", "serde", None, 1),
            ("keyward-api", "serde", None, 0),
            ("keyward-api", "rusqlite", None, 1),
            ("keyward-api", "rusqlite", Some("dev"), 0),
            ("keyward-store", "tokio-postgres-rustls", None, 0),
            ("keyward-vault", "tokio-postgres", None, 0),
            ("keyward-vault", "postgres", None, 1),
            ("keyward-vault", "mysql_async", None, 1),
            ("keyward-engine", "swc_ts_fast_strip", None, 1),
            ("keyward-cli", "axum", None, 0),
            ("keyward-egress", "reqwest", None, 1),
        ];
        for (package, dependency, kind, expected) in cases {
            let found = manifest_faults(package, dependency, kind);
            assert_eq!(found, expected, "{package} -> {dependency} {kind:?}");
        }
    }

    #[test]
    fn sources_follow_the_table() {
        let tree = Tree::of(&[
            (
                "crates/store/src/lib.rs",
                "use keyward_model::x;\nuse keyward_vault::y;\n// keyward_api::z\n",
            ),
            ("crates/vault/src/a.rs", "let x = keyward_store::y(\"keyward_api::z\");\n"),
            (
                "crates/model/src/b.rs",
                "#[cfg(test)]\nmod tests {\n    use keyward_testkit::c;\n}\nuse keyward_testkit::d;\n",
            ),
            (
                "crates/model/tests/c.rs",
                "use keyward_model::x;\nuse keyward_testkit::y;\nuse keyward_store::z;\n",
            ),
            ("crates/engine/src/d.rs", "use keyward_vault::{a, b};\nTcpStream::connect(x);\n"),
            ("crates/egress/src/e.rs", "TcpStream::connect(x); let my_keyward_api = 1;\n"),
        ]);
        let expected = [
            "crates/store/src/lib.rs:2",
            "crates/model/src/b.rs:5",
            "crates/model/tests/c.rs:3",
            "crates/engine/src/d.rs:2",
        ];
        assert_eq!(places(&check_sources(&tree)), expected);
    }
}
