//! One line of an exported audit trail: the header with the wrapped keys that a check needs, stubs of
//! what retention has cut, records, and the end that names every chain's last one.

use super::{Action, AuditStub, Event, Head, Outcome, Record, ascii};
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::id::{AuditId, CredentialId, KeyId, RunId, StreamId, WorkflowId, WorkspaceId};
use crate::tag::{Tag, Tagged};
use crate::tenant::{KeyState, WorkspaceKey};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The form of exports that this release writes and reads.
const FORMAT: u32 = 1;

/// The first line: with it and the root key a file is checked without the database. The keys are
/// wrapped by the root key; whoever has not that learns nothing from them.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Header {
    keyward_audit_export: u32,
    /// When it was made.
    pub exported_at: Timestamp,
    instance: String,
    /// The fingerprint of the root key.
    pub root_key: String,
    /// Every key generation of the workspaces.
    pub keys: Vec<WrappedKey>,
}

/// One key generation of a workspace, wrapped by the root key.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct WrappedKey {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The key.
    pub id: KeyId,
    /// Its number among the workspace's keys.
    pub generation: i64,
    state: String,
    root: String,
    wrapped: String,
    created_at: Timestamp,
}

impl From<&WorkspaceKey> for WrappedKey {
    fn from(row: &WorkspaceKey) -> Self {
        Self {
            workspace_id: row.workspace,
            id: row.id,
            generation: row.generation,
            state: row.state.as_str().into(),
            root: row.root.clone(),
            wrapped: BASE64.encode(&row.wrapped),
            created_at: row.created_at,
        }
    }
}

impl WrappedKey {
    /// The row as the database held it; `None` where that cannot be told.
    pub fn row(&self) -> Option<WorkspaceKey> {
        Some(WorkspaceKey {
            workspace: self.workspace_id,
            id: self.id,
            generation: self.generation,
            state: KeyState::parse(&self.state)?,
            root: self.root.clone(),
            wrapped: BASE64.decode(self.wrapped.as_bytes()).ok()?,
            created_at: self.created_at,
        })
    }
}

impl Header {
    /// The header of an export of an instance, sealed by the root key of that fingerprint.
    pub fn new(at: Timestamp, instance: &[u8; 16], root_key: &str, keys: Vec<WrappedKey>) -> Self {
        let (instance, root_key) = (HEXLOWER.encode(instance), root_key.to_owned());
        Self { keyward_audit_export: FORMAT, exported_at: at, instance, root_key, keys }
    }

    /// The instance's id; `None` where it is none.
    pub fn instance(&self) -> Option<[u8; 16]> {
        HEXLOWER.decode(self.instance.as_bytes()).ok()?.try_into().ok()
    }

    /// The line, without a line break.
    ///
    /// # Errors
    /// What serialising gave.
    pub fn write(&self) -> serde_json::Result<String> {
        ascii::to_line(self)
    }
}

/// A stub of cut records with its tag.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StubLine {
    cut_before: i64,
    workspace_id: WorkspaceId,
    stream: StreamId,
    mac: String,
    count: i64,
    links: String,
    cut_at: Timestamp,
    tag: String,
}

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
    #[serde(default)]
    credential_number: Option<i64>,
    opened_after: Option<String>,
    mac: String,
}

/// The last line: how many records there are, and the newest of each chain, so that a file that was
/// cut is known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    records: u64,
    heads: Vec<HeadLine>,
    /// Whose audit key `mac` is made with.
    pub sealed_by: WorkspaceId,
    mac: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    workspace_id: WorkspaceId,
    stream: StreamId,
    number: i64,
    mac: String,
}

/// What a line turned out to be.
#[derive(Debug)]
pub enum Line {
    /// The first line.
    Header(Header),
    /// A stub; its tag is yet to be checked.
    Stub(Tagged<AuditStub>),
    /// A record.
    Record(Box<Record>),
    /// The last line; its MAC is yet to be checked.
    End(End),
    /// A record or stub that cannot be read in full, but says where it belongs.
    Unreadable(WorkspaceId, StreamId),
    /// None of these.
    Unknown,
}

/// Writes a stub, without a line break.
///
/// # Errors
/// What serialising gave.
pub fn write_stub(stub: &Tagged<AuditStub>) -> serde_json::Result<String> {
    let (row, tag) = stub.parts();
    ascii::to_line(&StubLine {
        cut_before: row.number,
        workspace_id: row.workspace,
        stream: row.stream,
        mac: HEXLOWER.encode(&row.mac),
        count: row.count,
        links: HEXLOWER.encode(&row.stored_links()),
        cut_at: row.cut_at,
        tag: HEXLOWER.encode(tag),
    })
}

/// Writes a record as one line of printable ASCII, without a line break.
///
/// # Errors
/// What serialising gave.
pub fn write_line(record: &Record) -> serde_json::Result<String> {
    let Record { event, stream, number, credential_number, opened_after, mac } = record;
    ascii::to_line(&RecordLine {
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
        credential_number: *credential_number,
        opened_after: opened_after.as_ref().map(|mac| HEXLOWER.encode(mac)),
        mac: HEXLOWER.encode(mac),
    })
}

impl Line {
    /// Reads a line.
    pub fn read(text: &str) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Self::Unknown };
        if value.get("heads").is_some() {
            return serde_json::from_value(value).map_or(Self::Unknown, Self::End);
        }
        if value.get("keyward_audit_export").is_some() {
            let header = serde_json::from_value(value).ok();
            let known = header.filter(|header: &Header| header.keyward_audit_export == FORMAT);
            return known.map_or(Self::Unknown, Self::Header);
        }
        let place = (id(&value, "workspace_id"), id(&value, "stream"));
        let line = match value.get("cut_before") {
            Some(_) => serde_json::from_value::<StubLine>(value)
                .ok()
                .and_then(StubLine::into_stub)
                .map(Self::Stub),
            None => serde_json::from_value::<RecordLine>(value)
                .ok()
                .and_then(RecordLine::into_record)
                .map(|record| Self::Record(Box::new(record))),
        };
        match (line, place) {
            (Some(line), _) => line,
            (None, (Some(workspace), Some(stream))) => Self::Unreadable(workspace, stream),
            (None, _) => Self::Unknown,
        }
    }
}

fn id<T: std::str::FromStr>(value: &Value, name: &str) -> Option<T> {
    value.get(name)?.as_str()?.parse().ok()
}

impl StubLine {
    fn into_stub(self) -> Option<Tagged<AuditStub>> {
        let links = HEXLOWER.decode(self.links.as_bytes()).ok()?;
        let stub = AuditStub {
            workspace: self.workspace_id,
            stream: self.stream,
            number: self.cut_before,
            mac: read_mac(&self.mac)?,
            count: self.count,
            links: AuditStub::read_links(&links)?,
            cut_at: self.cut_at,
        };
        let tag: Tag = read_mac(&self.tag)?;
        Some(Tagged::stored(stub, tag))
    }
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
        let credential_number = self.credential_number;
        Some(Record { event, stream, number, credential_number, opened_after, mac })
    }
}

fn read_mac(hex: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

impl End {
    /// In the place of a previous MAC, and of no MAC's length, so that no record can be taken for it.
    pub const PREVIOUS: &'static [u8] = b"keyward/audit-export/v1";

    /// The end of `records` records, whose MAC is still to be set.
    pub fn new<'a>(
        records: u64,
        heads: impl Iterator<Item = &'a Head>,
        sealed_by: WorkspaceId,
    ) -> Self {
        let line = |head: &Head| HeadLine {
            workspace_id: head.workspace,
            stream: head.stream,
            number: head.number,
            mac: HEXLOWER.encode(&head.mac),
        };
        Self { records, heads: heads.map(line).collect(), sealed_by, mac: String::new() }
    }

    /// What the MAC covers, beside the number of records.
    ///
    /// # Errors
    /// What serialising gave.
    pub fn content(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&self.heads)
    }

    /// How many records the file holds.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The number of records as the MAC covers it.
    pub fn number(&self) -> i64 {
        i64::try_from(self.records).unwrap_or(i64::MAX)
    }

    /// The line with its MAC, without a line break.
    ///
    /// # Errors
    /// What serialising gave.
    pub fn write(mut self, mac: &[u8; 32]) -> serde_json::Result<String> {
        self.mac = HEXLOWER.encode(mac);
        ascii::to_line(&self)
    }

    /// The MAC as it stands in the file; `None` where it is none.
    pub fn mac(&self) -> Option<[u8; 32]> {
        read_mac(&self.mac)
    }

    /// The heads; `None` where a MAC among them is none.
    pub fn heads(&self) -> Option<Vec<Head>> {
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
    use crate::id::Identifier as _;

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
        let (credential_number, opened_after) = (Some(3), Some(vec![7; 32]));
        Record { event, stream, number: 1, credential_number, opened_after, mac: [8; 32] }
    }

    #[test]
    fn a_record_reads_back_in_full() {
        let mut later = record();
        later.opened_after = None;
        later.number = 2;
        for record in [record(), later] {
            let text = write_line(&record).unwrap();
            assert!(!text.contains('\n'));
            let Line::Record(found) = Line::read(&text) else { panic!("{text}") };
            assert_eq!(*found, record);
        }
    }

    #[test]
    fn a_broken_line_says_where_it_belongs_if_it_can() {
        let text = write_line(&record()).unwrap();
        let unreadable = |from: &str, to: &str| {
            let broken = text.replace(from, to);
            assert_ne!(broken, text);
            matches!(Line::read(&broken), Line::Unreadable(..))
        };
        assert!(unreadable("credential.used", "credential.drunk"));
        assert!(unreadable("\"reason\"", "\"because\""));
        assert!(unreadable("\"outcome\":\"refused\"", "\"outcome\":\"maybe\""));
        assert!(unreadable(&"08".repeat(32), &"08".repeat(31)));
        assert!(matches!(Line::read(&text.replace("str_", "strange_")), Line::Unknown));
        for text in ["", "{}", "[1]", "{\"heads\":1}"] {
            assert!(matches!(Line::read(text), Line::Unknown), "{text}");
        }
    }

    #[test]
    fn an_unnumbered_record_of_an_earlier_release_reads_back() {
        let mut record = record();
        record.credential_number = None;
        let text = write_line(&record).unwrap().replace(",\"credential_number\":null", "");
        assert!(matches!(Line::read(&text), Line::Record(found) if *found == record), "{text}");
    }

    #[test]
    fn the_end_reads_back() {
        let Record { event, stream, number, mac, .. } = record();
        let head = Head { workspace: event.workspace, stream, number, mac };
        let end = End::new(7, std::iter::once(&head), event.workspace);
        let content = end.content().unwrap();
        let Line::End(found) = Line::read(&end.write(&[9; 32]).unwrap()) else { panic!() };
        assert_eq!(found.heads(), Some(vec![head]));
        assert_eq!((found.records(), found.number(), found.sealed_by), (7, 7, event.workspace));
        assert_eq!((found.content().unwrap(), found.mac()), (content, Some([9; 32])));
        assert_ne!(End::PREVIOUS.len(), 32);
    }

    #[test]
    fn header_and_stub_read_back() {
        let (workspace, key) = (WorkspaceId::from_bytes([1; 16]), KeyId::from_bytes([2; 16]));
        let at = Timestamp::from_millis(5);
        let (state, root, wrapped) = (KeyState::Active, "aaaa-bbbb".to_owned(), vec![1, 2, 250]);
        let (id, generation, created_at) = (key, 3, at);
        let row = WorkspaceKey { workspace, id, generation, state, root, wrapped, created_at };
        let wrapped = WrappedKey::from(&row);
        assert_eq!(wrapped.row(), Some(row));
        let header = Header::new(at, &[4; 16], "aaaa-bbbb", vec![wrapped]);
        let text = header.write().unwrap();
        let Line::Header(found) = Line::read(&text) else { panic!("{text}") };
        assert_eq!((found.instance(), &found), (Some([4; 16]), &header));
        let later = text.replace("\"keyward_audit_export\":1", "\"keyward_audit_export\":2");
        assert!(matches!(Line::read(&later), Line::Unknown));

        let stream = StreamId::from_bytes([6; 16]);
        let (mac, links) = ([7; 32], vec![[8; 32], [9; 32]]);
        let stub = AuditStub { workspace, stream, number: 4, mac, count: 4, links, cut_at: at };
        let text = write_stub(&Tagged::stored(stub.clone(), [3; 32])).unwrap();
        let Line::Stub(found) = Line::read(&text) else { panic!("{text}") };
        assert_eq!(found.parts(), (&stub, &[3; 32]));
        let broken = text.replace(&"07".repeat(32), "07");
        assert!(matches!(Line::read(&broken), Line::Unreadable(..)));
    }
}
