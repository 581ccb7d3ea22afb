//! The grammar of MiniJinja's expressions: finds what an expression reads, and rewrites it so that
//! every operation that could grow without bound goes through a bounded function.
//!
//! A path becomes one variable (`_r0`), `a * b` becomes `_mul(a, b)`, `a ~ b` becomes `_cat(a, b)`;
//! all else is written as it was.

use super::engine::{FILTERS, FUNCTIONS, TESTS};
use super::lexer::{Spanned, Token};
use super::path::{Path, Root, Segment};
use super::{Dialect, SyntaxFault, TemplateFaultKind};
use std::fmt::Write as _;

/// How deeply an expression may be nested.
const MAX_DEPTH: usize = 40;
/// How many operators, filters, tests and calls one expression may hold.
const MAX_OPERATIONS: usize = 64;

/// An expression taken apart.
pub(super) struct Parsed {
    /// The paths that it reads; the n-th is the variable `_r<n>`.
    pub(super) references: Vec<Path>,
    /// The rewritten expression; `None` where it is nothing but its one path.
    pub(super) source: Option<String>,
}

/// Reads the tokens of one `{{ }}` that starts at `start`.
pub(super) fn parse(
    tokens: &[Spanned<'_>],
    start: usize,
    dialect: Dialect,
) -> Result<Parsed, SyntaxFault> {
    let references = Vec::new();
    let mut parser =
        Parser { tokens, dialect, next: 0, start, depth: 0, operations: 0, references };
    let source = parser.expression()?;
    if parser.next < tokens.len() {
        return Err(parser.fault("unexpected input after the expression"));
    }
    let lone = source == "_r0";
    Ok(Parsed { references: parser.references, source: (!lone).then_some(source) })
}

struct Parser<'p, 't> {
    tokens: &'p [Spanned<'t>],
    dialect: Dialect,
    next: usize,
    start: usize,
    depth: usize,
    operations: usize,
    references: Vec<Path>,
}

type Written = Result<String, SyntaxFault>;

impl<'t> Parser<'_, 't> {
    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.next).map(|spanned| spanned.token)
    }

    fn peek_second(&self) -> Option<Token<'t>> {
        self.tokens.get(self.next + 1).map(|spanned| spanned.token)
    }

    fn take(&mut self) -> Option<Token<'t>> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip(&mut self, token: Token<'static>) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str, what: &'static str) -> Result<(), SyntaxFault> {
        if self.skip(Token::Sign(sign)) { Ok(()) } else { Err(self.fault(what)) }
    }

    /// A syntax fault at the next token.
    fn fault(&self, what: &'static str) -> SyntaxFault {
        self.fault_of(TemplateFaultKind::Syntax(what))
    }

    fn fault_of(&self, kind: TemplateFaultKind) -> SyntaxFault {
        let at = self.tokens.get(self.next).or(self.tokens.last());
        SyntaxFault { offset: at.map_or(self.start, |spanned| spanned.offset), kind }
    }

    /// A fault of the token that was taken last.
    fn fault_before(&mut self, kind: TemplateFaultKind) -> SyntaxFault {
        self.next = self.next.saturating_sub(1);
        self.fault_of(kind)
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Written) -> Written {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault("the expression is nested too deeply"));
        }
        let written = read(self)?;
        self.depth -= 1;
        Ok(written)
    }

    fn operation(&mut self) -> Result<(), SyntaxFault> {
        self.operations += 1;
        if self.operations > MAX_OPERATIONS {
            return Err(self.fault("the expression holds more than 64 operations; use a code step"));
        }
        Ok(())
    }

    fn expression(&mut self) -> Written {
        self.nested(|parser| {
            let mut written = parser.either()?;
            while parser.skip(Token::Name("if")) {
                parser.operation()?;
                let condition = parser.either()?;
                written = format!("{written} if {condition}");
                if parser.skip(Token::Name("else")) {
                    let other = parser.expression()?;
                    written = format!("{written} else {other}");
                }
            }
            Ok(written)
        })
    }

    fn either(&mut self) -> Written {
        let mut written = self.both()?;
        while self.skip(Token::Name("or")) {
            self.operation()?;
            let right = self.both()?;
            written = format!("{written} or {right}");
        }
        Ok(written)
    }

    fn both(&mut self) -> Written {
        let mut written = self.negation()?;
        while self.skip(Token::Name("and")) {
            self.operation()?;
            let right = self.negation()?;
            written = format!("{written} and {right}");
        }
        Ok(written)
    }

    fn negation(&mut self) -> Written {
        if self.skip(Token::Name("not")) {
            let inner = self.nested(Self::negation)?;
            return Ok(format!("not {inner}"));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Written {
        let mut written = self.sum()?;
        loop {
            let operator = match (self.peek(), self.peek_second()) {
                (Some(Token::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">="))), _) => sign,
                (Some(Token::Name("in")), _) => "in",
                (Some(Token::Name("not")), Some(Token::Name("in"))) => "not in",
                _ => return Ok(written),
            };
            self.next += if operator == "not in" { 2 } else { 1 };
            self.operation()?;
            let right = self.sum()?;
            written = format!("{written} {operator} {right}");
        }
    }

    fn sum(&mut self) -> Written {
        let mut written = self.concatenation()?;
        while let Some(Token::Sign(sign @ ("+" | "-"))) = self.peek() {
            self.next += 1;
            self.operation()?;
            let right = self.concatenation()?;
            written = format!("{written} {sign} {right}");
        }
        Ok(written)
    }

    fn concatenation(&mut self) -> Written {
        let mut written = self.product()?;
        while self.skip(Token::Sign("~")) {
            self.operation()?;
            let right = self.product()?;
            written = format!("_cat({written}, {right})");
        }
        Ok(written)
    }

    fn product(&mut self) -> Written {
        let mut written = self.power()?;
        while let Some(Token::Sign(sign @ ("*" | "/" | "//" | "%"))) = self.peek() {
            self.next += 1;
            self.operation()?;
            let right = self.power()?;
            written = match sign {
                "*" => format!("_mul({written}, {right})"),
                _ => format!("{written} {sign} {right}"),
            };
        }
        Ok(written)
    }

    fn power(&mut self) -> Written {
        let mut written = self.operand()?;
        while self.skip(Token::Sign("**")) {
            self.operation()?;
            let right = self.operand()?;
            written = format!("{written} ** {right}");
        }
        Ok(written)
    }

    /// A primary with its sign, subscripts, filters and tests.
    fn operand(&mut self) -> Written {
        let written = self.signed()?;
        let written = self.subscripts(written)?;
        self.filters(written)
    }

    fn signed(&mut self) -> Written {
        if self.skip(Token::Sign("-")) {
            let inner = self.nested(Self::signed)?;
            let inner = self.subscripts(inner)?;
            return Ok(format!("-{inner}"));
        }
        self.primary()
    }

    fn primary(&mut self) -> Written {
        match self.take() {
            Some(Token::Name(name)) => self.name(name),
            Some(Token::Number(digits)) => Ok(digits.to_owned()),
            Some(Token::Text(first)) => {
                let mut written = first.to_owned();
                while let Some(Token::Text(more)) = self.peek() {
                    self.next += 1;
                    write!(written, " {more}").ok();
                }
                Ok(written)
            }
            Some(Token::Sign("(")) => self.list(")").map(|inner| format!("({inner})")),
            Some(Token::Sign("[")) => self.list("]").map(|inner| format!("[{inner}]")),
            Some(Token::Sign("{")) => self.map(),
            _ => Err(self.fault_before(TemplateFaultKind::Syntax("an expression is missing here"))),
        }
    }

    fn name(&mut self, name: &'t str) -> Written {
        match name {
            "true" | "True" | "false" | "False" | "none" | "None" => Ok(name.to_owned()),
            _ if self.dialect == Dialect::Manifest && self.peek() != Some(Token::Sign("(")) => {
                self.manifest_name(name)
            }
            "trigger" => self.reference(Root::Trigger),
            "run" => self.reference(Root::Run),
            "item" => self.reference(Root::Item),
            "steps" => {
                let id = self.step()?;
                self.reference(Root::Step(id))
            }
            "credential" => Err(self.fault_before(TemplateFaultKind::Credential)),
            "and" | "or" | "not" | "if" | "else" | "in" | "is" => {
                Err(self.fault_before(TemplateFaultKind::Syntax("an expression is missing here")))
            }
            _ if FUNCTIONS.contains(&name) && self.peek() == Some(Token::Sign("(")) => {
                self.operation()?;
                Ok(format!("{name}{}", self.arguments()?))
            }
            _ => Err(self.fault_before(TemplateFaultKind::UnknownName)),
        }
    }

    fn manifest_name(&mut self, name: &str) -> Written {
        match name {
            "inputs" => self.reference(Root::Inputs),
            "credential" => self.reference(Root::Credential),
            "answer" => self.reference(Root::Answer),
            _ => Err(self.fault_before(TemplateFaultKind::UnknownManifestName)),
        }
    }

    /// `.<id>.output` behind `steps`, so that the text always says which step is read.
    fn step(&mut self) -> Result<String, SyntaxFault> {
        let id = match self.segment() {
            Some(Segment::Member(id)) => id,
            _ => return Err(self.fault_of(TemplateFaultKind::ComputedStep)),
        };
        match self.segment() {
            Some(Segment::Member(member)) if member == "output" => Ok(id),
            _ => Err(self.fault_of(TemplateFaultKind::NotAnOutput)),
        }
    }

    /// Takes `.name`, `.0`, `["name"]` or `[0]`, if the next tokens are one of these.
    fn segment(&mut self) -> Option<Segment> {
        let at = |ahead: usize| self.tokens.get(self.next + ahead).map(|spanned| spanned.token);
        let (segment, length) = match (at(0)?, at(1)?, at(2)) {
            (Token::Sign("."), Token::Name(name), _) => (Segment::Member(name.to_owned()), 2),
            (Token::Sign("."), Token::Number(index), _) => (Segment::Index(index.parse().ok()?), 2),
            (Token::Sign("["), Token::Text(text), Some(Token::Sign("]"))) => {
                (Segment::Member(plain(text)?.to_owned()), 3)
            }
            (Token::Sign("["), Token::Number(index), Some(Token::Sign("]"))) => {
                (Segment::Index(index.parse().ok()?), 3)
            }
            _ => return None,
        };
        self.next += length;
        Some(segment)
    }

    /// A path from `root` on; what follows it and is not static stays as it is written.
    fn reference(&mut self, root: Root) -> Written {
        let mut segments = Vec::new();
        while let Some(segment) = self.segment() {
            segments.push(segment);
        }
        let path = Path { root, segments };
        let known = self.references.iter().position(|known| *known == path);
        let index = known.unwrap_or(self.references.len());
        if known.is_none() {
            self.references.push(path);
        }
        Ok(format!("_r{index}"))
    }

    fn subscripts(&mut self, mut written: String) -> Written {
        loop {
            match self.peek() {
                Some(Token::Sign(".")) => {
                    self.next += 1;
                    match self.take() {
                        Some(Token::Name(name) | Token::Number(name)) => {
                            write!(written, ".{name}").ok();
                        }
                        _ => return Err(self.fault("a name or index must follow the dot")),
                    }
                }
                Some(Token::Sign("[")) => {
                    self.operation()?;
                    self.next += 1;
                    let inner = self.subscript()?;
                    write!(written, "[{inner}]").ok();
                }
                Some(Token::Sign("(")) => {
                    let what = "values have no methods; use a filter, as in `x | upper`";
                    return Err(self.fault(what));
                }
                _ => return Ok(written),
            }
        }
    }

    /// The inside of `[ ]`: an index, or a slice without a step; and the closing bracket.
    fn subscript(&mut self) -> Written {
        let mut written = String::new();
        if self.peek() != Some(Token::Sign(":")) {
            written = self.expression()?;
        }
        if self.skip(Token::Sign(":")) {
            written.push(':');
            if !matches!(self.peek(), Some(Token::Sign("]" | ":"))) {
                written.push_str(&self.expression()?);
            }
        }
        self.expect("]", "`]` is missing")?;
        Ok(written)
    }

    fn filters(&mut self, mut written: String) -> Written {
        loop {
            if self.skip(Token::Sign("|")) {
                self.operation()?;
                let name = self.known(FILTERS, TemplateFaultKind::UnknownFilter)?;
                write!(written, " | {name}").ok();
                if self.peek() == Some(Token::Sign("(")) {
                    written.push_str(&self.arguments()?);
                }
            } else if self.skip(Token::Name("is")) {
                self.operation()?;
                written.push_str(if self.skip(Token::Name("not")) { " is not " } else { " is " });
                written.push_str(self.known(TESTS, TemplateFaultKind::UnknownTest)?);
                written.push_str(&self.test_argument()?);
            } else {
                return Ok(written);
            }
        }
    }

    fn known(&mut self, names: &[&str], kind: TemplateFaultKind) -> Result<&'t str, SyntaxFault> {
        match self.peek() {
            Some(Token::Name(name)) if names.contains(&name) => {
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.fault_of(kind)),
        }
    }

    /// A test's arguments: in brackets, or one operand without them.
    fn test_argument(&mut self) -> Written {
        match self.peek() {
            Some(Token::Sign("(")) => self.arguments(),
            Some(Token::Name("and" | "or" | "else" | "is" | "if" | "in" | "not")) => {
                Ok(String::new())
            }
            Some(Token::Name(_) | Token::Text(_) | Token::Number(_) | Token::Sign("[" | "{")) => {
                let written = self.signed()?;
                Ok(format!("({})", self.subscripts(written)?))
            }
            _ => Ok(String::new()),
        }
    }

    fn arguments(&mut self) -> Written {
        self.expect("(", "`(` is missing")?;
        let mut written = String::from("(");
        while !self.skip(Token::Sign(")")) {
            if written.len() > 1 {
                self.expect(",", "`,` or `)` is missing")?;
                if self.skip(Token::Sign(")")) {
                    break;
                }
                written.push_str(", ");
            }
            if let (Some(Token::Name(name)), Some(Token::Sign("="))) =
                (self.peek(), self.peek_second())
            {
                self.next += 2;
                write!(written, "{name}=").ok();
            }
            written.push_str(&self.expression()?);
        }
        written.push(')');
        Ok(written)
    }

    /// Expressions up to `close`; a tuple of one keeps its comma.
    fn list(&mut self, close: &'static str) -> Written {
        let mut written = String::new();
        while !self.skip(Token::Sign(close)) {
            if !written.is_empty() {
                self.expect(",", "`,` or a closing bracket is missing")?;
                written.push(',');
                if self.skip(Token::Sign(close)) {
                    break;
                }
            }
            written.push_str(&self.expression()?);
        }
        Ok(written)
    }

    fn map(&mut self) -> Written {
        let mut written = String::from("{");
        while !self.skip(Token::Sign("}")) {
            if written.len() > 1 {
                self.expect(",", "`,` or `}` is missing")?;
                if self.skip(Token::Sign("}")) {
                    break;
                }
                written.push_str(", ");
            }
            let key = self.expression()?;
            self.expect(":", "`:` is missing")?;
            let value = self.expression()?;
            write!(written, "{key}: {value}").ok();
        }
        written.push('}');
        Ok(written)
    }
}

/// The inside of a string without escapes.
fn plain(quoted: &str) -> Option<&str> {
    let inner = quoted.get(1..quoted.len() - 1)?;
    (!inner.contains('\\')).then_some(inner)
}
