//! `GET /api/v1/apps` and `GET /api/v1/workspaces/{workspace}/apps`

use super::view::{AppView, view};
use crate::auth::{InWorkspace, SignedIn};
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::catalogue::{App, Catalogue};
use keyward_model::policy::Ability;
use keyward_store::{Page, StoreError};
use std::sync::Arc;

const QUERY: &[(&str, &str)] =
    &[("limit", "1 to 200, default 50"), ("cursor", "next_cursor of the page before")];

pub(crate) fn operations() -> [Operation; 2] {
    [
        Operation::new(
            Method::GET,
            "/api/v1/apps",
            "listBuiltInApps",
            "List the apps that come with the server, by id, with all that a form needs.",
            Access::SignedIn,
            built_in,
        )
        .query(QUERY)
        .answer::<ListOf<AppView>>(200),
        Operation::new(
            Method::GET,
            "/api/v1/workspaces/{workspace}/apps",
            "listApps",
            "List the apps that the workspace knows, its own among them, by id.",
            Access::Member(Ability::ReadRuns),
            of_workspace,
        )
        .query(QUERY)
        .answer::<ListOf<AppView>>(200),
    ]
}

async fn built_in(
    State(api): State<Api>,
    _: SignedIn,
    mut query: Query,
) -> Result<Json<ListOf<AppView>>, Problem> {
    let page = query.page();
    query.done()?;
    let shown = cut(api.vault().built_in_apps(), &page)?;
    let items = shown.items.iter().map(|app| view(app, None)).collect();
    Ok(Json(ListOf { items, next_cursor: shown.next_cursor }))
}

async fn of_workspace(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<AppView>>, Problem> {
    scope.may(Ability::ReadRuns)?;
    let page = query.page();
    query.done()?;
    let vault = api.vault();
    let shown = cut(&vault.apps(scope.id()).await?, &page)?;
    let mut items = Vec::with_capacity(shown.items.len());
    for app in shown.items {
        if vault.built_in_apps().get(app.id()).is_some() {
            items.push(view(&app, None));
            continue;
        }
        // One that was deleted since is not listed.
        let row = vault.own_app(scope.id(), app.id()).await?;
        items.extend(row.map(|row| view(&app, Some(&row))));
    }
    Ok(Json(ListOf { items, next_cursor: shown.next_cursor }))
}

fn cut(apps: &Catalogue, page: &Page) -> Result<ListOf<Arc<App>>, StoreError> {
    let is_id = |text: &str| {
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let read = |text: &str| is_id(text).then(|| text.to_owned());
    ListOf::cut(apps.iter().cloned().collect(), page, read, |app| app.id().to_owned())
}
