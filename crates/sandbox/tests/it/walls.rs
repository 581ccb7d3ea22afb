//! The walls: seen from outside on a running step, compared with what the kernel offers, and taken
//! away one by one. Attacks from inside are in `src/confine.rs`.
#![expect(unsafe_code, reason = "probes of the kernel have no wrapper in std")]

use crate::helper::{options, sandbox, step};
use crate::lifecycle::status;
use keyward_sandbox::{Event, Options, Sandbox, SandboxError, Start, WallName};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::Command;

const SLEEPS: &str = "await new Promise((done) => setTimeout(done, 30_000))";

/// Whether a fresh process may enter this namespace, inside a user namespace where it gets one.
fn offers(namespace: libc::c_int) -> bool {
    let mut command = Command::new("/bin/true");
    // SAFETY: only system calls after the fork.
    unsafe {
        command.pre_exec(move || {
            let user = libc::unshare(libc::CLONE_NEWUSER);
            let result =
                if namespace == libc::CLONE_NEWUSER { user } else { libc::unshare(namespace) };
            if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
    command.status().is_ok()
}

fn offers_landlock() -> bool {
    // SAFETY: asks for the version only.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) > 0 }
}

fn offers_seccomp() -> bool {
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads one u32.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 }
}

#[tokio::test]
async fn the_report_is_what_the_kernel_offers() {
    let walls = sandbox().await.walls();
    let expected = [
        (WallName::Seccomp, offers_seccomp()),
        (WallName::Landlock, offers_landlock()),
        (WallName::UserNamespace, offers(libc::CLONE_NEWUSER)),
        (WallName::PidNamespace, offers(libc::CLONE_NEWPID)),
        (WallName::NetNamespace, offers(libc::CLONE_NEWNET)),
        (WallName::MountNamespace, offers(libc::CLONE_NEWNS)),
        (WallName::IpcNamespace, offers(libc::CLONE_NEWIPC)),
        (WallName::Rlimits, true),
    ];
    for (name, offered) in expected {
        assert_eq!(walls.stands(name), offered, "{name}: {walls:?}");
    }
    assert_eq!(walls.iter().map(|wall| wall.name).collect::<Vec<_>>(), WallName::ALL);
}

/// A file of the step's directory in /proc; none where this user may not look, which itself shows
/// that the process is not dumpable.
fn look<T>(found: io::Result<T>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_running_step_holds_nothing_but_its_socket() {
    let sandbox = sandbox().await;
    let mut session = step(&format!("console.log('begun'); {SLEEPS}")).start(&sandbox).await;
    assert!(matches!(session.next().await, Event::Log { .. }), "its bounds are set");
    let pid = session.process_id().expect("it runs");
    let proc = |name: &str| format!("/proc/{pid}/{name}");
    if let Some(entries) = look(std::fs::read_dir(proc("fd"))) {
        let links: Vec<String> = entries
            .map(|entry| std::fs::read_link(entry.expect("an entry").path()).expect("a link"))
            .map(|link| link.display().to_string())
            .collect();
        assert!(matches!(links.as_slice(), [only] if only.starts_with("socket:")), "{links:?}");
    }
    assert_eq!(look(std::fs::read(proc("environ"))).unwrap_or_default(), b"");
    for (field, value) in [
        ("Seccomp", "2"),
        ("NoNewPrivs", "1"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("Threads", "1"),
    ] {
        assert_eq!(status(pid, field).as_deref(), Some(value), "{field}");
    }
    let walls = sandbox.walls();
    for (wall, name) in [
        (WallName::UserNamespace, "user"),
        (WallName::PidNamespace, "pid"),
        (WallName::NetNamespace, "net"),
        (WallName::MountNamespace, "mnt"),
        (WallName::IpcNamespace, "ipc"),
    ] {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
        if let Some(theirs) = look(std::fs::read_link(proc(&format!("ns/{name}")))) {
            assert_eq!(theirs != own, walls.stands(wall), "{name}");
        }
    }
    if let Some(root) = look(std::fs::read_dir(proc("root"))) {
        assert_eq!(root.count() == 0, walls.stands(WallName::MountNamespace));
    }
    let limits = std::fs::read_to_string(proc("limits")).expect("limits");
    for (name, value) in [
        ("Max open files", "1"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max processes", "0"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).expect(name);
        let soft = line[name.len()..].split_whitespace().next();
        assert_eq!(soft, Some(value), "{line}");
    }
    for name in ["Max address space", "Max cpu time"] {
        let line = limits.lines().find(|line| line.starts_with(name)).expect(name);
        assert!(!line.contains("unlimited"), "{line}");
    }
}

#[tokio::test]
async fn two_steps_differ_by_chance() {
    let sandbox = sandbox().await;
    let mut seen = BTreeSet::new();
    for _ in 0..8 {
        let ran = step("return [Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint32Array(2)).join()]").run(&sandbox).await;
        for part in ran.output().as_array().expect("an array") {
            assert!(seen.insert(part.to_string()), "{part} came twice");
        }
    }
}

/// A sandbox on a machine that refuses what these words name.
async fn without(words: &[&str], change: impl FnOnce(&mut Options)) -> Sandbox {
    let mut options = options();
    options.arguments = words.iter().map(|word| (*word).to_owned()).collect();
    change(&mut options);
    Sandbox::start(options).await.expect("it starts all the same")
}

fn missing(sandbox: &Sandbox) -> Vec<WallName> {
    sandbox.walls().missing().map(|wall| wall.name).collect()
}

/// What happens to a step that returns 1.
async fn outcome(sandbox: &Sandbox) -> Result<keyward_sandbox::Event, Option<WallName>> {
    let start = Start {
        javascript: "(async function () {return 1\n})".into(),
        trigger: "null".into(),
        steps: "null".into(),
        run: "null".into(),
        item: None,
        credentials: Vec::new(),
    };
    match sandbox.run(start, keyward_sandbox::Limits::default()).await {
        Ok(mut session) => Ok(session.next().await),
        Err(SandboxError::WallMissing { wall, reason }) => {
            assert!(!reason.is_empty());
            Err(Some(wall))
        }
        Err(error) => panic!("{error}"),
    }
}

fn one() -> Result<keyward_sandbox::Event, Option<WallName>> {
    Ok(keyward_sandbox::Event::Finished(keyward_sandbox::Outcome::Output("1".into())))
}

#[tokio::test]
async fn without_seccomp_code_is_refused_unless_told() {
    let sandbox = without(&["seccomp"], |_| {}).await;
    assert!(missing(&sandbox).contains(&WallName::Seccomp), "{:?}", sandbox.walls());
    assert_eq!(outcome(&sandbox).await, Err(Some(WallName::Seccomp)));
    let compiled = sandbox.compile("return 1", keyward_sandbox::Language::Javascript).await;
    let text = compiled.expect_err("refused").to_string();
    assert!(text.contains("`seccomp`"), "{text}");
    let unsafe_one = without(&["seccomp"], |options| options.unsafe_sandbox = true).await;
    assert_eq!(outcome(&unsafe_one).await, one());
}

#[tokio::test]
async fn other_walls_are_named_and_refused_on_request() {
    let namespaces = [
        WallName::UserNamespace,
        WallName::PidNamespace,
        WallName::NetNamespace,
        WallName::MountNamespace,
        WallName::IpcNamespace,
    ];
    let base = missing(&sandbox().await);
    for (word, walls) in [
        ("unshare", &namespaces[..]),
        ("landlock", &[WallName::Landlock]),
        ("mount", &[WallName::MountNamespace]),
    ] {
        let lenient = without(&[word], |_| {}).await;
        let expected: BTreeSet<_> = walls.iter().chain(&base).copied().collect();
        assert_eq!(missing(&lenient).into_iter().collect::<BTreeSet<_>>(), expected, "{word}");
        assert_eq!(outcome(&lenient).await, one(), "{word}");
        let strict = without(&[word], |options| options.require_all_walls = true).await;
        let first = WallName::ALL.into_iter().find(|name| expected.contains(name));
        assert_eq!(outcome(&strict).await, Err(first), "{word}");
        assert!(strict.check_walls().is_err());
    }
    let strict = without(&[], |options| options.require_all_walls = true).await;
    let expected = base.first().map_or_else(one, |name| Err(Some(*name)));
    assert_eq!(outcome(&strict).await, expected, "with nothing taken away");
}

#[tokio::test]
async fn a_step_stays_locked_in_where_namespaces_are_refused() {
    let sandbox = without(&["unshare", "landlock"], |_| {}).await;
    let session = step(SLEEPS).start(&sandbox).await;
    let pid = session.process_id().expect("it runs");
    for (field, value) in [("Seccomp", "2"), ("NoNewPrivs", "1"), ("CapEff", "0000000000000000")] {
        assert_eq!(status(pid, field).as_deref(), Some(value), "{field}");
    }
    let ids = status(pid, "Uid").expect("ids");
    assert!(!ids.starts_with("0\t"), "not root: {ids}");
    let ran = step("return 1").run(&sandbox).await;
    assert_eq!(ran.output(), json!(1));
}
