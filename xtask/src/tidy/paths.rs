//! The rule about the documents: a path that they name exists.

use super::tree::{Fault, File, Tree};

/// Finds paths in backticks and relative links that lead nowhere.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let documents = tree.files.iter().filter(|file| is_document(&file.path));
    documents.flat_map(|document| check_document(tree, document)).collect()
}

/// The pages of the root and of `docs/`, but for the history, which names what is gone.
fn is_document(path: &str) -> bool {
    let of_ours = !path.contains('/') || path.starts_with("docs/");
    of_ours && path.ends_with(".md") && path != "CHANGELOG.md"
}

fn check_document(tree: &Tree, document: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut in_block = false;
    for (index, line) in document.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        // Between the first and second backtick, the third and fourth, and so on.
        let named = line.split('`').skip(1).step_by(2).filter(|word| is_path(tree, word));
        let links = link_targets(line).map(|target| beside(&document.path, target));
        for path in named.map(ToOwned::to_owned).chain(links) {
            if !tree.has(&path) {
                let message = format!("`{path}` does not exist: name what is there, or drop it");
                faults.push(Fault::new(&document.path, index + 1, message));
            }
        }
    }
    faults
}

/// Whether the word in backticks is meant as a path of this checkout: it begins with one of its
/// folders, or is a document or manifest of the root.
fn is_path(tree: &Tree, word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let Some((folder, _)) = word.split_once('/') else {
        let kinds = [".md", ".toml", ".lock"];
        return plain && !word.starts_with('.') && kinds.iter().any(|kind| word.ends_with(kind));
    };
    // What commands write is not committed.
    plain && !folder.is_empty() && folder != "target" && tree.has(folder)
}

fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':') && !target.starts_with('/'))
}

/// The path of a link target, seen from the document that holds it.
fn beside(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::{Tree, places};

    fn faults(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (path, text),
            ("crates/model/src/id.rs", ""),
            ("docs/errors/conflict.md", ""),
            ("SECURITY.md", ""),
        ]);
        places(&check(&tree))
    }

    #[test]
    fn paths_that_exist_and_words_that_are_no_paths_pass() {
        let text = "`crates/model/src/id.rs`, `crates/model/`, `docs/errors`, `SECURITY.md`\n\
                    `GET /api/v1`, `/healthz`, `cargo xtask run`, `a/b`, `target/release/keyward`, `docs/errors/<code>.md`\n\
                    ```\n`crates/gone`\n```\n[more](docs/errors/conflict.md#top) [out](https://example.org/x)\n";
        assert!(faults("README.md", text).is_empty());
        assert!(faults("CHANGELOG.md", "`crates/gone`").is_empty());
        assert!(faults("docs/a.md", "[a](errors/conflict.md) [b](../SECURITY.md)").is_empty());
    }

    #[test]
    fn paths_that_lead_nowhere_are_found() {
        assert_eq!(faults("README.md", "a\n`crates/model/src/gone.rs`"), ["README.md:2"]);
        assert_eq!(faults("README.md", "`GONE.md` and [x](docs/gone.md)").len(), 2);
        assert_eq!(faults("docs/a.md", "[x](conflict.md)"), ["docs/a.md:1"]);
    }
}
