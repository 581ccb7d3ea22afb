//! One's own account: one file per operation, the second factor, and how an account is changed.

pub(crate) mod factor;
mod get;
mod password;
mod patch;
mod totp;

use crate::auth::{SignedIn, memberships};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use crate::sessions::events;
use keyward_model::audit::{Action, Event};
use keyward_model::people::Account;
use keyward_model::tenant::Member;
use keyward_store::{Audited, Tx};

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = vec![get::operation(), patch::operation(), password::operation()];
    operations.extend(totp::operations());
    operations
}

/// The account behind a request, and its memberships.
async fn own(api: &Api, signed_in: &SignedIn) -> Result<(Account, Vec<Member>), Problem> {
    let id = signed_in.account()?;
    let found = api.store().read(move |tx| tx.account(id)).await?;
    let account = api.vault().verify_server(found.ok_or_else(Problem::not_found)?)?;
    Ok((account, memberships(api, id).await?))
}

/// Writes an account's next revision, in the audit trail of each of its workspaces.
async fn change(
    api: &Api,
    account: Account,
    members: &[Member],
    reason: &'static str,
) -> Result<(), Problem> {
    let events = changed(api, members, reason);
    let revision = account.revision.saturating_add(1);
    let row = api.vault().sign_server(Account { revision, ..account });
    let write = move |tx: &mut Tx<'_>| {
        tx.update_account(&row)?;
        Ok(Audited::new((), events.clone()))
    };
    api.store().write(write).await?;
    Ok(())
}

fn changed(api: &Api, members: &[Member], reason: &'static str) -> Vec<Event> {
    let mut events = events(api, members, Action::MemberChanged);
    events.iter_mut().for_each(|event| event.reason = reason.into());
    events
}
