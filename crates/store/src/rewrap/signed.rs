//! Every table whose rows a workspace's key signs, as signing them anew needs it. A new table: one
//! `SIGNED` in its file and one entry here; a test asks the schema whether any is missing.

use crate::error::StoreError;
use crate::page::Select;
use crate::tx::{Reader, RunTx};
use crate::value::{Row, Value};
use crate::{apps, credentials, invitations, members, settings, shares, tokens, workflows};
use keyward_model::id::WorkspaceId;
use keyward_model::tag::Tag;

/// Every table whose rows a workspace's key signs.
pub const SIGNED_TABLES: &[Signed] = &[
    apps::SIGNED,
    credentials::SIGNED,
    invitations::SIGNED,
    members::SIGNED,
    settings::SIGNED,
    shares::SIGNED,
    tokens::SIGNED,
    workflows::SIGNED,
    workflows::SIGNED_ALLOWLISTS,
    workflows::SIGNED_VERSIONS,
];

/// What a row's tag covers, and the tag.
type Content = (Vec<u8>, Tag);

/// A table of signed rows.
#[derive(Clone, Copy)]
pub struct Signed {
    pub(crate) table: &'static str,
    /// `SELECT … FROM …`; the workspace and the key's columns stand first.
    pub(crate) select: &'static str,
    /// The primary key's columns after the workspace.
    pub(crate) key: &'static [&'static str],
    pub(crate) read: fn(Row) -> Result<Content, StoreError>,
}

/// Describes a table of signed rows: type, `SELECT … FROM …`, key columns, reading function.
macro_rules! signed {
    ($row:ty, $select:expr, [$($key:literal),*], $read:expr) => {
        $crate::rewrap::Signed {
            table: <$row as keyward_model::tag::Granting>::TABLE,
            select: $select,
            key: &[$($key),*],
            read: |row| {
                let row: keyward_model::tag::Tagged<$row> = $read(row)?;
                Ok((row.authenticated(), *row.parts().1))
            },
        }
    };
}
pub(crate) use signed;

impl Signed {
    /// The table's name.
    pub fn table(&self) -> &'static str {
        self.table
    }
}

/// A signed row: its place, what its tag covers, and the tag.
#[derive(Debug, Clone)]
pub struct SignedRow {
    key: Vec<Value<'static>>,
    /// What the tag covers; `None` where the row cannot be read.
    pub content: Option<Vec<u8>>,
    /// The tag.
    pub tag: Tag,
}

impl Signed {
    fn row(&self, row: Row) -> SignedRow {
        let key = row.iter().skip(1).take(self.key.len()).cloned().collect();
        match (self.read)(row) {
            Ok((content, tag)) => SignedRow { key, content: Some(content), tag },
            Err(_) => SignedRow { key, content: None, tag: [0; 32] },
        }
    }

    /// `a, b` of a key of two columns.
    fn columns(&self) -> String {
        self.key.join(", ")
    }
}

impl Reader<'_> {
    /// Signed rows of a table in the order of their key.
    pub fn signed_rows(
        &mut self,
        signed: &Signed,
        workspace: WorkspaceId,
        after: Option<&SignedRow>,
        limit: u32,
    ) -> Result<Vec<SignedRow>, StoreError> {
        let mut select = Select::new(signed.select);
        select.add("WHERE workspace_id = ?", [workspace.into()]);
        let after = after.map(|row| row.key.clone()).unwrap_or_default();
        match after.as_slice() {
            [] => {}
            [one] => drop(select.add(&format!(" AND {} > ?", signed.columns()), [one.clone()])),
            [one, two] => {
                let sql = format!(" AND ({}) > (?, ?)", signed.columns());
                select.add(&sql, [one.clone(), two.clone()]);
            }
            _ => return Err(StoreError::BadCursor),
        }
        if !signed.key.is_empty() {
            select.add(&format!(" ORDER BY {}", signed.columns()), []);
        }
        select.add(" LIMIT ?", [i64::from(limit).into()]);
        let (sql, values) = select.parts();
        let rows = self.session.query(sql, values)?;
        Ok(rows.into_iter().map(|row| signed.row(row)).collect())
    }
}

impl RunTx<'_> {
    /// Replaces a row's tag alone; false where the row is not as it was read.
    pub fn sign_anew(
        &mut self,
        signed: &Signed,
        workspace: WorkspaceId,
        before: &SignedRow,
        tag: &Tag,
    ) -> Result<bool, StoreError> {
        let mut update = Select::new("UPDATE ");
        update.add(
            &format!("{} SET tag = ? WHERE workspace_id = ?", signed.table),
            [tag.into(), workspace.into()],
        );
        for (column, value) in signed.key.iter().zip(&before.key) {
            update.add(&format!(" AND {column} = ?"), [value.clone()]);
        }
        update.add(" AND tag = ?", [(&before.tag).into()]);
        let (sql, values) = update.parts();
        Ok(self.session.execute(sql, values)? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::SIGNED_TABLES;
    use crate::{migrate, schema};

    /// Signed by the audit key, whose old generations go on vouching for what they wrote.
    const BY_THE_AUDIT_KEY: [&str; 2] = ["audit_cursors", "audit_stubs"];

    #[test]
    fn every_table_with_a_tag_is_signed_anew() {
        let is_signed = |table: &schema::Table| {
            let has = |name: &str| table.columns.iter().any(|column| column.name == name);
            // What has no workspace is signed by a key of the whole server.
            let by_the_audit_key = BY_THE_AUDIT_KEY.contains(&table.name.as_str());
            has("tag") && has("workspace_id") && !by_the_audit_key
        };
        let tables = schema::tables(migrate::newest()).unwrap();
        let mut expected: Vec<_> =
            tables.into_iter().filter(is_signed).map(|table| table.name).collect();
        let mut listed: Vec<_> = SIGNED_TABLES.iter().map(|signed| signed.table).collect();
        expected.sort();
        listed.sort_unstable();
        assert!(expected.len() >= 9, "{expected:?}");
        assert_eq!(listed, expected);
    }
}
