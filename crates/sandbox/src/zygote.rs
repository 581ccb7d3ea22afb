//! The process that forks the steps' processes. It holds one socket and never sees a request.
#![expect(unsafe_code, reason = "fork and its descriptors have no wrapper in std")]

use crate::confine::{self, SystemCalls};
use crate::descriptors;
use crate::engine::Engine;
use crate::walls::{WallName, Walls};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The descriptor of the control socket, and of a step's socket in its process.
const SOCKET: RawFd = 0;

/// How often a fork is tried again, and the pause before.
const FORK_TRIES: u32 = 100;
const FORK_PAUSE: Duration = Duration::from_millis(20);

/// Serves as zygote: forks a process for each byte that arrives on standard input, a socket, and
/// sends back that process's socket and descriptor.
///
/// To be called first of all in `main`: it needs a process with one thread and nothing in it. It
/// ends when the socket is closed.
pub fn zygote_main() -> ! {
    // A failure shows at the other end of the socket, where it closes without a report.
    let code = i32::from(serve().is_err());
    // SAFETY: ends the process without running anything else.
    unsafe { libc::_exit(code) }
}

fn serve() -> io::Result<()> {
    // SAFETY: standard input is the control socket and nothing else owns it.
    let mut control = unsafe { File::from_raw_fd(SOCKET) };
    confine::close_from(3);
    // Made once, before any fork, so that a step finds it ready.
    let engine = Engine::prepare().map_err(io::Error::other)?;
    let address_space = address_space();
    // Processes that have ended need no wait.
    // SAFETY: plain calls.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let mut walls = Walls::none();
    confine::enter_namespaces(&mut walls);
    let calls = SystemCalls::compile();
    confine::give_up_rights(&mut walls);
    confine::probe(&mut walls, &calls);
    // SAFETY: plain call.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let report = serde_json::to_vec(&walls)?;
    let length = u32::try_from(report.len()).map_err(io::Error::other)?;
    control.write_all(&length.to_le_bytes())?;
    control.write_all(&report)?;
    // Without seccomp the server decides whether it sends a request at all.
    let calls = calls.ok().filter(|_| walls.stands(WallName::Seccomp));
    if let Some(calls) = &calls {
        calls.lock_zygote().map_err(io::Error::other)?;
    }
    let mut requests = [0; 64];
    loop {
        let count = match control.read(&mut requests) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for _ in 0..count {
            fork_patiently(|| fork_step(control.as_fd(), &engine, calls.as_ref(), address_space))?;
        }
    }
}

/// Tries again for a while: a machine that is out of processes or memory for a moment must not cost
/// the steps that already run, which end with their zygote.
fn fork_patiently(mut fork: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for _ in 0..FORK_TRIES {
        if fork().is_ok() {
            return Ok(());
        }
        std::thread::sleep(FORK_PAUSE);
    }
    fork()
}

/// Forks one process and sends its socket and descriptor to the server.
fn fork_step(
    control: BorrowedFd<'_>,
    engine: &Engine,
    calls: Option<&SystemCalls>,
    address_space: u64,
) -> io::Result<()> {
    let (server, step) = UnixStream::pair()?;
    // SAFETY: one thread, so the copy is whole.
    let child = unsafe { libc::fork() };
    if child == 0 {
        std::mem::forget(server);
        run_step(step.into(), engine, calls, address_space)
    }
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    let process = descriptors::pidfd_open(child)?;
    descriptors::send(control, &[1], [server.as_raw_fd(), process.as_raw_fd()])
}

/// The forked process: locks itself in, serves one request, ends.
fn run_step(step: OwnedFd, engine: &Engine, calls: Option<&SystemCalls>, address_space: u64) -> ! {
    confine::die_with_parent();
    let mut code = 1;
    // SAFETY: the control socket's number is given to the step's; then nothing else stays open.
    let socket = unsafe {
        libc::dup3(step.as_raw_fd(), SOCKET, 0);
        std::mem::forget(step);
        confine::close_from(SOCKET + 1);
        File::from_raw_fd(SOCKET)
    };
    let locked =
        confine::limit_resources().is_ok() && calls.is_none_or(|calls| calls.lock_step().is_ok());
    // Under load the request is here already, and warming up would only be more work.
    if !descriptors::readable(0) {
        engine.warm_up();
    }
    if locked && engine.serve(socket, address_space).is_ok() {
        code = 0;
    }
    // SAFETY: ends the process without running anything else.
    unsafe { libc::_exit(code) }
}

/// Bytes of address space that this process already uses.
fn address_space() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    // SAFETY: plain call.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // Where /proc is missing, what a large binary needs.
    pages.map_or(1 << 30, |pages| pages * u64::try_from(page).unwrap_or(4096))
}
