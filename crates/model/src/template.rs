//! Templates: text with `{{ }}` holes that hold MiniJinja expressions over a run's data.
//!
//! Only expressions are known, no statements: `{{ x }}`, never `{% %}` or `{# #}`. A template that
//! is one hole and nothing else gives that value with its type; in mixed text, strings stand as
//! they are and all else as JSON. Nothing is escaped. To write `{{`, `{%` or `{#` as text, put it
//! in a string: `{{ "{{" }}`.
//!
//! An undefined value is an error, unless `| default(...)` follows; members of what is undefined
//! are undefined too. Work and size are bounded: see `engine`.

mod encode;
mod engine;
mod expression;
mod lexer;
mod path;
mod tree;
mod value;

pub use path::{Path, Root, Segment};
pub use tree::TemplatedValue;

use minijinja::{ErrorKind, Expression};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use value::{Budget, text, to_json, weight};

/// The longest `{{ }}`, in bytes.
const MAX_EXPRESSION: usize = 4096;
/// How many holes one text may have.
const MAX_HOLES: usize = 1000;

/// A template that is not one, found when a workflow is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct TemplateFault {
    /// The line within the text, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub kind: TemplateFaultKind,
}

/// What is wrong with a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFaultKind {
    /// The grammar is broken.
    #[error("{0}")]
    Syntax(&'static str),
    /// It asks for a credential.
    #[error(
        "credentials do not go into templates: choose one in the step's `credential`, \
         or call credential() in a code step"
    )]
    Credential,
    /// A name that templates do not know.
    #[error("unknown name; templates read trigger, steps, run and item")]
    UnknownName,
    /// A name that the templates of an app's manifest do not know.
    #[error("unknown name; a manifest's templates read inputs, credential and answer")]
    UnknownManifestName,
    /// A filter that there is not.
    #[error("unknown filter")]
    UnknownFilter,
    /// A test that there is not.
    #[error("unknown test")]
    UnknownTest,
    /// `steps` without the id of one.
    #[error("write the step's id out: steps.<id>.output")]
    ComputedStep,
    /// Something of a step that is not its output.
    #[error("of a step only its output can be read: steps.<id>.output")]
    NotAnOutput,
}

impl TemplateFault {
    /// The stable word of the fault.
    pub fn code(&self) -> &'static str {
        match self.kind {
            TemplateFaultKind::Syntax(_) => "template_syntax",
            TemplateFaultKind::Credential => "credential_in_template",
            TemplateFaultKind::UnknownName
            | TemplateFaultKind::UnknownManifestName
            | TemplateFaultKind::UnknownFilter
            | TemplateFaultKind::UnknownTest => "unknown_name",
            TemplateFaultKind::ComputedStep | TemplateFaultKind::NotAnOutput => "invalid_path",
        }
    }
}

/// A fault at an offset, before that is turned into a line and column.
#[derive(Debug)]
struct SyntaxFault {
    offset: usize,
    kind: TemplateFaultKind,
}

impl SyntaxFault {
    fn at(offset: usize, what: &'static str) -> Self {
        Self { offset, kind: TemplateFaultKind::Syntax(what) }
    }

    fn place(&self, text: &str) -> TemplateFault {
        let (line, column) = place(text, self.offset);
        TemplateFault { line, column, kind: self.kind }
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    (line, before.chars().rev().take_while(|c| *c != '\n').count() + 1)
}

/// Why a template gave nothing. Holds no value, only places and the author's own paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}the expression at line {line}, column {column} {reason}", Where(.pointer))]
pub struct TemplateError {
    /// Where in a tree of templates, as a JSON pointer; empty for the tree itself.
    pub pointer: String,
    /// The line of the expression within its text, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// What went wrong.
    pub reason: TemplateReason,
}

/// Why an expression gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateReason {
    /// It reads something that is not there.
    #[error("reads `{0}`, which is undefined; add `| default(...)` where it may be absent")]
    Undefined(Path),
    /// It comes to nothing, such as an `if` without `else` or an item that is not there.
    #[error("comes to an undefined value; add `else` or `| default(...)`")]
    NoValue,
    /// An operation does not fit its operands.
    #[error("applies an operation to values that it does not fit")]
    Unfit,
    /// The result is nothing that JSON can hold.
    #[error("gives a value that JSON cannot hold")]
    NotJson,
    /// The result, or what it reads, is too much.
    #[error("reads or gives more than 16 MiB")]
    TooLarge,
}

struct Where<'e>(&'e str);

impl fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

/// What templates read; holds shared values, so that making one copies nothing.
#[derive(Debug, Clone, Default)]
pub struct Context {
    trigger: Arc<Value>,
    run: Arc<Value>,
    outputs: BTreeMap<String, Arc<Value>>,
    item: Option<Arc<Value>>,
    inputs: Option<Arc<Value>>,
    credential: Option<Arc<Value>>,
    answer: Option<Arc<Value>>,
}

/// Which names a template knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A workflow's: `trigger`, `steps`, `run`, `item`.
    Workflow,
    /// An app's manifest's: `inputs`, `credential`, `answer`.
    Manifest,
}

impl Context {
    /// `trigger` is the event, `run` what is known of the run (`id`, `workflow_id`, `attempt`).
    pub fn new(trigger: Arc<Value>, run: Arc<Value>) -> Self {
        Self { trigger, run, ..Self::default() }
    }

    /// For an app's manifest: the action's inputs and the credential's fields.
    pub fn of_action(inputs: Arc<Value>, credential: Arc<Value>) -> Self {
        Self { inputs: Some(inputs), credential: Some(credential), ..Self::default() }
    }

    /// Sets what the service answered: `status`, `headers`, `body`.
    pub fn set_answer(&mut self, answer: Arc<Value>) {
        self.answer = Some(answer);
    }

    /// Sets what `run` is, as the attempt is another one at each retry.
    pub fn set_run(&mut self, run: Arc<Value>) {
        self.run = run;
    }

    /// Adds a step's output; a step that was skipped or failed is left out.
    pub fn set_output(&mut self, step: impl Into<String>, output: Arc<Value>) {
        self.outputs.insert(step.into(), output);
    }

    /// Sets the item that a `for_each` step is at.
    pub fn set_item(&mut self, item: Arc<Value>) {
        self.item = Some(item);
    }

    /// What stands at a path, if anything does.
    pub fn lookup(&self, path: &Path) -> Option<&Value> {
        let start = match &path.root {
            Root::Trigger => Some(&self.trigger),
            Root::Run => Some(&self.run),
            Root::Step(id) => self.outputs.get(id),
            Root::Item => self.item.as_ref(),
            Root::Inputs => self.inputs.as_ref(),
            Root::Credential => self.credential.as_ref(),
            Root::Answer => self.answer.as_ref(),
        };
        path.lookup(start?)
    }
}

/// A compiled template.
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

enum Piece {
    Text(String),
    Hole(Hole),
}

/// One `{{ }}`.
struct Hole {
    /// Where it begins in the text.
    offset: usize,
    references: Vec<Path>,
    /// `None` where the hole is nothing but its one path.
    expression: Option<Expression<'static, 'static>>,
}

impl Template {
    /// Compiles a text; one without holes is a template that gives itself.
    ///
    /// # Errors
    /// The first fault of the text.
    pub fn compile(source: &str) -> Result<Self, TemplateFault> {
        Self::compile_in(Dialect::Workflow, source)
    }

    /// Like [`Template::compile`], with the names of that dialect.
    ///
    /// # Errors
    /// As there.
    pub fn compile_in(dialect: Dialect, source: &str) -> Result<Self, TemplateFault> {
        let pieces = compile(dialect, source).map_err(|fault| fault.place(source))?;
        Ok(Self { source: source.to_owned(), pieces })
    }

    /// The text as its author wrote it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether there is no hole in it.
    pub fn is_literal(&self) -> bool {
        !self.pieces.iter().any(|piece| matches!(piece, Piece::Hole(_)))
    }

    /// The text before the first hole.
    pub fn literal_prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Whether it is one hole and nothing else, and so gives a value of any type.
    pub fn is_lone_hole(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Hole(_)])
    }

    /// The path, where the template is one hole that holds a static path and nothing else.
    pub fn lone_path(&self) -> Option<&Path> {
        match self.pieces.as_slice() {
            [Piece::Hole(Hole { references, expression: None, .. })] => references.first(),
            _ => None,
        }
    }

    /// Every path that it reads, as far as the text says.
    pub fn references(&self) -> impl Iterator<Item = &Path> {
        self.pieces.iter().flat_map(|piece| match piece {
            Piece::Text(_) => [].as_slice(),
            Piece::Hole(hole) => hole.references.as_slice(),
        })
    }

    /// Fills the holes.
    ///
    /// # Errors
    /// The first expression that gives nothing.
    pub fn render(&self, context: &Context) -> Result<Value, TemplateError> {
        self.render_within(context, &mut Budget::full())
    }

    /// Like [`Template::render`], always as text.
    ///
    /// # Errors
    /// As there.
    pub fn render_text(&self, context: &Context) -> Result<String, TemplateError> {
        let mut out = String::new();
        text(&self.render(context)?, &mut out);
        Ok(out)
    }

    /// Like [`Template::render_text`], with the text of each hole as `write` gives it, which is told
    /// what the hole reads. `None` ends it.
    ///
    /// # Errors
    /// As there.
    pub fn render_with(
        &self,
        context: &Context,
        write: &mut dyn FnMut(&[Path], String) -> Option<String>,
    ) -> Result<Option<String>, TemplateError> {
        let (mut out, mut budget) = (String::new(), Budget::full());
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => out.push_str(literal),
                Piece::Hole(hole) => {
                    let value = hole.evaluate(context, &mut budget);
                    let mut written = String::new();
                    text(&value.map_err(|reason| self.error(hole, reason))?, &mut written);
                    let Some(written) = write(&hole.references, written) else { return Ok(None) };
                    out.push_str(&written);
                }
            }
        }
        Ok(Some(out))
    }

    fn render_within(
        &self,
        context: &Context,
        budget: &mut Budget,
    ) -> Result<Value, TemplateError> {
        if let [Piece::Hole(hole)] = self.pieces.as_slice() {
            return hole.evaluate(context, budget).map_err(|reason| self.error(hole, reason));
        }
        let mut out = String::with_capacity(self.source.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => out.push_str(literal),
                Piece::Hole(hole) => {
                    let value = hole.evaluate(context, budget);
                    text(&value.map_err(|reason| self.error(hole, reason))?, &mut out);
                }
            }
        }
        Ok(Value::String(out))
    }

    fn error(&self, hole: &Hole, reason: TemplateReason) -> TemplateError {
        let (line, column) = place(&self.source, hole.offset);
        TemplateError { pointer: String::new(), line, column, reason }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} pieces)", self.pieces.len())
    }
}

impl Hole {
    fn evaluate(&self, context: &Context, budget: &mut Budget) -> Result<Value, TemplateReason> {
        let Some(expression) = &self.expression else {
            return self.copy(context, budget);
        };
        let mut variables = Vec::with_capacity(self.references.len());
        for (index, path) in self.references.iter().enumerate() {
            let value = engine::import(context.lookup(path), budget);
            let value = value.map_err(|error| self.reason(&error, context))?;
            variables.push((format!("_r{index}"), value));
        }
        let result = expression.eval(minijinja::Value::from_pairs(variables));
        let result = result.and_then(|value| to_json(&value, budget));
        result.map_err(|error| self.reason(&error, context))
    }

    /// The value of a lone path, without a detour through MiniJinja.
    fn copy(&self, context: &Context, budget: &mut Budget) -> Result<Value, TemplateReason> {
        let found = self.references.first().and_then(|path| context.lookup(path));
        let value = found.ok_or_else(|| self.undefined(context))?;
        budget.spend(weight(value)).map_err(|error| self.reason(&error, context))?;
        Ok(value.clone())
    }

    /// MiniJinja's own texts can hold values, so only the kind of its error is kept.
    fn reason(&self, error: &minijinja::Error, context: &Context) -> TemplateReason {
        match error.kind() {
            ErrorKind::UndefinedError => self.undefined(context),
            ErrorKind::OutOfFuel => TemplateReason::TooLarge,
            ErrorKind::BadSerialization | ErrorKind::NonKey => TemplateReason::NotJson,
            _ => TemplateReason::Unfit,
        }
    }

    fn undefined(&self, context: &Context) -> TemplateReason {
        let missing = self.references.iter().find(|path| context.lookup(path).is_none());
        missing.cloned().map_or(TemplateReason::NoValue, TemplateReason::Undefined)
    }
}

fn compile(dialect: Dialect, source: &str) -> Result<Vec<Piece>, SyntaxFault> {
    let mut pieces = Vec::new();
    let mut holes = 0;
    let mut offset = 0;
    while let Some(found) = source.get(offset..).and_then(|rest| rest.find("{{")) {
        let start = offset + found;
        push_text(source, offset, start, &mut pieces)?;
        let (tokens, end) = lexer::hole(source, start + 2)?;
        holes += 1;
        if holes > MAX_HOLES {
            return Err(SyntaxFault::at(start, "the text holds more than 1000 expressions"));
        }
        pieces.push(Piece::Hole(hole(source, dialect, (start, end), &tokens)?));
        offset = end;
    }
    push_text(source, offset, source.len(), &mut pieces)?;
    Ok(pieces)
}

fn push_text(
    source: &str,
    from: usize,
    to: usize,
    out: &mut Vec<Piece>,
) -> Result<(), SyntaxFault> {
    let text = source.get(from..to).unwrap_or_default();
    for (sign, what) in [
        ("{%", "only {{ }} expressions are known; write {{ \"{%\" }} for the text `{%`"),
        ("{#", "only {{ }} expressions are known; write {{ \"{#\" }} for the text `{#`"),
    ] {
        if let Some(at) = text.find(sign) {
            return Err(SyntaxFault::at(from + at, what));
        }
    }
    if !text.is_empty() {
        out.push(Piece::Text(text.to_owned()));
    }
    Ok(())
}

fn hole(
    source: &str,
    dialect: Dialect,
    (start, end): (usize, usize),
    tokens: &[lexer::Spanned<'_>],
) -> Result<Hole, SyntaxFault> {
    let inner = source.get(start + 2..end - 2).unwrap_or_default();
    if inner.len() > MAX_EXPRESSION {
        return Err(SyntaxFault::at(start, "the expression is longer than 4096 bytes"));
    }
    if inner.starts_with(['-', '+']) || inner.ends_with(['-', '+']) {
        let what = "`{{-` and `-}}` are not known; for a negative number write `{{ -x }}`";
        return Err(SyntaxFault::at(start, what));
    }
    let parsed = expression::parse(tokens, start + 2, dialect)?;
    let compiled = parsed.source.map(|text| engine::ENGINE.compile_expression_owned(text));
    let expression =
        compiled.transpose().map_err(|_| SyntaxFault::at(start + 2, "not a valid expression"))?;
    Ok(Hole { offset: start, references: parsed.references, expression })
}

/// Whether a `when` lets its step run: MiniJinja's and JavaScript's common sense, except that empty
/// arrays and objects say no. False are `false`, `null`, `0`, `""`, `[]` and `{}`; all else is
/// true, so the text `"false"` is.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}
