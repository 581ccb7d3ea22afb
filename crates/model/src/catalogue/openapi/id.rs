//! Ids of ours, made from the description's names: `[a-z][a-z0-9_]*`.

use std::collections::BTreeMap;

/// The longest id, in bytes.
const MAX_ID: usize = 64;

/// `listContacts` and `list contacts` as `list_contacts`; what begins with no letter gets `prefix`.
pub(super) fn of(name: &str, prefix: &str) -> String {
    let mut words = String::new();
    let letters: Vec<char> = name.chars().collect();
    for (at, letter) in letters.iter().copied().enumerate() {
        if !letter.is_ascii_alphanumeric() {
            push_break(&mut words);
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| letters.get(at)).copied().unwrap_or(' ');
        let after = letters.get(at + 1).copied().unwrap_or(' ');
        let begins = before.is_ascii_lowercase() || before.is_ascii_digit();
        // The last capital of `HTMLPage` begins the next word.
        let two_before = at.checked_sub(2).and_then(|at| letters.get(at)).copied().unwrap_or(' ');
        let in_acronym = before.is_ascii_uppercase() && two_before.is_ascii_uppercase();
        let ends_acronym = in_acronym && after.is_ascii_lowercase();
        if letter.is_ascii_uppercase() && (begins || ends_acronym) {
            push_break(&mut words);
        }
        words.push(letter.to_ascii_lowercase());
    }
    let words = words.trim_matches('_');
    let starts_well = words.starts_with(|c: char| c.is_ascii_lowercase());
    let id = match (starts_well, words.is_empty()) {
        (true, _) => words.to_owned(),
        (false, true) => prefix.to_owned(),
        (false, false) => format!("{prefix}_{words}"),
    };
    cut(&id, MAX_ID)
}

/// Ids that are taken, each with the number that is tried next.
#[derive(Debug, Default)]
pub(super) struct Taken(BTreeMap<String, u32>);

impl Taken {
    /// The id itself, or with a number behind it that makes it one of its own.
    pub(super) fn unique(&mut self, id: &str) -> String {
        let Some(next) = self.0.get(id).copied() else {
            self.0.insert(id.to_owned(), 2);
            return id.to_owned();
        };
        let numbered = (next..).map(|number| {
            let ending = format!("_{number}");
            (format!("{}{ending}", cut(id, MAX_ID - ending.len())), number)
        });
        let mut free = numbered.filter(|(id, _)| !self.0.contains_key(id));
        let (found, number) = free.next().unwrap_or_default();
        self.0.insert(id.to_owned(), number + 1);
        self.0.insert(found.clone(), 2);
        found
    }
}

fn push_break(words: &mut String) {
    if !words.is_empty() && !words.ends_with('_') {
        words.push('_');
    }
}

/// Ids are ASCII, so that every byte ends a character.
fn cut(id: &str, most: usize) -> String {
    id.get(..most).unwrap_or(id).trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        let check = |name: &str, expected: &str| assert_eq!(of(name, "op"), expected, "{name}");
        check("listContacts", "list_contacts");
        check("SendMail", "send_mail");
        check("issues/list-for-repo", "issues_list_for_repo");
        check("getHTMLPage", "get_html_page");
        check("get /v1/things/{thingId}", "get_v1_things_thing_id");
        check("createV2Thing", "create_v2_thing");
        check("OAuth2Token", "oauth2_token");
        check("  __weird..name!! ", "weird_name");
        check("2fa", "op_2fa");
        check("Größe", "gr_e");
        check("名前", "op");
        check(&"x".repeat(80), &"x".repeat(64));
    }

    #[test]
    fn ids_are_unique() {
        let mut taken = Taken::default();
        let long = "x".repeat(64);
        let ids: Vec<_> =
            ["a", "a", "a_2", "a", &long, &long].iter().map(|id| taken.unique(id)).collect();
        let ending = format!("{}_2", "x".repeat(62));
        assert_eq!(ids, ["a", "a_2", "a_2_2", "a_3", &long, &ending]);
    }
}
