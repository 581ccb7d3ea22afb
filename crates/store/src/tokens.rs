//! API tokens: tagged rows, each found by its hash through `routes`.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged};
use crate::rewrap::{Signed, signed};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::id::{MemberId, TokenId, WorkspaceId};
use keyward_model::tag::Tagged;
use keyward_model::tenant::ApiToken;

macro_rules! columns {
    () => {
        "t.workspace_id, t.id, t.member_id, t.name, t.hash, t.scopes, t.expires_at, t.created_at, t.tag"
    };
}

pub(crate) const SIGNED: Signed =
    signed!(ApiToken, concat!("SELECT ", columns!(), " FROM tokens t "), ["id"], token);

statements! {
    INSERT_TOKEN = "INSERT INTO tokens (workspace_id, id, member_id, name, hash, scopes, expires_at,
        created_at, tag) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    INSERT_ROUTE = "INSERT INTO routes (kind, hash, workspace_id, target_id)
        VALUES ('token', $1, $2, $3)";
    BY_HASH = concat!("SELECT ", columns!(), " FROM routes r JOIN tokens t
        ON t.workspace_id = r.workspace_id AND t.id = r.target_id
        WHERE r.kind = 'token' AND r.hash = $1");
    TOKENS = concat!("SELECT ", columns!(), " FROM tokens t
        WHERE t.workspace_id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3");
    TOKEN = concat!("SELECT ", columns!(), " FROM tokens t
        WHERE t.workspace_id = $1 AND t.id = $2");
    DELETE_TOKEN = "DELETE FROM tokens WHERE workspace_id = $1 AND id = $2";
    DELETE_ROUTE = "DELETE FROM routes WHERE kind = 'token' AND hash = $1";
    TOKENS_OF = concat!("SELECT ", columns!(), " FROM tokens t
        WHERE t.workspace_id = $1 AND t.member_id = $2");
    SOME_TOKENS_OF = concat!("SELECT ", columns!(), " FROM tokens t
        WHERE t.workspace_id = $1 AND t.member_id = $2 AND t.id > $3 ORDER BY t.id LIMIT $4");
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

    /// Removes all tokens of a member; gives their number.
    pub fn delete_tokens_of(
        &mut self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for row in self.session.query(TOKENS_OF, values![workspace, member])? {
            let token = token(row)?;
            count += u64::from(self.delete_token(workspace, token.parts().0.id)?);
        }
        Ok(count)
    }
}
