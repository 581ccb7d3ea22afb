//! The `workspaces` part of the API: one file per operation.

use crate::operation::Operation;

pub(crate) fn operations() -> Vec<Operation> {
    Vec::new()
}
