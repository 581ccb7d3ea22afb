//! Fills a data directory with credentials, as many as nobody would click together: what
//! `cargo xtask bench finding` lists, filters and searches. Prints JSON with an editor's token and
//! what some filters need.
#![expect(clippy::print_stdout, reason = "its answer")]

use anyhow::Context as _;
use keyward_egress::{Client, Options};
use keyward_model::actor::{Actor, Role};
use keyward_model::audit::{Action, Event};
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::credential::{CodeAccess, Credential, CredentialType, Details, Scope, Status};
use keyward_model::destination::EgressPolicy;
use keyward_model::id::{MemberId, WorkflowId, WorkspaceId};
use keyward_model::settings::WorkspaceSettings;
use keyward_model::share::{Level, Share, Sharee};
use keyward_model::tenant::{ApiToken, Member, MemberKind, Workspace};
use keyward_store::{Audited, Store, Target, Tx, Use};
use keyward_vault::{Incoming, TokenKind, Vault};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400_000;
/// Credentials that one commit saves.
const BATCH: usize = 2_000;
const SERVICES: &[&str] = &[
    "SLACK", "GITHUB", "STRIPE", "SENDGRID", "HUBSPOT", "OPENAI", "TWILIO", "JIRA", "ZENDESK",
    "SHOPIFY", "MAILCHIMP", "DATADOG", "POSTGRES", "VAULT", "S3", "ASANA",
];
const TEAMS: &[&str] =
    &["billing", "support", "growth", "platform", "data science", "security", "sales", "finance"];

/// `fill DATA_DIRECTORY COUNT`: that many in the workspace `default`, a fifth of it in another.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("the data directory")?);
    let count: usize = arguments.next().context("how many")?.parse()?;
    let store = Store::open(&Target::Sqlite(folder.join("db/keyward.sqlite")))?;
    let egress = Client::new(Options::default()).context("setting up the client")?;
    let key = folder.join("keys/root.key");
    let vault = Vault::unlock(store, egress, Clock::new(now), &key, &folder.join("db")).await?;
    let home = vault.store().read(|tx| tx.workspace_by_slug("default")).await?;
    let home = home.context("no workspace `default`")?.id;
    let editor = editor(&vault, home).await?;
    let workflow = fill(&vault, home, count, editor.0).await?;
    let noise = other_workspace(&vault).await?;
    fill(&vault, noise, count / 5, editor.0).await?;
    let (member, token) = (editor.0, editor.1);
    println!("{}", serde_json::json!({ "editor": token, "member": member, "workflow": workflow }));
    vault.store().close().await;
    Ok(())
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

async fn write<F>(vault: &Vault, workspace: WorkspaceId, mut change: F) -> anyhow::Result<()>
where
    F: FnMut(&mut Tx<'_>) -> Result<(), keyward_store::StoreError> + Send + 'static,
{
    vault.load(workspace).await?;
    let (id, at) = (vault.fresh(), vault.now());
    let event = Event::new(id, workspace, at, Actor::system(), Action::CredentialCreated);
    let write = move |tx: &mut Tx<'_>| Ok(Audited::new(change(tx)?, vec![event.clone()]));
    vault.store().write(write).await?;
    Ok(())
}

/// An editor with an API token.
async fn editor(vault: &Vault, workspace: WorkspaceId) -> anyhow::Result<(MemberId, String)> {
    let (token, hash) = vault.new_token(TokenKind::Api)?;
    let member = Member {
        workspace,
        id: vault.fresh(),
        kind: MemberKind::Service,
        account: None,
        email: String::new(),
        name: "Editor".into(),
        role: Role::Editor,
        created_at: vault.now(),
        left_at: None,
    };
    let id = member.id;
    let row = ApiToken {
        workspace,
        id: vault.fresh(),
        member: id,
        name: "bench".into(),
        hash,
        scopes: String::new(),
        expires_at: None,
        created_at: vault.now(),
    };
    let (member, row) = (vault.sign(workspace, member).await?, vault.sign(workspace, row).await?);
    write(vault, workspace, move |tx| {
        tx.insert_member(&member)?;
        tx.insert_token(&row)
    })
    .await?;
    Ok((id, token.reveal().to_owned()))
}

async fn other_workspace(vault: &Vault) -> anyhow::Result<WorkspaceId> {
    let id = vault.fresh();
    let key = vault.new_workspace(id)?;
    let name = "noise".to_owned();
    let row = Workspace { id, slug: name.clone(), name, created_at: vault.now() };
    let settings = vault.sign(id, WorkspaceSettings::new(id)).await?;
    let event =
        Event::new(vault.fresh(), id, vault.now(), Actor::system(), Action::WorkspaceCreated);
    let write = move |tx: &mut Tx<'_>| {
        tx.insert_workspace(&row)?;
        tx.insert_workspace_key(&key)?;
        tx.insert_settings(&settings)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    vault.store().write(write).await?;
    Ok(id)
}

/// Gives a workflow that names some of the keys.
async fn fill(
    vault: &Vault,
    workspace: WorkspaceId,
    count: usize,
    editor: MemberId,
) -> anyhow::Result<WorkflowId> {
    let owners: Vec<MemberId> = (0..40).map(|_| vault.fresh()).collect();
    let workflow: WorkflowId = vault.fresh();
    let mut named = Vec::new();
    for first in (0..count).step_by(BATCH) {
        let (mut rows, mut uses) = (Vec::new(), Vec::new());
        for number in first..(first + BATCH).min(count) {
            let owner =
                if number % 997 == 0 { Some(editor) } else { owners.get(number % 40).copied() };
            let credential =
                credential(vault, workspace, number, owner.unwrap_or(editor), workflow);
            if number % 9_973 == 0 {
                named.push((credential.key.clone(), "call".to_owned()));
            }
            let share = (number % 50 == 0).then(|| share(&credential, number, editor));
            let share = match share {
                Some(share) => Some(vault.sign(workspace, share).await?),
                None => None,
            };
            let value = BTreeMap::from([("value".to_owned(), Incoming::new(format!("v{number}")))]);
            let version = vault.seal_version(&credential, &value).await?;
            if number % 4 != 0 {
                let at = credential.updated_at;
                let (credential, workflow) = (credential.id, vault.fresh());
                let rejected = number % 1_009 == 0;
                let failed = rejected;
                uses.push(Use {
                    workspace,
                    credential,
                    version: 1,
                    workflow,
                    at,
                    failed,
                    rejected,
                    is_new: !failed,
                });
            }
            rows.push((vault.sign(workspace, credential).await?, version, share));
        }
        write(vault, workspace, move |tx| {
            for (head, version, share) in &rows {
                tx.insert_credential(head)?;
                tx.insert_credential_version(version)?;
                share.iter().try_for_each(|share| tx.put_share(share))?;
            }
            uses.iter().try_for_each(|used| tx.count_use(used))
        })
        .await?;
    }
    write(vault, workspace, move |tx| tx.set_workflow_keys(workspace, workflow, &named)).await?;
    Ok(workflow)
}

fn share(credential: &Credential, number: usize, editor: MemberId) -> Share {
    let sharee = if number.is_multiple_of(100) { Sharee::All } else { Sharee::Member(editor) };
    let (workspace, at) = (credential.workspace, credential.created_at);
    Share {
        workspace,
        credential: credential.id,
        sharee,
        level: Level::Use,
        by: credential.owner,
        at,
    }
}

/// Common values and rare ones, spread so that no two of them go along with each other.
fn credential(
    vault: &Vault,
    workspace: WorkspaceId,
    number: usize,
    owner: MemberId,
    workflow: WorkflowId,
) -> Credential {
    let pick =
        |of: &[&'static str], by: usize| of.get(number / by % of.len()).copied().unwrap_or("");
    let rare = |every: usize| number % every == every - 1;
    let (service, team) = (pick(SERVICES, 1), pick(TEAMS, 3));
    let environment = if rare(9_001) { "sandbox" } else { pick(&["prod", "staging", "dev"], 5) };
    let mut tags =
        vec![team.to_owned(), pick(&["alerts", "nightly", "import", "export"], 7).to_owned()];
    tags.extend(rare(8_009).then(|| "pci".to_owned()));
    let used = vault.now().plus_millis(-((number % 89) as i64) * DAY);
    let made = vault.now().plus_millis(-((number % 400) as i64) * DAY);
    let status = match number {
        _ if rare(7_001) => Status::Suspended,
        _ if rare(6_007) => Status::ReauthorizationRequired,
        _ => Status::Active,
    };
    let scope = match number % 20 {
        0 => Scope::Personal(owner),
        1 if rare(21) => Scope::Workflow(workflow),
        _ => Scope::Workspace,
    };
    Credential {
        workspace,
        id: vault.fresh(),
        key: format!("{service}_{}_{number:06}", team.replace(' ', "_").to_uppercase()),
        kind: if rare(5_003) { CredentialType::Basic } else { CredentialType::ApiKey },
        scope,
        policy: EgressPolicy::default(),
        code_access: CodeAccess::Sealed,
        details: Details {
            name: format!("{service} of {team}, account {number}"),
            description: format!(
                "Made for the {team} team's {environment} environment; ask the owner before it is \
                 used elsewhere. Contract {}, cost centre {}.",
                number * 7_919 % 1_000_000,
                number % 97
            ),
            environment: environment.to_owned(),
            tags,
            plain: BTreeMap::new(),
            secret: vec!["value".into()],
            template: None,
            test: None,
            ..Details::default()
        },
        version: 1,
        status,
        status_reason: None,
        owner,
        created_at: made,
        updated_at: used,
        rotated_at: made,
        expires_at: rare(4_001).then(|| vault.now().plus_millis(-DAY)),
        revision: 1,
        lifecycle: Default::default(),
    }
}
