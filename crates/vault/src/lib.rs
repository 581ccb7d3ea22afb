//! The only crate that opens credential values.
