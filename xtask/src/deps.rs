//! `cargo xtask deps`: what we depend on, over `cargo metadata --locked`: licences that we may ship,
//! sources that are public, and no crate twice without a reason.

mod licence;
mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use self::policy::{DUPLICATES, LICENCES, MISSING_LICENCES, SOURCE};
use crate::workspace::{self, list, text};

/// Checks the dependencies and prints every fault.
pub(crate) fn run(_: &[String]) -> Result<ExitCode> {
    let target = concat!("--filter-platform=", "x86_64-unknown-linux-gnu");
    let everywhere = packages(&workspace::metadata(&["--locked"])?);
    let here = packages(&workspace::metadata(&["--locked", target])?);
    let mut faults = sources(&everywhere);
    faults.extend(licences(&here));
    faults.extend(duplicates(&here, DUPLICATES));
    for fault in &faults {
        eprintln!("{fault}");
    }
    let outcome = if faults.is_empty() { "all in order" } else { "see above" };
    println!("deps: {} packages, {outcome}", here.len());
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Debug, Clone)]
struct Package {
    name: String,
    version: String,
    /// An SPDX expression; empty where the package names none.
    licence: String,
    /// Empty for our own packages.
    source: String,
}

/// The packages that the resolved graph uses.
fn packages(metadata: &Value) -> Vec<Package> {
    let resolve = metadata.get("resolve").unwrap_or(&Value::Null);
    let used: BTreeSet<&str> = list(resolve, "nodes").map(|node| text(node, "id")).collect();
    let package = |package: &Value| Package {
        name: text(package, "name").to_owned(),
        version: text(package, "version").to_owned(),
        licence: text(package, "license").to_owned(),
        source: text(package, "source").to_owned(),
    };
    let all = list(metadata, "packages");
    all.filter(|package| used.contains(text(package, "id"))).map(package).collect()
}

fn sources(packages: &[Package]) -> Vec<String> {
    let foreign = packages.iter().filter(|p| !p.source.is_empty() && p.source != SOURCE);
    let fault = |p: &Package| {
        format!("{} {} comes from {}: take it from crates.io", p.name, p.version, p.source)
    };
    foreign.map(fault).collect()
}

fn licences(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut unused: BTreeSet<&str> = MISSING_LICENCES.iter().map(|(name, _)| *name).collect();
    for package in packages {
        let stated = MISSING_LICENCES.iter().find(|(name, _)| *name == package.name);
        let expression = match stated {
            Some((name, expression)) if package.licence.is_empty() => {
                unused.remove(name);
                *expression
            }
            _ => &package.licence,
        };
        let Package { name, version, .. } = package;
        match licence::allows(expression, LICENCES) {
            Ok(true) => {}
            Ok(false) => faults.push(format!("{name} {version} is under `{expression}`, which xtask/src/deps/policy.rs does not list: drop it, or list it with thought")),
            Err(e) => faults.push(format!("{name} {version}: `{expression}` is no licence expression ({e}): state it in xtask/src/deps/policy.rs")),
        }
    }
    let stale = unused.iter().map(|name| {
        format!("MISSING_LICENCES names {name}, which does not need it: drop the line")
    });
    faults.extend(stale);
    faults
}

/// Finds crates with two versions, and exceptions for crates that no longer have them.
fn duplicates(packages: &[Package], excepted: &[(&str, &str)]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let is_excepted = |name: &str| excepted.iter().any(|(known, _)| *known == name);
    let mut faults: Vec<String> = versions
        .iter()
        .filter(|(name, _)| !is_excepted(name))
        .map(|(name, versions)| format!("{name} is there as {}: bring them together, or give the reason in xtask/src/deps/policy.rs", versions.join(" and ")))
        .collect();
    let stale = excepted.iter().filter(|(name, _)| !versions.contains_key(name));
    faults.extend(
        stale.map(|(name, _)| {
            format!("DUPLICATES names {name}, which is there once: drop the line")
        }),
    );
    faults
}

#[cfg(test)]
mod tests {
    use super::{Package, SOURCE, duplicates, licences, sources};

    fn package(name: &str, version: &str, licence: &str, source: &str) -> Package {
        let [name, version, licence, source] = [name, version, licence, source].map(str::to_owned);
        Package { name, version, licence, source }
    }

    #[test]
    fn only_crates_io_and_our_own_folders_are_sources() {
        let git = package("a", "1.0.0", "MIT", "git+https://example.org/a");
        let found =
            sources(&[git, package("b", "1.0.0", "MIT", SOURCE), package("c", "0.1.0", "MIT", "")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a 1.0.0 comes from git+"));
    }

    #[test]
    fn licences_must_be_listed() {
        let with = |licence| licences(&[package("a", "1.0.0", licence, SOURCE)]).len();
        assert_eq!([with("MIT OR GPL-3.0"), with("GPL-3.0"), with("")], [0, 1, 1]);
    }

    #[test]
    fn a_second_version_needs_a_reason_and_a_reason_a_second_version() {
        let twice = [
            package("a", "1.0.0", "", ""),
            package("a", "2.0.0", "", ""),
            package("b", "1.0.0", "", ""),
        ];
        assert_eq!(duplicates(&twice, &[]).len(), 1);
        assert!(duplicates(&twice, &[("a", "x wants 1")]).is_empty());
        assert_eq!(duplicates(&twice, &[("a", "x wants 1"), ("b", "gone")]).len(), 1);
    }
}
