//! What goes into a step, what it asks for on the way, and how it ends.

use crate::error::ScriptError;
use crate::shape::Shape;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of one step.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory that the script may hold, in bytes.
    pub memory_bytes: usize,
    /// Wall time from the start to the end, waiting for answers included.
    pub wall_time: Duration,
    /// Largest output, in bytes of JSON.
    pub output_bytes: usize,
    /// Largest log, in bytes of text (8 more are counted a line); the rest is cut.
    pub log_bytes: usize,
    /// Largest body of one `fetch` request, in bytes.
    pub request_bytes: usize,
    /// Fetches that may be under way at once; more wait inside the step.
    pub fetches_at_once: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            wall_time: Duration::from_secs(60),
            output_bytes: 5 << 20,
            log_bytes: 1 << 20,
            request_bytes: 32 << 20,
            fetches_at_once: 32,
        }
    }
}

/// Everything that a step's script sees at its start.
#[derive(Debug, Clone)]
pub struct Start {
    /// [`Compiled::javascript`](crate::Compiled).
    pub javascript: Arc<str>,
    /// JSON text of the global `trigger`.
    pub trigger: Arc<str>,
    /// JSON text of the global `steps`.
    pub steps: Arc<str>,
    /// JSON text of the global `run`.
    pub run: Arc<str>,
    /// JSON text of the global `item`; without one it is undefined.
    pub item: Option<Arc<str>>,
    /// The credentials the step may name. Any other key is `missing_credential`.
    pub credentials: Vec<CredentialHandle>,
}

/// A credential as the script sees it: sealed strings, or none where it must be asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialHandle {
    /// The key that the script names.
    pub key: String,
    /// What `credential(key, field)` returns, by field: sealed strings, never a secret.
    pub fields: BTreeMap<String, String>,
    /// The field that `credential(key)` means; without one a field must be named.
    pub main: Option<String>,
    /// Every call asks ([`Ask::Expose`]) instead of reading `fields`.
    pub readable: bool,
    /// What `credential.info(key)` returns.
    pub info: serde_json::Value,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// `console.debug`
    Debug,
    /// `console.log` and `console.info`
    Info,
    /// `console.warn`
    Warn,
    /// `console.error`
    Error,
}

/// What `fetch` does with a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    /// Goes on to the new address.
    #[default]
    Follow,
    /// Fails.
    Error,
    /// Gives the redirecting response itself.
    Manual,
}

/// A request that the script wants sent. Nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The address as `URL` prints it.
    pub url: String,
    /// The method, upper case where it is a standard one.
    pub method: String,
    /// Name and value, names in lower case, in the order they were set.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// `fetch(url, {credential: "KEY"})`; always a key of the step's handles.
    pub credential: Option<String>,
    /// What to do with a redirect.
    pub redirect: Redirect,
}

/// What a `fetch` resolves to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchResponse {
    /// HTTP status code.
    pub status: u16,
    /// Reason phrase, possibly empty.
    pub status_text: String,
    /// The address that answered.
    pub url: String,
    /// Names and values; repeated names are joined as `Headers` does.
    pub headers: Vec<(String, String)>,
    /// The whole body, decoded.
    pub body: Bytes,
    /// Whether a redirect was followed.
    pub redirected: bool,
}

/// A question that blocks the script until it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `credential(key, field?)` of a readable credential; the answer is the value.
    Expose {
        /// A key of the step's handles.
        key: String,
        /// The field named, or none for the main one.
        field: Option<String>,
    },
    /// `credential.basic`, `.base64`, `.hmac` or `.jwt`; the answer is a string.
    Derive {
        /// A key of the step's handles.
        key: String,
        /// What to compute.
        derivation: Derivation,
    },
    /// `credential.verifyHmac`; the answer is `true` or `false`.
    VerifyHmac {
        /// A key of the step's handles.
        key: String,
        /// The field that is the HMAC key, or none for the main one.
        field: Option<String>,
        /// The signed bytes.
        message: Bytes,
        /// The signature as the script has it.
        signature: String,
        /// As written by the script, default `sha256`.
        algorithm: String,
        /// How the signature is written, default `hex`.
        encoding: String,
    },
}

impl Ask {
    /// The credential it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::Expose { key, .. } | Self::Derive { key, .. } | Self::VerifyHmac { key, .. } => {
                key
            }
        }
    }
}

/// A value computed from a credential. Names of algorithms are as the script wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derivation {
    /// `username:password` for `Authorization: Basic`, in base64.
    Basic,
    /// A field in base64.
    Base64 {
        /// The field named, or none for the main one.
        field: Option<String>,
    },
    /// A keyed hash of a message.
    Hmac {
        /// The field that is the key, or none for the main one.
        field: Option<String>,
        /// The bytes to sign.
        message: Bytes,
        /// Default `sha256`.
        algorithm: String,
        /// Default `hex`.
        encoding: String,
    },
    /// A signed JSON web token.
    Jwt {
        /// The field that is the key, or none for the main one.
        field: Option<String>,
        /// JSON text of the claims, an object.
        claims: String,
        /// JSON text of further header members, an object.
        header: Option<String>,
        /// Default `RS256`.
        algorithm: String,
        /// Life time in seconds, default 300.
        expires_in: u32,
    },
}

/// What a running step says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A line of `console`.
    Log {
        /// How loud.
        level: Level,
        /// The text, not yet masked.
        text: String,
    },
    /// A request; answer it with [`Session::answer_fetch`](crate::Session::answer_fetch).
    Fetch {
        /// Names the fetch in its answer.
        id: u32,
        /// What is to be sent.
        request: FetchRequest,
    },
    /// The script gave this fetch up; an answer is not needed any more.
    Abort {
        /// The fetch.
        id: u32,
    },
    /// A question; answer it with [`Session::answer_ask`](crate::Session::answer_ask).
    Ask {
        /// Names the question in its answer.
        id: u32,
        /// What is asked.
        ask: Ask,
    },
    /// The step has ended and its process is gone.
    Finished(Outcome),
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// JSON text of what the script returned.
    Output(Box<str>),
    /// It failed.
    Failed(Failure),
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `script_error`, `timeout`, `memory_limit`, `output_too_large`, `interrupted` (the process
    /// was lost through no fault of the script), or the code of an error that `fetch` or
    /// `credential` threw and the script let escape.
    pub code: &'static str,
    /// Text for the author, with `(line N)` and a short stack in lines of the author's source.
    pub message: String,
    /// The credential it is about.
    pub key: Option<String>,
    /// Line of the author's source, from 1.
    pub line: Option<u32>,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), key: None, line: None }
    }
}

/// Codes that a script's error may carry out of the step; any other becomes `script_error`.
const CODES: [&str; 14] = [
    "script_error",
    "timeout",
    "memory_limit",
    "output_too_large",
    "missing_credential",
    "credential_not_allowed_here",
    "credential_unusable",
    "destination_blocked",
    "connection_failed",
    "http_status",
    "validation_failed",
    "rate_limited",
    "store_unavailable",
    "audit_unavailable",
];

/// The known code of this name, else `script_error`.
pub(crate) fn known_code(code: &str) -> &'static str {
    CODES.into_iter().find(|known| *known == code).unwrap_or("script_error")
}

/// An answer to a fetch or a question, as the script gets it.
pub type Answer<T> = Result<T, ScriptError>;

/// The language of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// ECMAScript.
    Javascript,
    /// TypeScript whose types can simply be left out (no `enum`, no `namespace`).
    Typescript,
}

/// A string literal that is a credential key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyLiteral {
    /// The key.
    pub key: String,
    /// The byte of the author's source at which the literal begins, quotes included.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
}

/// A source that is ready to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compiled {
    /// What [`Start::javascript`] wants: one async function that holds the author's source, with
    /// lines where the author had them.
    pub javascript: String,
    /// Credential keys that stand as string literals in the source, sorted, each once.
    pub keys: Vec<String>,
    /// Each of those literals, in their order.
    pub literals: Vec<KeyLiteral>,
    /// What the output is made of.
    pub returns: Shape,
}
