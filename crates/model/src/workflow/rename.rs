//! Other names for the keys of a definition: in its typed nodes and lists; those in the source of
//! code steps are the sandbox's to find.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Puts other names in the place of keys, wherever the definition takes one beside its code. A list
/// that would name a key twice names it once.
pub fn rename_keys(document: &mut Value, names: &BTreeMap<String, String>) {
    let steps = document.get_mut("steps").and_then(Value::as_array_mut);
    for step in steps.into_iter().flatten() {
        for pointer in ["/credential/$credential", "/model/credential/$credential"] {
            if let Some(key) = step.pointer_mut(pointer) {
                rename(key, names);
            }
        }
        if let Some(list) = step.get_mut("credentials").and_then(Value::as_array_mut) {
            list.iter_mut().for_each(|key| rename(key, names));
            let mut seen = BTreeSet::new();
            list.retain(|key| key.as_str().is_none_or(|key| seen.insert(key.to_owned())));
        }
    }
}

fn rename(key: &mut Value, names: &BTreeMap<String, String>) {
    if let Some(name) = key.as_str().and_then(|key| names.get(key)) {
        *key = Value::String(name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_renamed_where_they_are_keys() {
        let mut document = json!({"name": "A", "steps": [
            {"id": "a", "kind": "http", "credential": {"$credential": "A"},
                "request": {"json": {"text": "A", "$credential": "A"}}},
            {"id": "b", "kind": "code", "source": "credential('A')", "credentials": ["A", "B", "C"]},
            {"id": "A", "kind": "agent", "model": {"name": "A", "credential": {"$credential": "B"}},
                "prompt": "Use A", "credentials": ["C", "A"]},
            {"id": "c", "kind": "app", "credential": {"$external": {"fields": {"A": "A"}}}},
        ]});
        let names = [("A", "X"), ("B", "X"), ("C", "C")];
        let names = names.map(|(from, to)| (from.to_owned(), to.to_owned()));
        rename_keys(&mut document, &BTreeMap::from(names));
        let expected = json!({"name": "A", "steps": [
            {"id": "a", "kind": "http", "credential": {"$credential": "X"},
                "request": {"json": {"text": "A", "$credential": "A"}}},
            {"id": "b", "kind": "code", "source": "credential('A')", "credentials": ["X", "C"]},
            {"id": "A", "kind": "agent", "model": {"name": "A", "credential": {"$credential": "X"}},
                "prompt": "Use A", "credentials": ["C", "X"]},
            {"id": "c", "kind": "app", "credential": {"$external": {"fields": {"A": "A"}}}},
        ]});
        assert_eq!(document, expected);
    }
}
