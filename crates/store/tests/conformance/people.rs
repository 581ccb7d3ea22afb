//! Members, accounts, sessions, invitations and failed sign-ins.

use crate::fixture::{Fixture, account_of, at, conflict, id, open, sign};
use keyward_model::actor::Role;
use keyward_model::credential::Sealed;
use keyward_model::id::{AccountId, InvitationId, MemberId, SessionId};
use keyward_model::people::{Account, Invitation, Session};
use keyward_model::sign_in::WINDOW_MILLIS;
use keyward_model::tenant::{ApiToken, Member};
use keyward_store::{Page, StoreError};
use tokio::task::JoinSet;

pub(crate) async fn members_are_found_counted_and_removed(f: &Fixture) {
    let workspace = f.workspace;
    assert_eq!(f.store.read(|r| r.has_owner()).await, Ok(false));
    let mut owner = f.member("a@example.com", Role::Owner);
    let viewer = f.member("b@example.com", Role::Viewer);
    let mut elsewhere = f.member("a@example.com", Role::Admin);
    elsewhere.workspace = id();
    let mut services = [f.member("", Role::Editor), f.member("", Role::Editor)];
    for service in &mut services {
        service.account = None;
    }
    let all = [&owner, &viewer, &elsewhere, &services[0], &services[1]];
    for member in all.map(|member| sign(member.clone())) {
        f.write(move |tx| tx.insert_member(&member)).await.unwrap();
    }
    let twice = sign(f.member("b@example.com", Role::Editor));
    assert_eq!(conflict(f.write(move |tx| tx.insert_member(&twice)).await), "member");

    let by_id = viewer.id;
    let found = f.store.read(move |r| r.member(workspace, by_id)).await.unwrap();
    assert_eq!(found.map(open), Some(viewer.clone()));
    let account = account_of("a@example.com");
    let found = f.store.read(move |r| r.member_by_account(workspace, account)).await;
    assert_eq!(found.unwrap().map(open), Some(owner.clone()));
    let found = f.store.read(move |r| r.memberships(account)).await.unwrap();
    assert_eq!(found.into_iter().map(open).collect::<Vec<_>>(), [owner.clone(), elsewhere]);
    assert_eq!(f.store.read(move |r| r.count_owners(workspace)).await, Ok(1));
    assert_eq!(f.store.read(|r| r.has_owner()).await, Ok(true));

    owner.role = Role::Admin;
    let changed = sign(owner.clone());
    assert_eq!(f.write(move |tx| tx.update_member(&changed)).await, Ok(true));
    assert_eq!(f.store.read(move |r| r.count_owners(workspace)).await, Ok(0));
    let page = f.store.read(move |r| r.members(workspace, &Page::first(50))).await.unwrap();
    let [one, two] = services;
    let expected = [owner.clone(), viewer, one, two];
    assert_eq!(page.items.into_iter().map(open).collect::<Vec<_>>(), expected);
    assert_eq!(f.write(move |tx| tx.delete_member(workspace, owner.id)).await, Ok(true));
    assert_eq!(f.write(move |tx| tx.delete_member(workspace, owner.id)).await, Ok(false));
}

pub(crate) async fn whoever_left_is_found_by_name_alone(f: &Fixture) {
    let workspace = f.workspace;
    let member = f.member("a@example.com", Role::Owner);
    let (row, member_id) = (sign(member.clone()), member.id);
    let token = sign(ApiToken {
        workspace,
        id: id(),
        member: member_id,
        name: "CI".into(),
        hash: [4; 32],
        scopes: String::new(),
        expires_at: None,
        created_at: at(7),
    });
    f.write(move |tx| {
        tx.insert_member(&row)?;
        tx.insert_token(&token)
    })
    .await
    .unwrap();
    let gone = Member { left_at: Some(at(9)), ..member.clone() };
    let left = sign(gone.clone());
    let again = left.clone();
    assert_eq!(f.write(move |tx| tx.end_member(&left)).await, Ok(true));
    assert_eq!(f.write(move |tx| tx.end_member(&again)).await, Ok(false), "only once");

    let account = account_of("a@example.com");
    assert!(f.store.read(move |r| r.member(workspace, member_id)).await.unwrap().is_none());
    let found = f.store.read(move |r| r.member_by_account(workspace, account)).await;
    assert!(found.unwrap().is_none());
    assert!(f.store.read(move |r| r.memberships(account)).await.unwrap().is_empty());
    assert!(f.store.read(|r| r.token_by_hash(&[4; 32])).await.unwrap().is_none());
    assert_eq!(f.store.read(move |r| r.count_owners(workspace)).await, Ok(0));
    assert_eq!(f.store.read(|r| r.has_owner()).await, Ok(false));
    let page = f.store.read(move |r| r.members(workspace, &Page::first(9))).await.unwrap();
    assert!(page.items.is_empty());

    let found = f.store.read(move |r| r.member_ever(workspace, member_id)).await.unwrap();
    assert_eq!(found.map(open), Some(gone.clone()));
    let back = f.member("a@example.com", Role::Viewer);
    let row = sign(back.clone());
    f.write(move |tx| tx.insert_member(&row)).await.unwrap();
    let page = f.store.read(move |r| r.members_ever(workspace, &Page::first(9))).await.unwrap();
    assert_eq!(page.items.into_iter().map(open).collect::<Vec<_>>(), [gone, back]);
}

pub(crate) async fn accounts_change_by_revision(f: &Fixture) {
    let mut account = Account::new(id(), "a@example.com".into(), "Ada".into(), at(5));
    let row = sign(account.clone());
    f.write(move |tx| tx.insert_account(&row)).await.unwrap();
    let twice = sign(Account::new(id(), "a@example.com".into(), "Eve".into(), at(6)));
    assert_eq!(conflict(f.write(move |tx| tx.insert_account(&twice)).await), "email");

    account.password_hash = "argon2id$x".into();
    account.totp = Some(Sealed::from_bytes(vec![0, 1, 255]));
    account.totp_confirmed = true;
    account.totp_step = 7;
    account.recovery = vec![[1; 32], [2; 32]];
    account.oidc_subject = Some("https://id.example.com 42".into());
    account.revision = 2;
    let row = sign(account.clone());
    let again = row.clone();
    f.write(move |tx| tx.update_account(&row)).await.unwrap();
    assert_eq!(conflict(f.write(move |tx| tx.update_account(&again)).await), "revision");

    let account_id = account.id;
    let found = f.store.read(move |r| r.account(account_id)).await.unwrap();
    assert_eq!(found.map(open), Some(account.clone()));
    let found = f.store.read(|r| r.account_by_email("a@example.com")).await.unwrap();
    assert_eq!(found.map(open), Some(account.clone()));
    let subject = "https://id.example.com 42";
    let found = f.store.read(move |r| r.account_by_subject(subject)).await.unwrap();
    assert_eq!(found.map(open), Some(account));
    assert!(f.store.read(|r| r.account_by_email("b@example.com")).await.unwrap().is_none());
    assert!(f.store.read(|r| r.account_by_subject("")).await.unwrap().is_none());
}

fn session(account: AccountId, first: u8, seen: i64) -> Session {
    Session {
        id: id(),
        account,
        hash: [first; 32],
        address: "192.0.2.1".into(),
        user_agent: "Browser/1".into(),
        created_at: at(100),
        seen_at: at(seen),
    }
}

pub(crate) async fn sessions_are_found_seen_and_ended(f: &Fixture) {
    let (account, other): (AccountId, AccountId) = (id(), id());
    let all = [(account, 1), (account, 2), (account, 3), (other, 4)]
        .map(|(account, first)| session(account, first, 200));
    for row in all.clone().map(sign) {
        f.write(move |tx| tx.insert_session(&row)).await.unwrap();
    }
    let twice = sign(session(other, 4, 200));
    assert_eq!(conflict(f.write(move |tx| tx.insert_session(&twice)).await), "session");
    let found = f.store.read(|r| r.session_by_hash(&[2; 32])).await.unwrap();
    assert_eq!(found.map(open), Some(all[1].clone()));
    assert!(f.store.read(|r| r.session_by_hash(&[9; 32])).await.unwrap().is_none());

    let seen = Session { seen_at: at(300), ..all[0].clone() };
    let late = Session { seen_at: at(250), ..all[0].clone() };
    for row in [sign(seen.clone()), sign(late)] {
        f.store.record(move |tx| tx.session_seen(&row)).await.unwrap();
    }
    let first = f.store.read(move |r| r.sessions_of(account, &Page::first(2))).await.unwrap();
    let shown: Vec<_> = first.items.into_iter().map(open).collect();
    assert_eq!(shown, [seen.clone(), all[1].clone()]);
    assert_eq!(first.next, Some(all[1].id.to_string()));

    let (foreign, own) = (all[3].id, all[1].id);
    assert_eq!(f.write(move |tx| tx.delete_session(account, foreign)).await, Ok(false));
    assert_eq!(f.write(move |tx| tx.delete_session(account, own)).await, Ok(true));
    assert_eq!(f.write(move |tx| tx.delete_sessions(account, Some(seen.id))).await, Ok(1));
    assert_eq!(f.write(move |tx| tx.delete_sessions(account, None)).await, Ok(1));
    assert!(f.store.read(|r| r.session_by_hash(&[1; 32])).await.unwrap().is_none());
    let id: SessionId = foreign;
    assert_eq!(f.write(move |tx| tx.delete_session(other, id)).await, Ok(true));

    for row in [session(other, 5, 200), session(other, 6, 400)].map(sign) {
        f.write(move |tx| tx.insert_session(&row)).await.unwrap();
    }
    assert_eq!(f.store.record(|tx| tx.purge_sessions(at(300), at(99))).await, Ok(1), "idle");
    assert_eq!(f.store.record(|tx| tx.purge_sessions(at(300), at(100))).await, Ok(1), "old");
}

pub(crate) async fn invitations_are_found_by_their_hash(f: &Fixture) {
    let workspace = f.workspace;
    let inviter: MemberId = id();
    let invitation = |first: u8| Invitation {
        workspace,
        id: id(),
        email: "b@example.com".into(),
        role: Role::Editor,
        inviter,
        hash: [first; 32],
        created_at: at(7),
        expires_at: at(99),
    };
    let (one, two) = (invitation(1), invitation(2));
    for row in [sign(one.clone()), sign(two.clone())] {
        f.write(move |tx| tx.insert_invitation(&row)).await.unwrap();
    }
    let found = f.store.read(|r| r.invitation_by_hash(&[2; 32])).await.unwrap();
    assert_eq!(found.map(open), Some(two.clone()));
    assert!(f.store.read(|r| r.invitation_by_hash(&[3; 32])).await.unwrap().is_none());
    // A token's route does not lead to an invitation of the same hash.
    assert!(f.store.read(|r| r.token_by_hash(&[2; 32])).await.unwrap().is_none());
    let first: InvitationId = one.id;
    let found = f.store.read(move |r| r.invitation(workspace, first)).await.unwrap();
    assert_eq!(found.map(open), Some(one));
    let page = f.store.read(move |r| r.invitations(workspace, &Page::first(1))).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, Some(first.to_string())));
    assert_eq!(f.write(move |tx| tx.delete_invitation(id(), first)).await, Ok(false), "elsewhere");
    assert_eq!(f.write(move |tx| tx.delete_invitation(workspace, first)).await, Ok(true));
    assert_eq!(f.write(move |tx| tx.delete_invitation(workspace, first)).await, Ok(false));
    assert!(f.store.read(|r| r.invitation_by_hash(&[1; 32])).await.unwrap().is_none());
    assert!(f.store.read(|r| r.invitation_by_hash(&[2; 32])).await.unwrap().is_some());
}

const ACCOUNT: [u8; 32] = [1; 32];
const ADDRESS: [u8; 32] = [2; 32];

async fn attempt(f: &Fixture, now: i64) -> Result<Option<i64>, StoreError> {
    let keys = vec![(ACCOUNT, 2), (ADDRESS, 4)];
    f.store.record(move |tx| tx.count_attempt(&keys, at(now))).await
}

pub(crate) async fn failures_are_counted_and_forgiven(f: &Fixture) {
    for now in [0, 0] {
        assert_eq!(attempt(f, now).await, Ok(None));
    }
    assert_eq!(attempt(f, 0).await, Ok(Some(30_000)), "the account's third");
    assert_eq!(attempt(f, 10_000).await, Ok(Some(20_000)), "a refused one costs nothing");
    f.store.record(|tx| tx.forgive_all_attempts(&ACCOUNT)).await.unwrap();
    for now in [20_000, 20_000] {
        assert_eq!(attempt(f, now).await, Ok(None));
    }
    f.store.record(|tx| tx.forgive_all_attempts(&ACCOUNT)).await.unwrap();
    assert_eq!(attempt(f, 20_000).await, Ok(Some(30_000)), "the address's fifth");
    f.store.record(|tx| tx.forgive_attempt(&ADDRESS)).await.unwrap();
    assert_eq!(attempt(f, 20_000).await, Ok(None), "one of them was none");
    f.store.record(|tx| tx.forgive_attempt(&[9; 32])).await.unwrap();

    assert_eq!(f.store.record(|tx| tx.purge_attempts(at(19_999))).await, Ok(0));
    assert_eq!(attempt(f, 20_000 + WINDOW_MILLIS).await, Ok(None), "all is forgotten");
    assert_eq!(f.store.record(|tx| tx.purge_attempts(at(20_000 + WINDOW_MILLIS))).await, Ok(2));
}

/// Of many attempts at the same moment no more are heard than one after the other.
pub(crate) async fn attempts_at_once_are_all_counted(f: &Fixture) {
    let mut tasks = JoinSet::new();
    for _ in 0..40 {
        let store = f.store.clone();
        tasks.spawn(async move {
            let keys = vec![(ACCOUNT, 5), (ADDRESS, 20)];
            store.record(move |tx| tx.count_attempt(&keys, at(0))).await
        });
    }
    let heard = tasks.join_all().await.into_iter().filter(|wait| *wait == Ok(None)).count();
    assert_eq!(heard, 5);
}
