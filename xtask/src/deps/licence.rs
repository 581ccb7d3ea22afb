//! SPDX licence expressions: whether what they offer can be met with the licences we accept.

use anyhow::{Result, bail, ensure};

/// Whether `expression` is satisfied by `accepted` alone. An entry may carry its exception, as in
/// `Apache-2.0 WITH LLVM-exception`. A `/` is read as `OR`, as Cargo once had it.
///
/// # Errors
/// Where the expression does not follow SPDX's grammar.
pub(super) fn allows(expression: &str, accepted: &[&str]) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, accepted };
    let allowed = parser.either()?;
    match parser.words.first() {
        None => Ok(allowed),
        Some(word) => bail!("unexpected `{word}`"),
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    accepted: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn either(&mut self) -> Result<bool> {
        let mut allowed = self.both()?;
        while self.take("OR") {
            allowed |= self.both()?;
        }
        Ok(allowed)
    }

    fn both(&mut self) -> Result<bool> {
        let mut allowed = self.one()?;
        while self.take("AND") {
            allowed &= self.one()?;
        }
        Ok(allowed)
    }

    fn one(&mut self) -> Result<bool> {
        if self.take("(") {
            let allowed = self.either()?;
            ensure!(self.take(")"), "a parenthesis is not closed");
            return Ok(allowed);
        }
        let licence = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            // An exception only adds rights to a licence that is fine already.
            let whole = format!("{licence} WITH {exception}");
            return Ok(self.accepted.contains(&licence) || self.accepted.contains(&whole.as_str()));
        }
        Ok(self.accepted.contains(&licence))
    }

    fn name(&mut self) -> Result<&'a str> {
        let Some((first, rest)) = self.words.split_first() else { bail!("a licence is missing") };
        ensure!(!["OR", "AND", "WITH", "(", ")"].contains(first), "unexpected `{first}`");
        self.words = rest;
        Ok(first)
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn expressions_are_weighed() {
        let accepted = ["MIT", "ISC", "Unicode-3.0", "GPL-2.0 WITH Classpath-exception-2.0"];
        let cases = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0 OR GPL-2.0", false),
            ("MIT AND GPL-3.0", false),
            ("MIT AND ISC", true),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("(GPL-3.0 OR MIT) AND Unicode-3.0", true),
            ("(GPL-3.0 OR MIT) AND BUSL-1.1", false),
            ("GPL-3.0/MIT", true),
            ("MIT WITH LLVM-exception", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", true),
            ("GPL-2.0", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(allows(expression, &accepted).expect(expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for expression in ["", "OR MIT", "MIT OR", "MIT ISC", "(MIT", "MIT)", "MIT WITH"] {
            assert!(allows(expression, &["MIT"]).is_err(), "{expression}");
        }
    }
}
