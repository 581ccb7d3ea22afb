//! `PATCH /api/v1/account`

use super::get::{AccountView, view};
use super::{changed, own};
use crate::auth::SignedIn;
use crate::body;
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::people::Account;
use keyward_model::tenant::Member;
use keyward_store::{Audited, Tx};
use schemars::JsonSchema;
use serde::Deserialize;

/// What changes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccountChange {
    /// The name that people read, in all your workspaces.
    name: Option<String>,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PATCH,
        "/api/v1/account",
        "changeAccount",
        "Change the name that people read.",
        Access::SignedIn,
        handle,
    )
    .body::<AccountChange>()
    .answer::<AccountView>(200)
    .problems(&["forbidden", "conflict"])
}

async fn handle(
    State(api): State<Api>,
    signed_in: SignedIn,
    body::Json(sent): body::Json<AccountChange>,
) -> Result<Json<AccountView>, Problem> {
    signed_in.whole()?;
    let (mut account, mut members) = own(&api, &signed_in).await?;
    if let Some(name) = sent.name {
        let name = names::name("/name", &name).map_err(|fault| Problem::invalid(vec![fault]))?;
        account = Account { name, revision: account.revision.saturating_add(1), ..account };
        for member in &mut members {
            member.name.clone_from(&account.name);
        }
        rename(&api, &account, &members).await?;
    }
    Ok(Json(view(&api, account, members, &signed_in).await?))
}

/// The account's name and that of its memberships, in one commit.
async fn rename(api: &Api, account: &Account, members: &[Member]) -> Result<(), Problem> {
    let vault = api.vault();
    let events = changed(api, members, "renamed");
    let row = vault.sign_server(account.clone());
    let mut rows = Vec::with_capacity(members.len());
    for member in members {
        rows.push((member.role, vault.sign(member.workspace, member.clone()).await?));
    }
    let write = move |tx: &mut Tx<'_>| {
        tx.update_account(&row)?;
        for (role, row) in &rows {
            let (workspace, id) = (row.parts().0.workspace, row.parts().0.id);
            // A role that was taken away in the meantime does not come back with the name.
            let now = tx.member(workspace, id)?.map(|now| now.parts().0.role);
            if now != Some(*role) {
                return Err(keyward_store::StoreError::Conflict { what: "revision" });
            }
            tx.update_member(row)?;
        }
        Ok(Audited::new((), events.clone()))
    };
    api.store().write(write).await?;
    Ok(())
}
