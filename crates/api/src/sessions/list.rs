//! `GET /api/v1/sessions`

use crate::auth::SignedIn;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::clock::Timestamp;
use keyward_model::id::SessionId;
use keyward_model::people::Session;
use schemars::JsonSchema;
use serde::Serialize;

/// A session of yours.
#[derive(Serialize, JsonSchema)]
struct SessionView {
    id: SessionId,
    created_at: Timestamp,
    /// When it was last used, to the minute.
    seen_at: Timestamp,
    /// The network address that signed in.
    address: String,
    /// What the browser calls itself.
    user_agent: String,
    /// Whether this request came by it.
    current: bool,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/sessions",
        "listSessions",
        "List the sessions of your account, oldest first: where you are signed in.",
        Access::SignedIn,
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "`next_cursor` of the page before")])
    .answer::<ListOf<SessionView>>(200)
    .problems(&["forbidden"])
}

async fn handle(
    State(api): State<Api>,
    signed_in: SignedIn,
    mut query: Query,
) -> Result<Json<ListOf<SessionView>>, Problem> {
    let page = query.page();
    query.done()?;
    let account = signed_in.account()?;
    let (now, current) = (api.vault().now(), signed_in.with.session());
    let paged = api.store().read(move |tx| tx.sessions_of(account, &page)).await?;
    let paged = keyward_store::Paged {
        // What is over, or was written by somebody else, signs nobody in.
        items: paged
            .items
            .into_iter()
            .filter_map(|row| api.vault().verify_server(row).ok())
            .filter(|session| session.lives(now))
            .collect(),
        next: paged.next,
    };
    Ok(Json(ListOf::of(paged, |session: Session| SessionView {
        id: session.id,
        created_at: session.created_at,
        seen_at: session.seen_at,
        address: session.address,
        user_agent: session.user_agent,
        current: current == Some(session.id),
    })))
}
