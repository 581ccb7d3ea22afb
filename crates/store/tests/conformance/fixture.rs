//! A fresh database with a store on it, and the rows that stories begin with.

use keyward_model::actor::{Actor, Role};
use keyward_model::audit::{Action, Event};
use keyward_model::clock::Timestamp;
use keyward_model::credential::{
    CodeAccess, Credential, CredentialType, Details, Scope, Sealed, Status,
};
use keyward_model::destination::EgressPolicy;
use keyward_model::id::{AccountId, Identifier, MemberId, WorkspaceId};
use keyward_model::mask::{Masked, Masker};
use keyward_model::run::{NewRun, NewStep, Origin, RunEnd, RunStatus, StepStatus};
use keyward_model::saved_workflow::Workflow;
use keyward_model::tag::{Granting, Tagged};
use keyward_model::tenant::{Member, MemberKind, Workspace};
use keyward_store::{AuditReceipt, Audited, Store, StoreError, Target, Tx};
use keyward_testkit::postgres::Postgres;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) target: Target,
    pub(crate) workspace: WorkspaceId,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::Sqlite(folder.path().join("db/keyward.db"));
        Self::new(target, Some(folder))
    }

    pub(crate) fn postgres() -> Self {
        Self::new(Target::Postgres(Postgres::shared().fresh_database()), None)
    }

    fn new(target: Target, folder: Option<tempfile::TempDir>) -> Self {
        let store = Store::open(&target).unwrap();
        store.arm(Arc::new(|workspace, previous, number, event| {
            Some(toy_mac(workspace, previous, number, event))
        }));
        Self { store, target, workspace: id(), _folder: folder }
    }

    /// A write with one event of no interest.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        mut change: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let event = self.event();
        let write = move |tx: &mut Tx<'_>| Ok(Audited::new(change(tx)?, vec![event.clone()]));
        self.store.write(write).await.map(|(value, _): (T, AuditReceipt)| value)
    }

    pub(crate) fn event(&self) -> Event {
        let action = Action::WorkflowUpdated;
        Event::new(id(), self.workspace, at(1), Actor::system(), action)
    }

    pub(crate) fn run(&self) -> NewRun {
        NewRun {
            workspace: self.workspace,
            id: id(),
            workflow: id(),
            version: 3,
            origin: Origin::Hook,
            starter: Actor::system(),
            member: None,
            seals: "{}".into(),
            trigger: masked(r#"{"body":{"n":1}}"#),
            no_store: false,
            withheld: false,
            retry_of: None,
            node: id(),
            created_at: at(1000),
        }
    }

    pub(crate) fn workspace_row(&self, slug: &str) -> Workspace {
        Workspace { id: id(), slug: slug.into(), name: "Name".into(), created_at: at(5) }
    }

    pub(crate) fn member(&self, email: &str, role: Role) -> Member {
        Member {
            workspace: self.workspace,
            id: id(),
            kind: MemberKind::Person,
            account: Some(account_of(email)),
            email: email.into(),
            name: "Somebody".into(),
            role,
            created_at: at(6),
            left_at: None,
        }
    }

    pub(crate) fn credential(&self, key: &str) -> Credential {
        let details = Details {
            name: format!("Name of {key}"),
            description: "100% of_it".into(),
            environment: "prod".into(),
            tags: vec!["alerts".into(), "on call".into()],
            plain: BTreeMap::from([("in".into(), "header".into())]),
            secret: vec!["value".into()],
            template: None,
            test: None,
            ..Details::default()
        };
        let hosts = ["api.example.com".to_owned(), "*.example.org".to_owned()];
        Credential {
            workspace: self.workspace,
            id: id(),
            key: key.into(),
            kind: CredentialType::ApiKey,
            scope: Scope::Workspace,
            policy: EgressPolicy::parse(&hosts, &[], &[], &[]).unwrap(),
            code_access: CodeAccess::Sealed,
            details,
            version: 1,
            status: Status::Active,
            status_reason: None,
            owner: id(),
            created_at: at(10),
            updated_at: at(10),
            rotated_at: at(10),
            expires_at: None,
            revision: 1,
            lifecycle: Default::default(),
        }
    }

    pub(crate) fn workflow(&self, name: &str) -> Workflow {
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(id::<MemberId>().as_bytes());
        Workflow {
            workspace: self.workspace,
            id: id(),
            name: name.into(),
            version: 1,
            active: true,
            owner: id(),
            trigger_hash: hash,
            trigger_token: Sealed::from_bytes(vec![1, 2, 3]),
            created_at: at(20),
            updated_at: at(20),
            revision: 1,
        }
    }
}

pub(crate) fn step(position: i64) -> NewStep {
    NewStep {
        position,
        step: format!("step{position}"),
        kind: "code".into(),
        status: StepStatus::Succeeded,
        attempt: 1,
        wake_at: None,
        started_at: at(1001),
        finished_at: Some(at(1002)),
        input: Some(masked("[1]")),
        output: Some(masked(r#"{"ok":true}"#)),
        error_code: None,
        error_message: None,
        logs: masked(r#"[{"message":"hello"}]"#),
        credentials: r#"[{"key":"K"}]"#.into(),
        seals: r#"{"kws1_x":"K"}"#.into(),
    }
}

pub(crate) fn end(status: RunStatus) -> RunEnd {
    RunEnd {
        status,
        error_code: None,
        error_message: None,
        error_step: None,
        finished_at: at(2000),
    }
}

/// Ids that sort by when they were asked for.
pub(crate) fn id<T: Identifier>() -> T {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    // Several processes may work on one database.
    bytes[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    T::from_bytes(bytes)
}

/// The same account for the same address.
pub(crate) fn account_of(email: &str) -> AccountId {
    let digest = digest(&[email.as_bytes()]);
    AccountId::from_bytes(*digest.first_chunk().expect("16 bytes"))
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn masked(text: &str) -> Masked {
    Masker::new().text(text)
}

/// A tag that depends on every column, as the vault's would.
pub(crate) fn sign<T: Granting>(row: T) -> Tagged<T> {
    Tagged::sign(row, |bytes| digest(&[bytes]))
}

/// The row, if it is exactly what was signed.
pub(crate) fn open<T: Granting>(row: Tagged<T>) -> T {
    row.open(|bytes| digest(&[bytes])).expect("a valid tag")
}

pub(crate) fn toy_mac(
    workspace: &WorkspaceId,
    previous: &[u8],
    number: i64,
    event: &[u8],
) -> [u8; 32] {
    digest(&[workspace.as_bytes(), previous, &number.to_be_bytes(), event])
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = [0xcbf2_9ce4_8422_2325_u64, 1, 2, 3];
    for byte in parts.iter().flat_map(|part| part.iter().copied().chain([0xff])) {
        for (salt, lane) in state.iter_mut().enumerate() {
            *lane = (*lane ^ u64::from(byte) ^ salt as u64).wrapping_mul(0x100_0000_01b3);
        }
    }
    let mut out = [0; 32];
    for (chunk, lane) in out.chunks_mut(8).zip(state) {
        chunk.copy_from_slice(&lane.to_be_bytes());
    }
    out
}

pub(crate) fn conflict<T: std::fmt::Debug>(result: Result<T, StoreError>) -> &'static str {
    match result {
        Err(StoreError::Conflict { what }) => what,
        other => panic!("not a conflict: {other:?}"),
    }
}
