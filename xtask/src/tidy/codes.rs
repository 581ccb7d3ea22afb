//! The rule about errors: each problem code has its page, `docs/errors/<code>.md`, and each page its
//! code.

use super::source::line_of;
use super::tree::{Fault, Tree};

const SOURCE: &str = "crates/model/src/error.rs";
const PAGES: &str = "docs/errors/";

/// Where a list of codes begins and ends. In it, every literal of small letters and `_` is a code.
const LISTS: &[(&str, &str)] = &[("pub const PROBLEM_CODES", "];"), ("\nstep_errors! {", "\n}")];

/// Finds codes without a page and pages without a code.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let Some(source) = tree.get(SOURCE) else { return Vec::new() };
    let mut faults = Vec::new();
    let mut listed = Vec::new();
    for (start, end) in LISTS {
        let found = codes(&source.text, start, end);
        if found.is_empty() {
            let message =
                format!("no codes after `{}`: mend LISTS in xtask/src/tidy/codes.rs", start.trim());
            faults.push(Fault::new(SOURCE, 1, message));
        }
        listed.extend(found);
    }
    for (line, code) in &listed {
        let page = format!("{PAGES}{code}.md");
        if tree.get(&page).is_none() {
            faults.push(Fault::new(SOURCE, *line, format!("`{code}` has no page: write {page}")));
        }
    }
    for file in &tree.files {
        let name = file.path.strip_prefix(PAGES).and_then(|name| name.strip_suffix(".md"));
        let known = |name| name == "README" || listed.iter().any(|(_, code)| *code == name);
        if name.is_some_and(|name| !known(name)) {
            let message = format!("no code has this name: list it in {SOURCE}, or drop the page");
            faults.push(Fault::new(&file.path, 1, message));
        }
    }
    faults
}

/// The codes between two marks, with their lines.
fn codes<'a>(text: &'a str, start: &str, end: &str) -> Vec<(usize, &'a str)> {
    let section = text.find(start).and_then(|at| {
        let list = text.get(at + start.len()..)?;
        Some((line_of(text, at + start.len()), list.get(..list.find(end)?)?))
    });
    let Some((first_line, list)) = section else { return Vec::new() };
    let lines = list.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let literals = lines.flat_map(|(index, line)| {
        line.split('"').skip(1).step_by(2).map(move |literal| (first_line + index, literal))
    });
    let is_code = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    literals.filter(|(_, literal)| !literal.is_empty() && is_code(literal)).collect()
}

#[cfg(test)]
mod tests {
    use super::{SOURCE, check};
    use crate::tidy::tree::{Tree, places};

    const LISTS: &str = "//! E.\npub const PROBLEM_CODES: &[(&str, u16, &str)] = &[\n    \
                         (\"conflict\", 409, \"Conflict\"),\n];\nmacro_rules! step_errors {\n}\n\
                         step_errors! {\n    /// A \"quoted\" word.\n    Timeout \"timeout\";\n}\n";

    #[test]
    fn codes_and_pages_belong_together() {
        let pages = [("docs/errors/conflict.md", "x"), ("docs/errors/timeout.md", "x")];
        let whole =
            Tree::of(&[(SOURCE, LISTS), pages[0], pages[1], ("docs/errors/README.md", "x")]);
        assert!(check(&whole).is_empty());
        let faulty = Tree::of(&[(SOURCE, LISTS), pages[0], ("docs/errors/gone.md", "x")]);
        assert_eq!(places(&check(&faulty)), [&format!("{SOURCE}:9"), "docs/errors/gone.md:1"]);
    }

    #[test]
    fn a_list_that_is_not_found_is_a_fault() {
        let tree = Tree::of(&[(SOURCE, "//! E.\npub const OTHER: &[&str] = &[\"conflict\"];\n")]);
        assert_eq!(check(&tree).len(), 2);
        assert!(check(&Tree::of(&[("docs/errors/x.md", "")])).is_empty());
    }
}
