//! QuickJS with its built-ins, made once in the zygote, and one step's run in a forked process.
#![expect(unsafe_code, reason = "the errors of jobs are only to be had from QuickJS itself")]

use crate::compile;
use crate::confine;
use crate::host::Host;
use crate::memory::{self, Bounded};
use crate::natives;
use crate::step::Compiled;
use crate::wire::{FromStep, RunHeader, ToStep};
use bytes::Bytes;
use rquickjs::context::EvalOptions;
use rquickjs::{
    ArrayBuffer, CatchResultExt, Context, Ctx, Error, Function, IntoJs, Object, Persistent,
    Runtime, Value, qjs,
};
use std::fs::File;
use std::io;
use std::rc::Rc;

/// The files of built-ins, in the order they need each other.
const FILES: [(&str, &str); 9] = [
    ("base", include_str!("js/base.js")),
    ("inspect", include_str!("js/inspect.js")),
    ("main", include_str!("js/main.js")),
    ("timers", include_str!("js/timers.js")),
    ("encoding", include_str!("js/encoding.js")),
    ("url", include_str!("js/url.js")),
    ("crypto", include_str!("js/crypto.js")),
    ("fetch", include_str!("js/fetch.js")),
    ("credential", include_str!("js/credential.js")),
];
/// The file name of the author's source in stacks; `main.js` looks for it.
const STEP: &str = "step";
/// Stack that scripts may use, well under the 8 MiB that a process usually has.
const STACK_BYTES: usize = 1 << 20;
/// Garbage that may gather before it is looked for: short steps end before that.
const GARBAGE_BYTES: usize = 4 << 20;
/// Memory added after a failure, so that it can be told.
const LAST_WORDS_BYTES: usize = 4 << 20;
/// Address space a step needs beside its script's memory: frames, and copies of bodies and output.
const PROCESS_BYTES: u64 = 192 << 20;
/// Said where the script's own error cannot tell it.
const OUT_OF_MEMORY: &str = "the code used all of its memory";
/// A step like many, for `Engine::warm_up`.
const WARM_UP: &str = "(async function () {const { rows } = await this;
    return { rows, count: rows.length }\n})";
const WARM_UP_JSON: &str = r#"{"rows":[{"n":1},{"n":2,"text":"x"}]}"#;
/// Address space of a compilation.
const COMPILE_BYTES: u64 = 1 << 30;
/// Processor time of a compilation.
const COMPILE_SECONDS: u64 = 10;

/// A QuickJS runtime with everything a script may use.
pub(crate) struct Engine {
    host: Rc<Host>,
    context: Context,
    hooks: Persistent<Object<'static>>,
    /// Bytes of QuickJS memory that the built-ins take.
    built_ins: usize,
}

/// The functions of the JavaScript files that the event loop calls.
struct Hooks<'js> {
    start: Function<'js>,
    fail: Function<'js>,
    until_timer: Function<'js>,
    run_timer: Function<'js>,
    open_fetches: Function<'js>,
    fetched: Function<'js>,
    refused: Function<'js>,
    warm_up: Function<'js>,
}

impl<'js> Hooks<'js> {
    fn of(hooks: &Object<'js>) -> rquickjs::Result<Self> {
        Ok(Self {
            start: hooks.get("start")?,
            fail: hooks.get("fail")?,
            until_timer: hooks.get("untilTimer")?,
            run_timer: hooks.get("runTimer")?,
            open_fetches: hooks.get("openFetches")?,
            fetched: hooks.get("fetched")?,
            refused: hooks.get("refused")?,
            warm_up: hooks.get("warmUp")?,
        })
    }
}

impl Engine {
    /// Makes the runtime and evaluates the built-ins. Nothing here may draw a random number: every
    /// process forked from here would draw the same.
    pub(crate) fn prepare() -> Result<Self, Error> {
        let runtime = Runtime::new_with_alloc(Bounded)?;
        runtime.set_max_stack_size(STACK_BYTES);
        let context = Context::full(&runtime)?;
        let host = Rc::new(Host::new());
        let hooks = context.with(|ctx| {
            let object = natives::host_object(&ctx, &host)?;
            let shared = Object::new(ctx.clone())?;
            for (name, source) in FILES {
                let install: Function<'_> = eval(&ctx, source, &format!("keyward:{name}"))?;
                install.call::<_, ()>((object.clone(), shared.clone()))?;
            }
            let hooks: Object<'_> = shared.get("hooks")?;
            Ok::<_, Error>(Persistent::save(&ctx, hooks))
        })?;
        runtime.run_gc();
        runtime.set_gc_threshold(GARBAGE_BYTES);
        context.with(|ctx| fill_arenas(&ctx));
        memory::fill_holes();
        let built_ins = memory::used();
        Ok(Self { host, context, hooks, built_ins })
    }

    /// Goes once through what every step goes through, while nobody waits: the kernel copies and
    /// maps the pages that this touches, which takes longer than a short step.
    pub(crate) fn warm_up(&self) {
        self.context.with(|ctx| {
            // Nothing depends on it; a fault that matters shows again in the step.
            let warmed = self.hooks.clone().restore(&ctx).and_then(|hooks| {
                let body: Function<'_> = eval(&ctx, WARM_UP, STEP)?;
                let hooks = Hooks::of(&hooks)?;
                hooks.warm_up.call::<_, Value<'_>>((body, ctx.json_parse(WARM_UP_JSON)?))
            });
            drop(warmed);
            drop(self.run_jobs(&ctx).catch(&ctx));
        });
    }

    /// Serves the one request that arrives on this socket.
    pub(crate) fn serve(&self, socket: File, address_space: u64) -> io::Result<()> {
        self.host.connect(socket);
        let (header, body) = self.host.receive()?;
        match header {
            ToStep::Run(run) => {
                let input = body.len() as u64 * 3;
                let memory = run.memory_bytes as u64;
                let most = address_space.saturating_add(memory + PROCESS_BYTES + input);
                confine::limit_step(most, run.cpu_seconds)?;
                self.host.begin(&run, body)?;
                self.context.with(|ctx| self.run(&ctx, &run))?;
            }
            ToStep::Compile { language } => {
                confine::limit_step(address_space + COMPILE_BYTES, COMPILE_SECONDS)?;
                let source = String::from_utf8(body.into()).map_err(io::Error::other)?;
                let check = |javascript: &str| self.context.with(|ctx| check(&ctx, javascript));
                match compile::compile(&source, language, check) {
                    Ok(compiled) => {
                        let Compiled { javascript, keys, literals, returns } = compiled;
                        let header = FromStep::Compiled { keys, literals, returns };
                        self.host.queue(&header, javascript.as_bytes());
                    }
                    Err(error) => {
                        let compile::Fault { line, column, message } = error;
                        self.host.queue(&FromStep::Refused { line, column, message }, &[]);
                    }
                }
            }
            ToStep::Fetched { .. } | ToStep::Answered { .. } => {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        self.host.flush()
    }

    fn run(&self, ctx: &Ctx<'_>, run: &RunHeader) -> io::Result<()> {
        memory::set_limit(self.built_ins + run.memory_bytes);
        let hooks = self.hooks.clone().restore(ctx).and_then(|hooks| Hooks::of(&hooks));
        let hooks = hooks.map_err(io::Error::other)?;
        let javascript = self.host.part(0);
        match eval::<Function<'_>>(ctx, &javascript, STEP).catch(ctx) {
            Ok(body) => {
                let started = hooks.start.call::<_, Value<'_>>((body,)).map(drop);
                self.keep_going(ctx, &hooks, started)?;
            }
            Err(error) => self.tell(ctx, &hooks, error),
        }
        Ok(())
    }

    /// Runs jobs, timers and answers until the step has said how it ended.
    fn keep_going<'js>(
        &self,
        ctx: &Ctx<'js>,
        hooks: &Hooks<'js>,
        mut last: rquickjs::Result<()>,
    ) -> io::Result<()> {
        loop {
            // What fails here is the built-ins' own code, for want of memory or stack.
            if let Err(error) = last.catch(ctx) {
                self.tell(ctx, hooks, error);
            }
            if let Err(error) = self.run_jobs(ctx).catch(ctx) {
                self.tell(ctx, hooks, error);
            }
            if self.host.is_finished() {
                return Ok(());
            }
            last = match self.wait(hooks).catch(ctx) {
                Ok(Wake::Timer) => hooks.run_timer.call(()),
                Ok(Wake::Frame) => {
                    let (header, body) = self.host.receive()?;
                    deliver(ctx, hooks, header, &body)
                }
                Ok(Wake::Never) if memory::was_refused() => {
                    self.host.fail("memory_limit", OUT_OF_MEMORY.to_owned(), None, None);
                    Ok(())
                }
                Ok(Wake::Never) => {
                    let message = "the code waits for something that can never happen: a promise \
                                   that no timer, fetch or other code will settle";
                    self.host.fail("script_error", message.to_owned(), None, None);
                    Ok(())
                }
                Ok(Wake::Lost) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => {
                    self.tell(ctx, hooks, error);
                    Ok(())
                }
            };
        }
    }

    /// Runs what is ready to run. An error is no author's: jobs turn those into rejections, so it
    /// means that memory or stack is exhausted.
    fn run_jobs(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        let mut context = std::ptr::null_mut();
        while !self.host.is_finished() {
            // SAFETY: the context is entered, so its runtime is alive. There is one context, so the
            // exception of a job is pending on this one.
            match unsafe { qjs::JS_ExecutePendingJob(runtime(ctx), &mut context) } {
                0 => break,
                result if result < 0 => return Err(Error::Exception),
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends what is to be sent and waits for the next thing to happen.
    fn wait(&self, hooks: &Hooks<'_>) -> rquickjs::Result<Wake> {
        let until: f64 = hooks.until_timer.call(())?;
        let fetches: u32 = hooks.open_fetches.call(())?;
        if until < 0.0 && fetches == 0 {
            return Ok(Wake::Never);
        }
        if self.host.flush().is_err() {
            return Ok(Wake::Lost);
        }
        let wait = if until < 0.0 { -1 } else { until.min(f64::from(i32::MAX)) as i32 };
        let arrived = self.host.wait(wait);
        Ok(if arrived { Wake::Frame } else { Wake::Timer })
    }

    /// Says that the step failed, through `main.js` where that still works.
    fn tell<'js>(&self, ctx: &Ctx<'js>, hooks: &Hooks<'js>, error: rquickjs::CaughtError<'js>) {
        relax_memory();
        let thrown = match error {
            rquickjs::CaughtError::Exception(exception) => Ok(exception.into_value()),
            rquickjs::CaughtError::Value(value) => Ok(value),
            rquickjs::CaughtError::Error(error) => error.to_string().into_js(ctx),
        };
        let told = thrown.and_then(|thrown| hooks.fail.call::<_, ()>((thrown,)));
        if told.is_err() || !self.host.is_finished() {
            self.host.fail("memory_limit", OUT_OF_MEMORY.to_owned(), None, None);
        }
    }
}

/// Why waiting ended.
enum Wake {
    Timer,
    Frame,
    Never,
    Lost,
}

/// Hands an answer to the fetch that waits for it.
fn deliver<'js>(
    ctx: &Ctx<'js>,
    hooks: &Hooks<'js>,
    header: ToStep,
    body: &Bytes,
) -> rquickjs::Result<()> {
    let ToStep::Fetched { id, answer } = header else { return Ok(()) };
    match answer {
        Ok(response) => {
            let object = Object::new(ctx.clone())?;
            object.set("status", response.status)?;
            object.set("status_text", response.status_text)?;
            object.set("url", response.url)?;
            object.set("redirected", response.redirected)?;
            let pairs: Vec<Vec<String>> =
                response.headers.into_iter().map(|(name, value)| vec![name, value]).collect();
            object.set("headers", pairs)?;
            // A copy, because only what QuickJS allocates counts against the step's memory.
            let body = ArrayBuffer::new_copy(ctx.clone(), body)?;
            hooks.fetched.call((id, object, body))
        }
        Err(error) => hooks.refused.call((id, natives::script_error(ctx, &error)?)),
    }
}

/// Evaluates one expression.
fn eval<'js, V: rquickjs::FromJs<'js>>(
    ctx: &Ctx<'js>,
    source: impl AsRef<[u8]>,
    file: &str,
) -> rquickjs::Result<V> {
    let mut options = EvalOptions::default();
    options.filename = Some(file.to_owned());
    options.strict = false;
    ctx.eval_with_options(source.as_ref(), options)
}

/// Whether QuickJS takes this source too; else the line and text of its complaint.
fn check(ctx: &Ctx<'_>, javascript: &str) -> Result<(), (Option<u32>, String)> {
    let Err(error) = eval::<Function<'_>>(ctx, javascript, STEP).catch(ctx) else { return Ok(()) };
    let rquickjs::CaughtError::Exception(exception) = error else {
        return Err((None, "the source cannot be compiled".to_owned()));
    };
    let stack = exception.stack().unwrap_or_default();
    let line = stack
        .lines()
        .find_map(|frame| frame.split_once("step:"))
        .and_then(|(_, place)| place.split(':').next()?.trim_end_matches(')').parse().ok());
    Err((line, exception.message().unwrap_or_default()))
}

/// Fills the blocks that QuickJS has in store, for the reason that `memory::fill_holes` gives: of each
/// size it keeps pages of blocks, nearly every one with a few blocks left.
fn fill_arenas(ctx: &Ctx<'_>) {
    const HEADER: usize = 8;
    const MOST: usize = 1_000;
    for size in (16..=512).step_by(8) {
        for _ in 0..MOST {
            let before = memory::used();
            // SAFETY: the context is entered, so its runtime is alive. The blocks stay for good, but
            // for the first of a new page, which shows that all others were full.
            unsafe {
                let block = qjs::js_malloc_rt(runtime(ctx), (size - HEADER) as _);
                if memory::used() > before {
                    qjs::js_free_rt(runtime(ctx), block);
                    break;
                }
            }
        }
    }
}

fn runtime(ctx: &Ctx<'_>) -> *mut qjs::JSRuntime {
    // SAFETY: the context is entered, so it is alive.
    unsafe { qjs::JS_GetRuntime(ctx.as_raw().as_ptr()) }
}

/// Lets a step that ran out of memory say so.
pub(crate) fn relax_memory() {
    memory::set_limit(memory::used() + LAST_WORDS_BYTES);
}
