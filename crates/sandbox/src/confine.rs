//! The walls: what the zygote and its processes give up, and in which order.
#![expect(unsafe_code, reason = "namespaces, limits and process attributes have no wrapper in std")]

use crate::walls::{WallName, Walls};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::ffi::CStr;
use std::io;
use std::os::fd::RawFd;

/// The user that the processes are inside their namespace: nobody.
const NOBODY: u32 = 65_534;

/// Turns the result of a system call into `io::Result`.
fn check(result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Enters namespaces, each as far as this machine allows. Where a process namespace was given, only
/// its first process returns; the one that called waits for that one and ends with it.
pub(crate) fn enter_namespaces(walls: &mut Walls) {
    // SAFETY: plain calls; this process has one thread.
    let ids = unsafe { (libc::geteuid(), libc::getegid()) };
    let unshare = |flag: libc::c_int| {
        // SAFETY: plain call; this process has one thread.
        check(unsafe { libc::unshare(flag) })
    };
    let user = unshare(libc::CLONE_NEWUSER);
    if user.is_ok() {
        map_ids(ids);
    }
    let owns_user_namespace = user.is_ok();
    walls.record(WallName::UserNamespace, user);
    walls.record(WallName::NetNamespace, unshare(libc::CLONE_NEWNET));
    walls.record(WallName::IpcNamespace, unshare(libc::CLONE_NEWIPC));
    let mount = unshare(libc::CLONE_NEWNS).and_then(|()| empty_root());
    walls.record(WallName::MountNamespace, mount);
    let pid = unshare(libc::CLONE_NEWPID).and_then(|()| become_first_process());
    walls.record(WallName::PidNamespace, pid);
    if !owns_user_namespace && ids.0 == 0 {
        leave_root();
    }
}

/// Maps nobody inside to who we are outside. Without the map everything still works.
fn map_ids((user, group): (u32, u32)) {
    let write = |path, text: String| {
        // A missing map only changes the number that the process sees of itself.
        let _ = std::fs::write(path, text);
    };
    write("/proc/self/setgroups", "deny".to_owned());
    write("/proc/self/uid_map", format!("{NOBODY} {user} 1"));
    write("/proc/self/gid_map", format!("{NOBODY} {group} 1"));
}

/// Root without a user namespace keeps its number otherwise, and files that belong to it.
fn leave_root() {
    // SAFETY: plain calls. A failure leaves root, which the other walls still hold in.
    unsafe {
        libc::setgroups(0, std::ptr::null());
        libc::setresgid(NOBODY, NOBODY, NOBODY);
        libc::setresuid(NOBODY, NOBODY, NOBODY);
    }
}

/// Puts an empty read-only file system where the root was.
fn empty_root() -> io::Result<()> {
    let none = c"none".as_ptr();
    let nothing = std::ptr::null();
    // SAFETY: all pointers are to static C strings or null.
    unsafe {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(none, c"/".as_ptr(), std::ptr::null(), private, nothing))?;
    }
    let target = mount_empty()?;
    // SAFETY: as above.
    unsafe {
        check(libc::chdir(target.as_ptr()))?;
        if libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) == 0 {
            check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
        } else {
            // An initial ramdisk cannot be pivoted away from.
            check(libc::chroot(c".".as_ptr()))?;
        }
        check(libc::chdir(c"/".as_ptr()))
    }
}

fn mount_empty() -> io::Result<&'static CStr> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RDONLY;
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for target in [c"/tmp", c"/proc", c"/dev"] {
        // SAFETY: all pointers are to static C strings.
        let mounted = unsafe {
            let options = c"size=4k,mode=0555".as_ptr().cast();
            let none = c"none".as_ptr();
            check(libc::mount(none, target.as_ptr(), c"tmpfs".as_ptr(), flags, options))
        };
        match mounted {
            Ok(()) => return Ok(target),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Forks the first process of the new process namespace, which returns.
fn become_first_process() -> io::Result<()> {
    // SAFETY: one thread; the parent only waits and exits.
    unsafe {
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
                Ok(())
            }
            first => {
                close_from(0);
                let mut status = 0;
                while libc::waitpid(first, &mut status, 0) < 0
                    && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
                {
                }
                libc::_exit(libc::WEXITSTATUS(status))
            }
        }
    }
}

/// What the zygote itself gives up, and every process it forks inherits.
pub(crate) fn give_up_rights(walls: &mut Walls) {
    // SAFETY: plain calls; dropping a capability that does not exist fails harmlessly.
    unsafe {
        for capability in 0..64 {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        let header: [u32; 2] = [0x2008_0522, 0];
        let no_capability = [0_u32; 6];
        libc::syscall(libc::SYS_capset, header.as_ptr(), no_capability.as_ptr());
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    walls.record(WallName::Landlock, landlock());
    // SAFETY: plain call. Last: it hides this process's own entries in /proc from itself.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

/// Handles every right that the kernel knows and gives none.
fn landlock() -> Result<(), String> {
    let restrict = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V9))?
            .handle_access(AccessNet::from_all(ABI::V9))?
            .scope(Scope::from_all(ABI::V9))?
            .create()?
            .restrict_self()
    };
    match restrict() {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
        Ok(_) => Err("the kernel does not offer it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Closes this descriptor and all above it.
pub(crate) fn close_from(first: RawFd) {
    // SAFETY: nothing in this process owns these descriptors any more.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) < 0 {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
            for fd in first..RawFd::try_from(limit.rlim_cur.min(1 << 20)).unwrap_or(1 << 20) {
                libc::close(fd);
            }
        }
    }
}

/// Makes this process end when the zygote does.
pub(crate) fn die_with_parent() {
    // SAFETY: plain call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
}

/// Bounds that hold from the fork on: one descriptor, no files, no processes, no core.
pub(crate) fn limit_resources() -> io::Result<()> {
    let limits = [
        (libc::RLIMIT_NOFILE, 1),
        (libc::RLIMIT_FSIZE, 0),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_NPROC, 0),
        (libc::RLIMIT_MEMLOCK, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
    ];
    for (resource, limit) in limits {
        set_limit(resource, limit)?;
    }
    Ok(())
}

/// Bounds of one step: address space in bytes and processor time in seconds.
pub(crate) fn limit_step(address_space: u64, cpu_seconds: u64) -> io::Result<()> {
    set_limit(libc::RLIMIT_AS, address_space)?;
    set_limit(libc::RLIMIT_CPU, cpu_seconds)
}

fn set_limit(resource: u32, value: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: value, rlim_max: value };
    let old = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: the kernel reads `limit`; pid 0 is this process.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &limit, old) })
}

/// The lists of allowed system calls; any other call ends the process.
///
/// They come in two layers, because the kernel works through a whole list when it is installed,
/// which would cost each step a tenth of a millisecond. The zygote installs the long one once and
/// every step inherits it; the step's own only takes away what forking needed.
pub(crate) struct SystemCalls {
    zygote: BpfProgram,
    step: BpfProgram,
}

/// What a step may call. Those that take more care are added in `zygote_rules`.
const STEP_CALLS: [i64; 19] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_ppoll,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What forking a step and locking it in need, and the step itself must not have.
const FORK_CALLS: [i64; 14] = [
    libc::SYS_clone,
    libc::SYS_socketpair,
    libc::SYS_pidfd_open,
    libc::SYS_sendmsg,
    libc::SYS_fcntl,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup3,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_getpid,
    libc::SYS_gettid,
];

impl SystemCalls {
    /// Both lists, compiled.
    pub(crate) fn compile() -> Result<Self, String> {
        let kill = SeccompAction::KillProcess;
        let zygote = program(Self::zygote_rules()?, kill.clone(), SeccompAction::Allow)?;
        let taken = FORK_CALLS.into_iter().map(|call| (call, Vec::new())).collect();
        let step = program(taken, SeccompAction::Allow, kill)?;
        Ok(Self { zygote, step })
    }

    fn zygote_rules() -> Result<Rules, String> {
        let free = STEP_CALLS.into_iter().chain(FORK_CALLS);
        let mut rules: Rules = free.map(|call| (call, Vec::new())).collect();
        #[cfg(target_arch = "x86_64")]
        rules.insert(libc::SYS_poll, Vec::new());
        let no_exec = masked(2, libc::PROT_EXEC as u64, 0)?;
        rules.insert(libc::SYS_mmap, vec![no_exec.clone()]);
        rules.insert(libc::SYS_mprotect, vec![no_exec]);
        // Only of this process itself, where lowering a limit harms nobody.
        rules.insert(libc::SYS_prlimit64, vec![masked(0, u64::from(u32::MAX), 0)?]);
        Ok(rules)
    }

    /// Locks the zygote, and all that it forks from now on.
    pub(crate) fn lock_zygote(&self) -> Result<(), String> {
        seccompiler::apply_filter(&self.zygote).map_err(|error| error.to_string())
    }

    /// Locks a step's process, where the zygote is locked already.
    pub(crate) fn lock_step(&self) -> Result<(), String> {
        seccompiler::apply_filter(&self.step).map_err(|error| error.to_string())
    }
}

type Rules = std::collections::BTreeMap<i64, Vec<SeccompRule>>;

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, String> {
    let arch = std::env::consts::ARCH.try_into().map_err(|_| "unknown architecture".to_owned())?;
    let filter = SeccompFilter::new(rules, otherwise, matched, arch);
    filter.and_then(TryInto::try_into).map_err(|error| error.to_string())
}

/// A rule: the argument, 32 bits of it, has this value under this mask.
fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompRule, String> {
    let (length, compare) = (SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask));
    SeccompCondition::new(argument, length, compare, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| error.to_string())
}

/// Tries the walls of a step in a process that may not survive it: it locks itself in and then
/// makes a forbidden call, which must kill it.
pub(crate) fn probe(walls: &mut Walls, calls: &Result<SystemCalls, String>) {
    const NO_LIMITS: libc::c_int = 1;
    const NO_FILTER: libc::c_int = 2;
    const SURVIVED: libc::c_int = 3;
    // SAFETY: one thread; the forked process only makes system calls and exits.
    let status = unsafe {
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                if limit_resources().is_err() {
                    libc::_exit(NO_LIMITS);
                }
                let locked = calls.as_ref().map_err(String::clone).and_then(|calls| {
                    calls.lock_zygote()?;
                    calls.lock_step()
                });
                if locked.is_err() {
                    libc::_exit(NO_FILTER);
                }
                libc::syscall(libc::SYS_getpid);
                libc::_exit(SURVIVED)
            }
            child => {
                let mut status = 0;
                check(libc::waitpid(child, &mut status, 0)).map(|()| status)
            }
        }
    };
    let (limits, seccomp) = match status {
        Ok(status) if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS => {
            (Ok(()), Ok(()))
        }
        Ok(status) if libc::WEXITSTATUS(status) == NO_LIMITS => {
            (Err("the kernel refused a limit".to_owned()), Err("not tried".to_owned()))
        }
        Ok(status) if libc::WEXITSTATUS(status) == NO_FILTER => {
            (Ok(()), Err("the kernel refused the filter".to_owned()))
        }
        Ok(_) => (Ok(()), Err("a forbidden call did not end the process".to_owned())),
        Err(error) => (Err(error.to_string()), Err(error.to_string())),
    };
    walls.record(WallName::Rlimits, limits);
    walls.record(WallName::Seccomp, seccomp);
}

#[cfg(test)]
mod tests {
    //! Attacks from inside. Each runs in a forked process, which makes only system calls.
    use super::*;

    /// How a process ended that ran this: its exit status, or the signal that ended it.
    #[derive(Debug, PartialEq, Eq)]
    enum End {
        Status(i32),
        Signal(i32),
    }

    fn in_process(body: impl FnOnce() -> i32) -> End {
        // SAFETY: the forked process runs the body and exits; glibc keeps its allocator usable.
        unsafe {
            match libc::fork() {
                -1 => panic!("no process"),
                0 => libc::_exit(body()),
                child => {
                    let mut status = 0;
                    assert_eq!(libc::waitpid(child, &mut status, 0), child);
                    if libc::WIFSIGNALED(status) {
                        End::Signal(libc::WTERMSIG(status))
                    } else {
                        End::Status(libc::WEXITSTATUS(status))
                    }
                }
            }
        }
    }

    const ROOT: &CStr = c"/";
    const NULL: i64 = 0;

    /// Makes one system call behind the filter; 0 where it returned.
    fn behind_filter(calls: &SystemCalls, call: i64, arguments: [i64; 6]) -> End {
        in_process(|| {
            let locked = limit_resources().is_ok() && calls.lock_zygote().is_ok();
            if !locked || calls.lock_step().is_err() {
                return 99;
            }
            let [a, b, c, d, e, f] = arguments;
            // SAFETY: arguments are plain numbers, or pointers to static strings.
            unsafe { libc::syscall(call, a, b, c, d, e, f) };
            0
        })
    }

    #[test]
    fn forbidden_calls_end_the_process() {
        let filter = SystemCalls::compile().expect("two filters");
        let root = ROOT.as_ptr() as i64;
        let rwx = i64::from(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
        let anonymous = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: plain call.
        let own = unsafe { libc::getpid() };
        let attacks: [(&str, i64, [i64; 6]); 44] = [
            ("dup3", libc::SYS_dup3, [0, 1, 0, 0, 0, 0]),
            ("close", libc::SYS_close, [0; 6]),
            ("close_range", libc::SYS_close_range, [5, 5, 0, 0, 0, 0]),
            ("fcntl", libc::SYS_fcntl, [0; 6]),
            ("seccomp", libc::SYS_seccomp, [0; 6]),
            ("getpid", libc::SYS_getpid, [0; 6]),
            ("openat", libc::SYS_openat, [-100, root, 0, 0, 0, 0]),
            ("openat2", libc::SYS_openat2, [-100, root, NULL, 0, 0, 0]),
            ("open_by_handle_at", libc::SYS_open_by_handle_at, [0; 6]),
            ("socket", libc::SYS_socket, [2, 1, 0, 0, 0, 0]),
            ("socketpair", libc::SYS_socketpair, [1, 1, 0, NULL, 0, 0]),
            ("connect", libc::SYS_connect, [0; 6]),
            ("bind", libc::SYS_bind, [0; 6]),
            ("sendmsg", libc::SYS_sendmsg, [0; 6]),
            ("recvmsg", libc::SYS_recvmsg, [0; 6]),
            ("clone", libc::SYS_clone, [17, 0, 0, 0, 0, 0]),
            ("clone3", libc::SYS_clone3, [0; 6]),
            ("execve", libc::SYS_execve, [root, NULL, NULL, 0, 0, 0]),
            ("execveat", libc::SYS_execveat, [-100, root, NULL, NULL, 0, 0]),
            ("ptrace", libc::SYS_ptrace, [0; 6]),
            ("process_vm_readv", libc::SYS_process_vm_readv, [i64::from(own), 0, 0, 0, 0, 0]),
            ("process_vm_writev", libc::SYS_process_vm_writev, [i64::from(own), 0, 0, 0, 0, 0]),
            ("kill", libc::SYS_kill, [i64::from(own), 0, 0, 0, 0, 0]),
            ("tgkill", libc::SYS_tgkill, [1, 1, 0, 0, 0, 0]),
            ("pidfd_open", libc::SYS_pidfd_open, [i64::from(own), 0, 0, 0, 0, 0]),
            ("pidfd_getfd", libc::SYS_pidfd_getfd, [0; 6]),
            ("io_uring_setup", libc::SYS_io_uring_setup, [1, NULL, 0, 0, 0, 0]),
            ("bpf", libc::SYS_bpf, [0; 6]),
            ("perf_event_open", libc::SYS_perf_event_open, [0; 6]),
            ("userfaultfd", libc::SYS_userfaultfd, [0; 6]),
            ("memfd_create", libc::SYS_memfd_create, [root, 0, 0, 0, 0, 0]),
            ("keyctl", libc::SYS_keyctl, [0; 6]),
            ("mount", libc::SYS_mount, [0; 6]),
            ("unshare", libc::SYS_unshare, [0; 6]),
            ("setns", libc::SYS_setns, [0; 6]),
            ("chroot", libc::SYS_chroot, [root, 0, 0, 0, 0, 0]),
            ("setuid", libc::SYS_setuid, [0; 6]),
            ("prctl", libc::SYS_prctl, [0; 6]),
            ("shmget", libc::SYS_shmget, [0; 6]),
            ("getdents64", libc::SYS_getdents64, [0; 6]),
            ("ioctl", libc::SYS_ioctl, [0; 6]),
            ("prlimit64 of another", libc::SYS_prlimit64, [i64::from(own), 0, NULL, NULL, 0, 0]),
            ("mmap to execute", libc::SYS_mmap, [0, 4096, rwx, anonymous, -1, 0]),
            ("mprotect to execute", libc::SYS_mprotect, [root & !4095, 4096, rwx, 0, 0, 0]),
        ];
        for (name, call, arguments) in attacks {
            let end = behind_filter(&filter, call, arguments);
            assert_eq!(end, End::Signal(libc::SIGSYS), "{name}");
        }
        let read_write = i64::from(libc::PROT_READ | libc::PROT_WRITE);
        let allowed: [(&str, i64, [i64; 6]); 4] = [
            ("getrandom", libc::SYS_getrandom, [NULL, 0, 0, 0, 0, 0]),
            ("mmap", libc::SYS_mmap, [0, 4096, read_write, anonymous, -1, 0]),
            ("read", libc::SYS_read, [-1, 0, 0, 0, 0, 0]),
            ("prlimit64 of itself", libc::SYS_prlimit64, [0, 0, NULL, NULL, 0, 0]),
        ];
        for (name, call, arguments) in allowed {
            assert_eq!(behind_filter(&filter, call, arguments), End::Status(0), "{name}");
        }
    }

    /// Runs an attack behind every wall but seccomp and gives what it found.
    fn behind_walls(attack: impl Fn() -> i32) -> (End, Walls) {
        // The report of the forked process is not seen here; this process asks for its own copy.
        let (read, write) = std::io::pipe().expect("a pipe");
        let end = in_process(|| {
            let mut walls = Walls::none();
            enter_namespaces(&mut walls);
            give_up_rights(&mut walls);
            if serde_json::to_writer(&write, &walls).is_err() {
                return 99;
            }
            attack()
        });
        drop(write);
        (end, serde_json::from_reader(read).expect("a report"))
    }

    /// Exit status of an attack: 0 where it got through, else its error number.
    fn status(result: i64) -> i32 {
        if result < 0 { io::Error::last_os_error().raw_os_error().unwrap_or(98) } else { 0 }
    }

    #[test]
    fn each_other_wall_holds_by_itself() {
        // SAFETY: plain call.
        let outside = unsafe { libc::getpid() };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        // SAFETY (all below): system calls with static strings and plain numbers.
        type Attack = Box<dyn Fn() -> i32>;
        let attacks: Vec<(&str, WallName, Attack)> = vec![
            (
                "list the root",
                WallName::Landlock,
                Box::new(|| {
                    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
                    status(unsafe { libc::open(ROOT.as_ptr(), flags) }.into())
                }),
            ),
            (
                "read a file of the machine",
                WallName::MountNamespace,
                Box::new(|| status(unsafe { libc::open(c"/etc/passwd".as_ptr(), 0) }.into())),
            ),
            (
                "see a process of the machine",
                WallName::PidNamespace,
                Box::new(move || status(unsafe { libc::kill(outside, 0) }.into())),
            ),
            (
                "mount something",
                WallName::UserNamespace,
                Box::new(|| {
                    let (none, tmpfs) = (c"none".as_ptr(), c"tmpfs".as_ptr());
                    let mounted =
                        unsafe { libc::mount(none, ROOT.as_ptr(), tmpfs, 0, std::ptr::null()) };
                    status(mounted.into())
                }),
            ),
            ("reach loopback", WallName::NetNamespace, Box::new(move || reach_loopback(port))),
        ];
        for (name, wall, attack) in attacks {
            let (end, walls) = behind_walls(attack);
            if walls.stands(wall) {
                assert!(
                    matches!(end, End::Status(error) if error != 0 && error != 99),
                    "{name}: {end:?}"
                );
            } else {
                let reported = walls.missing().any(|missing| missing.name == wall);
                assert!(reported, "{name}: {wall} is named as missing");
            }
        }
    }

    fn reach_loopback(port: u16) -> i32 {
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: port.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
            sin_zero: [0; 8],
        };
        // SAFETY: the address outlives the call.
        unsafe {
            let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
            let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            status(libc::connect(socket, (&raw const address).cast(), length).into())
        }
    }

    #[test]
    fn limits_hold() {
        let end = in_process(|| {
            if limit_resources().is_err() || limit_step(1 << 30, 1).is_err() {
                return 99;
            }
            // SAFETY: plain calls.
            unsafe {
                if libc::dup(0) >= 0 {
                    return 1;
                }
                let (size, flags) = (2 << 30, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
                let mapped = libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ, flags, -1, 0);
                if mapped != libc::MAP_FAILED {
                    return 2;
                }
            }
            loop {
                std::hint::spin_loop();
            }
        });
        assert!(matches!(end, End::Signal(libc::SIGXCPU | libc::SIGKILL)), "{end:?}");
    }
}
