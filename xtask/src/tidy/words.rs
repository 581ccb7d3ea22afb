//! The rule about words that must not be committed: unfinished work, and what only one machine has.

use super::source::{is_word, line_of};
use super::tree::{Fault, File, Tree};

struct Word {
    text: &'static str,
    /// Endings of the paths it is looked for in; empty for all.
    files: &'static [&'static str],
    instead: &'static str,
}

// Written in two pieces, so that this file passes its own rule.
const WORDS: &[Word] = &[
    Word { text: concat!("TO", "DO"), files: &[], instead: "finish it, or open an issue" },
    Word { text: concat!("FIX", "ME"), files: &[], instead: "mend it, or open an issue" },
    Word { text: concat!("to", "do!"), files: &[".rs"], instead: "write it" },
    Word { text: concat!("unimple", "mented!"), files: &[".rs"], instead: "write it" },
    Word { text: concat!("db", "g!"), files: &[".rs"], instead: "use tracing, or drop it" },
    Word {
        text: concat!("/wo", "rk/"),
        files: &[],
        instead: "a path of one machine: make it relative",
    },
    Word {
        text: concat!("/ro", "ot/"),
        files: &[],
        instead: "a path of one machine: make it relative",
    },
    Word {
        text: concat!("/ho", "me/"),
        files: &[],
        instead: "a path of one machine: make it relative",
    },
];

struct LockFile {
    name: &'static str,
    key: &'static str,
    /// What the rest of a line that holds the key must begin with.
    source: &'static str,
}

const LOCK_FILES: &[LockFile] = &[
    LockFile {
        name: "Cargo.lock",
        key: "source = ",
        source: "\"registry+https://github.com/rust-lang/crates.io-index\"",
    },
    LockFile {
        name: "package-lock.json",
        key: "\"resolved\": ",
        source: "\"https://registry.npmjs.org/",
    },
];

/// Finds forbidden words, and lock files that name another registry than the public one.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    tree.files.iter().flat_map(|file| words(file).chain(lock_sources(file))).collect()
}

fn words(file: &File) -> impl Iterator<Item = Fault> {
    let concerned = |word: &&Word| {
        word.files.is_empty() || word.files.iter().any(|ending| file.path.ends_with(ending))
    };
    WORDS.iter().filter(concerned).flat_map(|word| {
        let hits = file
            .text
            .match_indices(word.text)
            .filter(|(at, _)| stands_alone(&file.text, *at, word.text));
        hits.map(|(at, _)| {
            let message = format!("`{}` must not be committed: {}", word.text, word.instead);
            Fault::new(&file.path, line_of(&file.text, at), message)
        })
    })
}

/// Whether the hit is not a piece of a longer name or path.
fn stands_alone(text: &str, at: usize, word: &str) -> bool {
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
    let joins = |c: char| is_word(c) || word.starts_with('/') && ".-*}".contains(c);
    let ends_open = word.ends_with(['/', '!']);
    !before.is_some_and(joins) && (ends_open || !after.is_some_and(is_word))
}

fn lock_sources(file: &File) -> impl Iterator<Item = Fault> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    LOCK_FILES.iter().filter(move |lock| lock.name == name).flat_map(|lock| {
        file.text.lines().enumerate().filter_map(|(index, line)| {
            let source = line.trim_start().strip_prefix(lock.key)?;
            let message = "a lock file names the public registry only: lock again without a mirror";
            (!source.starts_with(lock.source)).then(|| Fault::new(&file.path, index + 1, message))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::{Tree, places};

    fn faults(path: &str, text: &str) -> Vec<String> {
        places(&check(&Tree::of(&[(path, text)])))
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(
            faults("a.rs", concat!("x\n// TO", "DO: later\nto", "do!()")),
            ["a.rs:2", "a.rs:3"]
        );
        assert_eq!(faults("a.rs", concat!("db", "g!(x); std::db", "g!(y)")).len(), 2);
        assert_eq!(faults("a.md", concat!("FIX", "ME")), ["a.md:1"]);
        assert!(
            faults("a.md", concat!("the macro to", "do! and MASTO", "DON, TO", "DOS")).is_empty()
        );
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        assert_eq!(faults("a.toml", concat!("x = \"/wo", "rk/main\"")), ["a.toml:1"]);
        assert_eq!(faults("a.rs", concat!("(/ro", "ot/.cargo)")), ["a.rs:1"]);
        assert!(
            faults("a.rs", concat!("net/wo", "rk/x, ./ro", "ot/x, {base}/ho", "me/x")).is_empty()
        );
    }

    #[test]
    fn lock_files_name_the_public_registry() {
        let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert!(faults("Cargo.lock", public).is_empty());
        assert_eq!(
            faults("Cargo.lock", "\nsource = \"sparse+https://mirror/\"\n"),
            ["Cargo.lock:2"]
        );
        assert_eq!(
            faults("Cargo.lock", "source = \"git+https://github.com/a/b\"\n"),
            ["Cargo.lock:1"]
        );
        assert!(faults("x.toml", "source = \"anything\"").is_empty());
        let npm =
            "  \"resolved\": \"https://registry.npmjs.org/a\"\n  \"resolved\": \"http://m/b\"";
        assert_eq!(faults("web/package-lock.json", npm), ["web/package-lock.json:2"]);
    }
}
