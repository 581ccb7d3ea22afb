//! From an author's source to what QuickJS runs: types stripped, keys found, one function; and
//! what that returns.
//!
//! Runs in a step's process, because hostile sources can overflow the parser's stack.

use crate::flow;
use crate::shape::Shape;
use crate::step::{Compiled, KeyLiteral, Language};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use swc_common::errors::{DiagnosticBuilder, Emitter, Handler};
use swc_common::sync::Lrc;
use swc_common::{FileName, SourceMap, Span, Spanned};
use swc_ecma_ast::{
    CallExpr, Callee, EsVersion, Expr, ExprOrSpread, Lit, MemberProp, NewExpr, ObjectLit, Prop,
    PropName, PropOrSpread, Script, Stmt,
};
use swc_ecma_parser::{EsSyntax, Parser, StringInput, Syntax, TsSyntax, lexer::Lexer};
use swc_ecma_visit::{Visit, VisitWith};

/// Before the source, on its first line, so that its lines keep their numbers.
pub(crate) const BEFORE: &str = "(async function () {";
/// After the source, on a line of its own, so that a last comment ends.
pub(crate) const AFTER: &str = "\n})";

/// What is wrong with a source, at the author's position.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) message: String,
}

/// Compiles a source. `check` says whether QuickJS takes the result too.
pub(crate) fn compile(
    source: &str,
    language: Language,
    check: impl Fn(&str) -> Result<(), (Option<u32>, String)>,
) -> Result<Compiled, Fault> {
    let wrapped = format!("{BEFORE}{source}{AFTER}");
    let place = Place { source, start: 0 };
    let (script, start) =
        parse(&wrapped, language).map_err(|(at, message)| place.fault(at, message))?;
    let place = Place { source, start };
    if !is_one_function(&script, start, wrapped.len()) {
        let message = "the source ends its own function: there is a `}` too many".to_owned();
        return Err(Fault { line: 1, column: 1, message });
    }
    let mut finder = Finder::default();
    script.visit_with(&mut finder);
    if let Some(span) = finder.import {
        let message = "import() is not available: code steps have no modules".to_owned();
        return Err(place.fault(span.lo.0, message));
    }
    let javascript = match language {
        Language::Javascript => wrapped,
        Language::Typescript => strip(wrapped).map_err(|(at, message)| place.fault(at, message))?,
    };
    check(&javascript).map_err(|(line, message)| place.line_fault(line, message))?;
    let keys: BTreeSet<_> = finder.found.iter().map(|(key, _)| key.clone()).collect();
    let literals = finder.found.into_iter().map(|(key, span)| place.literal(key, span)).collect();
    let returns = body(&script).map_or(Shape::Unknown, flow::returns);
    Ok(Compiled { javascript, keys: keys.into_iter().collect(), literals, returns })
}

/// The statements of the one function.
pub(crate) fn body(script: &Script) -> Option<&[Stmt]> {
    let [Stmt::Expr(statement)] = script.body.as_slice() else { return None };
    let Expr::Fn(function) = bare(&statement.expr) else { return None };
    Some(&function.function.body.as_ref()?.stmts)
}

/// Finds the author's line and column for a position in the wrapped source.
struct Place<'a> {
    source: &'a str,
    /// Position of the wrapped source's first byte.
    start: u32,
}

impl Place<'_> {
    fn fault(&self, at: u32, message: String) -> Fault {
        let offset = at.saturating_sub(self.start.max(1)) as usize;
        let offset = self.source.floor_char_boundary(offset.saturating_sub(BEFORE.len()));
        let before = self.source.get(..offset).unwrap_or(self.source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Fault { line: number(line), column: number(column), message }
    }

    fn literal(&self, key: String, span: Span) -> KeyLiteral {
        let before = self.start as usize + BEFORE.len();
        let [start, end] = [span.lo, span.hi].map(|at| (at.0 as usize).saturating_sub(before));
        KeyLiteral { key, start, end }
    }

    fn line_fault(&self, line: Option<u32>, message: String) -> Fault {
        let last = u32::try_from(self.source.lines().count()).unwrap_or(u32::MAX).max(1);
        Fault { line: line.unwrap_or(1).clamp(1, last), column: 1, message }
    }
}

fn syntax(language: Language) -> Syntax {
    match language {
        Language::Javascript => Syntax::Es(EsSyntax::default()),
        Language::Typescript => Syntax::Typescript(TsSyntax::default()),
    }
}

/// The syntax tree and the position of its first byte, or where and what is wrong.
pub(crate) fn parse(wrapped: &str, language: Language) -> Result<(Script, u32), (u32, String)> {
    let map: Lrc<SourceMap> = Lrc::default();
    let file = map.new_source_file(FileName::Anon.into(), wrapped.to_owned());
    let lexer = Lexer::new(syntax(language), EsVersion::latest(), StringInput::from(&*file), None);
    let mut parser = Parser::new_from(lexer);
    let script = parser.parse_script();
    let first = parser.take_errors().into_iter().next();
    match (script, first) {
        (Ok(script), None) => Ok((script, file.start_pos.0)),
        (Err(error), _) | (Ok(_), Some(error)) => {
            Err((error.span().lo.0, error.kind().msg().into_owned()))
        }
    }
}

/// Whether the whole is still the one function that was put around the source.
fn is_one_function(script: &Script, start: u32, length: usize) -> bool {
    let [Stmt::Expr(statement)] = script.body.as_slice() else { return false };
    let Expr::Paren(paren) = &*statement.expr else { return false };
    let Expr::Fn(function) = &*paren.expr else { return false };
    let end = start as usize + length;
    function.function.is_async
        && paren.span.lo.0 == start
        && paren.span.hi.0 as usize == end
        && function.span().hi.0 as usize == end - 1
}

/// Leaves types out; every other character stays where it was.
fn strip(wrapped: String) -> Result<String, (u32, String)> {
    let map: Lrc<SourceMap> = Lrc::default();
    let first = Arc::new(Mutex::new(None));
    let emitter = FirstDiagnostic(Arc::clone(&first));
    let handler = Handler::with_emitter(true, false, Box::new(emitter));
    let options = swc_ts_fast_strip::Options {
        module: Some(false),
        parser: TsSyntax::default(),
        ..Default::default()
    };
    let stripped = swc_ts_fast_strip::operate(&map, &handler, wrapped, options);
    stripped.map(|output| output.code).map_err(|error| {
        let diagnostic = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        diagnostic.unwrap_or((0, error.message))
    })
}

/// Keeps where and what the first complaint was.
struct FirstDiagnostic(Arc<Mutex<Option<(u32, String)>>>);

impl Emitter for FirstDiagnostic {
    fn emit(&mut self, diagnostic: &mut DiagnosticBuilder<'_>) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = diagnostic.span.primary_span().map_or(0, |span| span.lo.0);
        first.get_or_insert_with(|| (at, diagnostic.message()));
    }
}

/// Collects the credential keys that stand as literals, and the first `import()`.
#[derive(Default)]
struct Finder {
    found: Vec<(String, Span)>,
    import: Option<Span>,
}

impl Finder {
    fn add(&mut self, key: Option<&Expr>) {
        let found = key.and_then(|key| Some((literal(key)?, bare(key).span())));
        self.found.extend(found);
    }

    /// The `credential` member of an options object.
    fn add_option(&mut self, options: Option<&ExprOrSpread>) {
        let Some(Expr::Object(ObjectLit { props, .. })) =
            options.map(|argument| bare(&argument.expr))
        else {
            return;
        };
        for prop in props {
            let PropOrSpread::Prop(prop) = prop else { continue };
            let Prop::KeyValue(pair) = &**prop else { continue };
            let named = match &pair.key {
                PropName::Ident(name) => name.sym == *"credential",
                PropName::Str(name) => name.value == *"credential",
                _ => false,
            };
            if named {
                self.add(Some(&pair.value));
            }
        }
    }
}

impl Visit for Finder {
    fn visit_call_expr(&mut self, call: &CallExpr) {
        match &call.callee {
            Callee::Import(_) => {
                self.import.get_or_insert(call.span);
            }
            Callee::Expr(callee) => match bare(callee) {
                Expr::Ident(name) if name.sym == *"credential" => {
                    self.add(call.args.first().map(|argument| &*argument.expr));
                }
                Expr::Ident(name) if name.sym == *"fetch" => self.add_option(call.args.get(1)),
                Expr::Member(member) => {
                    let of_credential =
                        matches!(bare(&member.obj), Expr::Ident(name) if name.sym == *"credential");
                    if of_credential && matches!(member.prop, MemberProp::Ident(_)) {
                        self.add(call.args.first().map(|argument| &*argument.expr));
                    }
                }
                _ => {}
            },
            Callee::Super(_) => {}
        }
        call.visit_children_with(self);
    }

    fn visit_new_expr(&mut self, new: &NewExpr) {
        if matches!(bare(&new.callee), Expr::Ident(name) if name.sym == *"Request") {
            self.add_option(new.args.as_ref().and_then(|arguments| arguments.get(1)));
        }
        new.visit_children_with(self);
    }
}

/// The expression inside parentheses and types.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => bare(&inner.expr),
        Expr::TsAs(inner) => bare(&inner.expr),
        Expr::TsNonNull(inner) => bare(&inner.expr),
        Expr::TsConstAssertion(inner) => bare(&inner.expr),
        Expr::TsSatisfies(inner) => bare(&inner.expr),
        other => other,
    }
}

/// The text of a string literal, or of a template without holes.
pub(crate) fn literal(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Lit(Lit::Str(text)) => text.value.as_str().map(str::to_owned),
        Expr::Tpl(template) if template.exprs.is_empty() => {
            let part = template.quasis.first()?;
            part.cooked.as_ref().and_then(|text| text.as_str()).map(str::to_owned)
        }
        _ => None,
    }
}
