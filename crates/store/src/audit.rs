//! The audit trail: records as they are chained, the filtered list, and the chains for verifying.

pub(crate) mod cuts;
pub(crate) mod sinks;

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged, Select};
use crate::session::Session;
use crate::tx::Reader;
use crate::value::{Cells, Row, values};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::audit::{Action, Event, Outcome, Record};
use keyward_model::clock::Timestamp;
use keyward_model::id::{
    AuditId, CredentialId, Identifier, RunId, StreamId, WorkflowId, WorkspaceId,
};

macro_rules! columns {
    () => {
        "workspace_id, id, at, actor_kind, actor_id, actor_name, action, outcome, reason,
        credential_id, key, workflow_id, run_id, step, destination, stream_id, number,
        credential_number, opened_after, mac"
    };
}

/// The workspace's streams, each found by one look at the index, however long the trail is.
macro_rules! streams {
    () => {
        "WITH RECURSIVE s (stream_id) AS (
            SELECT min(stream_id) FROM audit WHERE workspace_id = $1
            UNION ALL
            SELECT (SELECT min(a.stream_id) FROM audit a
                WHERE a.workspace_id = $1 AND a.stream_id > s.stream_id)
            FROM s WHERE s.stream_id IS NOT NULL
        )"
    };
}
pub(crate) use streams;

const LIST: &str = concat!("SELECT ", columns!(), " FROM audit ");

statements! {
    INSERT = concat!("INSERT INTO audit (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
        $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)");
    NEWEST = "SELECT mac FROM audit WHERE workspace_id = $1 ORDER BY id DESC LIMIT 1";
    RECORD = concat!("SELECT ", columns!(), " FROM audit
        WHERE workspace_id = $1 AND stream_id = $2 AND number = $3");
    RECORDS = concat!("SELECT ", columns!(), " FROM audit
        WHERE workspace_id = $1 AND stream_id = $2 AND number > $3 ORDER BY number LIMIT $4");
    STREAMS = concat!(streams!(), " SELECT stream_id FROM s WHERE stream_id IS NOT NULL
        ORDER BY stream_id");
}

/// Which events are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of one credential.
    pub credential: Option<CredentialId>,
    /// Of one key, also of credentials since deleted or never found.
    pub key: Option<String>,
    /// The actor's id.
    pub actor: Option<String>,
    /// What happened.
    pub action: Option<Action>,
    /// Whether it took place.
    pub outcome: Option<Outcome>,
    /// Of one run.
    pub run: Option<RunId>,
    /// Of one workflow.
    pub workflow: Option<WorkflowId>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Up to this time, itself included.
    pub until: Option<Timestamp>,
}

/// Writes a record; only the chains do.
pub(crate) fn insert(session: &mut Session<'_>, record: &Record) -> Result<(), StoreError> {
    let e = &record.event;
    let actor = &e.actor;
    let values = values![
        e.workspace,
        e.id,
        e.at,
        actor.kind.as_str(),
        actor.id.as_str(),
        actor.name.as_str(),
        e.action.as_str(),
        e.outcome.as_str(),
        e.reason.as_str(),
        e.credential,
        e.key.as_deref(),
        e.workflow,
        e.run,
        e.step.as_deref(),
        e.destination.as_deref(),
        record.stream,
        record.number,
        record.credential_number,
        record.opened_after.as_deref(),
        &record.mac,
    ];
    session.execute(INSERT, values).map(|_| ()).map_err(|error| error.named("audit event"))
}

/// The MAC of the workspace's newest record: the one with the greatest id.
pub(crate) fn newest_mac(
    session: &mut Session<'_>,
    workspace: WorkspaceId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row = session.one(NEWEST, values![workspace])?;
    row.map(|row| Cells::new("audit", row).bytes()).transpose()
}

fn record(row: Row) -> Result<Record, StoreError> {
    let mut cells = Cells::new("audit", row);
    let (workspace, id, at) = (cells.parsed()?, cells.parsed()?, cells.time()?);
    let kind = cells.word(ActorKind::parse)?;
    let actor = Actor { kind, id: cells.text()?, name: cells.text()? };
    let event = Event {
        workspace,
        id,
        at,
        actor,
        action: cells.word(Action::parse)?,
        outcome: cells.word(Outcome::parse)?,
        reason: cells.text()?,
        credential: cells.optional_parsed()?,
        key: cells.optional_text()?,
        workflow: cells.optional_parsed()?,
        run: cells.optional_parsed()?,
        step: cells.optional_text()?,
        destination: cells.optional_text()?,
    };
    let (stream, number) = (cells.parsed()?, cells.number()?);
    let credential_number = cells.optional_number()?;
    let (opened_after, mac) = (cells.optional_bytes()?, cells.tag()?);
    Ok(Record { event, stream, number, credential_number, opened_after, mac })
}

/// The least id of a millisecond: ids begin with the one of their making (UUIDv7). Spares a short
/// list the reading of all that is older or newer; a minute more is for clocks that differ.
fn first_id(at: Timestamp) -> AuditId {
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    let mut bytes = [0; 16];
    bytes
        .iter_mut()
        .zip(millis.to_be_bytes().into_iter().skip(2))
        .for_each(|(to, byte)| *to = byte);
    AuditId::from_bytes(bytes)
}

/// No event from `since` on has a smaller id.
pub(crate) fn earliest_id(since: Timestamp) -> AuditId {
    first_id(since.plus_millis(-60_000))
}

/// No event up to `until` has this id or a greater one.
fn latest_id(until: Timestamp) -> AuditId {
    first_id(until.plus_millis(60_001))
}

impl AuditFilter {
    fn select(&self, workspace: WorkspaceId, page: &Page) -> Result<Select<'_>, StoreError> {
        let mut select = Select::new(LIST);
        select.add("WHERE workspace_id = ?", [workspace.into()]);
        select.filter(" AND id < ?", page.after::<AuditId>()?);
        select.filter(" AND credential_id = ?", self.credential);
        select.filter(" AND key = ?", self.key.as_deref());
        select.filter(" AND actor_id = ?", self.actor.as_deref());
        select.filter(" AND action = ?", self.action.map(Action::as_str));
        // Written out, so that the index of refused events serves.
        match self.outcome {
            Some(Outcome::Allowed) => drop(select.add(" AND outcome = 'allowed'", [])),
            Some(Outcome::Refused) => drop(select.add(" AND outcome = 'refused'", [])),
            None => {}
        }
        select.filter(" AND run_id = ?", self.run);
        select.filter(" AND workflow_id = ?", self.workflow);
        select.filter(" AND at >= ?", self.since);
        select.filter(" AND at <= ?", self.until);
        select.filter(" AND id < ?", self.until.map(latest_id));
        select.filter(" AND id >= ?", self.since.map(earliest_id));
        select.add(" ORDER BY id DESC LIMIT ?", [page.probe().into()]);
        Ok(select)
    }
}

impl Reader<'_> {
    /// The workspace's events, newest first.
    pub fn audit(
        &mut self,
        workspace: WorkspaceId,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Paged<Record>, StoreError> {
        let select = filter.select(workspace, page)?;
        let (sql, values) = select.parts();
        let rows = self.session.query(sql, values)?;
        let items = rows.into_iter().map(record).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |record: &Record| record.event.id.to_string()))
    }

    /// One record by its place, to hold an anchor against.
    pub fn audit_record(
        &mut self,
        workspace: WorkspaceId,
        stream: StreamId,
        number: i64,
    ) -> Result<Option<Record>, StoreError> {
        self.session.one(RECORD, values![workspace, stream, number])?.map(record).transpose()
    }

    /// The workspace's chains, the oldest first.
    pub fn audit_streams(&mut self, workspace: WorkspaceId) -> Result<Vec<StreamId>, StoreError> {
        let rows = self.session.query(STREAMS, values![workspace])?;
        rows.into_iter().map(|row| Cells::new("audit", row).parsed()).collect()
    }

    /// Up to `limit` records of a chain after number `after`, in its order.
    pub fn audit_records(
        &mut self,
        workspace: WorkspaceId,
        stream: StreamId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let values = values![workspace, stream, after, i64::from(limit)];
        let rows = self.session.query(RECORDS, values)?;
        rows.into_iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_id_is_never_later_than_a_real_one() {
        for millis in [0, 59_999, 1_700_000_000_123] {
            let at = Timestamp::from_millis(millis);
            let seconds = millis as u64 / 1000;
            let stamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
            let real = AuditId::from_bytes(uuid::Uuid::new_v7(stamp).into_bytes());
            assert!(earliest_id(at) <= real, "{millis}");
            assert!(earliest_id(at.plus_millis(121_000)) > real, "{millis}");
            assert!(latest_id(at) > real, "{millis}");
        }
    }

    #[test]
    fn every_filter_of_a_long_trail_has_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let connection = crate::sqlite::open(&folder.path().join("keyward.db")).unwrap();
        crate::migrate::sqlite(&connection).unwrap();
        let id = [7; 16];
        let any = AuditFilter::default;
        let check = |name: &str, filter: AuditFilter, index: &str| {
            let select = filter.select(WorkspaceId::from_bytes(id), &Page::first(50)).unwrap();
            let (sql, values) = select.parts();
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let plan = crate::sqlite::query(&connection, &sql, values).unwrap();
            let plan = format!("{plan:?}");
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{name}: {plan}");
        };
        check("nothing", any(), "sqlite_autoindex_audit_1");
        let of = AuditFilter { credential: Some(CredentialId::from_bytes(id)), ..any() };
        check("credential", of, "audit_by_credential");
        check("key", AuditFilter { key: Some("K".into()), ..any() }, "audit_by_key");
        check("actor", AuditFilter { actor: Some("x".into()), ..any() }, "audit_by_actor");
        let action = AuditFilter { action: Some(Action::CredentialUsed), ..any() };
        check("action", action, "audit_by_action");
        check("refused", AuditFilter { outcome: Some(Outcome::Refused), ..any() }, "audit_refused");
        check("run", AuditFilter { run: Some(RunId::from_bytes(id)), ..any() }, "audit_by_run");
        let workflow = AuditFilter { workflow: Some(WorkflowId::from_bytes(id)), ..any() };
        check("workflow", workflow, "audit_by_workflow");
        let days = AuditFilter {
            since: Some(Timestamp::default()),
            until: Some(Timestamp::default()),
            ..any()
        };
        check("time", days, "sqlite_autoindex_audit_1");
    }
}
