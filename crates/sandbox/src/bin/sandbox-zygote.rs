//! A zygote by itself, for this crate's tests; the server uses its own binary instead.

fn main() {
    keyward_sandbox::zygote_main()
}
