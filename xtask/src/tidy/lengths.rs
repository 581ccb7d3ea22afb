//! The rule about length: a file and a function can each be read in one sitting.

use super::source::{code_only, functions, test_modules};
use super::tree::{Fault, Tree};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

/// Finds files and functions that are too long. Tests in place do not count towards a file's length.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.rust_files() {
        let code = code_only(&file.text);
        let tests: usize = test_modules(&code).into_iter().map(Iterator::count).sum();
        let lines = file.text.lines().count().saturating_sub(tests);
        if lines > FILE_LINES {
            let message = format!(
                "{lines} lines, {FILE_LINES} at most: move one idea of this file into a file of its own"
            );
            faults.push(Fault::new(&file.path, 1, message));
        }
        for function in functions(&code) {
            let (start, lines) = (*function.lines.start(), function.lines.clone().count());
            if lines > FUNCTION_LINES && !is_test(&file.path) {
                let message = format!(
                    "`{}` has {lines} lines, {FUNCTION_LINES} at most: name its parts as functions, or its table as a const",
                    function.name
                );
                faults.push(Fault::new(&file.path, start, message));
            }
        }
    }
    faults
}

/// A test may be one long table.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::{Tree, places};

    fn faults(text: &str) -> Vec<String> {
        places(&check(&Tree::of(&[("a.rs", text)])))
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let function =
            |lines: usize| format!("//! A.\n\nfn f() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
        assert!(faults(&function(70)).is_empty());
        assert_eq!(faults(&function(71)), ["a.rs:3"]);
        assert!(faults(&"x();\n".repeat(600)).is_empty());
        assert_eq!(faults(&"x();\n".repeat(601)), ["a.rs:1"]);
    }

    #[test]
    fn tests_in_place_do_not_lengthen_a_file() {
        let tests =
            format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    const X: u8 = 1;\n".repeat(300));
        assert!(faults(&format!("{}{tests}", "x();\n".repeat(600))).is_empty());
    }
}
