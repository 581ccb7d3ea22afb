//! People: accounts, sessions and invitations, and who may change whose membership.

use crate::actor::Role;
use crate::clock::Timestamp;
use crate::credential::Sealed;
use crate::id::{AccountId, InvitationId, MemberId, SessionId, WorkspaceId};
use crate::tag::{Columns, Granting};
use crate::tenant::{Member, MemberKind};

/// The least characters of a password.
pub const MIN_PASSWORD: usize = 12;

/// A person on the server, a member of any number of workspaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The e-mail address, lower-case, unique on the server.
    pub email: String,
    /// The name that people read.
    pub name: String,
    /// Argon2id hash, bound to this account's id; empty where no password is set.
    pub password_hash: String,
    /// The sealed secret of an authenticator.
    pub totp: Option<Sealed>,
    /// Whether a code of that authenticator was seen, so that signing in asks for one.
    pub totp_confirmed: bool,
    /// The time step of the code that was accepted last; no earlier one is accepted again.
    pub totp_step: i64,
    /// HMAC-SHA-256 of each recovery code that is left.
    pub recovery: Vec<[u8; 32]>,
    /// Who this is to a single sign-on service: its issuer and subject, as its reader wrote them.
    pub oidc_subject: Option<String>,
    /// Whether whoever runs the server made it, by `keyward init` or the set-up link: its address is
    /// believed without a proof.
    pub set_up: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Raised by each change; compare-and-set.
    pub revision: i64,
}

impl Account {
    /// A new account without password or authenticator.
    pub fn new(id: AccountId, email: String, name: String, created_at: Timestamp) -> Self {
        Self {
            id,
            email,
            name,
            password_hash: String::new(),
            totp: None,
            totp_confirmed: false,
            totp_step: 0,
            recovery: Vec::new(),
            oidc_subject: None,
            set_up: false,
            created_at,
            revision: 1,
        }
    }

    /// Whether signing in asks for a one-time code.
    pub fn has_totp(&self) -> bool {
        self.totp.is_some() && self.totp_confirmed
    }
}

impl Granting for Account {
    const TABLE: &'static str = "accounts";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.id.to_string()).text(&self.email).text(&self.name);
        out.text(&self.password_hash);
        match &self.totp {
            Some(sealed) => out.number(1).bytes(sealed.as_bytes()),
            None => out.number(0),
        };
        out.number(i64::from(self.totp_confirmed)).number(self.totp_step);
        out.bytes(self.recovery.as_flattened()).optional(self.oidc_subject.as_deref());
        out.number(i64::from(self.set_up));
        out.number(self.created_at.millis()).number(self.revision);
    }
}

/// How long a session lives without a request.
const IDLE_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How long a session lives at most.
pub const SESSION_MILLIS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How often it is written down that a session is in use.
const SEEN_MILLIS: i64 = 60 * 1000;

/// A browser that an account has signed in with, known by the hash of its cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// HMAC-SHA-256 of the cookie.
    pub hash: [u8; 32],
    /// The network address that signed in.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
}

impl Session {
    /// Whether it still signs anybody in.
    pub fn lives(&self, now: Timestamp) -> bool {
        now < self.seen_at.plus_millis(IDLE_MILLIS)
            && now < self.created_at.plus_millis(SESSION_MILLIS)
    }

    /// Whether it is time to write down that it is in use.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now >= self.seen_at.plus_millis(SEEN_MILLIS)
    }

    /// The latest times of last use and of beginning that are over now.
    pub fn over(now: Timestamp) -> (Timestamp, Timestamp) {
        (now.plus_millis(-IDLE_MILLIS), now.plus_millis(-SESSION_MILLIS))
    }
}

impl Granting for Session {
    const TABLE: &'static str = "sessions";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.id.to_string()).text(&self.account.to_string()).bytes(&self.hash);
        out.text(&self.address).text(&self.user_agent);
        out.number(self.created_at.millis()).number(self.seen_at.millis());
    }
}

/// How long an invitation can be accepted.
pub const INVITATION_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A place in a workspace that waits for whoever holds the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: InvitationId,
    /// Whom it is for: the account that accepts has this address, lower-case.
    pub email: String,
    /// The role to be had.
    pub role: Role,
    /// Who invites; what they may grant is asked anew when it is accepted.
    pub inviter: MemberId,
    /// HMAC-SHA-256 of the link's token.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl Granting for Invitation {
    const TABLE: &'static str = "invitations";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.id.to_string()).text(&self.email);
        out.text(self.role.as_str()).text(&self.inviter.to_string()).bytes(&self.hash);
        out.number(self.created_at.millis()).number(self.expires_at.millis());
    }
}

/// Why a membership stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemberRefusal {
    /// Admins neither make nor touch owners, and others nobody.
    #[error("your role does not allow this")]
    Role,
    /// A service account is no owner.
    #[error("a service account cannot be an owner")]
    ServiceOwner,
    /// Somebody must be left who may do everything.
    #[error("the workspace would be left without an owner")]
    LastOwner,
}

/// Whether somebody of role `actor` may invite, make or unmake a member of that role.
pub fn may_grant(actor: Role, role: Role) -> bool {
    match actor {
        Role::Owner => true,
        Role::Admin => role != Role::Owner,
        Role::Editor | Role::Operator | Role::Viewer => false,
    }
}

/// Whether `actor` may give `member` another role or, with none, take the membership away, where
/// the workspace has so many owners.
pub fn may_change(
    actor: Role,
    member: &Member,
    to: Option<Role>,
    owners: i64,
) -> Result<(), MemberRefusal> {
    if !may_grant(actor, member.role) || to.is_some_and(|to| !may_grant(actor, to)) {
        return Err(MemberRefusal::Role);
    }
    if member.kind == MemberKind::Service && to == Some(Role::Owner) {
        return Err(MemberRefusal::ServiceOwner);
    }
    if member.role == Role::Owner && to != Some(Role::Owner) && owners <= 1 {
        return Err(MemberRefusal::LastOwner);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Identifier as _;
    use MemberRefusal::{LastOwner, Role as ByRole, ServiceOwner};
    use Role::{Admin, Editor, Operator, Owner, Viewer};

    #[test]
    fn owners_grant_all_and_admins_all_but_owners() {
        let check = |actor: Role, expected: [bool; 5]| {
            let found = [Viewer, Operator, Editor, Admin, Owner].map(|role| may_grant(actor, role));
            assert_eq!(found, expected, "{actor:?}");
        };
        check(Owner, [true; 5]);
        check(Admin, [true, true, true, true, false]);
        check(Editor, [false; 5]);
        check(Operator, [false; 5]);
        check(Viewer, [false; 5]);
    }

    #[test]
    fn memberships_change_as_the_table_says() {
        let check = |actor: Role, kind: MemberKind, role: Role, to: Option<Role>, owners, said| {
            let member = Member {
                workspace: WorkspaceId::from_bytes([1; 16]),
                id: MemberId::from_bytes([2; 16]),
                kind,
                account: None,
                email: String::new(),
                name: String::new(),
                role,
                created_at: Timestamp::from_millis(0),
                left_at: None,
            };
            let found = may_change(actor, &member, to, owners).err();
            assert_eq!(found, said, "{actor:?} makes {kind:?} {role:?} {to:?} of {owners} owners");
        };
        let (person, service) = (MemberKind::Person, MemberKind::Service);
        check(Owner, person, Viewer, Some(Owner), 1, None);
        check(Owner, person, Owner, Some(Admin), 2, None);
        check(Owner, person, Owner, Some(Owner), 1, None);
        check(Owner, person, Owner, Some(Admin), 1, Some(LastOwner));
        check(Owner, person, Owner, None, 1, Some(LastOwner));
        check(Owner, person, Owner, None, 2, None);
        check(Owner, person, Admin, None, 1, None);
        check(Owner, service, Editor, Some(Owner), 1, Some(ServiceOwner));
        check(Owner, service, Editor, Some(Admin), 1, None);
        check(Owner, service, Editor, None, 1, None);
        check(Admin, person, Admin, Some(Viewer), 1, None);
        check(Admin, person, Viewer, Some(Admin), 1, None);
        check(Admin, person, Viewer, None, 1, None);
        check(Admin, person, Admin, Some(Owner), 1, Some(ByRole));
        check(Admin, person, Owner, Some(Admin), 2, Some(ByRole));
        check(Admin, person, Owner, None, 2, Some(ByRole));
        check(Editor, person, Viewer, None, 1, Some(ByRole));
        check(Viewer, person, Viewer, Some(Owner), 1, Some(ByRole));
    }

    #[test]
    fn a_session_ends_when_idle_and_for_good() {
        let session = |created: i64, seen: i64| Session {
            id: SessionId::from_bytes([1; 16]),
            account: AccountId::from_bytes([2; 16]),
            hash: [0; 32],
            address: String::new(),
            user_agent: String::new(),
            created_at: Timestamp::from_millis(created),
            seen_at: Timestamp::from_millis(seen),
        };
        let check = |created: i64, seen: i64, now: i64, lives: bool| {
            let found = session(created, seen).lives(Timestamp::from_millis(now));
            assert_eq!(found, lives, "{created} {seen} {now}");
        };
        check(0, 0, IDLE_MILLIS - 1, true);
        check(0, 0, IDLE_MILLIS, false);
        check(0, IDLE_MILLIS, 2 * IDLE_MILLIS - 1, true);
        check(0, SESSION_MILLIS - 1, SESSION_MILLIS - 1, true);
        check(0, SESSION_MILLIS - 1, SESSION_MILLIS, false);
        assert!(!session(0, 0).is_stale(Timestamp::from_millis(SEEN_MILLIS - 1)));
        assert!(session(0, 0).is_stale(Timestamp::from_millis(SEEN_MILLIS)));
    }
}
