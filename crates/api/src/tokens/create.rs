//! `POST /api/v1/workspaces/{workspace}/tokens`

use super::{TokenView, view};
use crate::auth::{InWorkspace, Presented};
use crate::body::Json;
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use crate::scopes::{Scopes, TokenScope};
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::clock::Timestamp;
use keyward_model::id::MemberId;
use keyward_model::json::Fault;
use keyward_model::policy::Ability;
use keyward_model::tenant::{ApiToken, MemberKind};
use keyward_store::{Audited, Tx};
use keyward_vault::TokenKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A token to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What people know it by.
    name: String,
    /// What it may do at most; without it, all that you may.
    scopes: Option<Vec<TokenScope>>,
    /// When it stops working; without it, never.
    expires_at: Option<Timestamp>,
    /// The service account that it acts as, for owners and admins; without it, you.
    member: Option<MemberId>,
}

/// A new token: the only answer that holds it.
#[derive(Serialize, JsonSchema)]
struct MadeToken {
    /// The token itself, shown this once.
    token: String,
    #[serde(flatten)]
    view: TokenView,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/tokens",
        "createToken",
        "Make an API token that acts as you, or as a service account; it is shown once.",
        // Every member: a token can do no more than its maker.
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .body::<NewToken>()
    .answer::<MadeToken>(201)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Json(body): Json<NewToken>,
) -> Result<impl IntoResponse, Problem> {
    scope.may_do(&api, Ability::ReadRuns, Action::TokenCreated).await?;
    let (vault, workspace) = (api.vault(), scope.id());
    let name = check(&body, &scope.with, vault.now()).map_err(Problem::invalid)?;
    let scopes = Scopes::asked(body.scopes);
    if !scope.with.scopes.cover(&scopes) {
        let problem = Problem::new("forbidden", "a token makes none that may do more than itself");
        return Err(scope.refused(&api, Action::TokenCreated, problem).await);
    }
    let member = match body.member {
        Some(id) if id != scope.caller.member => service_account(&api, &scope, id).await?,
        _ => scope.caller.member,
    };
    let (token, hash) = vault.new_token(TokenKind::Api)?;
    let row = ApiToken {
        workspace,
        id: vault.fresh(),
        member,
        name,
        hash,
        scopes: scopes.stored(),
        expires_at: body.expires_at,
        created_at: vault.now(),
    };
    let made = MadeToken { token: token.reveal().to_owned(), view: view(&row) };
    let mut event = scope.event(&api, Action::TokenCreated);
    event.reason = row.id.to_string();
    let row = vault.sign(workspace, row).await?;
    let write = move |tx: &mut Tx<'_>| {
        tx.insert_token(&row)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// The service account for which an owner or admin makes a token.
async fn service_account(
    api: &Api,
    scope: &InWorkspace,
    id: MemberId,
) -> Result<MemberId, Problem> {
    scope.may_do(api, Ability::Administer, Action::TokenCreated).await?;
    let workspace = scope.id();
    let found = api.store().read(move |tx| tx.member(workspace, id)).await?;
    match found.map(|row| row.parts().0.kind) {
        Some(MemberKind::Service) => Ok(id),
        _ => Err(Problem::fault("/member", "invalid_value", "must be a service account")),
    }
}

/// The rules of a new token; gives its name.
fn check(body: &NewToken, own: &Presented, now: Timestamp) -> Result<String, Vec<Fault>> {
    let mut faults = Vec::new();
    let name = names::name("/name", &body.name).map_err(|fault| faults.push(fault)).ok();
    if body.scopes.as_ref().is_some_and(Vec::is_empty) {
        let detail = "name at least one scope, or leave it out for all that you may";
        faults.push(Fault::new("/scopes", "invalid_value", detail));
    }
    if body.expires_at.is_some_and(|at| at <= now) {
        faults.push(Fault::new("/expires_at", "invalid_value", "must lie in the future"));
    }
    if own.expires_at.is_some_and(|own| body.expires_at.is_none_or(|at| at > own)) {
        let detail = "must not be later than the end of the token that makes it";
        faults.push(Fault::new("/expires_at", "invalid_value", detail));
    }
    name.filter(|_| faults.is_empty()).ok_or(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::By;
    use keyward_model::id::{Identifier as _, TokenId};

    fn check_rules(body: &str, own_end: Option<i64>, expected: Result<&str, &[&str]>) {
        let own = Presented {
            by: By::Token(TokenId::from_bytes([1; 16])),
            scopes: Scopes::All,
            expires_at: own_end.map(Timestamp::from_millis),
        };
        let read = keyward_model::json::read::<NewToken>(body.as_bytes()).expect(body);
        let found = check(&read, &own, Timestamp::from_millis(1_000));
        let found =
            found.map_err(|faults| faults.into_iter().map(|f| f.pointer).collect::<Vec<_>>());
        let expected = expected.map(str::to_owned);
        assert_eq!(
            found,
            expected.map_err(|p| p.iter().map(|p| (*p).to_owned()).collect()),
            "{body}"
        );
    }

    #[test]
    fn rules_of_a_new_token() {
        let later = "1970-01-01T00:00:02Z";
        check_rules(r#"{"name":" CI "}"#, None, Ok("CI"));
        check_rules(r#"{"name":"CI","scopes":["run"]}"#, None, Ok("CI"));
        check_rules(&format!(r#"{{"name":"CI","expires_at":"{later}"}}"#), None, Ok("CI"));
        check_rules(r#"{"name":"","scopes":[]}"#, None, Err(&["/name", "/scopes"]));
        check_rules(
            r#"{"name":"CI","expires_at":"1970-01-01T00:00:01Z"}"#,
            None,
            Err(&["/expires_at"]),
        );
        check_rules(r#"{"name":"CI"}"#, Some(2_000), Err(&["/expires_at"]));
        check_rules(&format!(r#"{{"name":"CI","expires_at":"{later}"}}"#), Some(2_000), Ok("CI"));
        check_rules(
            &format!(r#"{{"name":"CI","expires_at":"{later}"}}"#),
            Some(1_999),
            Err(&["/expires_at"]),
        );
    }

    #[test]
    fn unknown_scopes_are_refused_where_they_stand() {
        let read =
            keyward_model::json::read::<NewToken>(br#"{"name":"CI","scopes":["read","all"]}"#);
        let Err(keyward_model::json::Faults::Rules(faults)) = read else { panic!("it was taken") };
        assert_eq!(faults[0].pointer, "/scopes/1");
        assert!(!faults[0].detail.contains("all,"), "{}", faults[0].detail);
    }
}
