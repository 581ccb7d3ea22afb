//! `GET /api/v1/workspaces/{workspace}/credentials`

use super::view::{Around, BrokenView, Shown};
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{CredentialType, Status};
use keyward_model::id::MemberId;
use keyward_model::policy::{Ability, may};
use keyward_store::{CredentialFilter, Listed, Visible};
use keyward_vault::VaultError;

const DAY_MILLIS: i64 = 86_400_000;
const MAX_DAYS: i64 = 36_500;
const MAX_TEXT: usize = 200;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials",
        "listCredentials",
        "List credentials by key, each as far as you may see it.",
        Access::Member(Ability::ListCredentials),
        handle,
    )
    .query(&[
        ("q", "text within key, name or description, in any case"),
        ("app", "an app's id"),
        ("type", "api_key, basic, custom or oauth2"),
        ("status", "active, expired, error, reauthorization_required or suspended"),
        ("scope", "workspace, workflow, personal or shared"),
        ("environment", "exactly this environment"),
        ("tag", "one of the tags, in any case"),
        ("owner", "a member's id, or me"),
        ("unused_days", "not used for so many days"),
        ("not_rotated_days", "value not replaced for so many days"),
        ("deleted", "true for those that were deleted and can be restored"),
        ("workflow", "what this workflow's steps name and it may resolve"),
        ("limit", "1 to 200, default 50"),
        ("cursor", "next_cursor of the page before"),
    ])
    .answer::<ListOf<Shown>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<Shown>>, Problem> {
    scope.within_scopes(Ability::ListCredentials)?;
    let wanted = wanted(&mut query, api.vault().now(), scope.caller.member);
    let deleted = query.read("deleted", "true or false", |text| text.parse().ok());
    let page = query.page();
    query.done()?;
    if page.after.as_ref().is_some_and(|after| after.contains('\0')) {
        return Err(keyward_store::StoreError::BadCursor.into());
    }
    let Some(filter) = wanted else {
        return Ok(Json(ListOf { items: Vec::new(), next_cursor: None }));
    };
    let role = scope.caller.role;
    let visible = Visible {
        member: scope.caller.member,
        common: may(role, Ability::ListCredentials),
        personal: may(role, Ability::ManageCredentials),
    };
    let filter =
        CredentialFilter { visible_to: Some(visible), deleted: deleted.unwrap_or(false), ..filter };
    let workspace = scope.id();
    let read = api.store().read(move |tx| {
        let page = tx.credentials(workspace, &filter, &page)?;
        let rows = page.items.iter().filter_map(|listed| match listed {
            Listed::Row(row) => Some(row.parts().0),
            Listed::Unreadable { .. } => None,
        });
        let around = Around::read(tx, workspace, rows)?;
        Ok((page, around))
    });
    let (page, around) = read.await?;
    // Whoever sees none of the workspace's is told so, unless something is theirs or shared.
    if page.items.is_empty() {
        scope.may(Ability::ListCredentials)?;
    }
    let around = around.verified(&api, workspace).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for listed in page.items {
        items.extend(show(&api, &scope, &around, listed).await?);
    }
    Ok(Json(ListOf { items, next_cursor: page.next }))
}

/// One row; what is wrong with it never stops the others. Of a row that somebody else wrote only
/// those who manage credentials learn.
async fn show(
    api: &Api,
    scope: &InWorkspace,
    around: &Around,
    listed: Listed,
) -> Result<Option<Shown>, Problem> {
    let manages = may(scope.caller.role, Ability::ManageCredentials);
    let broken = |view| Ok(manages.then_some(Shown::Broken(view)));
    let row = match listed {
        Listed::Row(row) => row,
        Listed::Unreadable { id, key, scope } => {
            return broken(BrokenView::unreadable(id, Some(key), scope));
        }
    };
    let tampered = BrokenView::tampered(&row);
    match api.vault().verify(scope.id(), row).await {
        Ok(credential) => Ok(around.show(&credential, &scope.caller)),
        Err(VaultError::Tampered(_)) => broken(tampered),
        Err(error) => Err(error.into()),
    }
}

/// The filter that a query asks for; `None` where it asks for what cannot be there yet.
fn wanted(query: &mut Query, now: Timestamp, me: MemberId) -> Option<CredentialFilter> {
    let mut empty = false;
    let kind = query.read("type", "one of: api_key, basic, custom, oauth2", |word| {
        CredentialType::parse(word).map(Some).or_else(|| not_yet(word, &["oauth2"], &mut empty))
    });
    let statuses = "one of: active, expired, error, reauthorization_required, suspended";
    let status = query.read("status", statuses, Status::parse);
    let scope = query.read("scope", "one of: workspace, workflow, personal, shared", |word| {
        ["workspace", "workflow", "personal", "shared"].into_iter().find(|known| *known == word)
    });
    let owner = query.read("owner", "a member's id or `me`", |word| match word {
        "me" => Some(me),
        id => id.parse().ok(),
    });
    let text = "up to 200 characters, none of them control characters";
    // No credential belongs to an app yet.
    empty |= query.read("app", text, plain_text).is_some();
    let filter = CredentialFilter {
        q: query.read("q", text, plain_text),
        kind: kind.flatten(),
        status,
        now,
        scope: scope.filter(|scope| *scope != "shared"),
        shared: scope == Some("shared"),
        visible_to: None,
        deleted: false,
        workflow: query.read("workflow", "a workflow's id", |id| id.parse().ok()),
        environment: query.read("environment", text, plain_text),
        tag: query.read("tag", text, plain_text),
        owner,
        unused_since: days_ago(query, "unused_days", now),
        not_rotated_since: days_ago(query, "not_rotated_days", now),
    };
    (!empty).then_some(filter)
}

/// A word that is right but that nothing can have yet; `empty` is set then.
fn not_yet<T>(word: &str, known: &[&str], empty: &mut bool) -> Option<Option<T>> {
    let is_known = known.contains(&word);
    *empty |= is_known;
    is_known.then_some(None)
}

fn plain_text(text: &str) -> Option<String> {
    let fits = text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

fn days_ago(query: &mut Query, name: &str, now: Timestamp) -> Option<Timestamp> {
    let days = query.number(name, 0..=MAX_DAYS)?;
    Some(now.plus_millis(-days * DAY_MILLIS))
}
