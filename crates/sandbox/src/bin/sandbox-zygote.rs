//! A zygote by itself, for this crate's tests; the server uses its own binary instead.
//!
//! Each argument names something that the machine shall refuse, as containers do.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

fn main() {
    let refused = std::env::args().skip(1).flat_map(|word| calls(&word));
    let rules: BTreeMap<i64, Vec<SeccompRule>> = refused.collect();
    if !rules.is_empty() && refuse(rules).is_none() {
        // Without a report the test at the other end fails.
        return;
    }
    keyward_sandbox::zygote_main()
}

/// The system calls that a word stands for.
fn calls(word: &str) -> Vec<(i64, Vec<SeccompRule>)> {
    let all = |call| (call, Vec::new());
    match word {
        "unshare" => vec![all(libc::SYS_unshare)],
        "landlock" => vec![all(libc::SYS_landlock_create_ruleset)],
        "mount" => vec![all(libc::SYS_mount)],
        "seccomp" => {
            let option = u64::try_from(libc::PR_SET_SECCOMP).unwrap_or_default();
            let condition =
                SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, option);
            let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
            vec![all(libc::SYS_seccomp), (libc::SYS_prctl, rule.into_iter().collect())]
        }
        _ => Vec::new(),
    }
}

fn refuse(rules: BTreeMap<i64, Vec<SeccompRule>>) -> Option<()> {
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let error = SeccompAction::Errno(u32::try_from(libc::EPERM).ok()?);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, error, arch).ok()?;
    let program: BpfProgram = filter.try_into().ok()?;
    seccompiler::apply_filter(&program).ok()
}
