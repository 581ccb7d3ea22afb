//! A person's data where it lies beside their own rows: what erasing takes out.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::Page;
use crate::tx::Tx;
use crate::value::{Cells, values};
use keyward_model::id::{AccountId, MemberId, WorkspaceId};
use keyward_model::tag::Tagged;
use keyward_model::tenant::Member;

statements! {
    ERASE = "UPDATE members SET account_id = $3, email = $4, name = $5, tag = $6
        WHERE workspace_id = $1 AND id = $2 AND left_at IS NOT NULL";
    FORGET = "UPDATE runs SET starter_name = ''
        WHERE workspace_id = $1 AND starter_kind = 'member' AND starter_id = $2";
    EVER = "SELECT count(*) FROM members WHERE account_id = $1";
    DELETE = "DELETE FROM accounts WHERE id = $1";
}

impl Tx<'_> {
    /// Replaces the row of a member who left; false where there is none.
    pub fn erase_member(&mut self, erased: &Tagged<Member>) -> Result<bool, StoreError> {
        let (m, tag) = erased.parts();
        let (email, name) = (m.email.as_str(), m.name.as_str());
        let values = values![m.workspace, m.id, m.account, email, name, tag];
        self.leaves_copies = true;
        Ok(self.session.execute(ERASE, values)? > 0)
    }

    /// Takes a member's name off the runs that they started; gives how many.
    pub fn forget_starter(
        &mut self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<u64, StoreError> {
        self.session.execute(FORGET, values![workspace, member])
    }

    /// Removes an account with its sessions, unless a member's row still names it; false then.
    pub fn delete_unused_account(&mut self, account: AccountId) -> Result<bool, StoreError> {
        let row = self.session.one(EVER, values![account])?;
        if Cells::new("members", row.unwrap_or_default()).number()? > 0 {
            return Ok(false);
        }
        self.delete_sessions(account, None)?;
        Ok(self.session.execute(DELETE, values![account])? > 0)
    }

    /// Removes the invitations to an address, used or not.
    pub fn delete_invitations_to(
        &mut self,
        workspace: WorkspaceId,
        email: &str,
    ) -> Result<(), StoreError> {
        let mut page = Page::first(200);
        loop {
            let found = self.invitations(workspace, &page)?;
            for row in found.items.iter().map(|row| row.parts().0) {
                if row.email == email {
                    self.delete_invitation(workspace, row.id)?;
                }
            }
            let Some(next) = found.next else { return Ok(()) };
            page.after = Some(next);
        }
    }
}
