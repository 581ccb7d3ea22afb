//! JSON in printable ASCII alone: whatever a name holds, one record stays one line, and no terminal
//! takes part of it for a command.

use serde::Serialize;
use serde_json::ser::Formatter;
use std::io;

/// Writes a value as one line of ASCII JSON, without a line break.
///
/// # Errors
/// What serialising gave; none for types of this crate.
pub(super) fn to_line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = Vec::with_capacity(512);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Ascii))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for character in text.chars() {
            match character {
                ' '..='~' => out.write_all(&[character as u8])?,
                other => {
                    for unit in other.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_one_printable_line_and_reads_back() {
        for text in ["plain", "a\nb\r\t", "\u{1b}[31m", "\u{9b}31m\u{7f}", "\u{202e}ü😀\u{2028}\0"]
        {
            let line = to_line(&text).unwrap();
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
