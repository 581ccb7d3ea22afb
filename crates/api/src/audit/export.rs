//! `GET /api/v1/workspaces/{workspace}/audit/export`

use super::Names;
use super::list::filter;
use crate::auth::InWorkspace;
use crate::list::Query;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::{HeaderValue, Method, header};
use keyward_model::audit::{Action, CSV_HEADER, csv_row};
use keyward_model::id::WorkspaceId;
use keyward_model::policy::Ability;
use keyward_store::{AuditFilter, Audited, Page, Tx};
use keyward_vault::AuditExport;

/// Rows of CSV made at once.
const ROWS: u32 = 500;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/audit/export",
        "exportAudit",
        "Export the audit trail: whole and verifiable as JSON lines (`keyward audit verify FILE`), \
         or filtered as CSV, newest first.",
        Access::Member(Ability::Administer),
        handle,
    )
    .query(&[
        ("format", "jsonl, the default, or csv"),
        ("credential", "csv: a credential's id"),
        ("key", "csv: a credential's key"),
        ("actor", "csv: a member's id, a workflow's id for its triggers, or `system`"),
        ("action", "csv: such as credential.used"),
        ("outcome", "csv: allowed or refused"),
        ("run", "csv: a run's id"),
        ("workflow", "csv: a workflow's id"),
        ("since", "csv: RFC 3339 time"),
        ("until", "csv: RFC 3339 time, itself included"),
    ])
    .answer_as(200, "application/x-ndjson")
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    JsonLines,
    Csv,
}

impl Format {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Response, Problem> {
    scope.may_do(&api, Ability::Administer, Action::ExportMade).await?;
    let format = query.read("format", "jsonl or csv", Format::parse).unwrap_or(Format::JsonLines);
    // A chain with holes proves nothing: what can be verified is the whole.
    let filter = match format {
        Format::JsonLines => AuditFilter::default(),
        Format::Csv => filter(&mut query),
    };
    query.done()?;
    let workspace = scope.id();
    let mut event = scope.event(&api, Action::ExportMade);
    event.reason = "audit".into();
    let write = move |_: &mut Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
    api.store().write(write).await?;
    let (body, kind, name) = match format {
        Format::JsonLines => (json_lines(&api, workspace), "application/x-ndjson", "audit.jsonl"),
        Format::Csv => (csv(api, workspace, filter), "text/csv; charset=utf-8", "audit.csv"),
    };
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let name = name.unwrap_or_else(|_| HeaderValue::from_static("attachment"));
    let kind = HeaderValue::from_static(kind);
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], body).into_response())
}

/// A failure cuts the answer off, and then the file lacks its last line.
fn json_lines(api: &Api, workspace: WorkspaceId) -> Body {
    let export = AuditExport::new(api.vault().clone(), vec![workspace]);
    Body::from_stream(stream::try_unfold(export, async |mut export| {
        let lines = export.next().await.inspect_err(|error| {
            tracing::error!(%error, "an export of the audit trail was cut off");
        })?;
        Ok::<_, keyward_vault::VaultError>(lines.map(|lines| (lines, export)))
    }))
}

fn csv(api: Api, workspace: WorkspaceId, filter: AuditFilter) -> Body {
    let first = Some((Page::first(ROWS), CSV_HEADER.to_owned()));
    Body::from_stream(stream::try_unfold(first, move |next| {
        let (api, filter) = (api.clone(), filter.clone());
        async move {
            let Some((page, head)) = next else { return Ok::<_, Aborted>(None) };
            let (rows, after) = rows(&api, workspace, filter, page, head).await?;
            let next = after.map(|after| (Page { limit: ROWS, after: Some(after) }, String::new()));
            Ok(Some((rows, next)))
        }
    }))
}

async fn rows(
    api: &Api,
    workspace: WorkspaceId,
    filter: AuditFilter,
    page: Page,
    head: String,
) -> Result<(String, Option<String>), Aborted> {
    let read = api.store().read(move |tx| tx.audit(workspace, &filter, &page)).await;
    let found = read.map_err(|error| {
        tracing::error!(%error, "an export of the audit trail was cut off");
        Aborted
    })?;
    let names = Names::of(api, workspace, &found.items).await.map_err(|_| Aborted)?;
    let mut text = head;
    for record in &found.items {
        text.push_str(&csv_row(record, names.find(&record.event.actor)));
    }
    Ok((text, found.next))
}

/// The answer had begun; all that is left is to break it off.
#[derive(Debug, thiserror::Error)]
#[error("the export was broken off")]
struct Aborted;
