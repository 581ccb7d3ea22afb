//! Members: tagged rows. Those who left are kept and found by the `ever` operations alone.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged};
use crate::rewrap::{Signed, signed};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::actor::Role;
use keyward_model::id::{AccountId, MemberId, WorkspaceId};
use keyward_model::tag::Tagged;
use keyward_model::tenant::{Member, MemberKind};

macro_rules! columns {
    () => {
        "workspace_id, id, kind, account_id, email, name, role, created_at, left_at, tag"
    };
}

pub(crate) const SIGNED: Signed =
    signed!(Member, concat!("SELECT ", columns!(), " FROM members "), ["id"], member);

statements! {
    INSERT = concat!("INSERT INTO members (", columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    UPDATE = "UPDATE members SET email = $3, name = $4, role = $5, left_at = $6, tag = $7
        WHERE workspace_id = $1 AND id = $2 AND left_at IS NULL";
    DELETE = "DELETE FROM members WHERE workspace_id = $1 AND id = $2";
    BY_ID = concat!("SELECT ", columns!(), " FROM members
        WHERE workspace_id = $1 AND id = $2 AND left_at IS NULL");
    EVER_BY_ID = concat!("SELECT ", columns!(), " FROM members
        WHERE workspace_id = $1 AND id = $2");
    BY_ACCOUNT = concat!("SELECT ", columns!(), " FROM members
        WHERE account_id = $2 AND workspace_id = $1 AND left_at IS NULL");
    OF_ACCOUNT = concat!("SELECT ", columns!(), " FROM members
        WHERE account_id = $1 AND left_at IS NULL ORDER BY workspace_id");
    LIST = concat!("SELECT ", columns!(), " FROM members
        WHERE workspace_id = $1 AND id > $2 AND left_at IS NULL ORDER BY id LIMIT $3");
    EVER_LIST = concat!("SELECT ", columns!(), " FROM members
        WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    OWNERS = "SELECT count(*) FROM members
        WHERE workspace_id = $1 AND role = $2 AND left_at IS NULL";
    ANY_OWNER = "SELECT id FROM members WHERE role = $1 AND left_at IS NULL LIMIT 1";
}

fn member(row: Row) -> Result<Tagged<Member>, StoreError> {
    let mut cells = Cells::new("members", row);
    let member = Member {
        workspace: cells.parsed()?,
        id: cells.parsed()?,
        kind: cells.word(MemberKind::parse)?,
        account: cells.optional_parsed()?,
        email: cells.text()?,
        name: cells.text()?,
        role: cells.word(Role::parse)?,
        created_at: cells.time()?,
        left_at: cells.optional_time()?,
    };
    Ok(Tagged::stored(member, cells.tag()?))
}

fn paged(rows: Vec<Row>, page: &Page) -> Result<Paged<Tagged<Member>>, StoreError> {
    let items = rows.into_iter().map(member).collect::<Result<_, _>>()?;
    Ok(Paged::cut(items, page, |member: &Tagged<Member>| member.parts().0.id.to_string()))
}

impl Reader<'_> {
    /// The member of that id, unless they left.
    pub fn member(
        &mut self,
        workspace: WorkspaceId,
        id: MemberId,
    ) -> Result<Option<Tagged<Member>>, StoreError> {
        self.session.one(BY_ID, values![workspace, id])?.map(member).transpose()
    }

    /// The member of that id, also where they left: for names, never for rights.
    pub fn member_ever(
        &mut self,
        workspace: WorkspaceId,
        id: MemberId,
    ) -> Result<Option<Tagged<Member>>, StoreError> {
        self.session.one(EVER_BY_ID, values![workspace, id])?.map(member).transpose()
    }

    /// An account's membership of the workspace.
    pub fn member_by_account(
        &mut self,
        workspace: WorkspaceId,
        account: AccountId,
    ) -> Result<Option<Tagged<Member>>, StoreError> {
        self.session.one(BY_ACCOUNT, values![workspace, account])?.map(member).transpose()
    }

    /// An account's memberships in all workspaces, the oldest workspace first.
    pub fn memberships(&mut self, account: AccountId) -> Result<Vec<Tagged<Member>>, StoreError> {
        let rows = self.session.query(OF_ACCOUNT, values![account])?;
        rows.into_iter().map(member).collect()
    }

    /// The workspace's members, oldest first.
    pub fn members(
        &mut self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Paged<Tagged<Member>>, StoreError> {
        let after = page.after::<MemberId>()?.map(|id| id.to_string()).unwrap_or_default();
        paged(self.session.query(LIST, values![workspace, after, page.probe()])?, page)
    }

    /// The workspace's members with those who left, oldest first: for names, never for rights.
    pub fn members_ever(
        &mut self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Paged<Tagged<Member>>, StoreError> {
        let after = page.after::<MemberId>()?.map(|id| id.to_string()).unwrap_or_default();
        paged(self.session.query(EVER_LIST, values![workspace, after, page.probe()])?, page)
    }

    /// How many owners the workspace has. Counts rows, does not check tags.
    pub fn count_owners(&mut self, workspace: WorkspaceId) -> Result<i64, StoreError> {
        let row = self.session.one(OWNERS, values![workspace, Role::Owner.as_str()])?;
        Cells::new("members", row.unwrap_or_default()).number()
    }

    /// Whether any workspace has an owner, so that setting up is over.
    pub fn has_owner(&mut self) -> Result<bool, StoreError> {
        Ok(self.session.one(ANY_OWNER, values![Role::Owner.as_str()])?.is_some())
    }
}

impl Tx<'_> {
    /// Adds a member; an account that is one already is `Conflict`.
    pub fn insert_member(&mut self, member: &Tagged<Member>) -> Result<(), StoreError> {
        let (m, tag) = member.parts();
        let (kind, email, name) = (m.kind.as_str(), m.email.as_str(), m.name.as_str());
        let values = values![
            m.workspace,
            m.id,
            kind,
            m.account,
            email,
            name,
            m.role.as_str(),
            m.created_at,
            m.left_at,
            tag,
        ];
        self.session.execute(INSERT, values).map_err(|error| error.named("member"))?;
        Ok(())
    }

    /// Replaces a member's row; false where there is none, or they left.
    pub fn update_member(&mut self, member: &Tagged<Member>) -> Result<bool, StoreError> {
        let (m, tag) = member.parts();
        let (email, name, role) = (m.email.as_str(), m.name.as_str(), m.role.as_str());
        let values = values![m.workspace, m.id, email, name, role, m.left_at, tag];
        Ok(self.session.execute(UPDATE, values)? > 0)
    }

    /// Keeps a member's row as that of somebody who left, and ends their tokens; false where there
    /// is none.
    pub fn end_member(&mut self, left: &Tagged<Member>) -> Result<bool, StoreError> {
        let (workspace, id) = (left.parts().0.workspace, left.parts().0.id);
        self.delete_tokens_of(workspace, id)?;
        self.update_member(left)
    }

    /// Removes a member's row with all tokens; false where there is none.
    pub fn delete_member(
        &mut self,
        workspace: WorkspaceId,
        id: MemberId,
    ) -> Result<bool, StoreError> {
        self.delete_tokens_of(workspace, id)?;
        Ok(self.session.execute(DELETE, values![workspace, id])? > 0)
    }
}
