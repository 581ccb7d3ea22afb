//! What a member leaves behind: personal credentials are suspended until they are transferred,
//! workflows go on under another owner, and shares given to the member end.

use crate::credentials::current_member;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::actor::{Actor, ActorKind, Role};
use keyward_model::audit::{Action, Event};
use keyward_model::credential::Credential;
use keyward_model::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};
use keyward_model::lifecycle::OWNER_LEFT;
use keyward_model::saved_workflow::Workflow;
use keyward_model::share::Share;
use keyward_model::tag::Tagged;
use keyward_model::tenant::{Member, MemberKind};
use keyward_store::{Page, Reader, StoreError, Tx};

/// How many members are read at once.
const PAGE: u32 = 200;

/// What is to be written, with the events.
pub(super) struct LeftBehind {
    workspace: WorkspaceId,
    member: MemberId,
    /// What was read, to see whether anything was added since.
    seen: Seen,
    /// New heads with the revisions that they replace.
    credentials: Vec<(Tagged<Credential>, i64)>,
    workflows: Vec<(Tagged<Workflow>, i64)>,
    events: Vec<Event>,
}

/// The ids of what belongs to a member, or was given to them.
#[derive(PartialEq, Eq)]
struct Seen {
    credentials: Vec<CredentialId>,
    workflows: Vec<WorkflowId>,
}

/// The rows behind them.
struct Rows {
    credentials: Vec<Tagged<Credential>>,
    workflows: Vec<Tagged<Workflow>>,
    shares: Vec<Tagged<Share>>,
}

impl Rows {
    fn read(
        tx: &mut Reader<'_>,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            credentials: tx.personal_credentials(workspace, member)?,
            workflows: tx.workflows_of(workspace, member)?,
            shares: tx.shares_of(workspace, member)?,
        })
    }

    fn seen(&self) -> Seen {
        Seen {
            credentials: self.credentials.iter().map(|row| row.parts().0.id).collect(),
            workflows: self.workflows.iter().map(|row| row.parts().0.id).collect(),
        }
    }
}

impl LeftBehind {
    /// Reads and signs. Rows that somebody else than the server wrote stay as they are: nobody can
    /// use them.
    pub(super) async fn of(api: &Api, actor: &Actor, member: &Member) -> Result<Self, Problem> {
        let (vault, workspace, id) = (api.vault(), member.workspace, member.id);
        let rows = api.store().read(move |tx| Rows::read(tx, workspace, id)).await?;
        let seen = rows.seen();
        let event =
            |action| Event::new(vault.fresh(), workspace, vault.now(), actor.clone(), action);
        let (mut credentials, mut workflows, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows.credentials {
            let Ok(mut head) = vault.verify(workspace, row).await else { continue };
            let expected = head.revision;
            // Stopped before, for a reason that counts for the next owner as well.
            if head.suspend(id, vault.now(), OWNER_LEFT).is_err() {
                continue;
            }
            events.push(Event {
                reason: OWNER_LEFT.into(),
                credential: Some(head.id),
                key: Some(head.key.clone()),
                ..event(Action::CredentialSuspended)
            });
            credentials.push((vault.sign(workspace, head).await?, expected));
        }
        if let Some(heir) = heir(api, actor, member).await? {
            for row in rows.workflows {
                let Ok(before) = vault.verify(workspace, row).await else { continue };
                let expected = before.revision;
                let head = Workflow {
                    owner: heir,
                    updated_at: vault.now(),
                    revision: expected + 1,
                    ..before
                };
                events.push(Event {
                    reason: heir.to_string(),
                    workflow: Some(head.id),
                    ..event(Action::WorkflowTransferred)
                });
                workflows.push((vault.sign(workspace, head).await?, expected));
            }
        }
        events.extend(rows.shares.iter().map(|row| {
            let (share, _) = row.parts();
            Event {
                reason: format!("{} {id}", share.level.as_str()),
                credential: Some(share.credential),
                ..event(Action::CredentialUnshared)
            }
        }));
        Ok(Self { workspace, member: id, seen, credentials, workflows, events })
    }

    /// Writes it; gives the events. What the member made or was given since `of` is `Conflict`.
    pub(super) fn write(&self, tx: &mut Tx<'_>) -> Result<Vec<Event>, StoreError> {
        let (workspace, member) = (self.workspace, self.member);
        if Rows::read(tx, workspace, member)?.seen() != self.seen {
            return Err(StoreError::Conflict { what: "revision" });
        }
        for (head, expected) in &self.credentials {
            tx.update_credential(head, *expected)?;
        }
        for (head, expected) in &self.workflows {
            tx.update_workflow(head, *expected)?;
        }
        tx.delete_shares_of(workspace, member)?;
        Ok(self.events.clone())
    }
}

/// Who gets the workflows: whoever removes the member, or else the oldest other owner.
async fn heir(api: &Api, actor: &Actor, leaver: &Member) -> Result<Option<MemberId>, Problem> {
    let workspace = leaver.workspace;
    let remover = match actor.kind {
        ActorKind::Member => actor.id.parse().ok().filter(|id| *id != leaver.id),
        ActorKind::Trigger | ActorKind::System => None,
    };
    if let Some(id) = remover
        && let Some(remover) = current_member(api, workspace, id).await?
    {
        return Ok(Some(remover.id));
    }
    let mut page = Page::first(PAGE);
    loop {
        let at = page.clone();
        let found = api.store().read(move |tx| tx.members(workspace, &at)).await?;
        for row in found.items {
            let Ok(member) = api.vault().verify(workspace, row).await else { continue };
            let owner = member.role == Role::Owner && member.kind == MemberKind::Person;
            if owner && member.id != leaver.id {
                return Ok(Some(member.id));
            }
        }
        let Some(next) = found.next else { return Ok(None) };
        page.after = Some(next);
    }
}
