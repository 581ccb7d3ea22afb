//! What commands print for people: aligned columns, without what a terminal would act on.

use crate::logging;
use serde_json::Value;

/// Text in which control characters are written out: names and logs are other people's.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // Also the marks that turn the direction of text around.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(character.escape_unicode());
            }
            character if character.is_control() => out.extend(character.escape_default()),
            character => out.push(character),
        }
    }
    out
}

/// A member of an answer for a cell: texts, numbers, yes and no, lists; `-` where there is none.
pub(crate) fn cell(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::Bool(is)) => if *is { "yes" } else { "no" }.into(),
        Some(Value::String(text)) if text.is_empty() => "-".into(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(items)) if items.is_empty() => "-".into(),
        Some(Value::Array(items)) => {
            let item = |item: &Value| item.as_str().map_or_else(|| item.to_string(), plain);
            items.iter().map(item).collect::<Vec<_>>().join(",")
        }
        Some(other) => plain(&other.to_string()),
    }
}

/// Prints items as a table: a title and a JSON pointer for each column.
pub(crate) fn print(items: &[Value], columns: &[(&str, &str)]) {
    for line in lines(items, columns) {
        logging::print(&line);
    }
}

fn lines(items: &[Value], columns: &[(&str, &str)]) -> Vec<String> {
    let titles: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let row = |item: &Value| columns.iter().map(|(_, pointer)| cell(item, pointer)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(items.iter().map(row)).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            rows.iter().filter_map(|row| Some(row.get(at)?.chars().count())).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Prints one thing as lines of name and value.
pub(crate) fn print_one(item: &Value, rows: &[(&str, &str)]) {
    let width = rows.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    for (title, pointer) in rows {
        logging::print(&format!("{title:<width$}  {}", cell(item, pointer)));
    }
}

/// The one item's id, if there is one; several are told apart by their ids alone.
pub(crate) fn only_id<'a>(
    items: impl Iterator<Item = &'a Value>,
) -> anyhow::Result<Option<String>> {
    let ids: Vec<&str> = items.filter_map(|item| item.get("id")?.as_str()).collect();
    match ids.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some((*id).to_owned())),
        several => {
            anyhow::bail!("several have that name; give the id of one: {}", several.join(", "))
        }
    }
}

/// Prints JSON, indented.
pub(crate) fn print_json(value: &Value) {
    logging::print(&format!("{value:#}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_and_nothing_reaches_the_terminal() {
        let items = [
            json!({ "id": "a", "name": "short", "active": true, "tags": ["x", "y"] }),
            json!({ "id": "bb", "name": "\u{1b}]0;title\u{7}", "active": false, "tags": [] }),
        ];
        let columns =
            [("ID", "/id"), ("NAME", "/name"), ("ON", "/active"), ("TAGS", "/tags"), ("NO", "/no")];
        let expected = [
            "ID  NAME                 ON   TAGS  NO",
            "a   short                yes  x,y   -",
            "bb  \\u{1b}]0;title\\u{7}  no   -     -",
        ];
        assert_eq!(lines(&items, &columns), expected);
    }

    #[test]
    fn a_name_that_several_have_is_refused() {
        let items = [json!({ "id": "a" }), json!({ "id": "b" })];
        assert_eq!(only_id(items[..0].iter()).unwrap(), None);
        assert_eq!(only_id(items[..1].iter()).unwrap().as_deref(), Some("a"));
        assert!(only_id(items.iter()).unwrap_err().to_string().contains("a, b"));
    }

    #[test]
    fn marks_that_turn_text_around_are_written_out() {
        assert_eq!(plain("a\u{202e}b\nc"), "a\\u{202e}b\\nc");
        assert_eq!(plain("ünïcode ✓"), "ünïcode ✓");
    }
}
