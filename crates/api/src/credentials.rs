//! Credentials: one file per operation, and how one is shown.

mod create;
mod delete;
mod fields;
mod get;
mod list;
mod overwrite;
mod patch;
mod view;

use crate::operation::Operation;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        list::operation(),
        create::operation(),
        get::operation(),
        patch::operation(),
        delete::operation(),
        overwrite::operation(),
    ]
}
