//! A question on the terminal whose answer is not shown.
#![expect(unsafe_code, reason = "termios has no safe wrapper in the standard library")]

use anyhow::Context as _;
use std::io::{IsTerminal as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use zeroize::Zeroizing;

/// Whether standard input is a terminal, so that there is somebody to ask.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks on standard error and reads one line from the terminal without showing it.
pub(crate) fn hidden(question: &str) -> anyhow::Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    let descriptor = std::os::fd::AsFd::as_fd(&stdin);
    ask(question)?;
    let echo = NoEcho::start(descriptor).context("the terminal cannot hide what is typed")?;
    let line = super::secret::read_line(descriptor);
    drop(echo);
    let _ = writeln!(std::io::stderr());
    line
}

/// Asks on standard error and reads one line, shown as it is typed.
pub(crate) fn shown(question: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    ask(question)?;
    let line = super::secret::read_line(std::os::fd::AsFd::as_fd(&stdin))?;
    Ok(line.to_string())
}

fn ask(question: &str) -> std::io::Result<()> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question}: ")?;
    stderr.flush()
}

/// Echo is off while this lives.
struct NoEcho<'a> {
    terminal: BorrowedFd<'a>,
    before: libc::termios,
}

impl<'a> NoEcho<'a> {
    fn start(terminal: BorrowedFd<'a>) -> std::io::Result<Self> {
        let mut settings = MaybeUninit::uninit();
        // SAFETY: the descriptor is open and the call writes the structure that it is given.
        let got = unsafe { libc::tcgetattr(terminal.as_raw_fd(), settings.as_mut_ptr()) };
        if got != 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: tcgetattr succeeded, so it has written the structure.
        let before: libc::termios = unsafe { settings.assume_init() };
        let mut hidden = before;
        hidden.c_lflag &= !libc::ECHO;
        set(terminal, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for NoEcho<'_> {
    fn drop(&mut self) {
        let _ = set(self.terminal, &self.before);
    }
}

/// Drops what was typed ahead, which would have been shown.
fn set(terminal: BorrowedFd<'_>, settings: &libc::termios) -> std::io::Result<()> {
    // SAFETY: the descriptor is open and the structure is only read.
    match unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSAFLUSH, settings) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
