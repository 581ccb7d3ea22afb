//! The server's handle on the sandbox: starts steps and compiles sources.

use crate::error::{CompileError, CompileFailure, SandboxError};
use crate::pool::Pool;
use crate::session::Session;
use crate::step::{Compiled, Language, Limits, Start};
use crate::walls::{WallName, Walls};
use crate::wire::{self, FromStep, RunHeader, ToStep};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a compilation may take.
const COMPILE_TIME: Duration = Duration::from_secs(10);
/// Memory that a compilation may hold.
const COMPILE_MEMORY: usize = 512 << 20;
/// Largest source, and largest compiled source.
const SOURCE_BYTES: usize = 8 << 20;

/// How the sandbox is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The binary that calls [`zygote_main`](crate::zygote_main).
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Processes that wait ahead of need.
    pub waiting: usize,
    /// Refuse code steps where any wall is missing.
    pub require_all_walls: bool,
    /// Run code steps even without the wall that must stand.
    pub unsafe_sandbox: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            executable: PathBuf::from("/proc/self/exe"),
            arguments: vec!["sandbox".to_owned()],
            waiting: 4,
            require_all_walls: false,
            unsafe_sandbox: false,
        }
    }
}

/// Runs steps, each in a process of its own. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    pool: Arc<Pool>,
}

impl Sandbox {
    /// Starts the zygote and the first waiting processes.
    ///
    /// # Errors
    /// `Unavailable` where the zygote does not come up. A missing wall is no error here: see
    /// [`Self::walls`].
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        Ok(Self { pool: Pool::start(options).await? })
    }

    /// Which walls stand.
    pub fn walls(&self) -> Walls {
        self.pool.walls()
    }

    /// The wall whose absence makes this sandbox refuse code steps, if any.
    ///
    /// # Errors
    /// `WallMissing`, naming it.
    pub fn check_walls(&self) -> Result<(), SandboxError> {
        let options = self.pool.options();
        let walls = self.pool.walls();
        let fatal = walls.missing().find(|wall| {
            options.require_all_walls || (wall.name == WallName::Seccomp && !options.unsafe_sandbox)
        });
        match fatal {
            None => Ok(()),
            Some(wall) => Err(SandboxError::WallMissing {
                wall: wall.name,
                reason: wall.missing.clone().unwrap_or_default(),
            }),
        }
    }

    /// Starts a step in a fresh process. Its time runs from here; keep polling
    /// [`Session::next`], which is what ends it at its deadline.
    ///
    /// # Errors
    /// `WallMissing`, `Unavailable`, `ShutDown`, `InputTooLarge`.
    pub async fn run(&self, start: Start, limits: Limits) -> Result<Session, SandboxError> {
        self.check_walls()?;
        let frame = run_frame(&start, &limits)?;
        let keys = start.credentials.into_iter().map(|handle| handle.key).collect();
        let (child, rest) = self.pool.begin(frame).await?;
        Ok(Session::new(child, rest, &limits, keys))
    }

    /// Checks a source, strips its types and finds the credential keys it names, in a process of
    /// its own, because hostile sources can overflow a parser's stack.
    ///
    /// # Errors
    /// `Source` with a position where the source is at fault.
    pub async fn compile(
        &self,
        source: &str,
        language: Language,
    ) -> Result<Compiled, CompileFailure> {
        self.check_walls()?;
        let at_start = |message: &str| CompileError { line: 1, column: 1, message: message.into() };
        if source.len() > SOURCE_BYTES {
            return Err(at_start("the source is too large").into());
        }
        let mut frame = Vec::new();
        wire::encode(&mut frame, &ToStep::Compile { language }, &[source.as_bytes()])
            .map_err(|_| SandboxError::InputTooLarge)?;
        let limits = Limits {
            wall_time: COMPILE_TIME,
            memory_bytes: COMPILE_MEMORY,
            output_bytes: SOURCE_BYTES * 2,
            ..Limits::default()
        };
        let (child, rest) = self.pool.begin(frame.clone()).await?;
        let mut session = Session::new(child, rest, &limits, Vec::new());
        let mut answer = session.next_compiled().await;
        if answer.is_none() && session.is_lost().await {
            let (child, rest) = self.pool.begin(frame).await?;
            answer = Session::new(child, rest, &limits, Vec::new()).next_compiled().await;
        }
        match answer {
            Some((FromStep::Compiled { keys, literals, returns }, body)) => {
                let javascript = String::from_utf8(body.into())
                    .map_err(|_| at_start("the source cannot be compiled"))?;
                Ok(Compiled { javascript, keys, literals, returns })
            }
            Some((FromStep::Refused { line, column, message }, _)) => {
                Err(CompileError { line, column, message }.into())
            }
            _ => {
                Err(at_start("the source is nested too deeply or too large to be compiled").into())
            }
        }
    }

    /// Stops everything: waiting processes and running steps end.
    pub async fn shutdown(&self) {
        self.pool.shutdown().await;
    }
}

fn run_frame(start: &Start, limits: &Limits) -> Result<Vec<u8>, SandboxError> {
    let item = start.item.as_deref().unwrap_or_default();
    let credentials =
        serde_json::to_string(&start.credentials).map_err(|_| SandboxError::InputTooLarge)?;
    let parts =
        [&*start.javascript, &*start.trigger, &*start.steps, &*start.run, item, &credentials];
    let header = ToStep::Run(RunHeader {
        memory_bytes: limits.memory_bytes,
        output_bytes: limits.output_bytes,
        log_bytes: limits.log_bytes,
        request_bytes: limits.request_bytes,
        fetches_at_once: limits.fetches_at_once,
        cpu_seconds: limits.wall_time.as_secs().saturating_add(2),
        parts: parts.map(str::len),
    });
    let mut frame = Vec::new();
    wire::encode(&mut frame, &header, &parts.map(str::as_bytes))
        .map_err(|_| SandboxError::InputTooLarge)?;
    Ok(frame)
}
