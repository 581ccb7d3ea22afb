//! `api_key`: one value in a header or the query; `Authorization: Bearer` where nothing else is said.

use super::{AttachError, Fields, set_header, set_query};
use crate::broker::Outgoing;

pub(super) fn attach(fields: &Fields<'_>, request: &mut Outgoing) -> Result<(), AttachError> {
    let value = fields.text("value").ok_or(AttachError::MissingField)?;
    let name = fields.plain("name");
    // A prefix of its own only where the header is the default one.
    let prefix = fields.plain("prefix").unwrap_or(if name.is_some() { "" } else { "Bearer " });
    let value = format!("{prefix}{value}");
    if fields.plain("in") == Some("query") {
        return set_query(request, name.unwrap_or("api_key"), &value);
    }
    set_header(request, name.unwrap_or("Authorization"), value);
    Ok(())
}
