//! The only way out: a guarded client that sends one hop to a checked address.
