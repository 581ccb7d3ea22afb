//! The rule about a file's face: each says first what it owns, and its name is not `mod.rs`.

use super::tree::{Fault, Tree};

/// Finds files without a first-line doc, and files named `mod.rs`.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.rust_files() {
        let text = file.text.lines().next().unwrap_or_default().strip_prefix("//!");
        if text.is_none_or(|text| text.trim().is_empty()) {
            let message = "the first line must be a `//!` line that says what this file owns";
            faults.push(Fault::new(&file.path, 1, message));
        }
        if let Some(folder) = file.path.strip_suffix("/mod.rs") {
            faults.push(Fault::new(
                &file.path,
                1,
                format!("name it {folder}.rs, beside its folder"),
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::{Tree, places};

    #[test]
    fn files_must_say_what_they_own() {
        let tree = Tree::of(&[
            ("good.rs", "//! Owns a.\n"),
            ("bare.rs", "use x;\n"),
            ("late.rs", "\n//! Owns a.\n"),
            ("hollow.rs", "//!\n"),
            ("empty.rs", ""),
            ("a/mod.rs", "//! Owns a.\n"),
            ("notes.txt", "free"),
        ]);
        let expected = ["bare.rs:1", "late.rs:1", "hollow.rs:1", "empty.rs:1", "a/mod.rs:1"];
        assert_eq!(places(&check(&tree)), expected);
    }
}
