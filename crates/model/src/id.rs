//! Typed, prefixed, time-ordered identifiers: one list for the whole product.

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// RFC 4648 base32hex in lower case: keeps the order of the bytes, so ids sort by time.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789abcdefghijklmnopqrstuv");
    // A 32-symbol alphabet is always a valid specification.
    spec.encoding().unwrap_or(data_encoding::BASE32HEX_NOPAD)
});

/// Text that is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid identifier")]
pub struct InvalidId;

/// What every identifier can do; implemented by the list below alone.
pub trait Identifier: Sized + Copy + Eq + std::hash::Hash + std::fmt::Display {
    /// The kind's prefix, without its underscore.
    const PREFIX: &'static str;
    /// Wraps the 16 bytes of a UUIDv7 (RFC 9562 §5.7).
    fn from_bytes(bytes: [u8; 16]) -> Self;
    /// The 16 bytes inside.
    fn as_bytes(&self) -> &[u8; 16];
    /// Reads `prefix_…`; anything else is `InvalidId`.
    fn parse(text: &str) -> Result<Self, InvalidId> {
        let body = text.strip_prefix(Self::PREFIX).and_then(|rest| rest.strip_prefix('_'));
        let bytes = body.and_then(|body| BASE32.decode(body.as_bytes()).ok());
        let bytes = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        bytes.map(Self::from_bytes).ok_or(InvalidId)
    }
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl Identifier for $name {
            const PREFIX: &'static str = $prefix;
            fn from_bytes(bytes: [u8; 16]) -> Self { Self(bytes) }
            fn as_bytes(&self) -> &[u8; 16] { &self.0 }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}_{}", $prefix, BASE32.encode(&self.0))
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> { Self::parse(text) }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(d)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "_[0-9a-v]{26}$"),
                })
            }
        }
    )*};
}

identifiers! {
    /// A workspace, the tenant.
    WorkspaceId "ws";
    /// A member of a workspace.
    MemberId "mem";
    /// A person's account, which may be a member of several workspaces.
    AccountId "acc";
    /// A session of an account.
    SessionId "ses";
    /// An invitation into a workspace.
    InvitationId "inv";
    /// An API token.
    TokenId "tok";
    /// A credential.
    CredentialId "cred";
    /// A workflow.
    WorkflowId "wf";
    /// One execution of a workflow version.
    RunId "run";
    /// One audit event; also names the permit that the event stands for.
    AuditId "aud";
    /// One data directory, and so one server at a time.
    NodeId "node";
    /// One unbroken chain of audit records, written by one connection of one process.
    StreamId "str";
    /// A workspace key generation.
    KeyId "key";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_sort_by_time() {
        let early = RunId::from_bytes([1; 16]);
        let late = RunId::from_bytes([2; 16]);
        assert_eq!(RunId::parse(&early.to_string()), Ok(early));
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().len(), "run_".len() + 26);
    }

    #[test]
    fn another_kind_or_form_is_refused() {
        let run = RunId::from_bytes([7; 16]).to_string();
        for text in ["", "run_", "run_zz", &run.to_uppercase(), &format!("{run}0"), &run[4..]] {
            assert_eq!(RunId::parse(text), Err(InvalidId), "{text}");
        }
        assert_eq!(CredentialId::parse(&run), Err(InvalidId));
    }
}
