//! Runs untrusted JavaScript and TypeScript in confined single-use processes.
