//! Passing descriptors over a socket, and killing a process by its descriptor.
#![expect(unsafe_code, reason = "recvmsg, sendmsg and pidfd calls have no safe wrapper in std")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Room for two descriptors in a control message, with slack for alignment.
const CONTROL_BYTES: usize = 64;

#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

fn message(iov: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all zeros is a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = iov;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    header
}

/// Reads at most `buffer.len()` bytes and the descriptors (at most two) that came with them.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; CONTROL_BYTES]);
    let mut header = message(&mut iov, &mut control);
    // SAFETY: header points to buffers that outlive the call.
    let read = unsafe {
        libc::recvmsg(socket.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT)
    };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    let mut received = Vec::new();
    // SAFETY: the kernel filled the control buffer; the macros walk it within its length, and each
    // descriptor in an SCM_RIGHTS message is new and ours.
    unsafe {
        let mut cmsg = libc::CMSG_FIRSTHDR(&header);
        while let Some(entry) = cmsg.as_ref() {
            if entry.cmsg_level == libc::SOL_SOCKET && entry.cmsg_type == libc::SCM_RIGHTS {
                let count = (entry.cmsg_len - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
                let data = libc::CMSG_DATA(cmsg).cast::<RawFd>();
                received
                    .extend((0..count).map(|i| OwnedFd::from_raw_fd(data.add(i).read_unaligned())));
            }
            cmsg = libc::CMSG_NXTHDR(&header, cmsg);
        }
    }
    Ok((read, received))
}

/// Sends what the socket takes at once, without asking first whether it takes anything.
pub(crate) fn send_now(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: reads within `bytes`.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sends bytes with two descriptors; blocks until they are taken.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: [RawFd; 2]) -> io::Result<()> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL_BYTES]);
    let mut header = message(&mut iov, &mut control);
    // SAFETY: CMSG_SPACE of 8 bytes is 24, within the control buffer, so the first header and its
    // data are inside it; sendmsg only reads.
    let sent = unsafe {
        header.msg_controllen = libc::CMSG_SPACE(8) as _;
        let cmsg = libc::CMSG_FIRSTHDR(&header);
        (*cmsg).cmsg_level = libc::SOL_SOCKET;
        (*cmsg).cmsg_type = libc::SCM_RIGHTS;
        (*cmsg).cmsg_len = libc::CMSG_LEN(8) as _;
        libc::CMSG_DATA(cmsg).cast::<[RawFd; 2]>().write_unaligned(fds);
        libc::sendmsg(socket.as_raw_fd(), &header, libc::MSG_NOSIGNAL)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether the other end is gone, even where something it sent is still unread.
pub(crate) fn hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one entry, which outlives the call.
    unsafe { libc::poll(&mut entry, 1, 0) > 0 }
}

/// A descriptor of a process. The zygote's pid numbers mean nothing to the server; this does.
pub(crate) fn pidfd_open(pid: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: plain system call; a non-negative result is a new descriptor.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Ends a process at once. One that is already gone is fine.
pub(crate) fn kill(process: BorrowedFd<'_>) {
    // SAFETY: plain system call without pointers.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        );
    }
}

/// Whether a step's socket, descriptor 0, can be read within this time (-1: for ever).
pub(crate) fn readable(milliseconds: i32) -> bool {
    let mut entry = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which outlives the call.
    unsafe { libc::poll(&mut entry, 1, milliseconds) > 0 }
}

/// Fills a buffer from the kernel's generator.
pub(crate) fn random(buffer: &mut [u8]) {
    let mut rest = buffer;
    while !rest.is_empty() {
        // SAFETY: writes within `rest`.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        // Interrupted: again. The call has no other failure once the machine is up.
        if let Ok(got) = usize::try_from(got) {
            rest = rest.split_at_mut(got).1;
        }
    }
}
