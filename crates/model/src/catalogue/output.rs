//! Paths into an output that stand for many values: `data`, `rows[*].token`.

use crate::template::{Path, Segment};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Down {
    /// A member of an object.
    Member(String),
    /// Every item of an array.
    Each,
}

/// A path that is the same for every item of an array. What lies below it belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutputPath(Vec<Down>);

impl OutputPath {
    /// Reads `a.b[*].c`; the empty text is everything.
    pub fn parse(text: &str) -> Option<Self> {
        let mut down = Vec::new();
        for part in text.split('.').filter(|_| !text.is_empty()) {
            let name = part.trim_end_matches("[*]");
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-$".contains(c);
            if name.is_empty() || !name.chars().all(plain) {
                return None;
            }
            down.push(Down::Member(name.to_owned()));
            down.extend((0..(part.len() - name.len()) / 3).map(|_| Down::Each));
        }
        Some(Self(down))
    }

    /// A static path's: what holds for one item of an array holds for all of them, since the
    /// items beside a secret are most likely secrets too.
    pub fn of(path: &Path) -> Self {
        let down = |segment: &Segment| match segment {
            Segment::Member(name) => Down::Member(name.clone()),
            Segment::Index(_) => Down::Each,
        };
        Self(path.segments.iter().map(down).collect())
    }

    /// Whether a place in a document, given as names and indexes, lies at or below this path.
    pub fn covers(&self, place: &[Segment]) -> bool {
        let fits = |(down, segment): (&Down, &Segment)| match (down, segment) {
            (Down::Member(name), Segment::Member(found)) => name == found,
            // Code calls a member of an object by its index too.
            (Down::Each, _) => true,
            (Down::Member(_), Segment::Index(_)) => false,
        };
        self.0.len() <= place.len() && self.0.iter().zip(place).all(fits)
    }

    /// Calls `visit` with each text and number at or below this path and with its place, except
    /// where `spared` covers it. Data comes in other forms than were thought of, and nothing of it may
    /// slip through: what ends above the path is visited as a whole, such as JSON that came as text, a
    /// list is walked where an object was expected, and names count in any case.
    pub fn each_leaf(
        &self,
        value: &mut Value,
        spared: &[Self],
        visit: &mut dyn FnMut(&[Segment], &mut Value),
    ) {
        walk(value, &self.0, &mut Vec::new(), spared, visit);
    }
}

fn walk(
    value: &mut Value,
    down: &[Down],
    place: &mut Vec<Segment>,
    spared: &[OutputPath],
    visit: &mut dyn FnMut(&[Segment], &mut Value),
) {
    let (next, rest) = match down.split_first() {
        Some((next, rest)) => (Some(next), rest),
        None => (None, down),
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let fits = next.is_none_or(|next| match next {
                    Down::Member(wanted) => wanted.eq_ignore_ascii_case(name),
                    Down::Each => true,
                });
                if fits {
                    place.push(Segment::Member(name.clone()));
                    walk(member, rest, place, spared, visit);
                    place.pop();
                }
            }
        }
        Value::Array(items) => {
            let rest = if matches!(next, Some(Down::Member(_))) { down } else { rest };
            for (index, item) in items.iter_mut().enumerate() {
                place.push(Segment::Index(index));
                walk(item, rest, place, spared, visit);
                place.pop();
            }
        }
        Value::String(_) | Value::Number(_) if !spared.iter().any(|path| path.covers(place)) => {
            visit(place, value);
        }
        _ => {}
    }
}

impl fmt::Display for OutputPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, down) in self.0.iter().enumerate() {
            match down {
                Down::Member(name) if at == 0 => f.write_str(name)?,
                Down::Member(name) => write!(f, ".{name}")?,
                Down::Each => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_below_a_path_are_visited_and_others_are_not() {
        let check = |path: &str, spared: &[&str], expected: Value| {
            let mut value = json!({
                "data": {"token": "t", "n": 7, "ok": true, "none": null, "deep": ["x", {"y": "z"}]},
                "rows": [{"token": "a", "id": 1}, {"token": "b", "id": 2}],
                "token": "plain",
            });
            let spared: Vec<_> = spared.iter().map(|s| OutputPath::parse(s).unwrap()).collect();
            let path = OutputPath::parse(path).unwrap();
            path.each_leaf(&mut value, &spared, &mut |_, leaf| *leaf = json!("*"));
            assert_eq!(value, expected, "{path}");
        };
        let rows = json!([{"token": "a", "id": 1}, {"token": "b", "id": 2}]);
        let data =
            json!({"token": "t", "n": 7, "ok": true, "none": null, "deep": ["x", {"y": "z"}]});
        let hidden =
            json!({"token": "*", "n": "*", "ok": true, "none": null, "deep": ["*", {"y": "*"}]});
        check("data", &[], json!({"data": hidden, "rows": rows, "token": "plain"}));
        let spared =
            json!({"token": "*", "n": 7, "ok": true, "none": null, "deep": ["*", {"y": "*"}]});
        check("data", &["data.n"], json!({"data": spared, "rows": rows, "token": "plain"}));
        let tokens = json!([{"token": "*", "id": 1}, {"token": "*", "id": 2}]);
        check("rows[*].token", &[], json!({"data": data, "rows": tokens, "token": "plain"}));
        check("rows.token", &[], json!({"data": data, "rows": tokens, "token": "plain"}));
        check("rows[*].TOKEN", &[], json!({"data": data, "rows": tokens, "token": "plain"}));
        check("absent.token", &[], json!({"data": data, "rows": rows, "token": "plain"}));
        check("token.below", &[], json!({"data": data, "rows": rows, "token": "*"}));
        check("token[*].below", &["token"], json!({"data": data, "rows": rows, "token": "plain"}));
        let deep =
            json!({"token": "t", "n": 7, "ok": true, "none": null, "deep": ["*", {"y": "z"}]});
        check("data.deep[*].x.z", &[], json!({"data": deep, "rows": rows, "token": "plain"}));
    }

    #[test]
    fn texts_are_read_and_written() {
        for text in ["", "data", "rows[*].token", "a[*][*].b-c"] {
            assert_eq!(OutputPath::parse(text).unwrap().to_string(), text);
        }
        for text in [".", "a..b", "[*]", "a[0]", "a b"] {
            assert!(OutputPath::parse(text).is_none(), "{text}");
        }
    }
}
