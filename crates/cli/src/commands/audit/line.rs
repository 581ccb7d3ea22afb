//! One line of an exported audit trail: a record, or the end that names every chain's last one.

use data_encoding::HEXLOWER;
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event, Head, Outcome, Record};
use keyward_model::clock::Timestamp;
use keyward_model::id::{AuditId, CredentialId, RunId, StreamId, WorkflowId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A record as the API shows it, and its place in its chain.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine {
    id: AuditId,
    at: Timestamp,
    workspace_id: WorkspaceId,
    actor: Actor,
    action: String,
    outcome: String,
    reason: String,
    credential_id: Option<CredentialId>,
    key: Option<String>,
    workflow_id: Option<WorkflowId>,
    run_id: Option<RunId>,
    step_id: Option<String>,
    destination: Option<String>,
    stream: StreamId,
    number: i64,
    opened_after: Option<String>,
    mac: String,
}

/// The last line: the newest record of each chain, so that a file that was cut is known.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    heads: Vec<HeadLine>,
    /// Whose audit key `mac` is made with.
    pub(crate) sealed_by: WorkspaceId,
    mac: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    workspace_id: WorkspaceId,
    stream: StreamId,
    number: i64,
    mac: String,
}

/// What a line turned out to be.
pub(crate) enum Line {
    Record(Box<Record>),
    End(End),
    /// A record that cannot be read in full, but says where it belongs.
    Unreadable(WorkspaceId, StreamId),
    /// Neither.
    Unknown,
}

/// Writes a record, without a line break.
pub(crate) fn write(record: &Record) -> serde_json::Result<String> {
    let Record { event, stream, number, opened_after, mac } = record;
    serde_json::to_string(&RecordLine {
        id: event.id,
        at: event.at,
        workspace_id: event.workspace,
        actor: event.actor.clone(),
        action: event.action.as_str().into(),
        outcome: event.outcome.as_str().into(),
        reason: event.reason.clone(),
        credential_id: event.credential,
        key: event.key.clone(),
        workflow_id: event.workflow,
        run_id: event.run,
        step_id: event.step.clone(),
        destination: event.destination.clone(),
        stream: *stream,
        number: *number,
        opened_after: opened_after.as_ref().map(|mac| HEXLOWER.encode(mac)),
        mac: HEXLOWER.encode(mac),
    })
}

/// Reads a line.
pub(crate) fn read(text: &str) -> Line {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Line::Unknown };
    if value.get("heads").is_some() {
        return serde_json::from_value(value).map_or(Line::Unknown, Line::End);
    }
    let place = (id(&value, "workspace_id"), id(&value, "stream"));
    let line = serde_json::from_value::<RecordLine>(value).ok();
    match (line.and_then(RecordLine::into_record), place) {
        (Some(record), _) => Line::Record(Box::new(record)),
        (None, (Some(workspace), Some(stream))) => Line::Unreadable(workspace, stream),
        (None, _) => Line::Unknown,
    }
}

fn id<T: std::str::FromStr>(value: &Value, name: &str) -> Option<T> {
    value.get(name)?.as_str()?.parse().ok()
}

impl RecordLine {
    fn into_record(self) -> Option<Record> {
        let mut event = Event::new(
            self.id,
            self.workspace_id,
            self.at,
            self.actor,
            Action::parse(&self.action)?,
        );
        event.outcome = Outcome::parse(&self.outcome)?;
        event.reason = self.reason;
        event.credential = self.credential_id;
        event.key = self.key;
        event.workflow = self.workflow_id;
        event.run = self.run_id;
        event.step = self.step_id;
        event.destination = self.destination;
        let opened_after = match self.opened_after {
            Some(hex) => Some(HEXLOWER.decode(hex.as_bytes()).ok()?),
            None => None,
        };
        let (stream, number, mac) = (self.stream, self.number, read_mac(&self.mac)?);
        Some(Record { event, stream, number, opened_after, mac })
    }
}

fn read_mac(hex: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

impl End {
    /// In the place of a previous MAC, and of no MAC's length, so that no record can be taken for it.
    pub(crate) const PREVIOUS: &'static [u8] = b"keyward/audit-export/v1";

    /// An end whose MAC is still to be set.
    pub(crate) fn new<'a>(heads: impl Iterator<Item = &'a Head>, sealed_by: WorkspaceId) -> Self {
        let line = |head: &Head| HeadLine {
            workspace_id: head.workspace,
            stream: head.stream,
            number: head.number,
            mac: HEXLOWER.encode(&head.mac),
        };
        Self { heads: heads.map(line).collect(), sealed_by, mac: String::new() }
    }

    /// What the MAC covers, beside the number of chains.
    pub(crate) fn content(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&self.heads)
    }

    /// How many chains it names.
    pub(crate) fn count(&self) -> i64 {
        i64::try_from(self.heads.len()).unwrap_or(i64::MAX)
    }

    /// Sets the MAC.
    pub(crate) fn seal(mut self, mac: &[u8; 32]) -> Self {
        self.mac = HEXLOWER.encode(mac);
        self
    }

    /// Whether the MAC is this one. It is no secret: whoever holds the file has it.
    pub(crate) fn is_sealed(&self, mac: &[u8; 32]) -> bool {
        self.mac == HEXLOWER.encode(mac)
    }

    /// The heads; `None` where a MAC among them is none.
    pub(crate) fn heads(&self) -> Option<Vec<Head>> {
        let head = |line: &HeadLine| {
            let HeadLine { workspace_id: workspace, stream, number, .. } = *line;
            Some(Head { workspace, stream, number, mac: read_mac(&line.mac)? })
        };
        self.heads.iter().map(head).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::id::Identifier as _;

    fn record() -> Record {
        let (workspace, id) = (WorkspaceId::from_bytes([1; 16]), AuditId::from_bytes([2; 16]));
        let at = Timestamp::from_millis(1_700_000_000_123);
        let mut event = Event::new(id, workspace, at, Actor::system(), Action::CredentialUsed);
        event.outcome = Outcome::Refused;
        event.reason = "allowlist".into();
        event.credential = Some(CredentialId::from_bytes([3; 16]));
        event.key = Some("K".into());
        event.workflow = Some(WorkflowId::from_bytes([4; 16]));
        event.run = Some(RunId::from_bytes([5; 16]));
        event.step = Some("call".into());
        event.destination = Some("https://a:443".into());
        let stream = StreamId::from_bytes([6; 16]);
        Record { event, stream, number: 1, opened_after: Some(vec![7; 32]), mac: [8; 32] }
    }

    #[test]
    fn a_record_reads_back_in_full() {
        let mut later = record();
        later.opened_after = None;
        later.number = 2;
        for record in [record(), later] {
            let text = write(&record).unwrap();
            assert!(!text.contains('\n'));
            let Line::Record(found) = read(&text) else { panic!("{text}") };
            assert_eq!(*found, record);
        }
    }

    #[test]
    fn a_broken_line_says_where_it_belongs_if_it_can() {
        let text = write(&record()).unwrap();
        let unreadable = |from: &str, to: &str| {
            let broken = text.replace(from, to);
            assert_ne!(broken, text);
            matches!(read(&broken), Line::Unreadable(..))
        };
        assert!(unreadable("credential.used", "credential.drunk"));
        assert!(unreadable("\"reason\"", "\"because\""));
        assert!(unreadable("\"outcome\":\"refused\"", "\"outcome\":\"maybe\""));
        assert!(unreadable(&"08".repeat(32), &"08".repeat(31)));
        assert!(matches!(read(&text.replace("str_", "strange_")), Line::Unknown));
        for text in ["", "{}", "[1]", "{\"heads\":1}"] {
            assert!(matches!(read(text), Line::Unknown), "{text}");
        }
    }

    #[test]
    fn the_end_reads_back() {
        let Record { event, stream, number, mac, .. } = record();
        let head = Head { workspace: event.workspace, stream, number, mac };
        let end = End::new(std::iter::once(&head), event.workspace).seal(&[9; 32]);
        let Line::End(found) = read(&serde_json::to_string(&end).unwrap()) else { panic!() };
        assert_eq!(found.heads(), Some(vec![head]));
        assert_eq!((found.count(), found.sealed_by), (1, event.workspace));
        assert_eq!(found.content().unwrap(), end.content().unwrap());
        assert!(found.is_sealed(&[9; 32]) && !found.is_sealed(&[8; 32]));
        assert_ne!(End::PREVIOUS.len(), 32);
    }
}
