//! `GET /api/v1/workspaces`

use super::{WorkspaceView, view};
use crate::auth::{SignedIn, memberships};
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::id::{Identifier as _, WorkspaceId};
use keyward_store::{Page, Paged, StoreError};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces",
        "listWorkspaces",
        "List the workspaces that you are a member of.",
        Access::SignedIn,
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "`next_cursor` of the page before")])
    .answer::<ListOf<WorkspaceView>>(200)
}

async fn handle(
    State(api): State<Api>,
    signed_in: SignedIn,
    mut query: Query,
) -> Result<Json<ListOf<WorkspaceView>>, Problem> {
    let page = query.page();
    query.done()?;
    let mine = match signed_in.member.account {
        Some(account) => {
            memberships(&api, account).await?.into_iter().map(|member| member.workspace).collect()
        }
        None => vec![signed_in.member.workspace],
    };
    let shown = cut(mine, &page)?;
    let (ids, next) = (shown.items, shown.next);
    let found = api.store().read(move |tx| {
        ids.iter().filter_map(|id| tx.workspace(*id).transpose()).collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(ListOf::of(Paged { items: found.await?, next }, view)))
}

/// One page of a person's workspaces, oldest first.
fn cut(mut ids: Vec<WorkspaceId>, page: &Page) -> Result<Paged<WorkspaceId>, StoreError> {
    ids.sort();
    if let Some(after) = &page.after {
        let after = WorkspaceId::parse(after).map_err(|_| StoreError::BadCursor)?;
        ids.retain(|id| *id > after);
    }
    let limit = page.limit as usize;
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().filter(|_| more).map(WorkspaceId::to_string);
    Ok(Paged { items: ids, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> WorkspaceId {
        WorkspaceId::from_bytes([byte; 16])
    }

    #[test]
    fn pages_follow_one_another() {
        let check = |after: Option<u8>, limit: u32, expected: &[u8], next: Option<u8>| {
            let page = Page { limit, after: after.map(|byte| id(byte).to_string()) };
            let found = cut(vec![id(3), id(1), id(2)], &page).expect("a page");
            assert_eq!(found.items, expected.iter().map(|byte| id(*byte)).collect::<Vec<_>>());
            assert_eq!(found.next, next.map(|byte| id(byte).to_string()));
        };
        check(None, 3, &[1, 2, 3], None);
        check(None, 2, &[1, 2], Some(2));
        check(Some(2), 2, &[3], None);
        check(Some(3), 2, &[], None);
        let foreign = Page { limit: 1, after: Some("x".into()) };
        assert_eq!(cut(vec![id(1)], &foreign).err(), Some(StoreError::BadCursor));
    }
}
