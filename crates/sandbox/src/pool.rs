//! Keeps processes waiting ahead of need, and the zygotes that fork them.
//!
//! A run takes a waiting process and asks for the next with one byte; forking happens beside it, in
//! the zygote. A zygote is renewed after some steps and whenever it dies; an old one lives until its
//! last step has ended, because its end is theirs.

use crate::descriptors;
use crate::error::SandboxError;
use crate::sandbox::Options;
use crate::walls::Walls;
use bytes::{Buf, Bytes};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Steps that one zygote serves.
const STEPS_PER_ZYGOTE: u32 = 1_000;
/// How long a zygote may take to come up.
const START_TIME: Duration = Duration::from_secs(10);
/// How long a run waits for a process before it gives up.
const WAIT_TIME: Duration = Duration::from_secs(20);
/// Pause after a zygote failed to start, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Largest first message of a zygote.
const HELLO_BYTES: usize = 16 << 10;

/// A process that waits for its step, or runs it.
pub(crate) struct Child {
    pub(crate) stream: UnixStream,
    pub(crate) process: OwnedFd,
    zygote: Arc<Zygote>,
    pool: Weak<Pool>,
    #[cfg(test)]
    played: Option<(tokio::process::Child, UnixStream)>,
}

impl Child {
    /// Whether the zygote, and so every process it forked, is gone.
    pub(crate) fn zygote_is_gone(&self) -> bool {
        self.zygote.is_gone()
    }

    /// The number of this process in the server's process namespace.
    pub(crate) fn process_id(&self) -> Option<u32> {
        let path = format!("/proc/self/fdinfo/{}", self.process.as_raw_fd());
        let info = std::fs::read_to_string(path).ok()?;
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
        pid.trim().parse().ok()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.step_ended();
        }
    }
}

/// A running zygote. Dropping it kills it and all that it forked.
struct Zygote {
    control: UnixStream,
    process: Mutex<tokio::process::Child>,
    walls: Walls,
    dead: AtomicBool,
    steps: AtomicU32,
    /// Processes asked for and not yet received; its reader outlives the zygote.
    asked: Arc<AtomicUsize>,
}

impl Zygote {
    /// Asks for more waiting processes and gives how many it could ask for: fewer only where the
    /// zygote is about to be noticed as dead.
    fn ask_for(&self, count: usize) -> usize {
        self.asked.fetch_add(count, Ordering::AcqRel);
        let sent = descriptors::send_now(self.control.as_fd(), &vec![1; count]).unwrap_or(0);
        self.asked.fetch_sub(count - sent, Ordering::AcqRel);
        sent
    }

    fn is_gone(&self) -> bool {
        self.dead.load(Ordering::Acquire)
            || !matches!(lock(&self.process).try_wait(), Ok(None))
            || descriptors::hung_up(self.control.as_fd())
    }
}

/// What the supervisor is told.
enum Notice {
    /// This zygote has died.
    Died(Weak<Zygote>),
    /// This zygote has served its steps.
    Worn,
}

/// The waiting processes.
pub(crate) struct Pool {
    options: Options,
    current: Mutex<Option<Arc<Zygote>>>,
    walls: Mutex<Walls>,
    idle: tokio::sync::Mutex<UnboundedReceiver<Child>>,
    new_child: UnboundedSender<Child>,
    notices: UnboundedSender<Notice>,
    /// Processes that wait or have been asked for, over all zygotes.
    supply: Mutex<usize>,
    closed: AtomicBool,
}

impl Pool {
    pub(crate) async fn start(options: Options) -> Result<Arc<Self>, SandboxError> {
        let (new_child, idle) = unbounded_channel();
        let (notices, inbox) = unbounded_channel();
        let zygote = spawn_zygote(&options).await.map_err(|error| unavailable(&error))?;
        let pool = Arc::new(Self {
            options,
            walls: Mutex::new(zygote.walls.clone()),
            current: Mutex::new(None),
            idle: tokio::sync::Mutex::new(idle),
            new_child,
            notices,
            supply: Mutex::new(0),
            closed: AtomicBool::new(false),
        });
        pool.enter(zygote);
        tokio::spawn(supervise(Arc::downgrade(&pool), inbox));
        Ok(pool)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn walls(&self) -> Walls {
        lock(&self.walls).clone()
    }

    /// Takes a waiting process and sends it its first frame. What did not fit its socket at once is
    /// handed back to be sent later.
    pub(crate) async fn begin(&self, frame: Vec<u8>) -> Result<(Child, Bytes), SandboxError> {
        let mut frame = Bytes::from(frame);
        loop {
            let child = self.take().await?;
            match descriptors::send_now(child.stream.as_fd(), &frame) {
                Ok(written) => {
                    frame.advance(written);
                    return Ok((child, frame));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((child, frame));
                }
                // It died while waiting; the next one is as good.
                Err(_) => {}
            }
        }
    }

    async fn take(&self) -> Result<Child, SandboxError> {
        loop {
            if self.closed.load(Ordering::Acquire) {
                return Err(SandboxError::ShutDown);
            }
            let next = async { self.idle.lock().await.recv().await };
            let waited = tokio::time::timeout(WAIT_TIME, next).await;
            let child = waited
                .map_err(|_| SandboxError::Unavailable("no process became ready".to_owned()))?
                .ok_or(SandboxError::ShutDown)?;
            let taken = !descriptors::hung_up(child.stream.as_fd());
            self.replace(taken);
            if taken {
                return Ok(child);
            }
        }
    }

    /// Notes that a waiting process is gone, and counts the step if it was taken. While enough wait,
    /// the next is asked for when the step has ended: forking would only take processor time from it.
    fn replace(&self, taken: bool) {
        let mut supply = lock(&self.supply);
        *supply = supply.saturating_sub(1);
        let Some(zygote) = lock(&self.current).clone() else { return };
        if *supply <= self.options.waiting / 2 {
            self.top_up(&mut supply, &zygote);
        }
        if taken && zygote.steps.fetch_add(1, Ordering::Relaxed) + 1 == STEPS_PER_ZYGOTE {
            // The supervisor lives as long as the pool; without it nothing is left to renew.
            let _ = self.notices.send(Notice::Worn);
        }
    }

    fn step_ended(&self) {
        let mut supply = lock(&self.supply);
        if let Some(zygote) = lock(&self.current).clone() {
            self.top_up(&mut supply, &zygote);
        }
    }

    /// Asks for as many processes as are wanted and not under way.
    fn top_up(&self, supply: &mut usize, zygote: &Zygote) {
        let wanted = self.options.waiting.max(1).saturating_sub(*supply);
        // The successor of a dead one tops up when it enters.
        if wanted > 0 && !zygote.dead.load(Ordering::Acquire) {
            *supply += zygote.ask_for(wanted);
        }
    }

    /// Makes this zygote the one that forks, and reads what it forks.
    fn enter(self: &Arc<Self>, zygote: Arc<Zygote>) {
        self.top_up(&mut lock(&self.supply), &zygote);
        *lock(&self.walls) = zygote.walls.clone();
        tokio::spawn(read_children(Arc::downgrade(&zygote), Arc::downgrade(self)));
        *lock(&self.current) = Some(zygote);
    }

    pub(crate) async fn shutdown(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(zygote) = lock(&self.current).take() {
            // Killing the zygote ends its steps too.
            let _ = lock(&zygote.process).start_kill();
        }
        let mut idle = self.idle.lock().await;
        idle.close();
        while idle.recv().await.is_some() {}
    }
}

/// Receives forked processes until the zygote is dropped or dies.
async fn read_children(zygote: Weak<Zygote>, pool: Weak<Pool>) {
    // Waiting must not keep the zygote alive, so it holds a descriptor of its own.
    let Some((Ok(control), asked)) =
        zygote.upgrade().map(|zygote| (reader(&zygote.control), Arc::clone(&zygote.asked)))
    else {
        return;
    };
    while let Ok(Some((stream, process))) = next_child(&control).await {
        asked.fetch_sub(1, Ordering::AcqRel);
        let (Some(pool), Some(zygote)) = (pool.upgrade(), zygote.upgrade()) else {
            asked.fetch_add(1, Ordering::AcqRel);
            break;
        };
        // The receiver is gone only after a shutdown.
        let _ = pool.new_child.send(Child {
            stream,
            process,
            zygote,
            pool: Arc::downgrade(&pool),
            #[cfg(test)]
            played: None,
        });
    }
    let Some(pool) = pool.upgrade() else { return };
    {
        // Under this lock nobody asks a zygote that is being counted out.
        let mut supply = lock(&pool.supply);
        if let Some(zygote) = zygote.upgrade() {
            zygote.dead.store(true, Ordering::Release);
        }
        *supply = supply.saturating_sub(asked.swap(0, Ordering::AcqRel));
        // A retired one takes what it was asked for with it; its successor makes up for that.
        if let Some(current) = lock(&pool.current).clone() {
            pool.top_up(&mut supply, &current);
        }
    }
    // The supervisor is gone only after a shutdown.
    let _ = pool.notices.send(Notice::Died(zygote));
}

/// A second handle on the same socket.
fn reader(control: &UnixStream) -> io::Result<UnixStream> {
    let copy = StdStream::from(control.as_fd().try_clone_to_owned()?);
    UnixStream::from_std(copy)
}

/// The next forked process; none when the zygote is gone.
async fn next_child(control: &UnixStream) -> io::Result<Option<(UnixStream, OwnedFd)>> {
    let mut byte = [0];
    let receive = || descriptors::receive(control.as_fd(), &mut byte);
    let (read, descriptors) = control.async_io(Interest::READABLE, receive).await?;
    let Ok([stream, process]) = <[OwnedFd; 2]>::try_from(descriptors) else {
        return if read == 0 { Ok(None) } else { Err(io::ErrorKind::InvalidData.into()) };
    };
    let stream = StdStream::from(stream);
    stream.set_nonblocking(true)?;
    Ok(Some((UnixStream::from_std(stream)?, process)))
}

/// Starts a new zygote whenever the current one has died or served its steps.
async fn supervise(pool: Weak<Pool>, mut inbox: UnboundedReceiver<Notice>) {
    while let Some(notice) = inbox.recv().await {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(pool) = pool.upgrade() else { return };
            if pool.closed.load(Ordering::Acquire) {
                return;
            }
            if let Notice::Died(died) = &notice
                && lock(&pool.current).as_ref().is_some_and(|now| !is_same(died, now))
            {
                break;
            }
            match spawn_zygote(&pool.options).await {
                Ok(zygote) => {
                    pool.enter(zygote);
                    break;
                }
                Err(error) => tracing::error!(%error, "the sandbox's zygote cannot be started"),
            }
            drop(pool);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn is_same(weak: &Weak<Zygote>, zygote: &Arc<Zygote>) -> bool {
    std::ptr::eq(weak.as_ptr(), Arc::as_ptr(zygote))
}

/// Starts a zygote with an empty environment and one socket, and waits for its report.
async fn spawn_zygote(options: &Options) -> io::Result<Arc<Zygote>> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut control = UnixStream::from_std(ours)?;
    let process = Command::new(&options.executable)
        .args(&options.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let walls = tokio::time::timeout(START_TIME, read_hello(&mut control))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the zygote did not report"))??;
    Ok(Arc::new(Zygote {
        control,
        process: Mutex::new(process),
        walls,
        dead: AtomicBool::new(false),
        steps: AtomicU32::new(0),
        asked: Arc::default(),
    }))
}

/// A zygote's first message: a length and its report on the walls, as JSON.
async fn read_hello(control: &mut UnixStream) -> io::Result<Walls> {
    let length = control.read_u32_le().await? as usize;
    if length > HELLO_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut report = vec![0; length];
    control.read_exact(&mut report).await?;
    serde_json::from_slice(&report).map_err(io::Error::from)
}

fn unavailable(error: &io::Error) -> SandboxError {
    SandboxError::Unavailable(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that a test plays: the step's end of the socket, and a process that only sleeps.
#[cfg(test)]
pub(crate) fn test_child() -> (StdStream, Child) {
    let (control, other) = UnixStream::pair().expect("a socket pair");
    let sleep = || {
        let mut command = Command::new("sleep");
        command.arg("60").kill_on_drop(true).spawn().expect("sleep starts")
    };
    let process = sleep();
    let zygote = Zygote {
        control,
        process: Mutex::new(sleep()),
        walls: Walls::none(),
        dead: AtomicBool::new(false),
        steps: AtomicU32::new(0),
        asked: Arc::default(),
    };
    let (step, stream) = StdStream::pair().expect("a socket pair");
    stream.set_nonblocking(true).expect("a flag");
    let stream = UnixStream::from_std(stream).expect("a runtime");
    let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).expect("it runs");
    let fd = descriptors::pidfd_open(pid).expect("a descriptor");
    let child = Child {
        stream,
        process: fd,
        zygote: Arc::new(zygote),
        pool: Weak::new(),
        played: Some((process, other)),
    };
    (step, child)
}

#[cfg(test)]
impl Child {
    /// Whether the process that a test plays was ended by SIGKILL.
    pub(crate) async fn was_killed(&mut self) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let (process, _) = self.played.as_mut().expect("a test's child");
        let status = process.wait().await;
        status.expect("a status").signal() == Some(libc::SIGKILL)
    }
}
