//! What the process forbids itself at its start: core dumps, and being read by its own user.

/// No core files, and no `ptrace` or `/proc/self/mem` for other processes of this user.
#[expect(unsafe_code, reason = "setrlimit and prctl have no safe wrapper in the standard library")]
pub(crate) fn forbid_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls take plain values, touch no memory of ours but `none`, and may fail freely.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}
