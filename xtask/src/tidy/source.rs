//! A small scanner of Rust source: blanks comments and literals, so that the rules see code only,
//! and finds functions and in-place test modules by their braces.

use std::ops::RangeInclusive;

/// The source with every comment, string and character literal replaced by spaces. Lines stay.
pub(super) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let hidden = literal_or_comment(rest, after_word);
        let length = hidden.unwrap_or(first.len_utf8());
        let (token, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        match hidden {
            Some(_) => code.extend(token.chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => code.push_str(token),
        }
        after_word = hidden.is_none() && (first.is_alphanumeric() || first == '_');
        rest = tail;
    }
    code
}

/// The length of the comment or literal that `rest` begins with. `after_word`: the character before
/// belongs to a name or number, so a letter here is no literal's prefix.
fn literal_or_comment(rest: &str, after_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Some(quoted(rest, 1));
    }
    if rest.starts_with('\'') {
        return character(rest, 1);
    }
    if after_word {
        return None;
    }
    if rest.starts_with("b'") {
        return character(rest, 2);
    }
    let prefix = ["br", "cr", "r", "b", "c"].iter().find(|prefix| {
        let tail = rest.strip_prefix(**prefix).unwrap_or_default();
        let tail = if prefix.ends_with('r') { tail.trim_start_matches('#') } else { tail };
        tail.starts_with('"')
    })?;
    if !prefix.ends_with('r') {
        return Some(quoted(rest, prefix.len() + 1));
    }
    let hashes = rest.get(prefix.len()..)?.chars().take_while(|c| *c == '#').count();
    let open = prefix.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(rest.get(open..)?.find(&close).map_or(rest.len(), |at| open + at + close.len()))
}

fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        let step = match tail {
            _ if tail.starts_with("/*") => 1,
            _ if tail.starts_with("*/") => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { tail.chars().next().map_or(1, char::len_utf8) } else { 2 };
        if depth == 0 {
            break;
        }
    }
    at.min(rest.len())
}

/// The length of a string whose text begins at `open`.
fn quoted(rest: &str, open: usize) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().filter(|(at, _)| *at >= open) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal whose text begins at `open`; a lifetime is none.
fn character(rest: &str, open: usize) -> Option<usize> {
    let text = rest.get(open..)?;
    let first = text.chars().next()?;
    if first == '\\' {
        let escape = 1 + text.get(1..)?.chars().next()?.len_utf8();
        return text.get(escape..)?.find('\'').map(|at| open + escape + at + 1);
    }
    text.get(first.len_utf8()..)?.starts_with('\'').then_some(open + first.len_utf8() + 1)
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Lines from `fn` to the closing brace, counted from 1.
    pub(super) lines: RangeInclusive<usize>,
}

/// All functions that have a body, in code that [`code_only`] made.
pub(super) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn") {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        let tail = code.get(at + 2..).unwrap_or_default();
        if before.is_some_and(is_word) || !tail.starts_with(char::is_whitespace) {
            continue;
        }
        let name: String = tail.trim_start().chars().take_while(|c| is_word(*c)).collect();
        let Some(open) = body(tail).filter(|_| !name.is_empty()) else { continue };
        let end = at + 2 + open + block(tail.get(open..).unwrap_or_default());
        found.push(Function { name, lines: line_of(code, at)..=line_of(code, end) });
    }
    found
}

/// The lines of `#[cfg(test)] mod name { ... }` blocks, in code that [`code_only`] made.
pub(super) fn test_modules(code: &str) -> Vec<RangeInclusive<usize>> {
    let mut found = Vec::new();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let tail = code.get(at + attribute.len()..).unwrap_or_default();
        let item = tail.split(['{', ';']).next().unwrap_or_default();
        let is_module = item.split_whitespace().any(|word| word == "mod");
        let open = item.len();
        if is_module && tail.get(open..).is_some_and(|rest| rest.starts_with('{')) {
            let end = at + attribute.len() + open + block(tail.get(open..).unwrap_or_default());
            found.push(line_of(code, at)..=line_of(code, end));
        }
    }
    found
}

/// Where a function's body opens; none for a declaration.
fn body(signature: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// The offset of the brace that closes the one `code` begins with.
fn block(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

/// The line, counted from 1, that an offset lies on.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.get(..at).unwrap_or(text).matches('\n').count()
}

/// Whether the character can be part of a name.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::{code_only, functions, test_modules};

    fn check(source: &str, expected: &str) {
        assert_eq!(code_only(source), expected, "for {source}");
    }

    #[test]
    fn comments_and_literals_become_spaces() {
        check("a // } b\nc", "a       \nc");
        check("a /* { /* } */ \n */ b", "a              \n    b");
        check(r#"f("}\"{", x)"#, "f(      , x)");
        check("f(r#\"a \" {\"#, b\"}\")", "f(          ,     )");
        check("r\"\\\" + br##\"\"# }\"##", "     +             ");
        check("'{' + '\\'' + '\\u{7b}' + b'}'", "    +      +          +     ");
        check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
        check("'label: loop { 'é' }", "'label: loop {     }");
        check("r#fn(bar\"{\")", "r#fn(bar   )");
    }

    #[test]
    fn functions_are_found_with_their_lines() {
        let source = "trait T {\n    fn no_body(&self);\n}\nfn outer(a: [u8; 2])\nwhere\n    A: B,\n{\n    \
                      let s = \"}\"; // }\n    fn inner() {}\n    let f: fn(u8) = x;\n}\n";
        let found = functions(&code_only(source));
        let shown: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.lines.clone())).collect();
        assert_eq!(shown, [("outer", 4..=11), ("inner", 9..=9)]);
    }

    #[test]
    fn only_in_place_test_modules_count() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(test)]\nmod apart;\n\
                      #[cfg(test)]\nfn helper() {}\n";
        assert_eq!(test_modules(&code_only(source)), [2..=5]);
    }
}
