//! Values that are saved, but of which a person should know something.

use super::fields::{Fields, Form};
use keyward_model::json::child;
use keyward_model::mask::Strength;
use keyward_vault::Incoming;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

const ROOT: &str = "/fields";

/// A value that was saved but cannot be hidden well.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
pub(crate) struct Warning {
    pointer: String,
    code: &'static str,
    detail: &'static str,
}

impl Form {
    /// Warns of values that masking can hide only in part, and of such as the vendor's do not begin.
    pub(crate) fn warnings(&self, fields: &Fields) -> Vec<Warning> {
        let mut warnings = warnings(&fields.secret);
        let Self::Scheme(scheme) = self else { return warnings };
        for field in scheme.fields.iter().filter(|field| !field.prefixes.is_empty()) {
            let begins = |text: &String| field.prefixes.iter().any(|p| text.starts_with(p));
            let plain = fields.plain.get(&field.name).is_none_or(begins);
            let secret = fields.secret.get(&field.name);
            if !plain || secret.is_some_and(|value| !value.begins_with_one_of(&field.prefixes)) {
                let detail =
                    "the vendor's values begin otherwise; is it the one that is asked for?";
                let pointer = child(ROOT, &field.name);
                warnings.push(Warning { pointer, code: "unexpected_prefix", detail });
            }
        }
        warnings
    }
}

/// Warns of values that masking can hide only in part.
fn warnings(secret: &BTreeMap<String, Incoming>) -> Vec<Warning> {
    let warning = |(name, value): (&String, &Incoming)| {
        let (code, detail) = match value.strength() {
            Strength::Strong => return None,
            Strength::Weak => (
                "weak_value",
                "this value is easy to guess; in logs and outputs it is hidden only where it \
                stands as a word of its own",
            ),
            Strength::Tiny => (
                "tiny_value",
                "this value is so short that logs and outputs hide it only where it stands \
                entirely alone; use a longer one if the service allows it",
            ),
        };
        Some(Warning { pointer: child(ROOT, name), code, detail })
    };
    secret.iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fields::Given;
    use super::*;
    use keyward_model::credential::CredentialType;
    use serde_json::json;

    #[test]
    fn values_that_masking_cannot_hide_well_are_warned_of() {
        let check = |value: &str, expected: &[&str]| {
            let given = Given::take(json!({"value": value})).merge(CredentialType::ApiKey, None);
            let warnings = warnings(&given.expect("fits").secret);
            let found: Vec<_> = warnings.iter().map(|w| w.code).collect();
            assert_eq!(found, expected, "{value}");
            assert!(warnings.iter().all(|w| w.pointer == "/fields/value"));
        };
        check("9aH2kQ7rT4vX1zB6nM3pL8wC5yD0", &[]);
        check("password", &["weak_value"]);
        check("1234", &["tiny_value"]);
    }
}
