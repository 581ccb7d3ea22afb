//! The stable codes of problems and step errors; each has its page in `docs/errors/`.

/// RFC 9457 problem codes of the API with their status and title.
pub const PROBLEM_CODES: &[(&str, u16, &str)] = &[
    ("invalid_request", 400, "The request cannot be read"),
    ("invalid_json", 400, "The body is not valid JSON"),
    ("unauthenticated", 401, "Sign in first"),
    ("forbidden", 403, "Not allowed"),
    ("not_found", 404, "Not found"),
    ("method_not_allowed", 405, "Method not allowed"),
    ("conflict", 409, "Conflict"),
    ("credential_in_use", 409, "The credential is in use"),
    ("payload_too_large", 413, "The body is too large"),
    ("unsupported_media_type", 415, "The content type is not supported"),
    ("validation_failed", 422, "The request breaks a rule"),
    ("value_too_large", 422, "A value is too large"),
    ("test_not_defined", 422, "No connection test is defined"),
    ("rate_limited", 429, "Too many requests"),
    ("run_failed", 500, "The run failed"),
    ("internal", 500, "Internal error"),
    ("unavailable", 503, "Not available now"),
];

macro_rules! step_errors {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => {
        /// Why a step ended without its output.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum StepErrorCode { $($(#[$doc])* $name,)* }

        impl StepErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];
            /// The stable word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
            /// Reads the stable word.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

step_errors! {
    /// No credential of that key is there for this step; never says why.
    MissingCredential "missing_credential";
    /// The credential may not go to that host, method, path or place.
    CredentialNotAllowedHere "credential_not_allowed_here";
    /// The credential cannot be opened, or has expired.
    CredentialUnusable "credential_unusable";
    /// The egress guard refused the address.
    DestinationBlocked "destination_blocked";
    /// No connection, or it broke.
    ConnectionFailed "connection_failed";
    /// The service answered with a status from 400.
    HttpStatus "http_status";
    /// The time was up.
    Timeout "timeout";
    /// The memory was used up.
    MemoryLimit "memory_limit";
    /// The output is over the limit.
    OutputTooLarge "output_too_large";
    /// The script threw, or is not one.
    ScriptError "script_error";
    /// A template could not be evaluated.
    TemplateError "template_error";
    /// The step's input breaks a rule.
    ValidationFailed "validation_failed";
    /// The node died in the middle and the step says not to run again.
    Interrupted "interrupted";
    /// A secret store could not be read in time.
    StoreUnavailable "store_unavailable";
    /// The use could not be recorded, so nothing was released.
    AuditUnavailable "audit_unavailable";
    /// A person cancelled the run.
    Cancelled "cancelled";
    /// The server itself failed.
    Internal "internal";
}
