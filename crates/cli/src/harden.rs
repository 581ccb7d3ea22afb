//! What the process forbids itself at its start: core dumps, being read by its own user, and panics
//! that print what they stumbled over.

use std::panic::{self, PanicHookInfo};

/// Panics tell where they happened. Their text is printed only where it is the program's own: a
/// formatted one may quote the data that it choked on.
pub(crate) fn tell_panics_briefly() {
    panic::set_hook(Box::new(|info| crate::logging::say(&told(info))));
}

fn told(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
    let text = info.payload().downcast_ref::<&'static str>().map(|text| format!(": {text}"));
    format!("keyward: panic{}{}", place.unwrap_or_default(), text.unwrap_or_default())
}

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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_panic_prints_its_place_and_no_data() {
        let (seen, before) = (Arc::new(Mutex::new(Vec::new())), std::panic::take_hook());
        let keep = seen.clone();
        std::panic::set_hook(Box::new(move |info| keep.lock().unwrap().push(super::told(info))));
        let data = String::from("größe-canary");
        let quoting = std::panic::catch_unwind(|| data.split_at(3).0.len());
        let fixed = std::panic::catch_unwind(|| panic!("a fixed text"));
        std::panic::set_hook(before);
        assert!(quoting.is_err() && fixed.is_err());
        let seen = seen.lock().unwrap().join("\n");
        assert!(!seen.contains("canary") && seen.contains("harden.rs"), "{seen}");
        assert!(seen.contains("a fixed text"), "{seen}");
    }
}
