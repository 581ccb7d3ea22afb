//! `POST /api/v1/workspaces/{workspace}/members`

use super::{MemberView, view};
use crate::auth::InWorkspace;
use crate::body::Json;
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::actor::Role;
use keyward_model::audit::Action;
use keyward_model::json::Fault;
use keyward_model::people::{MemberRefusal, may_grant};
use keyward_model::policy::Ability;
use keyward_model::tenant::{Member, MemberKind};
use keyward_store::{Audited, Tx};
use schemars::JsonSchema;
use serde::Deserialize;

/// A service account to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    /// `service`: persons are invited.
    kind: MemberKind,
    /// What people know it by.
    name: String,
    /// What it may do; not `owner`.
    role: Role,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/members",
        "createServiceAccount",
        "Make a service account: it has no password and acts by API tokens that you make for it.",
        Access::Member(Ability::Administer),
        handle,
    )
    .body::<NewMember>()
    .answer::<MemberView>(201)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Json(body): Json<NewMember>,
) -> Result<impl IntoResponse, Problem> {
    scope.may_do(&api, Ability::Administer, Action::MemberJoined).await?;
    let name = check(&body).map_err(Problem::invalid)?;
    if !may_grant(scope.caller.role, body.role) {
        return Err(scope.refused(&api, Action::MemberJoined, Problem::forbidden()).await);
    }
    let (vault, workspace) = (api.vault(), scope.id());
    let member = Member {
        workspace,
        id: vault.fresh(),
        kind: MemberKind::Service,
        account: None,
        email: String::new(),
        name,
        role: body.role,
        created_at: vault.now(),
        left_at: None,
    };
    let made = view(&member);
    let mut event = scope.event(&api, Action::MemberJoined);
    event.reason = member.id.to_string();
    let row = vault.sign(workspace, member).await?;
    let write = move |tx: &mut Tx<'_>| {
        tx.insert_member(&row)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// The rules of a new service account; gives its name.
fn check(body: &NewMember) -> Result<String, Vec<Fault>> {
    let mut faults = Vec::new();
    if body.kind != MemberKind::Service {
        let detail = "only service accounts are made here; invite persons";
        faults.push(Fault::new("/kind", "invalid_value", detail));
    }
    if body.role == Role::Owner {
        let detail = MemberRefusal::ServiceOwner.to_string();
        faults.push(Fault::new("/role", "invalid_value", detail));
    }
    let name = names::name("/name", &body.name).map_err(|fault| faults.push(fault)).ok();
    name.filter(|_| faults.is_empty()).ok_or(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_service_accounts_below_owners_are_made() {
        let check_rules = |body: &str, expected: Result<&str, &[&str]>| {
            let body = keyward_model::json::read::<NewMember>(body.as_bytes()).expect(body);
            let found = check(&body);
            let found = found.map_err(|faults| {
                faults.into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
            });
            let expected = expected.map(str::to_owned);
            assert_eq!(
                found,
                expected.map_err(|all| all.iter().map(|p| (*p).to_owned()).collect())
            );
        };
        check_rules(r#"{"kind":"service","name":" CI ","role":"admin"}"#, Ok("CI"));
        check_rules(r#"{"kind":"service","name":"CI","role":"owner"}"#, Err(&["/role"]));
        check_rules(r#"{"kind":"person","name":"","role":"viewer"}"#, Err(&["/kind", "/name"]));
    }
}
