//! What we accept from others, as data.

/// The one registry.
pub(super) const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that let us ship under Apache-2.0.
pub(super) const LICENCES: &[&str] = &[
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "OpenSSL", "Unicode-3.0",
    "Unicode-DFS-2016", "Unlicense", "Zlib",
];

/// Licences of packages whose manifest names none, read in their licence files.
pub(super) const MISSING_LICENCES: &[(&str, &str)] = &[];

/// Crates that are there more than once, and whose wish that is.
pub(super) const DUPLICATES: &[(&str, &str)] = &[
    ("base64", "pem, for the test certificates of rcgen, is ahead of all others"),
    ("block-buffer", "digest 0.10"),
    ("const-oid", "der 0.7 of tokio-postgres-rustls; digest 0.11 of postgres-protocol"),
    ("cpufeatures", "sha1 0.10 of swc; sha2 0.11 of postgres-protocol"),
    ("crypto-common", "digest 0.10"),
    ("digest", "sha1 0.10 of swc; hmac 0.13 of postgres-protocol"),
    ("fallible-iterator", "postgres is behind rusqlite"),
    ("getrandom", "only in the lock file: optional for others and never built"),
    ("hashbrown", "swc_allocator is behind"),
    ("nom", "only in the lock file: x509-parser, for rcgen, is behind lettre"),
    ("phf", "swc is behind tokio-postgres"),
    ("phf_shared", "phf"),
    ("rand", "phf_generator 0.11 of swc; postgres-protocol"),
    ("rand_core", "rand"),
    ("sha1", "swc is behind what scripts are given for their digests"),
    ("syn", "build time only: half of the macros have moved to 3"),
    ("synstructure", "build time only: syn"),
    ("untrusted", "aws-lc-rs is behind rustls-webpki"),
];
