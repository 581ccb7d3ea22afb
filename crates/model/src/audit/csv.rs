//! Events as CSV (RFC 4180), for spreadsheets: no cell can be taken for a formula, no row for two.

use super::Record;
use std::fmt::Write as _;

/// The first row.
pub const CSV_HEADER: &str = "at,action,outcome,reason,actor_kind,actor_id,actor_name,key,\
    credential_id,workflow_id,run_id,step_id,destination,id,stream,number,credential_number\r\n";

/// One event as a row; `actor_name` as people are shown it.
pub fn csv_row(record: &Record, actor_name: &str) -> String {
    let event = &record.event;
    let optional = |id: Option<String>| id.unwrap_or_default();
    let cells = [
        event.at.to_string(),
        event.action.as_str().into(),
        event.outcome.as_str().into(),
        event.reason.clone(),
        event.actor.kind.as_str().into(),
        event.actor.id.clone(),
        actor_name.to_owned(),
        optional(event.key.clone()),
        optional(event.credential.map(|id| id.to_string())),
        optional(event.workflow.map(|id| id.to_string())),
        optional(event.run.map(|id| id.to_string())),
        optional(event.step.clone()),
        optional(event.destination.clone()),
        event.id.to_string(),
        record.stream.to_string(),
        record.number.to_string(),
        optional(record.credential_number.map(|number| number.to_string())),
    ];
    let mut row = cells.map(|text| csv_cell(&text)).join(",");
    row.push_str("\r\n");
    row
}

/// Quotes a text where need be. A leading `'` keeps spreadsheets from computing it; what would move
/// a cursor or end a line is written out.
pub fn csv_cell(text: &str) -> String {
    let mut plain = String::with_capacity(text.len() + 2);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        plain.push('\'');
    }
    for character in text.chars() {
        match character {
            '\n' => plain.push_str("\\n"),
            '\r' => plain.push_str("\\r"),
            '\t' => plain.push_str("\\t"),
            '"' => plain.push_str("\"\""),
            // Writing into a String does not fail.
            other if is_hidden(other) => drop(write!(plain, "\\u{{{:x}}}", other as u32)),
            other => plain.push(other),
        }
    }
    match plain.contains([',', '"', ';', ' ', '\'']) {
        true => format!("\"{plain}\""),
        false => plain,
    }
}

/// Control characters, and those that reorder or break lines unseen.
fn is_hidden(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}');
    character.is_control() || reorders || matches!(character, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_data_to_every_reader() {
        let check = |text: &str, expected: &str| assert_eq!(csv_cell(text), expected, "{text:?}");
        check("", "");
        check("credential.used", "credential.used");
        check("a,b", "\"a,b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check("=1+1", "\"'=1+1\"");
        check("=cmd|'/C calc'!A0", "\"'=cmd|'/C calc'!A0\"");
        check("+1", "\"'+1\"");
        check("-1", "\"'-1\"");
        check("@SUM(A1)", "\"'@SUM(A1)\"");
        check("\t=1", "\"'\\t=1\"");
        check("\r=1", "\"'\\r=1\"");
        check("two\nlines", "two\\nlines");
        check("\u{1b}[31mred", "\\u{1b}[31mred");
        check("\u{9b}2J\u{202e}x", "\\u{9b}2J\\u{202e}x");
        check("https://a:443", "https://a:443");
        check("Zoë", "Zoë");
    }
}
