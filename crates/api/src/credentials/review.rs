//! `GET /api/v1/workspaces/{workspace}/review`: what about the credentials somebody should look at,
//! each row with the call that mends it.

mod gather;
mod keep;

use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use gather::{Reviewed, Reviewer};
use http::{Method, header};
use keyward_model::audit::{Action, csv_cell};
use keyward_model::credential::Credential;
use keyward_model::id::{CredentialId, WorkspaceId};
use keyward_model::policy::Ability;
use keyward_model::review::{Finding, Fix, Kind};
use keyward_store::{Audited, Page, StoreError, Tx};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// How many batches of credentials one answer looks through; what is left is the next page's.
const MOST_BATCHES: usize = 25;
const CSV_HEADER: &str = "key,kind,detail,fix_method,fix_path,fix_body,credential_id\r\n";

pub(crate) use keep::operation as keep;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/review",
        "reviewAccess",
        "Review access: unused, old, over-shared and unbound credentials, with what mends each.",
        Access::Member(Ability::ViewCredential),
        handle,
    )
    .query(&[
        (
            "kind",
            "unused, rotation_due, over_shared, broader_than_used, unbound, readable, no_allowlist \
             or owner_left",
        ),
        ("format", "json, the default, or csv: all rows at once"),
        ("limit", "1 to 200, default 50; a page may hold less and not be the last"),
        ("cursor", "next_cursor of the page before"),
    ])
    .answer::<ListOf<ReviewRow>>(200)
}

/// One row of the review.
#[derive(Serialize, JsonSchema)]
struct ReviewRow {
    credential_id: CredentialId,
    key: String,
    kind: Kind,
    /// In words, for people.
    detail: String,
    fix: FixView,
}

/// The call that mends it; empty texts in the body are for a person to fill in.
#[derive(Serialize, JsonSchema)]
struct FixView {
    method: &'static str,
    path: String,
    body: Option<Value>,
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Json,
    Csv,
}

impl Format {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
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
    scope.may(Ability::ViewCredential)?;
    let kind = query.read("kind", "a kind of finding, such as unused", Kind::parse);
    let format = query.read("format", "json or csv", Format::parse).unwrap_or(Format::Json);
    let page = query.page();
    query.done()?;
    let settings = super::settings(&api, &scope).await?;
    let reviewer = Reviewer::new(api.clone(), scope.caller.clone(), settings, kind);
    match format {
        Format::Json => Ok(Json(self::page(&reviewer, &page).await?).into_response()),
        Format::Csv => {
            let mut event = scope.event(&api, Action::ExportMade);
            event.reason = "review".into();
            let write = move |_: &mut Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
            api.store().write(write).await?;
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"review.csv\""),
            ];
            Ok((headers, csv(reviewer)).into_response())
        }
    }
}

/// Where a page begins: after a credential, and behind so many rows of the one that follows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Place {
    skipped: usize,
    of: Option<CredentialId>,
    after: Option<String>,
}

impl Place {
    fn parse(cursor: &str) -> Option<Self> {
        let (skipped, rest) = cursor.split_once('.')?;
        let (of, after) = rest.split_once('.')?;
        let of = if of.is_empty() { None } else { Some(of.parse().ok()?) };
        let after = (!after.is_empty()).then(|| after.to_owned());
        let readable = after.as_ref().is_none_or(|after| !after.contains('\0'));
        readable.then_some(Self { skipped: skipped.parse().ok()?, of, after })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = self.of.map(|id| id.to_string()).unwrap_or_default();
        write!(f, "{}.{of}.{}", self.skipped, self.after.as_deref().unwrap_or_default())
    }
}

async fn page(reviewer: &Reviewer, page: &Page) -> Result<ListOf<ReviewRow>, Problem> {
    let place =
        page.after.as_deref().map(|cursor| Place::parse(cursor).ok_or(StoreError::BadCursor));
    let mut place = place.transpose()?.unwrap_or_default();
    let mut items = Vec::new();
    for _ in 0..MOST_BATCHES {
        let batch = reviewer.batch(place.after.clone()).await?;
        for Reviewed { credential, findings } in batch.items {
            let seen = if place.of == Some(credential.id) { place.skipped } else { 0 };
            for (at, finding) in findings.into_iter().enumerate().skip(seen) {
                if items.len() == page.limit as usize {
                    place = Place { skipped: at, of: Some(credential.id), ..place };
                    return Ok(ListOf { items, next_cursor: Some(place.to_string()) });
                }
                items.push(row(&credential, finding));
            }
            let after = Some(format!("{}/{}", credential.key, credential.id));
            place = Place { after, ..Place::default() };
        }
        match batch.next {
            Some(next) => place = Place { after: Some(next), ..Place::default() },
            None => return Ok(ListOf { items, next_cursor: None }),
        }
    }
    Ok(ListOf { items, next_cursor: Some(place.to_string()) })
}

fn row(credential: &Credential, finding: Finding) -> ReviewRow {
    let Finding { kind, detail, fix } = finding;
    let fix = fix_view(credential.workspace, credential.id, fix);
    ReviewRow { credential_id: credential.id, key: credential.key.clone(), kind, detail, fix }
}

fn fix_view(workspace: WorkspaceId, id: CredentialId, fix: Fix) -> FixView {
    let fields = |names: Vec<String>| -> Map<_, _> {
        names.into_iter().map(|name| (name, Value::from(""))).collect()
    };
    let of = |rest: &str| format!("/api/v1/workspaces/{workspace}/credentials/{id}{rest}");
    let (method, path, body) = match fix {
        // No definition names it; whatever used it once does not any more.
        Fix::Delete => ("DELETE", of("?confirm=true"), None),
        Fix::Suspend => ("POST", of("/suspend"), None),
        Fix::Replace(names) => ("PUT", of("/value"), Some(json!({ "fields": fields(names) }))),
        Fix::Unshare(sharee) => ("DELETE", of(&format!("/shares/{sharee}")), None),
        Fix::Bind { hosts, fields: names } => {
            let hosts = if hosts.is_empty() { vec![String::new()] } else { hosts };
            let mut body = Map::from_iter([("hosts".to_owned(), json!(hosts))]);
            if !names.is_empty() {
                body.insert("fields".to_owned(), fields(names).into());
            }
            ("PATCH", of(""), Some(body.into()))
        }
        Fix::Seal => ("PATCH", of(""), Some(json!({ "code_access": "sealed" }))),
        Fix::Allow { workflow, keys } => {
            let path = format!("/api/v1/workspaces/{workspace}/workflows/{workflow}/allowlist");
            ("PUT", path, Some(json!({ "enabled": true, "keys": keys })))
        }
        Fix::Transfer(to) => ("POST", of("/transfer"), Some(json!({ "to": to }))),
    };
    FixView { method, path, body }
}

/// All rows, batch by batch; a failure cuts the answer off.
fn csv(reviewer: Reviewer) -> Body {
    let first = (reviewer, Some((None, CSV_HEADER.to_owned())));
    Body::from_stream(stream::try_unfold(first, async |(reviewer, next)| {
        let Some((after, mut text)) = next else { return Ok::<_, Aborted>(None) };
        let batch = reviewer.batch(after).await.map_err(|_| Aborted)?;
        for Reviewed { credential, findings } in batch.items {
            findings.into_iter().for_each(|finding| text += &csv_row(&row(&credential, finding)));
        }
        Ok(Some((text, (reviewer, batch.next.map(|next| (Some(next), String::new()))))))
    }))
}

fn csv_row(row: &ReviewRow) -> String {
    let ReviewRow { credential_id, key, kind, detail, fix } = row;
    let body = fix.body.as_ref().map(Value::to_string).unwrap_or_default();
    let id = credential_id.to_string();
    let cells = [key, kind.as_str(), detail, fix.method, &fix.path, &body, &id];
    cells.map(csv_cell).join(",") + "\r\n"
}

/// The answer had begun; all that is left is to break it off.
#[derive(Debug, thiserror::Error)]
#[error("the review was broken off")]
struct Aborted;

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::id::{Identifier as _, MemberId, WorkflowId};
    use keyward_model::share::Sharee;

    #[test]
    fn places_come_back_as_they_were() {
        let id = CredentialId::from_bytes([7; 16]);
        for place in [
            Place::default(),
            Place { skipped: 3, of: Some(id), after: Some(format!("a.b-c/{id}")) },
            Place { skipped: 1, of: Some(id), after: None },
        ] {
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        for wrong in ["", "1", "1.x", "x..", "1.x.y", "0..\0"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_fix_is_a_call() {
        let (workspace, id) = (WorkspaceId::from_bytes([1; 16]), CredentialId::from_bytes([2; 16]));
        let check = |fix: Fix, method: &str, path: &str, body: Value| {
            let shown = serde_json::to_value(fix_view(workspace, id, fix)).expect("JSON");
            let path = format!("/api/v1/workspaces/{workspace}/{path}");
            assert_eq!(shown, json!({ "method": method, "path": path, "body": body }));
        };
        let of = |rest: &str| format!("credentials/{id}{rest}");
        let (member, workflow) = (MemberId::from_bytes([3; 16]), WorkflowId::from_bytes([4; 16]));
        check(Fix::Delete, "DELETE", &of("?confirm=true"), Value::Null);
        check(Fix::Suspend, "POST", &of("/suspend"), Value::Null);
        let fields = json!({ "fields": { "a": "", "b": "" } });
        check(Fix::Replace(vec!["a".into(), "b".into()]), "PUT", &of("/value"), fields);
        check(Fix::Unshare(Sharee::All), "DELETE", &of("/shares/all"), Value::Null);
        let shares = of(&format!("/shares/{member}"));
        check(Fix::Unshare(Sharee::Member(member)), "DELETE", &shares, Value::Null);
        let bind = |hosts: &[&str], fields: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            Fix::Bind { hosts: owned(hosts), fields: owned(fields) }
        };
        check(bind(&["a.org"], &[]), "PATCH", &of(""), json!({ "hosts": ["a.org"] }));
        let again = json!({ "hosts": ["http://a"], "fields": { "value": "" } });
        check(bind(&["http://a"], &["value"]), "PATCH", &of(""), again);
        check(bind(&[], &[]), "PATCH", &of(""), json!({ "hosts": [""] }));
        check(Fix::Seal, "PATCH", &of(""), json!({ "code_access": "sealed" }));
        let allow = Fix::Allow { workflow, keys: vec!["K".into()] };
        let path = format!("workflows/{workflow}/allowlist");
        check(allow, "PUT", &path, json!({ "enabled": true, "keys": ["K"] }));
        check(Fix::Transfer(member), "POST", &of("/transfer"), json!({ "to": member }));
    }

    #[test]
    fn no_cell_is_a_formula() {
        let row = ReviewRow {
            credential_id: CredentialId::from_bytes([2; 16]),
            key: "K".into(),
            kind: Kind::NoAllowlist,
            detail: "=HYPERLINK(\"x\")".into(),
            fix: FixView { method: "PUT", path: "/p".into(), body: Some(json!({ "a": "b,c" })) },
        };
        let id = row.credential_id;
        let expected = format!(
            "K,no_allowlist,\"'=HYPERLINK(\"\"x\"\")\",PUT,/p,\"{{\"\"a\"\":\"\"b,c\"\"}}\",{id}\r\n"
        );
        assert_eq!(csv_row(&row), expected);
    }
}
