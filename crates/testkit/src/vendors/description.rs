//! Whether a request is one that a vendor's own description of its API (OpenAPI 3, or Swagger 2)
//! tells of.

mod operation;
mod request;

use serde_json::Value;

use crate::echo::Received;

/// What is wrong with a request, by the description of the API that it went to: path and method,
/// parameters that are missing, unknown or of another type, the body against its schema, and that it
/// authenticates itself. Empty where all is well.
pub fn check(description: &Value, request: &Received) -> Vec<String> {
    let api = operation::Api(description);
    match api.find(request) {
        Ok(found) => request::faults(&api, &found, request),
        Err(fault) => vec![fault],
    }
}

#[cfg(test)]
mod tests;
