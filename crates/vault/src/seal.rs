//! Sealed records: AES-256-GCM with everything that names a value as associated data
//! (docs/sealed-format.md; NIST SP 800-38D).

use crate::bytes::{Key, random, sha256};
use crate::ring::{Generation, WorkspaceKeys};
use crate::secret::{Incoming, Secret};
use crate::vault::VaultError;
use aws_lc_rs::aead::{self, AES_256_GCM, LessSafeKey, Nonce, UnboundKey};
use keyward_model::clock::Timestamp;
use keyward_model::credential::{Credential, CredentialVersion, Sealed};
use keyward_model::id::{CredentialId, Identifier as _};
use keyward_model::policy::Permit;
use keyward_store::AuditReceipt;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 16 + 12;
const TAG: usize = 16;

/// Associated data: each part as u32 length + bytes, the label first.
pub(crate) struct Aad(Vec<u8>);

impl Aad {
    pub(crate) fn new(label: &str) -> Self {
        let mut aad = Self(Vec::with_capacity(192));
        aad.part(label.as_bytes());
        aad
    }

    pub(crate) fn part(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Seals bytes as `01 | kid | nonce | ciphertext | tag`.
pub(crate) fn seal(
    key: &Key,
    kid: [u8; 16],
    aad: &Aad,
    plain: &[u8],
) -> Result<Sealed, VaultError> {
    let nonce: [u8; 12] = random()?;
    let mut body = Zeroizing::new(plain.to_vec());
    let tag = cipher(key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(&aad.0),
            &mut body,
        )
        .map_err(|_| VaultError::Unreadable)?;
    let mut record = Vec::with_capacity(HEADER + body.len() + TAG);
    record.push(VERSION);
    record.extend_from_slice(&kid);
    record.extend_from_slice(&nonce);
    record.extend_from_slice(&body);
    record.extend_from_slice(tag.as_ref());
    Ok(Sealed::from_bytes(record))
}

/// Opens a record of that key id and associated data; anything else is `Unreadable`.
pub(crate) fn open(
    key: &Key,
    kid: [u8; 16],
    aad: &Aad,
    record: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (header, body) = record.split_at_checked(HEADER).ok_or(VaultError::Unreadable)?;
    let (version, rest) = header.split_first().ok_or(VaultError::Unreadable)?;
    let (found_kid, nonce) = rest.split_at_checked(16).ok_or(VaultError::Unreadable)?;
    if *version != VERSION || found_kid != kid {
        return Err(VaultError::Unreadable);
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Unreadable)?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = cipher(key)?
        .open_in_place(nonce, aead::Aad::from(&aad.0), &mut body)
        .map_err(|_| VaultError::Unreadable)?
        .len();
    body.truncate(length);
    Ok(body)
}

/// The key id that a record names.
pub(crate) fn kid(record: &[u8]) -> Option<[u8; 16]> {
    record.get(1..17)?.try_into().ok()
}

fn cipher(key: &Key) -> Result<LessSafeKey, VaultError> {
    let key = UnboundKey::new(&AES_256_GCM, key.bytes()).map_err(|_| VaultError::Unreadable)?;
    Ok(LessSafeKey::new(key))
}

/// What a version key's wrap is bound to beside the credential: scope and egress policy.
fn wrap_aad(generation: &Generation, credential: &Credential, version: i64) -> Aad {
    let mut aad = Aad::new("keyward/seal/v1");
    aad.part(generation.id.as_bytes())
        .part(credential.workspace.as_bytes())
        .part(credential.id.as_bytes())
        .part(&version.to_be_bytes())
        .part(b"")
        .part(credential.scope.kind().as_bytes())
        .part(credential.scope.id_text().as_bytes())
        .part(&sha256(&credential.policy.canonical()));
    aad
}

fn field_aad(
    keys: &WorkspaceKeys,
    credential: CredentialId,
    version: i64,
    kid: [u8; 16],
    field: &str,
) -> Aad {
    let mut aad = Aad::new("keyward/seal/v1");
    aad.part(&kid)
        .part(keys.workspace.as_bytes())
        .part(credential.as_bytes())
        .part(&version.to_be_bytes())
        .part(field.as_bytes());
    aad
}

/// Seals the secret fields of `credential.version` under a new version key.
pub(crate) fn seal_version(
    keys: &WorkspaceKeys,
    credential: &Credential,
    fields: &BTreeMap<String, Incoming>,
    now: Timestamp,
) -> Result<CredentialVersion, VaultError> {
    let version = credential.version;
    let (kid, key) = (random::<16>()?, Key::random()?);
    let fields = fields
        .iter()
        .map(|(name, value)| {
            let aad = field_aad(keys, credential.id, version, kid, name);
            Ok((name.clone(), seal(&key, kid, &aad, value.expose())?))
        })
        .collect::<Result<_, VaultError>>()?;
    Ok(CredentialVersion {
        workspace: credential.workspace,
        credential: credential.id,
        version,
        wrapped_key: wrap(keys, credential, version, kid, &key)?,
        fields,
        created_at: now,
    })
}

fn wrap(
    keys: &WorkspaceKeys,
    credential: &Credential,
    version: i64,
    kid: [u8; 16],
    key: &Key,
) -> Result<Sealed, VaultError> {
    let mut plain = Zeroizing::new([0u8; 48]);
    let (id, rest) = plain.split_at_mut(16);
    id.copy_from_slice(&kid);
    rest.copy_from_slice(key.bytes());
    let active = keys.active();
    let aad = wrap_aad(&active, credential, version);
    seal(active.wrap()?, *active.id.as_bytes(), &aad, plain.as_slice())
}

fn unwrap(
    keys: &WorkspaceKeys,
    credential: &Credential,
    (version, wrapped): (i64, &Sealed),
) -> Result<([u8; 16], Key), VaultError> {
    if credential.workspace != keys.workspace {
        return Err(VaultError::Unreadable);
    }
    let generation = keys.of(wrapped.as_bytes())?;
    let aad = wrap_aad(&generation, credential, version);
    let wrap = generation.wrap()?;
    let plain = open(wrap, *generation.id.as_bytes(), &aad, wrapped.as_bytes())?;
    let (kid, key) = plain.split_at_checked(16).ok_or(VaultError::Unreadable)?;
    let kid = kid.try_into().map_err(|_| VaultError::Unreadable)?;
    Ok((kid, Key::from_slice(key).ok_or(VaultError::Unreadable)?))
}

/// Wraps a version key anew for a narrowed policy: opens 48 bytes of key, no value.
pub(crate) fn rewrap(
    keys: &WorkspaceKeys,
    before: &Credential,
    after: &Credential,
    row: &CredentialVersion,
) -> Result<CredentialVersion, VaultError> {
    let wrapped_key = rewrap_key(keys, (before, after), (row.version, &row.wrapped_key))?;
    Ok(CredentialVersion { wrapped_key, ..row.clone() })
}

/// Wraps a version key anew under the active generation.
pub(crate) fn rewrap_key(
    keys: &WorkspaceKeys,
    (before, after): (&Credential, &Credential),
    (version, wrapped): (i64, &Sealed),
) -> Result<Sealed, VaultError> {
    let (kid, key) = unwrap(keys, before, (version, wrapped))?;
    wrap(keys, after, version, kid, &key)
}

/// Opens one field. Takes the permit and the receipt of its audit record: no record, no value.
pub(crate) fn open_field<P>(
    keys: &WorkspaceKeys,
    permit: &Permit<P>,
    receipt: &AuditReceipt,
    row: &CredentialVersion,
    field: &str,
) -> Result<Secret, VaultError> {
    let credential = permit.credential();
    let same = row.credential == credential.id
        && row.workspace == credential.workspace
        && row.version == credential.version;
    if !receipt.covers(permit.event().id) || !same {
        return Err(VaultError::Unreadable);
    }
    let (kid, key) = unwrap(keys, credential, (row.version, &row.wrapped_key))?;
    let sealed = row.fields.get(field).ok_or(VaultError::Unreadable)?;
    let aad = field_aad(keys, credential.id, row.version, kid, field);
    open(&key, kid, &aad, sealed.as_bytes()).map(Secret::new)
}

/// The kinds of small texts that are sealed under a workspace's key. For each, `rotate/records.rs`
/// says where its records lie, so that a new key writes them anew.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text {
    /// The path token of a workflow's trigger.
    TriggerToken,
    /// The key of an open run.
    RunKey,
    /// What an open no-store run has written.
    NoStoreRow,
    /// An answer kept for a repeated request.
    Reply,
}

impl Text {
    /// Every kind.
    pub(crate) const ALL: &[Self] =
        &[Self::TriggerToken, Self::RunKey, Self::NoStoreRow, Self::Reply];

    fn purpose(self) -> &'static str {
        match self {
            Self::TriggerToken => "trigger-token",
            Self::RunKey => "run-key",
            Self::NoStoreRow => "no-store-row",
            Self::Reply => "reply",
        }
    }
}

/// Seals a small text under the workspace's wrap key, bound to what it is and its owner.
pub(crate) fn seal_text(
    keys: &WorkspaceKeys,
    kind: Text,
    owner: &[u8],
    text: &[u8],
) -> Result<Sealed, VaultError> {
    let active = keys.active();
    let aad = text_aad(keys, kind, owner);
    seal(active.wrap()?, *active.id.as_bytes(), &aad, text)
}

/// Opens what `seal_text` sealed.
pub(crate) fn open_text(
    keys: &WorkspaceKeys,
    kind: Text,
    owner: &[u8],
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let generation = keys.of(sealed.as_bytes())?;
    let aad = text_aad(keys, kind, owner);
    open(generation.wrap()?, *generation.id.as_bytes(), &aad, sealed.as_bytes())
}

fn text_aad(keys: &WorkspaceKeys, kind: Text, owner: &[u8]) -> Aad {
    let mut aad = Aad::new("keyward/text/v1");
    aad.part(keys.workspace.as_bytes()).part(kind.purpose().as_bytes()).part(owner);
    aad
}

#[cfg(test)]
mod tests;
