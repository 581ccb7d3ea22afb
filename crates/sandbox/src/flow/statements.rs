//! Statements: what they declare, and which of what they hold may run never or often.

use super::names::each_name;
use super::patterns::Target;
use super::value::Value;
use super::{Callee, Flow, GiveUp};
use swc_ecma_ast::{
    Decl, ForHead, ForStmt, IfStmt, Stmt, SwitchStmt, TryStmt, VarDecl, VarDeclKind, VarDeclOrExpr,
};

impl<'a> Flow<'a> {
    /// The statements of a block or function, whose scope is there already.
    pub(super) fn statements(&mut self, statements: &'a [Stmt]) -> Result<(), GiveUp> {
        self.hoist(statements)?;
        statements.iter().try_for_each(|statement| match statement {
            // Read by `hoist`.
            Stmt::Decl(Decl::Fn(_)) => Ok(()),
            other => self.statement(other),
        })
    }

    /// Declares what a block declares from its beginning on. Its functions can be called from there.
    fn hoist(&mut self, statements: &'a [Stmt]) -> Result<(), GiveUp> {
        let mut functions = Vec::new();
        for statement in statements {
            match statement {
                Stmt::Decl(Decl::Var(variables)) if is_lexical(variables) => {
                    for declarator in &variables.decls {
                        each_name(&declarator.name, &mut |name| self.declare(name, None));
                    }
                }
                Stmt::Decl(Decl::Fn(function)) if !function.declare => {
                    self.declare(&function.ident.sym, Some(Value::unknown()));
                    functions.push(&*function.function);
                }
                _ => {}
            }
        }
        functions.into_iter().try_for_each(|function| self.later(Callee::Function(function)))
    }

    fn block(&mut self, statements: &'a [Stmt]) -> Result<(), GiveUp> {
        self.in_scope(|flow| flow.statements(statements))
    }

    fn statement(&mut self, statement: &'a Stmt) -> Result<(), GiveUp> {
        self.nest(|flow| flow.statement_inner(statement))
    }

    fn statement_inner(&mut self, statement: &'a Stmt) -> Result<(), GiveUp> {
        match statement {
            Stmt::Empty(_) | Stmt::Debugger(_) | Stmt::Break(_) | Stmt::Continue(_) => Ok(()),
            Stmt::Block(block) => self.block(&block.stmts),
            Stmt::Expr(statement) => self.expr(&statement.expr).map(drop),
            Stmt::Throw(throw) => self.expr(&throw.arg).map(drop),
            Stmt::Return(give) => {
                let value = match &give.arg {
                    Some(value) => self.expr(value)?,
                    None => Value::constant(),
                };
                self.give_back(&value)
            }
            Stmt::If(branch) => self.branch(branch),
            Stmt::Decl(declaration) => self.declaration(declaration),
            Stmt::Try(attempt) => self.attempt(attempt),
            Stmt::Switch(switch) => self.switch(switch),
            Stmt::Labeled(labeled) => self.maybe(|flow| flow.statement(&labeled.body)),
            Stmt::While(repeated) => self.repeat(|flow| {
                flow.expr(&repeated.test)?;
                flow.statement(&repeated.body)
            }),
            Stmt::DoWhile(repeated) => self.repeat(|flow| {
                flow.statement(&repeated.body)?;
                flow.expr(&repeated.test).map(drop)
            }),
            Stmt::For(each) => self.in_scope(|flow| flow.count(each)),
            Stmt::ForOf(each) => {
                let items = self.expr(&each.right)?;
                self.over(&each.left, &each.body, |flow| flow.each(&items))
            }
            Stmt::ForIn(each) => {
                let object = self.expr(&each.right)?;
                self.over(&each.left, &each.body, |flow| flow.names_in(&object))
            }
            Stmt::With(_) => Err(GiveUp),
        }
    }

    /// A chain of `if` and `else if`, however long.
    fn branch(&mut self, mut branch: &'a IfStmt) -> Result<(), GiveUp> {
        loop {
            self.expr(&branch.test)?;
            self.maybe(|flow| flow.statement(&branch.cons))?;
            branch = match branch.alt.as_deref() {
                None => return Ok(()),
                Some(Stmt::If(next)) => next,
                Some(other) => return self.maybe(|flow| flow.statement(other)),
            };
            // Its test may not run: whatever it changes only adds up.
            if !self.is_straight() {
                continue;
            }
            return self.maybe(|flow| flow.branch(branch));
        }
    }

    fn declaration(&mut self, declaration: &'a Decl) -> Result<(), GiveUp> {
        match declaration {
            Decl::Var(variables) => self.variables(variables),
            // Not in a block: reads it where it stands; its name is hoisted as a variable.
            Decl::Fn(function) if function.declare => Ok(()),
            Decl::Fn(function) => self.later(Callee::Function(&function.function)),
            Decl::TsInterface(_) | Decl::TsTypeAlias(_) => Ok(()),
            Decl::TsModule(module) if module.declare => Ok(()),
            Decl::Class(_) | Decl::Using(_) | Decl::TsEnum(_) | Decl::TsModule(_) => Err(GiveUp),
        }
    }

    fn variables(&mut self, variables: &'a VarDecl) -> Result<(), GiveUp> {
        if variables.declare {
            return Ok(());
        }
        let lexical = is_lexical(variables);
        let target = if lexical { Target::New } else { Target::Old };
        for declarator in &variables.decls {
            match &declarator.init {
                Some(value) => {
                    let value = self.expr(value)?;
                    self.bind(&declarator.name, value, target)?;
                }
                None if lexical => self.bind(&declarator.name, Value::constant(), target)?,
                None => {}
            }
        }
        Ok(())
    }

    fn attempt(&mut self, attempt: &'a TryStmt) -> Result<(), GiveUp> {
        let handled = |flow: &mut Self| -> Result<(), GiveUp> {
            flow.block(&attempt.block.stmts)?;
            let Some(handler) = &attempt.handler else { return Ok(()) };
            flow.in_scope(|flow| {
                if let Some(param) = &handler.param {
                    each_name(param, &mut |name| flow.declare(name, None));
                    flow.bind(param, Value::unknown(), Target::New)?;
                }
                flow.block(&handler.body.stmts)
            })
        };
        match &attempt.finalizer {
            None => self.maybe(handled),
            // It runs after a `return` in the block and may change what that returned.
            Some(finalizer) => self.repeat(|flow| {
                handled(flow)?;
                flow.block(&finalizer.stmts)
            }),
        }
    }

    fn switch(&mut self, switch: &'a SwitchStmt) -> Result<(), GiveUp> {
        self.expr(&switch.discriminant)?;
        self.maybe(|flow| {
            flow.in_scope(|flow| {
                switch.cases.iter().try_for_each(|case| flow.hoist(&case.cons))?;
                for case in &switch.cases {
                    if let Some(test) = &case.test {
                        flow.expr(test)?;
                    }
                    for statement in &case.cons {
                        match statement {
                            Stmt::Decl(Decl::Fn(_)) => {}
                            other => flow.statement(other)?,
                        }
                    }
                }
                Ok(())
            })
        })
    }

    fn count(&mut self, each: &'a ForStmt) -> Result<(), GiveUp> {
        match &each.init {
            None => {}
            Some(VarDeclOrExpr::Expr(expr)) => drop(self.expr(expr)?),
            Some(VarDeclOrExpr::VarDecl(variables)) => {
                if is_lexical(variables) {
                    for declarator in &variables.decls {
                        each_name(&declarator.name, &mut |name| self.declare(name, None));
                    }
                }
                self.variables(variables)?;
            }
        }
        self.repeat(|flow| {
            if let Some(test) = &each.test {
                flow.expr(test)?;
            }
            flow.statement(&each.body)?;
            if let Some(update) = &each.update {
                flow.expr(update)?;
            }
            Ok(())
        })
    }

    /// `for (head of …) body`
    fn over(
        &mut self,
        head: &'a ForHead,
        body: &'a Stmt,
        items: impl Fn(&mut Self) -> Result<Value, GiveUp>,
    ) -> Result<(), GiveUp> {
        self.repeat(|flow| {
            flow.in_scope(|flow| {
                let item = items(flow)?;
                match head {
                    ForHead::VarDecl(variables) => {
                        let Some(declarator) = variables.decls.first() else { return Err(GiveUp) };
                        if is_lexical(variables) {
                            let pattern = &declarator.name;
                            each_name(pattern, &mut |name| flow.declare(name, None));
                            flow.bind(pattern, item, Target::New)?;
                        } else {
                            flow.bind(&declarator.name, item, Target::Old)?;
                        }
                    }
                    ForHead::Pat(pattern) => flow.bind(pattern, item, Target::Old)?,
                    ForHead::UsingDecl(_) => return Err(GiveUp),
                }
                flow.statement(body)
            })
        })
    }
}

fn is_lexical(variables: &VarDecl) -> bool {
    variables.kind != VarDeclKind::Var && !variables.declare
}
