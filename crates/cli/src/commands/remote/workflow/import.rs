//! `keyward workflow import`: a definition from elsewhere, with the credentials of this workspace.

use super::super::client::{Body, Client, Refused};
use super::super::{secret, table};
use super::{Definition, print_saved};
use anyhow::Context as _;
use clap::Args;
use keyward_model::json;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Import {
    /// The definition, JSON or YAML, or what `export --json` printed; `-` is standard input.
    file: PathBuf,
    /// For a key that the definition names, the key of a credential that you may use; without one
    /// for each key nothing is saved, and the open keys are told with what could be bound.
    #[arg(long, value_name = "KEY=OTHER_KEY", value_parser = key_and_other)]
    bind: Vec<(String, String)>,
    /// Do not switch the workflow's trigger on.
    #[arg(long)]
    inactive: bool,
}

fn key_and_other(text: &str) -> Result<(String, String), String> {
    let (key, other) = text.split_once('=').ok_or("write it as KEY=OTHER_KEY")?;
    Ok((key.to_owned(), other.to_owned()))
}

/// Saves the workflow, or says which keys are open.
pub(crate) async fn run(import: Import, client: &Client) -> anyhow::Result<()> {
    let body = body(&import, &secret::read_input(&import.file)?)?;
    let sent = client.send("POST", "/workflows/import", Body::json(&body)).await;
    let saved = sent.map_err(with_candidates)?;
    print_saved("imported", &saved, client);
    Ok(())
}

fn body(import: &Import, text: &str) -> anyhow::Result<Value> {
    let mut bindings = Map::new();
    for (key, other) in &import.bind {
        let earlier = bindings.insert(key.clone(), other.as_str().into());
        anyhow::ensure!(earlier.is_none(), "--bind names {} twice", table::plain(key));
    }
    let (member, definition) = definition(&import.file, text)?;
    Ok(json!({ member: definition, "bindings": bindings, "active": !import.inactive }))
}

/// The member that the definition is sent in: JSON as a document, YAML as the text that it is.
fn definition(file: &Path, text: &str) -> anyhow::Result<(&'static str, Value)> {
    let Definition { media_type, bytes, .. } = Definition::read(file, text);
    if media_type == "application/json" {
        let parsed = json::parse(&bytes).with_context(|| file.display().to_string())?;
        return Ok(("definition", parsed));
    }
    Ok(("yaml", String::from_utf8(bytes)?.into()))
}

/// The same refusal, in which each open key stands as the option that binds it, with the keys that
/// the server proposes.
fn with_candidates(error: anyhow::Error) -> anyhow::Error {
    let mut refused = match error.downcast::<Refused>() {
        Ok(refused) => refused,
        Err(other) => return other,
    };
    let candidates = refused.problem.get_mut("candidates").map(Value::take).unwrap_or_default();
    let faults = refused.problem.get_mut("errors").and_then(Value::as_array_mut);
    for fault in faults.into_iter().flatten() {
        let pointer = fault.get("pointer").and_then(Value::as_str).unwrap_or_default();
        let Some(key) = pointer.strip_prefix("/bindings/") else { continue };
        let Some(proposed) = candidates.get(key).and_then(Value::as_array) else { continue };
        let proposed: Vec<&str> = proposed.iter().filter_map(Value::as_str).collect();
        let detail = match proposed.as_slice() {
            [] => "you may use no credential yet; make one first".to_owned(),
            proposed => format!("you may use {}", proposed.join(", ")),
        };
        let code = fault.get("code").cloned();
        *fault = json!({ "pointer": format!("--bind {key}=…"), "detail": detail, "code": code });
    }
    refused.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str, bind: &[&str], expected: Result<Value, &str>) {
        let bind = bind.iter().map(|text| key_and_other(text).unwrap()).collect();
        let import = Import { file: file.into(), bind, inactive: false };
        match (body(&import, text), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(found), Err(expected)) => {
                assert!(format!("{found:#}").contains(expected), "{found:#}");
            }
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_file_is_sent_as_what_it_is() {
        let sent = |member: &str, definition: Value, bindings: Value| {
            Ok(json!({ member: definition, "bindings": bindings, "active": true }))
        };
        let named = json!({ "name": "A" });
        check("a.json", r#"{"name":"A"}"#, &[], sent("definition", named.clone(), json!({})));
        let export = r#"{"definition":{"name":"A"},"credentials":["K"],"needs":[]}"#;
        let bound = json!({ "K": "MINE", "L": "a=b" });
        check("-", export, &["K=MINE", "L=a=b"], sent("definition", named, bound));
        check("a.yml", "name: A # x\n", &[], sent("yaml", json!("name: A # x\n"), json!({})));
        check("a.json", "{\n\"name\":", &[], Err("a.json: line 2"));
        check("a.json", "{}", &["K=A", "K=B"], Err("names K twice"));
        assert!(key_and_other("K").is_err());
    }

    #[test]
    fn open_keys_are_told_as_options() {
        let problem = json!({
            "title": "Bad", "detail": "4 members",
            "errors": [
                { "pointer": "/bindings/OLD", "code": "missing", "detail": "bind it: A, B" },
                { "pointer": "/bindings/NONE", "code": "unknown_key", "detail": "none" },
                { "pointer": "/bindings/MORE", "code": "unknown_key", "detail": "not named" },
                { "pointer": "/definition/steps", "code": "missing", "detail": "is needed" },
            ],
            "candidates": { "OLD": ["A", "B"], "NONE": [] },
        });
        let told = with_candidates(Refused { problem }.into()).to_string();
        let expected = "Bad: 4 members\
            \n  --bind OLD=…: you may use A, B (missing)\
            \n  --bind NONE=…: you may use no credential yet; make one first (unknown_key)\
            \n  /bindings/MORE: not named (unknown_key)\
            \n  /definition/steps: is needed (missing)";
        assert_eq!(told, expected);
        assert_eq!(with_candidates(anyhow::anyhow!("no way")).to_string(), "no way");
    }
}
