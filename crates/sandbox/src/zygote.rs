//! The process that forks the steps' processes.

/// Serves as zygote on standard input. To be called before anything else has run.
pub fn zygote_main() -> ! {
    std::process::abort()
}
