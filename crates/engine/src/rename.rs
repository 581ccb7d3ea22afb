//! Other names for the keys that a definition names, as importing it asks for: in its typed nodes,
//! its lists, and the string literals of its code, found by their place in the syntax tree.

use crate::Engine;
use crate::save::SaveError;
use keyward_model::workflow::{Definition, StepKind, rename_keys};
use keyward_sandbox::KeyLiteral;
use serde_json::Value;
use std::collections::BTreeMap;

impl Engine {
    /// The document with other names in the place of keys. Whoever saves it checks it anew.
    ///
    /// # Errors
    /// As `check`.
    pub async fn rename_keys(
        &self,
        document: &Value,
        names: &BTreeMap<String, String>,
    ) -> Result<Value, SaveError> {
        let definition = Definition::parse(document).map_err(SaveError::Faults)?;
        let mut renamed = document.clone();
        rename_keys(&mut renamed, names);
        for (position, step) in definition.steps.iter().enumerate() {
            let StepKind::Code(code) = &step.kind else { continue };
            let compiled = self.compile(position, code).await?;
            let source = spliced(&code.source, compiled.literals, names);
            if let Some(place) = renamed.pointer_mut(&format!("/steps/{position}/source")) {
                *place = Value::String(source);
            }
        }
        Ok(renamed)
    }
}

/// The source with other keys in its literals; everything else stays as it was written.
fn spliced(
    source: &str,
    mut literals: Vec<KeyLiteral>,
    names: &BTreeMap<String, String>,
) -> String {
    literals.sort_by_key(|literal| literal.start);
    let mut out = String::with_capacity(source.len());
    let mut rest = 0;
    for KeyLiteral { key, start, end } in literals {
        let Some(name) = names.get(&key).filter(|name| **name != key) else { continue };
        let Some(before) = source.get(rest..start).filter(|_| end <= source.len()) else {
            continue;
        };
        out.push_str(before);
        // A key has no character that a literal would have to escape.
        out.push_str(&format!("\"{name}\""));
        rest = end;
    }
    out.push_str(source.get(rest..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_literals_are_replaced() {
        let source = "credential('A'); say('A', `é${credential(\"B\")}`)";
        let literal = |key: &str, text: &str| {
            let start = source.find(text).expect("there") + "credential(".len();
            KeyLiteral { key: key.into(), start, end: start + key.len() + 2 }
        };
        let literals = vec![literal("B", "credential(\"B"), literal("A", "credential('A")];
        let names = [("A", "X.y"), ("B", "B")].map(|(from, to)| (from.into(), to.into()));
        let found = spliced(source, literals.clone(), &BTreeMap::from(names));
        assert_eq!(found, "credential(\"X.y\"); say('A', `é${credential(\"B\")}`)");
        let names = BTreeMap::from([("B".to_owned(), "C".to_owned())]);
        let expected = "credential('A'); say('A', `é${credential(\"C\")}`)";
        assert_eq!(spliced(source, literals, &names), expected);
    }
}
