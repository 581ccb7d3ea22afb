//! Gathers the facts of the access review, one batch of credentials after the other.

use crate::credentials::access::verified_shares;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::actor::Caller;
use keyward_model::clock::Timestamp;
use keyward_model::credential::Credential;
use keyward_model::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};
use keyward_model::permission::{Act, decide};
use keyward_model::resolution::{Reach, nearest};
use keyward_model::review::{Facts, Finding, Kind, NamedBy, OBSERVED_DAYS, findings};
use keyward_model::saved_workflow::Allowlist;
use keyward_model::settings::Settings;
use keyward_model::share::Share;
use keyward_model::tag::Tagged;
use keyward_model::tenant::Member;
use keyward_store::{CredentialFilter, Listed, Naming, Page, Paged, Reader, StoreError, UsedFor};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many credentials are looked at together.
const BATCH: u32 = 200;
const DAY_MILLIS: i64 = 86_400_000;

/// Who reviews what.
#[derive(Clone)]
pub(super) struct Reviewer {
    api: Api,
    caller: Caller,
    settings: Settings,
    kind: Option<Kind>,
    now: Timestamp,
}

/// A credential with what is to be said about it.
pub(super) struct Reviewed {
    pub(super) credential: Credential,
    pub(super) findings: Vec<Finding>,
}

impl Reviewer {
    pub(super) fn new(api: Api, caller: Caller, settings: Settings, kind: Option<Kind>) -> Self {
        let now = api.vault().now();
        Self { api, caller, settings, kind, now }
    }

    /// The next credentials by key, those that nothing is said about among them.
    pub(super) async fn batch(&self, after: Option<String>) -> Result<Paged<Reviewed>, Problem> {
        let (workspace, now) = (self.caller.workspace, self.now);
        let (filter, page) = (self.filter(), Page { limit: BATCH, after });
        let read = move |tx: &mut Reader<'_>| Rows::read(tx, workspace, now, &filter, &page);
        let rows = self.api.store().read(read).await?;
        let next = rows.next.clone();
        let batch = rows.verified(&self.api, workspace).await?;
        let items = batch.credentials.iter().map(|credential| self.review(&batch, credential));
        Ok(Paged { items: items.collect(), next })
    }

    /// What the question leaves out need not be read.
    fn filter(&self) -> CredentialFilter {
        let since = |days: u32| {
            // The rules count the very day as well.
            self.now.plus_millis(1 - i64::from(days).saturating_mul(DAY_MILLIS))
        };
        let unused = self.kind == Some(Kind::Unused);
        CredentialFilter {
            now: self.now,
            unused_since: unused.then(|| since(self.settings.unused_days)),
            ..CredentialFilter::default()
        }
    }

    fn review(&self, batch: &Batch, credential: &Credential) -> Reviewed {
        let of = |share: &&Share| share.credential == credential.id;
        let shares: Vec<Share> = batch.shares.iter().filter(of).cloned().collect();
        let manageable =
            decide(Act::Bind, &self.caller, credential, &shares, &self.settings).is_ok();
        let nothing = BTreeMap::new();
        let facts = Facts {
            now: self.now,
            settings: &self.settings,
            credential,
            manageable,
            reviewer: self.caller.member,
            owner_is_member: batch.members.contains(&credential.owner),
            last_used_at: batch.last_used_at.get(&credential.id).copied(),
            shares: &shares,
            users: batch.users.get(&credential.id).unwrap_or(&nothing),
            origins: batch.origins.get(&credential.id).map_or(&[], Vec::as_slice),
            named_by: batch.named_by.get(&credential.id).map_or(&[], Vec::as_slice),
        };
        let mut findings = findings(&facts);
        findings.retain(|finding| self.kind.is_none_or(|kind| kind == finding.kind));
        Reviewed { credential: credential.clone(), findings }
    }
}

/// The credentials of a key with the shares in them, as they are stored.
type StoredRival = (Vec<Tagged<Credential>>, Vec<Tagged<Share>>);

/// A batch as it is stored.
struct Rows {
    credentials: Vec<Tagged<Credential>>,
    next: Option<String>,
    last_used_at: HashMap<CredentialId, Timestamp>,
    shares: Vec<Tagged<Share>>,
    members: Vec<Tagged<Member>>,
    used_for: Vec<UsedFor>,
    origins: HashMap<CredentialId, Vec<String>>,
    naming: Vec<Naming>,
    rivals: HashMap<String, StoredRival>,
    workflows: HashMap<WorkflowId, (Option<Tagged<Allowlist>>, Vec<String>)>,
}

impl Rows {
    fn read(
        tx: &mut Reader<'_>,
        workspace: WorkspaceId,
        now: Timestamp,
        filter: &CredentialFilter,
        page: &Page,
    ) -> Result<Self, StoreError> {
        let Paged { items, next } = tx.credentials(workspace, filter, page)?;
        // A row that cannot be read is shown as broken by the list, and nothing more can be said.
        let readable = |listed| match listed {
            Listed::Row(row) => Some(row),
            Listed::Unreadable { .. } => None,
        };
        let credentials: Vec<_> = items.into_iter().filter_map(readable).collect();
        let heads: Vec<&Credential> = credentials.iter().map(|row| row.parts().0).collect();
        let ids: Vec<CredentialId> = heads.iter().map(|head| head.id).collect();
        let keys: Vec<&str> = heads.iter().map(|head| head.key.as_str()).collect();
        let mut last_used_at = HashMap::new();
        for seen in tx.activity(workspace, &ids)? {
            let last = last_used_at.entry(seen.credential).or_insert(seen.last_used_at);
            *last = seen.last_used_at.max(*last);
        }
        let since = now.plus_millis(-OBSERVED_DAYS * DAY_MILLIS);
        let mut origins = HashMap::new();
        for (id, _) in last_used_at.iter().filter(|(_, at)| **at >= since) {
            origins.insert(*id, tx.origins(workspace, *id, since)?);
        }
        let naming = tx.naming(workspace, &keys)?;
        let (mut rivals, mut workflows) = (HashMap::new(), HashMap::new());
        for Naming { key, workflow, .. } in &naming {
            if !rivals.contains_key(key) {
                rivals.insert(key.clone(), rivals_of(tx, workspace, key)?);
            }
            if !workflows.contains_key(workflow) {
                workflows.insert(*workflow, allowlist_of(tx, workspace, *workflow)?);
            }
        }
        Ok(Self {
            members: members_of(tx, workspace, &heads)?,
            shares: tx.shares(workspace, &ids)?,
            used_for: tx.used_for(workspace, &ids)?,
            next,
            last_used_at,
            origins,
            naming,
            rivals,
            workflows,
            credentials,
        })
    }

    /// Believes what the server itself wrote.
    async fn verified(self, api: &Api, workspace: WorkspaceId) -> Result<Batch, Problem> {
        let vault = api.vault();
        let mut members = HashSet::new();
        for row in self.members {
            members.extend(vault.verify(workspace, row).await.ok().map(|member| member.id));
        }
        let credentials = believed(api, workspace, self.credentials).await;
        let mut rivals = HashMap::new();
        for (key, (rows, shares)) in self.rivals {
            let shares = verified_shares(vault, workspace, shares).await;
            rivals.insert(key, (believed(api, workspace, rows).await, shares));
        }
        let mut workflows = HashMap::new();
        for (id, (row, keys)) in self.workflows {
            // Without its row a workflow resolves nothing, so that there is nothing to narrow.
            let allowlisted = match row {
                Some(row) => vault.verify(workspace, row).await.map_or(true, |row| row.enabled),
                None => true,
            };
            workflows.insert(id, (allowlisted, keys));
        }
        let mut users: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        for UsedFor { credential, member, last_used_at } in self.used_for {
            users.entry(credential).or_default().insert(member, last_used_at);
        }
        let named_by = named_by(self.naming, &rivals, &workflows);
        Ok(Batch {
            shares: verified_shares(vault, workspace, self.shares).await,
            last_used_at: self.last_used_at,
            origins: self.origins,
            credentials,
            members,
            users,
            named_by,
        })
    }
}

type Rival = (Vec<Credential>, Vec<Share>);

/// The workflows by the credential that each gets for the key it names.
fn named_by(
    naming: Vec<Naming>,
    rivals: &HashMap<String, Rival>,
    workflows: &HashMap<WorkflowId, (bool, Vec<String>)>,
) -> HashMap<CredentialId, Vec<NamedBy>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for Naming { key, workflow, name, owner } in naming {
        let Some((candidates, shares)) = rivals.get(&key) else { continue };
        let reach = Reach { workflow, owner: Some(owner), shares };
        let Some(credential) = nearest(candidates, &reach) else { continue };
        let Some((allowlisted, keys)) = workflows.get(&workflow).cloned() else { continue };
        found.entry(credential.id).or_default().push(NamedBy { workflow, name, allowlisted, keys });
    }
    found
}

/// A batch as the server wrote it.
struct Batch {
    credentials: Vec<Credential>,
    last_used_at: HashMap<CredentialId, Timestamp>,
    shares: Vec<Share>,
    members: HashSet<MemberId>,
    users: HashMap<CredentialId, BTreeMap<MemberId, Timestamp>>,
    origins: HashMap<CredentialId, Vec<String>>,
    named_by: HashMap<CredentialId, Vec<NamedBy>>,
}

async fn believed(
    api: &Api,
    workspace: WorkspaceId,
    rows: Vec<Tagged<Credential>>,
) -> Vec<Credential> {
    let mut credentials = Vec::with_capacity(rows.len());
    for row in rows {
        credentials.extend(api.vault().verify(workspace, row).await);
    }
    credentials
}

type RivalRows = (Vec<Tagged<Credential>>, Vec<Tagged<Share>>);

fn rivals_of(
    tx: &mut Reader<'_>,
    workspace: WorkspaceId,
    key: &str,
) -> Result<RivalRows, StoreError> {
    let rows = match tx.credentials_by_key(workspace, key) {
        Err(StoreError::Corrupt { .. }) => Vec::new(),
        rows => rows?,
    };
    Ok((rows, tx.shares_by_key(workspace, key)?))
}

fn allowlist_of(
    tx: &mut Reader<'_>,
    workspace: WorkspaceId,
    workflow: WorkflowId,
) -> Result<(Option<Tagged<Allowlist>>, Vec<String>), StoreError> {
    let row = match tx.allowlist(workspace, workflow) {
        Err(StoreError::Corrupt { .. }) => None,
        row => row?,
    };
    let mut keys: Vec<_> =
        tx.workflow_keys(workspace, workflow)?.into_iter().map(|(key, _)| key).collect();
    keys.dedup();
    Ok((row, keys))
}

fn members_of(
    tx: &mut Reader<'_>,
    workspace: WorkspaceId,
    credentials: &[&Credential],
) -> Result<Vec<Tagged<Member>>, StoreError> {
    let owners: HashSet<MemberId> = credentials.iter().map(|credential| credential.owner).collect();
    let mut members = Vec::with_capacity(owners.len());
    for owner in owners {
        match tx.member(workspace, owner) {
            Err(StoreError::Corrupt { .. }) => {}
            member => members.extend(member?),
        }
    }
    Ok(members)
}
