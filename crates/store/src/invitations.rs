//! Invitations: tagged rows, each found by the hash of its token through `routes`.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged};
use crate::rewrap::{Signed, signed};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::actor::Role;
use keyward_model::id::{InvitationId, WorkspaceId};
use keyward_model::people::Invitation;
use keyward_model::tag::Tagged;

macro_rules! columns {
    () => {
        "i.workspace_id, i.id, i.email, i.role, i.inviter_id, i.hash, i.created_at, i.expires_at, i.tag"
    };
}

pub(crate) const SIGNED: Signed =
    signed!(Invitation, concat!("SELECT ", columns!(), " FROM invitations i "), ["id"], invitation);

statements! {
    INSERT = "INSERT INTO invitations (workspace_id, id, email, role, inviter_id, hash, created_at,
        expires_at, tag) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    INSERT_ROUTE = "INSERT INTO routes (kind, hash, workspace_id, target_id)
        VALUES ('invitation', $1, $2, $3)";
    BY_ID = concat!("SELECT ", columns!(), " FROM invitations i
        WHERE i.workspace_id = $1 AND i.id = $2");
    BY_HASH = concat!("SELECT ", columns!(), " FROM routes r JOIN invitations i
        ON i.workspace_id = r.workspace_id AND i.id = r.target_id
        WHERE r.kind = 'invitation' AND r.hash = $1");
    LIST = concat!("SELECT ", columns!(), " FROM invitations i
        WHERE i.workspace_id = $1 AND i.id > $2 ORDER BY i.id LIMIT $3");
    DELETE = "DELETE FROM invitations WHERE workspace_id = $1 AND id = $2";
    DELETE_ROUTE = "DELETE FROM routes WHERE kind = 'invitation' AND hash = $1";
}

fn invitation(row: Row) -> Result<Tagged<Invitation>, StoreError> {
    let mut cells = Cells::new("invitations", row);
    let invitation = Invitation {
        workspace: cells.parsed()?,
        id: cells.parsed()?,
        email: cells.text()?,
        role: cells.word(Role::parse)?,
        inviter: cells.parsed()?,
        hash: cells.tag()?,
        created_at: cells.time()?,
        expires_at: cells.time()?,
    };
    Ok(Tagged::stored(invitation, cells.tag()?))
}

impl Reader<'_> {
    /// The invitation of that id.
    pub fn invitation(
        &mut self,
        workspace: WorkspaceId,
        id: InvitationId,
    ) -> Result<Option<Tagged<Invitation>>, StoreError> {
        self.session.one(BY_ID, values![workspace, id])?.map(invitation).transpose()
    }

    /// The invitation whose token has that hash, in whichever workspace.
    pub fn invitation_by_hash(
        &mut self,
        hash: &[u8; 32],
    ) -> Result<Option<Tagged<Invitation>>, StoreError> {
        self.session.one(BY_HASH, values![hash])?.map(invitation).transpose()
    }

    /// The workspace's invitations, oldest first, also those that have expired.
    pub fn invitations(
        &mut self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Paged<Tagged<Invitation>>, StoreError> {
        let after = page.after::<InvitationId>()?.map(|id| id.to_string()).unwrap_or_default();
        let rows = self.session.query(LIST, values![workspace, after, page.probe()])?;
        let items = rows.into_iter().map(invitation).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |row: &Tagged<Invitation>| row.parts().0.id.to_string()))
    }
}

impl Tx<'_> {
    /// Adds an invitation.
    pub fn insert_invitation(&mut self, row: &Tagged<Invitation>) -> Result<(), StoreError> {
        let (i, tag) = row.parts();
        let (email, role) = (i.email.as_str(), i.role.as_str());
        let route = values![&i.hash, i.workspace, i.id];
        let head = values![
            i.workspace, i.id, email, role, i.inviter, &i.hash, i.created_at, i.expires_at, tag,
        ];
        self.session.execute(INSERT, head).map_err(|error| error.named("invitation"))?;
        self.session.execute(INSERT_ROUTE, route).map_err(|error| error.named("invitation"))?;
        Ok(())
    }

    /// Removes an invitation; false where there is none.
    pub fn delete_invitation(
        &mut self,
        workspace: WorkspaceId,
        id: InvitationId,
    ) -> Result<bool, StoreError> {
        let Some(row) = self.invitation(workspace, id)? else { return Ok(false) };
        self.session.execute(DELETE_ROUTE, values![&row.parts().0.hash])?;
        Ok(self.session.execute(DELETE, values![workspace, id])? > 0)
    }
}
