//! Pages that the server itself shows: readiness, problems, the API's documentation, setting up.

use crate::problem::Problem;
use crate::router::Api;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

/// `GET /readyz`
pub(crate) async fn ready(State(api): State<Api>) -> Response {
    match api.store().healthy().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// `GET /problems/{code}`
pub(crate) async fn problem() -> Problem {
    Problem::not_found()
}

/// `GET /api/docs`
pub(crate) async fn docs() -> Problem {
    Problem::not_found()
}

/// `GET /setup`
pub(crate) async fn set_up() -> Problem {
    Problem::not_found()
}
