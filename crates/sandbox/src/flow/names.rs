//! The names of a source: which ones change, which ones are functions, what a function hoists.

use std::collections::{BTreeMap, BTreeSet};
use swc_ecma_ast::{
    ArrowExpr, AssignExpr, AssignTarget, AssignTargetPat, CatchClause, Decl, Expr, FnDecl, FnExpr,
    ForHead, ForInStmt, ForOfStmt, Function, ObjectPatProp, Pat, SimpleAssignTarget, Stmt,
    UpdateExpr, VarDecl, VarDeclKind, VarDeclarator,
};
use swc_ecma_visit::{Visit, VisitWith};

/// What holds for each variable of a name, wherever in the source it is declared.
#[derive(Default)]
pub(super) struct Names {
    /// How often it is declared, and how often as a function.
    declared: BTreeMap<String, (usize, usize)>,
    /// Declared by `var` or `function`, which may share one variable with another declaration.
    shared: BTreeSet<String>,
    /// Given a value elsewhere than where it is declared.
    reassigned: BTreeSet<String>,
    /// Given a value by a function inside the step's own.
    reassigned_inside: BTreeSet<String>,
    /// How many functions lie around what is being read.
    depth: usize,
}

impl Names {
    pub(super) fn of(body: &[Stmt]) -> Self {
        let mut names = Self::default();
        body.visit_with(&mut names);
        names
    }

    /// Whether it may hold different values at different times.
    pub(super) fn changes(&self, name: &str) -> bool {
        let several = self.declared.get(name).is_some_and(|(times, _)| *times > 1);
        (several && self.shared.contains(name)) || self.reassigned.contains(name)
    }

    /// Whether a function other than the step's own gives it a value, at whatever time.
    pub(super) fn changes_inside(&self, name: &str) -> bool {
        self.reassigned_inside.contains(name)
    }

    /// Whether it is always a function whose body stands in the source.
    pub(super) fn is_function(&self, name: &str) -> bool {
        let only = self.declared.get(name).is_some_and(|(times, functions)| times == functions);
        only && !self.reassigned.contains(name)
    }

    fn declare(&mut self, name: &str, function: bool) {
        let (times, functions) = self.declared.entry(name.to_owned()).or_default();
        *times += 1;
        *functions += usize::from(function);
    }

    fn declare_all(&mut self, pattern: &Pat) {
        each_name(pattern, &mut |name| self.declare(name, false));
    }

    fn assign(&mut self, name: &str) {
        self.reassigned.insert(name.to_owned());
        if self.depth > 0 {
            self.reassigned_inside.insert(name.to_owned());
        }
    }

    fn assign_all(&mut self, pattern: &Pat) {
        each_name(pattern, &mut |name| self.assign(name));
    }

    fn head(&mut self, head: &ForHead) {
        if let ForHead::Pat(pattern) = head {
            self.assign_all(pattern);
        }
    }
}

impl Visit for Names {
    fn visit_var_declarator(&mut self, declarator: &VarDeclarator) {
        match (&declarator.name, declarator.init.as_deref()) {
            (Pat::Ident(name), Some(Expr::Arrow(_) | Expr::Fn(_))) => {
                self.declare(&name.id.sym, true);
            }
            (pattern, _) => self.declare_all(pattern),
        }
        declarator.visit_children_with(self);
    }

    fn visit_var_decl(&mut self, variables: &VarDecl) {
        if variables.declare {
            return;
        }
        if variables.kind == VarDeclKind::Var {
            let patterns = variables.decls.iter().map(|declarator| &declarator.name);
            patterns.for_each(|pattern| {
                each_name(pattern, &mut |name| {
                    self.shared.insert(name.to_owned());
                });
            });
        }
        variables.visit_children_with(self);
    }

    fn visit_fn_decl(&mut self, declaration: &FnDecl) {
        if !declaration.declare && declaration.function.body.is_some() {
            self.declare(&declaration.ident.sym, true);
            self.shared.insert(declaration.ident.sym.to_string());
        }
        declaration.visit_children_with(self);
    }

    fn visit_fn_expr(&mut self, function: &FnExpr) {
        if let Some(name) = &function.ident {
            self.declare(&name.sym, true);
        }
        function.visit_children_with(self);
    }

    fn visit_function(&mut self, function: &Function) {
        function.params.iter().for_each(|param| self.declare_all(&param.pat));
        self.depth += 1;
        function.visit_children_with(self);
        self.depth -= 1;
    }

    fn visit_arrow_expr(&mut self, arrow: &ArrowExpr) {
        arrow.params.iter().for_each(|param| self.declare_all(param));
        self.depth += 1;
        arrow.visit_children_with(self);
        self.depth -= 1;
    }

    fn visit_catch_clause(&mut self, clause: &CatchClause) {
        clause.param.iter().for_each(|param| self.declare_all(param));
        clause.visit_children_with(self);
    }

    fn visit_for_in_stmt(&mut self, each: &ForInStmt) {
        self.head(&each.left);
        each.visit_children_with(self);
    }

    fn visit_for_of_stmt(&mut self, each: &ForOfStmt) {
        self.head(&each.left);
        each.visit_children_with(self);
    }

    fn visit_assign_expr(&mut self, assign: &AssignExpr) {
        match &assign.left {
            AssignTarget::Simple(target) => {
                if let Some(name) = simple_name(target) {
                    self.assign(name);
                }
            }
            AssignTarget::Pat(AssignTargetPat::Array(pattern)) => {
                pattern.elems.iter().flatten().for_each(|item| self.assign_all(item));
            }
            AssignTarget::Pat(AssignTargetPat::Object(pattern)) => {
                each_name_of(&pattern.props, &mut |name| self.assign(name));
            }
            AssignTarget::Pat(AssignTargetPat::Invalid(_)) => {}
        }
        assign.visit_children_with(self);
    }

    fn visit_update_expr(&mut self, update: &UpdateExpr) {
        if let Expr::Ident(name) = crate::compile::bare(&update.arg) {
            self.assign(&name.sym);
        }
        update.visit_children_with(self);
    }
}

/// The name that such a target sets, where it is one.
fn simple_name(target: &SimpleAssignTarget) -> Option<&str> {
    let inner = match target {
        SimpleAssignTarget::Ident(name) => return Some(&name.id.sym),
        SimpleAssignTarget::Paren(inner) => &inner.expr,
        SimpleAssignTarget::TsAs(inner) => &inner.expr,
        SimpleAssignTarget::TsSatisfies(inner) => &inner.expr,
        SimpleAssignTarget::TsNonNull(inner) => &inner.expr,
        SimpleAssignTarget::TsTypeAssertion(inner) => &inner.expr,
        _ => return None,
    };
    match crate::compile::bare(inner) {
        Expr::Ident(name) => Some(&name.sym),
        _ => None,
    }
}

/// Every name that a pattern gives a value.
pub(super) fn each_name<'a>(pattern: &'a Pat, found: &mut dyn FnMut(&'a str)) {
    match pattern {
        Pat::Ident(name) => found(&name.id.sym),
        Pat::Array(array) => array.elems.iter().flatten().for_each(|item| each_name(item, found)),
        Pat::Rest(rest) => each_name(&rest.arg, found),
        Pat::Object(object) => each_name_of(&object.props, found),
        Pat::Assign(assign) => each_name(&assign.left, found),
        Pat::Expr(expr) => {
            if let Expr::Ident(name) = crate::compile::bare(expr) {
                found(&name.sym);
            }
        }
        Pat::Invalid(_) => {}
    }
}

fn each_name_of<'a>(props: &'a [ObjectPatProp], found: &mut dyn FnMut(&'a str)) {
    for prop in props {
        match prop {
            ObjectPatProp::KeyValue(pair) => each_name(&pair.value, found),
            ObjectPatProp::Assign(name) => found(&name.key.id.sym),
            ObjectPatProp::Rest(rest) => each_name(&rest.arg, found),
        }
    }
}

/// The names that a function's statements declare for the whole function: `var`, and (where it says
/// so) functions, in blocks too.
pub(super) fn hoisted(body: &[Stmt]) -> BTreeMap<String, bool> {
    let mut hoisted = Hoisted::default();
    body.visit_with(&mut hoisted);
    hoisted.0
}

#[derive(Default)]
struct Hoisted(BTreeMap<String, bool>);

impl Visit for Hoisted {
    fn visit_var_decl(&mut self, variables: &VarDecl) {
        if variables.kind == VarDeclKind::Var && !variables.declare {
            for declarator in &variables.decls {
                each_name(&declarator.name, &mut |name| {
                    self.0.entry(name.to_owned()).or_default();
                });
            }
        }
        variables.visit_children_with(self);
    }

    fn visit_decl(&mut self, declaration: &Decl) {
        match declaration {
            Decl::Fn(function) => {
                if !function.declare {
                    self.0.insert(function.ident.sym.to_string(), true);
                }
            }
            other => other.visit_children_with(self),
        }
    }

    fn visit_function(&mut self, _: &Function) {}

    fn visit_arrow_expr(&mut self, _: &ArrowExpr) {}
}
