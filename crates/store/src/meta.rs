//! Small named values of the whole server: instance id, root key fingerprint, sealed check value.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::tx::{Reader, RunTx};
use crate::value::{Cells, values};

statements! {
    GET = "SELECT value FROM meta WHERE name = $1";
    PUT = "INSERT INTO meta (name, value) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    INIT = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
}

impl Reader<'_> {
    /// The value of that name.
    pub fn meta(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.session.one(GET, values![name])?;
        row.map(|row| Cells::new("meta", row).bytes()).transpose()
    }
}

impl RunTx<'_> {
    /// Sets a value.
    pub fn put_meta(&mut self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.session.execute(PUT, values![name, value]).map(|_| ())
    }

    /// Sets a value where none is, and gives the one that is there then: of several nodes that
    /// start at once, one decides.
    pub fn init_meta(&mut self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.session.execute(INIT, values![name, value])?;
        Ok(self.meta(name)?.unwrap_or_else(|| value.to_vec()))
    }
}
