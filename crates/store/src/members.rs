//! Members and API tokens: tagged rows. A token is found by its hash through `routes`.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::actor::Role;
use keyward_model::id::{MemberId, TokenId, WorkspaceId};
use keyward_model::tag::Tagged;
use keyward_model::tenant::{ApiToken, Member};

macro_rules! member_columns {
    () => {
        "workspace_id, id, email, name, role, password_hash, created_at, tag"
    };
}
macro_rules! token_columns {
    () => {
        "t.workspace_id, t.id, t.member_id, t.name, t.hash, t.scopes, t.expires_at, t.created_at, t.tag"
    };
}

statements! {
    INSERT = concat!("INSERT INTO members (", member_columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    UPDATE = "UPDATE members SET email = $3, name = $4, role = $5, password_hash = $6, tag = $7
        WHERE workspace_id = $1 AND id = $2";
    DELETE = "DELETE FROM members WHERE workspace_id = $1 AND id = $2";
    BY_ID = concat!("SELECT ", member_columns!(), " FROM members
        WHERE workspace_id = $1 AND id = $2");
    BY_EMAIL = concat!("SELECT ", member_columns!(), " FROM members
        WHERE workspace_id = $1 AND email = $2");
    WITH_EMAIL = concat!("SELECT ", member_columns!(), " FROM members
        WHERE email = $1 ORDER BY workspace_id");
    LIST = concat!("SELECT ", member_columns!(), " FROM members
        WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    OWNERS = "SELECT count(*) FROM members WHERE workspace_id = $1 AND role = $2";
    ANY_OWNER = "SELECT id FROM members WHERE role = $1 LIMIT 1";
    INSERT_TOKEN = "INSERT INTO tokens (workspace_id, id, member_id, name, hash, scopes, expires_at,
        created_at, tag) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    INSERT_ROUTE = "INSERT INTO routes (kind, hash, workspace_id, target_id)
        VALUES ('token', $1, $2, $3)";
    BY_HASH = concat!("SELECT ", token_columns!(), " FROM routes r JOIN tokens t
        ON t.workspace_id = r.workspace_id AND t.id = r.target_id
        WHERE r.kind = 'token' AND r.hash = $1");
    TOKENS = concat!("SELECT ", token_columns!(), " FROM tokens t
        WHERE t.workspace_id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3");
    TOKEN = concat!("SELECT ", token_columns!(), " FROM tokens t
        WHERE t.workspace_id = $1 AND t.id = $2");
    DELETE_TOKEN = "DELETE FROM tokens WHERE workspace_id = $1 AND id = $2";
    DELETE_ROUTE = "DELETE FROM routes WHERE kind = 'token' AND hash = $1";
    TOKENS_OF = concat!("SELECT ", token_columns!(), " FROM tokens t
        WHERE t.workspace_id = $1 AND t.member_id = $2");
    SOME_TOKENS_OF = concat!("SELECT ", token_columns!(), " FROM tokens t
        WHERE t.workspace_id = $1 AND t.member_id = $2 AND t.id > $3 ORDER BY t.id LIMIT $4");
}

fn member(row: Row) -> Result<Tagged<Member>, StoreError> {
    let mut cells = Cells::new("members", row);
    let member = Member {
        workspace: cells.parsed()?,
        id: cells.parsed()?,
        email: cells.text()?,
        name: cells.text()?,
        role: cells.word(Role::parse)?,
        password_hash: cells.text()?,
        created_at: cells.time()?,
    };
    Ok(Tagged::stored(member, cells.tag()?))
}

fn token(row: Row) -> Result<Tagged<ApiToken>, StoreError> {
    let mut cells = Cells::new("tokens", row);
    let token = ApiToken {
        workspace: cells.parsed()?,
        id: cells.parsed()?,
        member: cells.parsed()?,
        name: cells.text()?,
        hash: cells.tag()?,
        scopes: cells.text()?,
        expires_at: cells.optional_time()?,
        created_at: cells.time()?,
    };
    Ok(Tagged::stored(token, cells.tag()?))
}

impl Reader<'_> {
    /// The member of that id.
    pub fn member(
        &mut self,
        workspace: WorkspaceId,
        id: MemberId,
    ) -> Result<Option<Tagged<Member>>, StoreError> {
        self.session.one(BY_ID, values![workspace, id])?.map(member).transpose()
    }

    /// The workspace's member of that address, lower-case.
    pub fn member_by_email(
        &mut self,
        workspace: WorkspaceId,
        email: &str,
    ) -> Result<Option<Tagged<Member>>, StoreError> {
        self.session.one(BY_EMAIL, values![workspace, email])?.map(member).transpose()
    }

    /// The members of that address in all workspaces, for signing in.
    pub fn members_with_email(&mut self, email: &str) -> Result<Vec<Tagged<Member>>, StoreError> {
        let rows = self.session.query(WITH_EMAIL, values![email])?;
        rows.into_iter().map(member).collect()
    }

    /// The workspace's members, oldest first.
    pub fn members(
        &mut self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Paged<Tagged<Member>>, StoreError> {
        let after = page.after::<MemberId>()?.map(|id| id.to_string()).unwrap_or_default();
        let rows = self.session.query(LIST, values![workspace, after, page.probe()])?;
        let items = rows.into_iter().map(member).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |member: &Tagged<Member>| member.parts().0.id.to_string()))
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

    /// The token with that hash, in whichever workspace.
    pub fn token_by_hash(
        &mut self,
        hash: &[u8; 32],
    ) -> Result<Option<Tagged<ApiToken>>, StoreError> {
        self.session.one(BY_HASH, values![hash])?.map(token).transpose()
    }

    /// The workspace's tokens, oldest first.
    pub fn tokens(
        &mut self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Paged<Tagged<ApiToken>>, StoreError> {
        let after = page.after::<TokenId>()?.map(|id| id.to_string()).unwrap_or_default();
        let rows = self.session.query(TOKENS, values![workspace, after, page.probe()])?;
        let items = rows.into_iter().map(token).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |token: &Tagged<ApiToken>| token.parts().0.id.to_string()))
    }

    /// One member's tokens, oldest first.
    pub fn tokens_of(
        &mut self,
        workspace: WorkspaceId,
        member: MemberId,
        page: &Page,
    ) -> Result<Paged<Tagged<ApiToken>>, StoreError> {
        let after = page.after::<TokenId>()?.map(|id| id.to_string()).unwrap_or_default();
        let values = values![workspace, member, after, page.probe()];
        let rows = self.session.query(SOME_TOKENS_OF, values)?;
        let items = rows.into_iter().map(token).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |token: &Tagged<ApiToken>| token.parts().0.id.to_string()))
    }

    /// The token of that id.
    pub fn token(
        &mut self,
        workspace: WorkspaceId,
        id: TokenId,
    ) -> Result<Option<Tagged<ApiToken>>, StoreError> {
        self.session.one(TOKEN, values![workspace, id])?.map(token).transpose()
    }
}

impl Tx<'_> {
    /// Adds a member; an address that is taken in the workspace is `Conflict`.
    pub fn insert_member(&mut self, member: &Tagged<Member>) -> Result<(), StoreError> {
        let (m, tag) = member.parts();
        let (email, name, hash) = (m.email.as_str(), m.name.as_str(), m.password_hash.as_str());
        let role = m.role.as_str();
        let values = values![m.workspace, m.id, email, name, role, hash, m.created_at, tag];
        self.session.execute(INSERT, values).map_err(|error| error.named("email"))?;
        Ok(())
    }

    /// Replaces a member's row; false where there is none.
    pub fn update_member(&mut self, member: &Tagged<Member>) -> Result<bool, StoreError> {
        let (m, tag) = member.parts();
        let (email, name, hash) = (m.email.as_str(), m.name.as_str(), m.password_hash.as_str());
        let values = values![m.workspace, m.id, email, name, m.role.as_str(), hash, tag];
        Ok(self.session.execute(UPDATE, values).map_err(|error| error.named("email"))? > 0)
    }

    /// Removes a member with all tokens; false where there is none.
    pub fn delete_member(
        &mut self,
        workspace: WorkspaceId,
        id: MemberId,
    ) -> Result<bool, StoreError> {
        for row in self.session.query(TOKENS_OF, values![workspace, id])? {
            let token = token(row)?;
            self.delete_token(workspace, token.parts().0.id)?;
        }
        Ok(self.session.execute(DELETE, values![workspace, id])? > 0)
    }

    /// Adds a token.
    pub fn insert_token(&mut self, token: &Tagged<ApiToken>) -> Result<(), StoreError> {
        let (t, tag) = token.parts();
        let (name, scopes) = (t.name.as_str(), t.scopes.as_str());
        let route = values![&t.hash, t.workspace, t.id];
        let head = values![
            t.workspace, t.id, t.member, name, &t.hash, scopes, t.expires_at, t.created_at, tag,
        ];
        self.session.execute(INSERT_TOKEN, head).map_err(|error| error.named("token"))?;
        self.session.execute(INSERT_ROUTE, route).map_err(|error| error.named("token"))?;
        Ok(())
    }

    /// Removes a token; false where there is none.
    pub fn delete_token(
        &mut self,
        workspace: WorkspaceId,
        id: TokenId,
    ) -> Result<bool, StoreError> {
        let Some(token) = self.token(workspace, id)? else { return Ok(false) };
        self.session.execute(DELETE_ROUTE, values![&token.parts().0.hash])?;
        Ok(self.session.execute(DELETE_TOKEN, values![workspace, id])? > 0)
    }
}
