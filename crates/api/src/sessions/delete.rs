//! `DELETE /api/v1/sessions/{id}`

use super::events;
use crate::auth::{SignedIn, memberships};
use crate::cookie;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use keyward_model::audit::Action;
use keyward_model::id::{Identifier as _, SessionId};
use keyward_store::{Audited, StoreError, Tx};

/// Somebody else was faster, or it was never there.
const GONE: &str = "session that is gone";

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/sessions/{id}",
        "endSession",
        "End a session of your account; `current` names the one that the request comes by.",
        Access::SignedIn,
        handle,
    )
    .problems(&["forbidden", "not_found"])
}

async fn handle(
    State(api): State<Api>,
    signed_in: SignedIn,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = path.map_err(|_| Problem::not_found())?;
    signed_in.whole()?;
    let account = signed_in.account()?;
    let current = signed_in.with.session();
    let id = match id.as_str() {
        "current" => current.ok_or_else(Problem::not_found)?,
        id => SessionId::parse(id).map_err(|_| Problem::not_found())?,
    };
    let mut events = events(&api, &memberships(&api, account).await?, Action::SessionEnded);
    events.iter_mut().for_each(|event| event.reason = id.to_string());
    let write = move |tx: &mut Tx<'_>| match tx.delete_session(account, id)? {
        true => Ok(Audited::new((), events.clone())),
        false => Err(StoreError::Conflict { what: GONE }),
    };
    match api.store().write(write).await {
        Ok(_) if current == Some(id) => {
            let cookie = [(header::SET_COOKIE, cookie::clear(&api))];
            Ok((StatusCode::NO_CONTENT, cookie).into_response())
        }
        Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(StoreError::Conflict { what: GONE }) => Err(Problem::not_found()),
        Err(error) => Err(error.into()),
    }
}
