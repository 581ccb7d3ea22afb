//! Whom the provider names, as an account here with the memberships that the mapping gives: found or
//! made, and written with its audit events in one commit.

use super::answer::Refusal;
use crate::auth::memberships;
use crate::members::leave::Leave;
use crate::names;
use crate::router::Api;
use crate::sessions;
use data_encoding::HEXLOWER;
use keyward_model::actor::{Actor, ActorKind, Role};
use keyward_model::audit::{Action, Event, Outcome};
use keyward_model::id::{AccountId, WorkspaceId};
use keyward_model::people::Account;
use keyward_model::single_sign_on::{Change, Claims, Identity, Mapping, Verdict, change};
use keyward_model::tag::Tagged;
use keyward_model::tenant::{Member, MemberKind, Workspace};
use keyward_store::{Audited, Page, StoreError, Tx};
use keyward_vault::TokenKind;

/// How many workspaces are read at once.
const PAGE: u32 = 200;
/// What audit events of this way of signing in say.
const REASON: &str = "oidc";
const LINKED: &str = "oidc linked";
const NO_ROLE: &str = "oidc_no_role";
const TAKEN: &str = "oidc_address_taken";

/// An account, and what is to be written of it.
struct Found {
    account: Account,
    write: Write,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Nothing,
    Insert,
    /// The account goes on as it was.
    Link,
    /// Whatever opened the account before opens it no more.
    TakeOver,
}

/// A change of one membership, ready to be written, and the event that says so.
struct Step {
    what: What,
    event: Event,
}

enum What {
    Join(Tagged<Member>),
    /// With the event of sessions that end, since they were opened for another role.
    Become(Tagged<Member>, Event),
    Leave(Leave),
}

/// Gives the account of a person whom the provider has signed in, after its memberships have been
/// made what the mapping says.
///
/// # Errors
/// `NoRole` where the mapping gives none anywhere: then memberships that it took away are ended.
/// `Taken` where the person's address belongs to somebody else.
pub(super) async fn admit(
    api: &Api,
    mapping: &Mapping,
    claims: &Claims,
    identity: &Identity,
) -> Result<Account, Refusal> {
    let found = find(api, identity).await?;
    let verdicts = verdicts(api, mapping, claims).await?;
    if !verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Member(_))) {
        // Whoever only has the address of an account changes nothing of it.
        let known = found.filter(|found| found.write == Write::Nothing);
        turn_away(api, &verdicts, identity, known.map(|found| found.account)).await?;
        return Err(Refusal::NoRole);
    }
    let found = found.unwrap_or_else(|| new_account(api, identity));
    let steps = plan(api, &verdicts, &found.account).await?;
    let taken = match found.write {
        Write::TakeOver => Some(TakenOver::of(api, &found.account, true).await?),
        Write::Link => Some(TakenOver::of(api, &found.account, false).await?),
        Write::Nothing | Write::Insert => None,
    };
    store(api, Some((found.write, &found.account)), taken, steps, Vec::new()).await?;
    Ok(found.account)
}

/// What ends when an account goes to the person whose address it has. Whoever made it needed only a
/// link to make it, not that address, and must keep no way into what the person gets here.
struct TakenOver {
    account: AccountId,
    /// Whether anything ends; not where whoever runs the server made the account.
    ends: bool,
    linked: Vec<Event>,
    /// Written where sessions ended.
    ended: Vec<Event>,
    /// The memberships, each with what is written where it had tokens.
    revoked: Vec<(Member, Event)>,
}

impl TakenOver {
    async fn of(api: &Api, account: &Account, ends: bool) -> Result<Self, StoreError> {
        let members = memberships(api, account.id).await?;
        let events = |action| {
            let mut events = sessions::events(api, &members, action);
            events.iter_mut().for_each(|event| event.reason = LINKED.into());
            events
        };
        let (linked, ended) = (events(Action::MemberChanged), events(Action::SessionEnded));
        let tokens = events(Action::TokenRevoked);
        let revoked = members.into_iter().zip(tokens).collect();
        Ok(Self { account: account.id, ends, linked, ended, revoked })
    }

    /// Ends sessions and tokens; gives the events.
    fn write(&self, tx: &mut Tx<'_>) -> Result<Vec<Event>, StoreError> {
        let mut events = self.linked.clone();
        if !self.ends {
            return Ok(events);
        }
        if tx.delete_sessions(self.account, None)? > 0 {
            events.extend(self.ended.iter().cloned());
        }
        for (member, event) in &self.revoked {
            if tx.delete_tokens_of(member.workspace, member.id)? > 0 {
                events.push(event.clone());
            }
        }
        Ok(events)
    }
}

/// The account that the provider's person has, or may take over by a verified address.
async fn find(api: &Api, identity: &Identity) -> Result<Option<Found>, Refusal> {
    let (key, email) = (identity.key(), identity.email.clone());
    let rows = api.store().read(move |tx| {
        let known = tx.account_by_subject(&key)?;
        let same_address = email.map(|email| tx.account_by_email(&email)).transpose()?.flatten();
        Ok((known, same_address))
    });
    match rows.await? {
        (Some(row), _) => {
            let account = api.vault().verify_server(row)?;
            Ok(Some(Found { account, write: Write::Nothing }))
        }
        (None, None) => Ok(None),
        (None, Some(row)) => {
            let account = api.vault().verify_server(row)?;
            if !identity.may_take(account.oidc_subject.as_deref()) {
                sessions::failed(api, Some(&account), TAKEN).await?;
                return Err(Refusal::Taken);
            }
            if account.set_up {
                let oidc_subject = Some(identity.key());
                let revision = account.revision.saturating_add(1);
                let account = Account { oidc_subject, revision, ..account };
                return Ok(Some(Found { account, write: Write::Link }));
            }
            // With a password or an authenticator that nobody knows to be this person's.
            let Account { id, email, name, created_at, revision, .. } = account;
            let mut account = Account::new(id, email, name, created_at);
            account.oidc_subject = Some(identity.key());
            account.revision = revision.saturating_add(1);
            Ok(Some(Found { account, write: Write::TakeOver }))
        }
    }
}

/// An account of somebody who had none. An address that the provider has not verified is not theirs
/// to have here, so they get one that belongs to nobody (RFC 2606 §2).
fn new_account(api: &Api, identity: &Identity) -> Found {
    let vault = api.vault();
    let key = identity.key();
    let verified = identity.email.as_deref().and_then(|email| names::email("", email).ok());
    let email = verified.unwrap_or_else(|| {
        let hash = vault.token_hash(TokenKind::SignIn, &key);
        format!("{}@sign-in.invalid", HEXLOWER.encode(hash.get(..10).unwrap_or_default()))
    });
    let named = identity.name.as_deref().and_then(|name| names::name("", name).ok());
    let name = named.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let mut account = Account::new(vault.fresh(), email, name, vault.now());
    account.oidc_subject = Some(key);
    Found { account, write: Write::Insert }
}

/// The workspaces that the mapping names, with what it says of these claims.
async fn verdicts(
    api: &Api,
    mapping: &Mapping,
    claims: &Claims,
) -> Result<Vec<(Workspace, Verdict)>, StoreError> {
    let mut verdicts = Vec::new();
    let mut page = Page::first(PAGE);
    loop {
        let wanted = page.clone();
        let paged = api.store().read(move |tx| tx.workspaces(&wanted)).await?;
        let judged = paged.items.into_iter().map(|workspace| {
            let verdict = mapping.verdict(claims, &workspace.slug);
            (workspace, verdict)
        });
        verdicts.extend(judged.filter(|(_, verdict)| *verdict != Verdict::Silent));
        if paged.next.is_none() {
            return Ok(verdicts);
        }
        page.after = paged.next;
    }
}

/// What changes of an account's memberships.
async fn plan(
    api: &Api,
    verdicts: &[(Workspace, Verdict)],
    account: &Account,
) -> Result<Vec<Step>, Refusal> {
    let (vault, id) = (api.vault(), account.id);
    let mut steps = Vec::new();
    for (workspace, verdict) in verdicts {
        let within = workspace.id;
        let found = api
            .store()
            .read(move |tx| Ok((tx.member_by_account(within, id)?, tx.count_owners(within)?)));
        let (row, owners) = found.await?;
        let member = match row {
            Some(row) => Some(vault.verify(within, row).await?),
            None => None,
        };
        let role = member.as_ref().map(|member| member.role);
        steps.extend(match (change(*verdict, role, owners), member) {
            (Change::Join(role), None) => Some(join(api, within, account, role).await?),
            (Change::Become(role), Some(member)) => Some(change_role(api, member, role).await?),
            (Change::Leave, Some(member)) => Some(leave(api, &member).await?),
            _ => None,
        });
    }
    Ok(steps)
}

async fn join(
    api: &Api,
    workspace: WorkspaceId,
    account: &Account,
    role: Role,
) -> Result<Step, Refusal> {
    let member = Member {
        workspace,
        id: api.vault().fresh(),
        kind: MemberKind::Person,
        account: Some(account.id),
        email: account.email.clone(),
        name: account.name.clone(),
        role,
        created_at: api.vault().now(),
        left_at: None,
    };
    let event = event(api, &member, Action::MemberJoined, REASON);
    Ok(Step { what: What::Join(api.vault().sign(workspace, member).await?), event })
}

async fn change_role(api: &Api, member: Member, role: Role) -> Result<Step, Refusal> {
    let event_of = |action| event(api, &member, action, REASON);
    let (event, ended) = (event_of(Action::MemberChanged), event_of(Action::SessionEnded));
    let row = api.vault().sign(member.workspace, Member { role, ..member }).await?;
    Ok(Step { what: What::Become(row, ended), event })
}

async fn leave(api: &Api, member: &Member) -> Result<Step, Refusal> {
    let event = event(api, member, Action::MemberRemoved, REASON);
    let what = What::Leave(Leave::of(api, &event.actor, member).await?);
    Ok(Step { what, event })
}

/// An event of the person's doing.
fn event(api: &Api, member: &Member, action: Action, reason: &str) -> Event {
    let (vault, id) = (api.vault(), member.id.to_string());
    let actor = Actor { kind: ActorKind::Member, id, name: member.name.clone() };
    let mut event = Event::new(vault.fresh(), member.workspace, vault.now(), actor, action);
    event.reason = reason.into();
    event
}

/// Writes account and memberships in one commit, where anything is to be written.
async fn store(
    api: &Api,
    account: Option<(Write, &Account)>,
    taken: Option<TakenOver>,
    steps: Vec<Step>,
    events: Vec<Event>,
) -> Result<(), StoreError> {
    if steps.is_empty() && events.is_empty() && taken.is_none() {
        return Ok(());
    }
    let account = account.map(|(how, row)| (how, api.vault().sign_server(row.clone())));
    let write = move |tx: &mut Tx<'_>| {
        match &account {
            Some((Write::Insert, row)) => tx.insert_account(row)?,
            Some((Write::Link | Write::TakeOver, row)) => tx.update_account(row)?,
            Some((Write::Nothing, _)) | None => {}
        }
        let mut events = events.clone();
        if let Some(taken) = &taken {
            events.extend(taken.write(tx)?);
        }
        for step in &steps {
            events.push(step.event.clone());
            events.extend(step.what.write(tx)?);
        }
        Ok(Audited::new((), events))
    };
    api.store().write(write).await.map(|_| ())
}

impl What {
    /// Gives the events beside the change itself.
    fn write(&self, tx: &mut Tx<'_>) -> Result<Vec<Event>, StoreError> {
        let (workspace, events) = match self {
            Self::Join(row) => {
                tx.insert_member(row)?;
                return Ok(Vec::new());
            }
            Self::Become(row, ended) => {
                tx.update_member(row)?;
                let account = row.parts().0.account;
                let sessions = account.map(|account| tx.delete_sessions(account, None));
                let any = sessions.transpose()?.is_some_and(|count| count > 0);
                (row.parts().0.workspace, if any { vec![ended.clone()] } else { Vec::new() })
            }
            Self::Leave(leave) => (leave.workspace(), leave.write(tx)?),
        };
        match tx.count_owners(workspace)? {
            // The other owner has left since the plan was made.
            0 => Err(StoreError::Conflict { what: "revision" }),
            _ => Ok(events),
        }
    }
}

/// Ends what the mapping gives no more, and writes down that the person was refused, in every
/// workspace that the mapping names.
async fn turn_away(
    api: &Api,
    verdicts: &[(Workspace, Verdict)],
    identity: &Identity,
    account: Option<Account>,
) -> Result<(), Refusal> {
    let vault = api.vault();
    tracing::info!(known = account.is_some(), reason = NO_ROLE, "a sign-in failed");
    let steps = match &account {
        Some(account) => plan(api, verdicts, account).await?,
        None => Vec::new(),
    };
    let name = identity.email.as_ref().or(identity.name.as_ref());
    let name = name.and_then(|name| names::name("", name).ok()).unwrap_or_default();
    let refused = verdicts.iter().map(|(workspace, _)| {
        let actor = Actor { kind: ActorKind::Member, id: String::new(), name: name.clone() };
        let (id, now) = (vault.fresh(), vault.now());
        let mut event = Event::new(id, workspace.id, now, actor, Action::SessionFailed);
        (event.outcome, event.reason) = (Outcome::Refused, NO_ROLE.into());
        event
    });
    Ok(store(api, None, None, steps, refused.collect()).await?)
}
