//! Who may do what with a credential: one function of the act, the role, whose the credential is,
//! the share and the workspace's settings. `docs/permissions.md` is its table.
//!
//! How a *step* gets a value is decided in `policy`; a person never gets one.

use crate::actor::{Caller, Role};
use crate::audit::Action;
use crate::credential::{Credential, Scope};
use crate::id::{CredentialId, WorkspaceId};
use crate::settings::Settings;
use crate::share::{Level, Share, level_of};

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident $word:literal $action:ident;)*) => {
        /// What people do with credentials.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Act { $($(#[$doc])* $name,)* }

        impl Act {
            /// Every act, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];
            /// The table's words for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
            /// What the audit says of a refused attempt.
            pub fn action(self) -> Action {
                match self { $(Self::$name => Action::$action),* }
            }
        }
    };
}

acts! {
    /// Key, name, type and status.
    List "see that it exists" CredentialViewed;
    /// Configuration, versions, use, shares and audit.
    View "see its configuration, use and audit" CredentialViewed;
    /// Making one.
    Create "create" CredentialCreated;
    /// Description, labels, test.
    Edit "edit" CredentialUpdated;
    /// Staging, promoting, returning, overwriting.
    Rotate "rotate, roll back" CredentialRotated;
    /// Asking its service whether it is accepted.
    Test "test" CredentialTested;
    /// Hosts, methods, paths, places; whether code may read it.
    Bind "bind, make readable" CredentialUpdated;
    /// Giving others a share.
    Share "share" CredentialShared;
    /// Stopping every use, and allowing it again.
    Suspend "suspend, resume" CredentialSuspended;
    /// Giving it another owner.
    Transfer "transfer" CredentialTransferred;
    /// Deleting and restoring it.
    Delete "delete, restore" CredentialDeleted;
}

/// Whose a credential is, as somebody sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The workspace's, or one workflow's.
    Common,
    /// One's own.
    Own,
    /// Another member's.
    Others,
}

impl Whose {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Common, Self::Own, Self::Others];

    /// Whose a scope's credential is to a caller.
    pub fn of(scope: Scope, caller: &Caller) -> Self {
        match scope {
            Scope::Workspace | Scope::Workflow(_) => Self::Common,
            Scope::Personal(owner) if owner == caller.member => Self::Own,
            Scope::Personal(_) => Self::Others,
        }
    }
}

/// Everything that decides.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What somebody wants to do.
    pub act: Act,
    /// Their role.
    pub role: Role,
    /// Whose the credential is to them.
    pub whose: Whose,
    /// The most that a share gives them.
    pub share: Option<Level>,
    /// The workspace's settings.
    pub settings: &'a Settings,
}

impl Question<'_> {
    /// The decision: by role, or by share.
    pub fn allowed(&self) -> bool {
        let forbidden = self.act == Act::Share && !self.sharing_allowed();
        !forbidden && (self.by_role() || self.by_share())
    }

    /// Editors share what is their own only where the workspace lets them.
    fn sharing_allowed(&self) -> bool {
        self.settings.sharing || self.role >= Role::Admin
    }

    fn by_role(&self) -> bool {
        use Act::{Create, Delete, List, Suspend, Test, Transfer, View};
        let least = match (self.whose, self.act) {
            (Whose::Common, List) => Role::Operator,
            (Whose::Common, Test) => Role::Editor,
            (Whose::Common, _) => Role::Admin,
            // Whoever has lost the right to edit can still see and get rid of what is theirs.
            (Whose::Own, List | View | Delete) => Role::Viewer,
            (Whose::Own, _) => Role::Editor,
            (Whose::Others, Create) => return false,
            (Whose::Others, List | Suspend | Transfer | Delete) => Role::Admin,
            (Whose::Others, _) => return false,
        };
        self.role >= least
    }

    fn by_share(&self) -> bool {
        use Act::{Bind, Create, Delete, Edit, List, Rotate, Suspend, Test, Transfer, View};
        let least = match self.act {
            List | Test => Level::Use,
            View => Level::View,
            Edit | Rotate | Bind | Act::Share | Suspend | Delete => Level::Manage,
            Create | Transfer => return false,
        };
        self.share.is_some_and(|level| level >= least)
    }
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// They may not even know that it exists.
    Hidden,
    /// They know of it, and may not do this.
    Forbidden,
}

/// A decision for one act on one credential; made here alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    workspace: WorkspaceId,
    credential: CredentialId,
    act: Act,
}

impl Allowed {
    /// Whether it is a decision for that act on that credential.
    pub fn covers(&self, act: Act, credential: &Credential) -> bool {
        let same = (self.workspace, self.credential) == (credential.workspace, credential.id);
        same && self.act == act
    }
}

/// Whether a caller may do something with a credential. `shares` may be of any credential.
pub fn decide(
    act: Act,
    caller: &Caller,
    credential: &Credential,
    shares: &[Share],
    settings: &Settings,
) -> Result<Allowed, Denied> {
    if credential.workspace != caller.workspace {
        return Err(Denied::Hidden);
    }
    let whose = Whose::of(credential.scope, caller);
    let share = level_of(shares, credential.id, caller.member);
    let asked = |act| Question { act, role: caller.role, whose, share, settings };
    match (asked(act).allowed(), asked(Act::List).allowed()) {
        (true, _) => {
            Ok(Allowed { workspace: credential.workspace, credential: credential.id, act })
        }
        (false, true) => Err(Denied::Forbidden),
        (false, false) => Err(Denied::Hidden),
    }
}

/// Whether a role may make a credential of that scope.
pub fn may_create(role: Role, scope: Scope, settings: &Settings) -> bool {
    let whose = match scope {
        Scope::Workspace | Scope::Workflow(_) => Whose::Common,
        Scope::Personal(_) => Whose::Own,
    };
    Question { act: Act::Create, role, whose, share: None, settings }.allowed()
}
