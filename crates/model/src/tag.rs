//! MACed rows: what grants a right is believed only after its tag has been checked.

/// Collects the columns of a row in one unambiguous byte string: each part as u32 length + bytes.
#[derive(Default)]
pub struct Columns(Vec<u8>);

impl Columns {
    /// Adds text.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Adds optional text; absent differs from empty.
    pub fn optional(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.number(1).text(value),
            None => self.number(0),
        }
    }

    /// Adds a number.
    pub fn number(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Adds bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self
    }

    /// The bytes to authenticate.
    pub fn finish(&self) -> &[u8] {
        &self.0
    }
}

/// A row that grants something, and so carries a tag over its table, key and all columns.
pub trait Granting {
    /// The table's name, part of what is authenticated.
    const TABLE: &'static str;
    /// Writes the primary key and all columns, in a fixed order.
    fn columns(&self, out: &mut Columns);
}

/// The tag of a row: HMAC-SHA-256 under the workspace's MAC key.
pub type Tag = [u8; 32];

/// The row's tag does not fit its columns: somebody else wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored row does not carry a valid tag")]
pub struct Tampered;

/// A row with its tag. What it says can be read only by `open`, which checks it.
#[derive(Debug, Clone)]
pub struct Tagged<T> {
    row: T,
    tag: Tag,
}

impl<T: Granting> Tagged<T> {
    /// Signs a row with `mac` (HMAC-SHA-256 under the workspace's MAC key).
    pub fn sign(row: T, mac: impl FnOnce(&[u8]) -> Tag) -> Self {
        let tag = mac(authenticated(&row).finish());
        Self { row, tag }
    }

    /// A row as it came from the database; its tag is checked by `open`.
    pub fn stored(row: T, tag: Tag) -> Self {
        Self { row, tag }
    }

    /// Checks the tag in constant time and gives the row.
    pub fn open(self, mac: impl FnOnce(&[u8]) -> Tag) -> Result<T, Tampered> {
        let expected = mac(authenticated(&self.row).finish());
        let difference = expected.iter().zip(&self.tag).fold(0, |seen, (a, b)| seen | (a ^ b));
        if difference == 0 { Ok(self.row) } else { Err(Tampered) }
    }

    /// What the tag covers, for signing the same row under another key.
    pub fn authenticated(&self) -> Vec<u8> {
        authenticated(&self.row).0
    }

    /// The row and tag, for writing them.
    pub fn parts(&self) -> (&T, &Tag) {
        (&self.row, &self.tag)
    }
}

fn authenticated<T: Granting>(row: &T) -> Columns {
    let mut columns = Columns::default();
    columns.text("keyward/tag/v1").text(T::TABLE);
    row.columns(&mut columns);
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(&'static str, &'static str);
    impl Granting for Row {
        const TABLE: &'static str = "rows";
        fn columns(&self, out: &mut Columns) {
            out.text(self.0).text(self.1);
        }
    }

    fn mac(bytes: &[u8]) -> Tag {
        let mut tag = [0; 32];
        for (at, byte) in bytes.iter().enumerate() {
            tag[at % 32] = tag[at % 32] ^ byte.rotate_left((at % 7) as u32) ^ at as u8;
        }
        tag
    }

    #[test]
    fn a_changed_or_shifted_column_does_not_open() {
        let tag = *Tagged::sign(Row("ab", "c"), mac).parts().1;
        assert!(Tagged::stored(Row("ab", "c"), tag).open(mac).is_ok());
        assert!(Tagged::stored(Row("a", "bc"), tag).open(mac).is_err());
        assert!(Tagged::stored(Row("ab", "d"), tag).open(mac).is_err());
    }
}
