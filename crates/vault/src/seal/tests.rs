//! The written format against vectors that another implementation made: from the root key down to
//! a field, and every way in which it must not open.

use super::*;
use crate::keys::RootKeys;
use crate::ring::Ring;
use crate::root::RootKey;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{CredentialType, Scope};
use keyward_model::destination::{EgressPolicy, Place};
use keyward_model::id::{KeyId, WorkflowId, WorkspaceId};
use keyward_model::tenant::{KeyState, WorkspaceKey};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    expect: Option<String>,
    root: String,
    instance: String,
    workspace: String,
    key_id: String,
    workspace_key: String,
    credential: String,
    version: i64,
    scope: String,
    scope_workflow: Option<String>,
    policy: Policy,
    wrapped_key: String,
    field: String,
    sealed: String,
}

#[derive(Deserialize)]
struct Policy {
    hosts: Vec<String>,
    methods: Vec<String>,
    paths: Vec<String>,
    places: Vec<Place>,
}

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn fixed<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().unwrap()
}

fn open_vector(vector: &Vector) -> Result<String, VaultError> {
    let root = RootKey(Key::new(fixed(&vector.root)));
    let root = RootKeys::new(&root, fixed(&vector.instance));
    let workspace = WorkspaceId::from_bytes(fixed(&vector.workspace));
    let now = Timestamp::from_millis(0);
    let generation = root.open(&WorkspaceKey {
        workspace,
        id: KeyId::from_bytes(fixed(&vector.key_id)),
        generation: 1,
        state: KeyState::Active,
        root: String::new(),
        wrapped: bytes(&vector.workspace_key),
        created_at: now,
    })?;
    let ring = Ring::new(vec![Arc::new(generation)]).unwrap();
    let keys = WorkspaceKeys::new(workspace, ring);
    let Policy { hosts, methods, paths, places } = &vector.policy;
    let mut credential = crate::inject::tests::credential(CredentialType::ApiKey, &[]);
    credential.workspace = workspace;
    credential.id = CredentialId::from_bytes(fixed(&vector.credential));
    credential.version = vector.version;
    credential.policy = EgressPolicy::parse(hosts, methods, paths, places).unwrap();
    credential.scope = match (vector.scope.as_str(), &vector.scope_workflow) {
        ("workflow", Some(id)) => Scope::Workflow(WorkflowId::from_bytes(fixed(id))),
        _ => Scope::Workspace,
    };
    let row = CredentialVersion {
        workspace,
        credential: credential.id,
        version: vector.version,
        wrapped_key: Sealed::from_bytes(bytes(&vector.wrapped_key)),
        fields: BTreeMap::new(),
        created_at: now,
    };
    let (kid, key) = unwrap(&keys, &credential, (row.version, &row.wrapped_key))?;
    let aad = field_aad(&keys, credential.id, row.version, kid, &vector.field);
    let opened = open(&key, kid, &aad, &bytes(&vector.sealed))?;
    Ok(String::from_utf8(opened.to_vec()).unwrap())
}

#[test]
fn records_open_as_written_and_never_otherwise() {
    let file: File = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(file.vectors.len() > 30);
    for vector in &file.vectors {
        let opened = open_vector(vector).ok();
        assert_eq!(opened, vector.expect, "{}", vector.name);
    }
}

#[test]
fn ten_thousand_altered_records_stay_shut() {
    let file: File = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let mut vector = file.vectors.into_iter().next().unwrap();
    let (wrapped, sealed) = (bytes(&vector.wrapped_key), bytes(&vector.sealed));
    let alter = |record: &[u8], at: usize, by: u8| {
        let mut altered = record.to_vec();
        altered[at % record.len()] ^= by;
        data_encoding::HEXLOWER.encode(&altered)
    };
    for round in 0..10_000usize {
        let by = u8::try_from(round % 255).unwrap() + 1;
        let (target, original) = match round % 2 {
            0 => (&mut vector.sealed, &sealed),
            _ => (&mut vector.wrapped_key, &wrapped),
        };
        *target = alter(original, round / 2, by);
        assert!(open_vector(&vector).is_err(), "round {round}");
        vector.sealed = data_encoding::HEXLOWER.encode(&sealed);
        vector.wrapped_key = data_encoding::HEXLOWER.encode(&wrapped);
    }
    assert!(open_vector(&vector).is_ok());
}
