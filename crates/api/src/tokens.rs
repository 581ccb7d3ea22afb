//! API tokens: one file per operation, and how one is shown. A token acts as its maker.

mod create;
mod delete;
mod list;

use crate::operation::Operation;
use crate::scopes::{Scopes, TokenScope};
use keyward_model::clock::Timestamp;
use keyward_model::id::{MemberId, TokenId};
use keyward_model::tenant::ApiToken;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) fn operations() -> Vec<Operation> {
    vec![list::operation(), create::operation(), delete::operation()]
}

/// An API token, without the token itself.
#[derive(Serialize, JsonSchema)]
struct TokenView {
    id: TokenId,
    name: String,
    /// Whom it acts as.
    member: MemberId,
    /// What it may do at most; null for all that its maker may.
    scopes: Option<Vec<TokenScope>>,
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
}

fn view(token: &ApiToken) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name.clone(),
        member: token.member,
        scopes: Scopes::parse(&token.scopes).list().cloned(),
        expires_at: token.expires_at,
        created_at: token.created_at,
    }
}
