//! `.env` files: `KEY=VALUE`, `export`, comments, quotes, values of several lines.

use super::{Broken, Entry, Held};
use crate::credential::CredentialType;
use zeroize::Zeroizing;

/// Each line that sets a name is one api_key.
pub(super) fn read(content: &str) -> Result<Vec<Entry>, Broken> {
    let mut lines = Lines { rest: content, number: 0 };
    let mut entries = Vec::new();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = lines.number;
        let broken = |reason| Broken::Line { line: number, reason };
        let line = match line.strip_prefix("export") {
            Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
            _ => line,
        };
        let (name, value) = line.split_once('=').ok_or_else(|| broken("is no KEY=VALUE"))?;
        let name = name.trim_end();
        if !is_name(name) {
            return Err(broken("what stands before the `=` is no name"));
        }
        let value = lines.value(value.trim_start()).map_err(broken)?;
        let mut entry = Entry::new(format!("line {number}"), name, CredentialType::ApiKey);
        // A name that only looks like the key made of it would be looked for in vain.
        if entry.name.take().is_some() {
            entry = entry.invalid("a key begins with a letter and does not end with `_`");
            entry.key = None;
        }
        entry.put("value", value);
        entries.push(entry);
    }
    Ok(entries)
}

fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

struct Lines<'a> {
    rest: &'a str,
    /// Of the line given last, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        self.number += 1;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The value that begins on this line, reading on where its quotes are not closed yet.
    fn value(&mut self, text: &'a str) -> Result<Held, &'static str> {
        let mut characters = text.chars();
        let quote = match characters.next() {
            Some(quote @ ('"' | '\'')) => quote,
            _ => return Ok(Zeroizing::new(bare(text).to_owned())),
        };
        // Twice the file's rest is never needed: so the buffer does not grow and leave copies.
        let room = text.len() + self.rest.len();
        let mut value = Zeroizing::new(String::with_capacity(room));
        let mut line = characters.as_str();
        loop {
            match quoted(line, quote, &mut value)? {
                Some(rest) if rest.trim().is_empty() || is_comment(rest) => return Ok(value),
                Some(_) => return Err("something stands behind the closing quote"),
                None => {
                    value.push('\n');
                    line = self.next().ok_or("its quote is never closed")?;
                }
            }
        }
    }
}

fn is_comment(rest: &str) -> bool {
    rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#')
}

/// Without quotes a value ends with its line, or before a comment.
fn bare(text: &str) -> &str {
    let comment = text.match_indices('#').find(|(at, _)| {
        let before = text.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with([' ', '\t'])
    });
    let end = comment.map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default().trim_end()
}

/// Adds a line up to the closing quote; gives what stands behind it, or `None` where there is none.
fn quoted<'a>(
    line: &'a str,
    quote: char,
    value: &mut String,
) -> Result<Option<&'a str>, &'static str> {
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            _ if character == quote => return Ok(Some(characters.as_str())),
            '\\' if quote == '"' => match characters.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(plain @ ('"' | '\\' | '$' | '`')) => value.push(plain),
                Some(_) => return Err("a `\\` stands before what needs none; use single quotes"),
                // The shell joins the lines.
                None => return Err("a `\\` stands at the end of a line"),
            },
            other => value.push(other),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, expected: &[(&str, &str)]) {
        let entries = read(content).unwrap_or_else(|error| panic!("{content:?}: {error}"));
        let shown: Vec<_> = entries
            .iter()
            .map(|entry| {
                let key = entry.key.as_ref().map_or("-", |key| key.as_str());
                (key, entry.fields.get("value").map_or("-", |value| value.as_str()))
            })
            .collect();
        assert_eq!(shown, expected, "{content:?}");
    }

    #[test]
    fn what_shells_and_libraries_write_is_read() {
        check("A=b", &[("A", "b")]);
        check("A=b\nB=c\n", &[("A", "b"), ("B", "c")]);
        check("A=b\r\n\r\nB=c\r\n", &[("A", "b"), ("B", "c")]);
        check("# note\n  # more\nexport A = b # why\nexport\tB=c", &[("A", "b"), ("B", "c")]);
        check("A=b#c\nB=#c", &[("A", "b#c"), ("B", "-")]);
        check("A=x=y==", &[("A", "x=y==")]);
        check("A=", &[("A", "-")]);
        check("A=''\nB=\"\"", &[("A", "-"), ("B", "-")]);
        check("A='x # $y \\n' # z", &[("A", "x # $y \\n")]);
        check(r#"A="x \"y\" \\ \$z\n""#, &[("A", "x \"y\" \\ $z\n")]);
        let key = "-----BEGIN KEY-----\nabc==\n-----END KEY-----";
        check(&format!("A=\"{key}\"\nB='{key}'\n"), &[("A", key), ("B", key)]);
        check("A=\"a\r\nb\"", &[("A", "a\nb")]);
        check("exported=1\na.b-c=2", &[("exported", "1"), ("a.b-c", "2")]);
        check("A=größe", &[("A", "größe")]);
        check("_A=b", &[("-", "b")]);
    }

    #[test]
    fn a_broken_line_is_named_by_its_number_alone() {
        let check = |content: &str, line: usize| {
            let error = read(content).err().unwrap_or_else(|| panic!("{content:?} was read"));
            assert!(matches!(error, Broken::Line { line: found, .. } if found == line), "{error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        };
        check("A=b\ncanary\nC=d", 2);
        check("A=b\n\n1canary=x", 3);
        check("canary canary=x", 1);
        check("=canary", 1);
        check("A=\"canary\nmore\nand more", 1);
        check("A=b\nB='canary", 2);
        check("A=\"canary\" canary", 1);
        check("A=\"canary\"#canary", 1);
        check("A=\"\\canary\"", 1);
        check("A=\"canary\\\nB=c\"", 1);
    }
}
