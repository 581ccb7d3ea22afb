//! `basic`: HTTP Basic authentication (RFC 7617).

use super::{AttachError, Fields, set_header};
use crate::broker::Outgoing;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) fn attach(fields: &Fields<'_>, request: &mut Outgoing) -> Result<(), AttachError> {
    let username = fields.text("username").unwrap_or_default();
    let password = fields.text("password").ok_or(AttachError::MissingField)?;
    set(request, &username, &password);
    Ok(())
}

/// Writes the header.
pub(super) fn set(request: &mut Outgoing, username: &str, password: &str) {
    let joined = STANDARD.encode(format!("{username}:{password}"));
    set_header(request, "Authorization", format!("Basic {joined}"));
}
