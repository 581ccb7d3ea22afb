//! A workspace's own apps: manifests that its owners and admins have added.

use super::manifest::{Manifest, Protocol};
use super::{App, Catalogue, ManifestFault};
use crate::clock::Timestamp;
use crate::id::{MemberId, WorkspaceId};
use crate::json::Fault;
use crate::tag::{Columns, Granting};
use serde_json::Value;

/// The largest manifest of a workspace's own app, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 1 << 20;
/// How many apps of its own a workspace may have.
pub const MAX_OWN_APPS: i64 = 200;

/// What stands in the API's paths where apps have their id, for something else.
const OTHER_PATH: &str = "openapi";

/// Where a workspace's own app came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppSource {
    /// Somebody sent the manifest.
    Uploaded,
    /// It was made of an OpenAPI description.
    Openapi,
}

impl AppSource {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Openapi => "openapi",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Uploaded, Self::Openapi].into_iter().find(|source| source.as_str() == text)
    }
}

/// A workspace's own app as it is stored. It says where values may go, and so is tagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceApp {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The manifest's id.
    pub id: String,
    /// The manifest, JSON.
    pub manifest: String,
    /// Where it came from.
    pub source: AppSource,
    /// Who saved what it says now.
    pub author: MemberId,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was replaced.
    pub updated_at: Timestamp,
    /// Raised by each change; compare-and-set.
    pub revision: i64,
}

impl Granting for WorkspaceApp {
    const TABLE: &'static str = "apps";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.id).text(&self.manifest);
        out.text(self.source.as_str()).text(&self.author.to_string());
        out.number(self.created_at.millis()).number(self.updated_at.millis());
        out.number(self.revision);
    }
}

impl WorkspaceApp {
    /// The app that the row holds; `None` where the rules of this release do not take it.
    pub fn app(&self) -> Option<App> {
        let document: Value = serde_json::from_str(&self.manifest).ok()?;
        let app = App::read(&document).ok()?;
        beyond(&app.manifest, &Catalogue::default(), Some(&self.id)).is_empty().then_some(app)
    }
}

impl App {
    /// Reads the text of a workspace's own manifest, where `id` says so of the app of that id; the
    /// ids of the apps that come with the server are taken.
    ///
    /// # Errors
    /// Every fault with its line, at least one.
    pub fn parse_own(
        text: &str,
        built_in: &Catalogue,
        id: Option<&str>,
    ) -> Result<Self, Vec<ManifestFault>> {
        let app = Self::parse(text)?;
        let faults = beyond(&app.manifest, built_in, id);
        if faults.is_empty() { Ok(app) } else { Err(super::text::placed(text, faults)) }
    }

    /// The same for a manifest that was made here and so has no lines.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn read_own(document: &Value, built_in: &Catalogue) -> Result<Self, Vec<Fault>> {
        let app = Self::read(document)?;
        let faults = beyond(&app.manifest, built_in, None);
        if faults.is_empty() { Ok(app) } else { Err(faults) }
    }
}

/// What an own app must keep to beyond what holds for all.
fn beyond(manifest: &Manifest, built_in: &Catalogue, id: Option<&str>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if built_in.get(&manifest.id).is_some() || manifest.id == OTHER_PATH {
        let detail = "an app of this id comes with the server; take another one";
        faults.push(Fault::new("/id", "taken", detail));
    } else if id.is_some_and(|id| id != manifest.id) {
        let detail = "must be the id of the app that is replaced; an app's id never changes";
        faults.push(Fault::new("/id", "invalid_value", detail));
    }
    if manifest.protocol != Protocol::Http {
        let detail = "a workspace's own app speaks http; what speaks another protocol comes with \
                      the server";
        faults.push(Fault::new("/protocol", "unsupported", detail));
    }
    faults
}

/// Whether a workflow's definition, as it was saved, has a step or an agent's tool of that app.
pub fn names_app(definition: &Value, id: &str) -> bool {
    let is_tool = |tool: &Value| {
        let app = tool.as_str().and_then(|tool| tool.split_once('.')).map(|(app, _)| app);
        app == Some(id)
    };
    let steps = definition.get("steps").and_then(Value::as_array);
    steps.into_iter().flatten().any(|step| {
        let kind = step.get("kind").and_then(Value::as_str);
        let tools = step.get("tools").and_then(Value::as_array);
        match kind {
            Some("app") => step.get("app").and_then(Value::as_str) == Some(id),
            Some("agent") => tools.is_some_and(|tools| tools.iter().any(is_tool)),
            _ => false,
        }
    })
}

/// The JSON Schema of a manifest. It says less than is checked: templates and what they may name are
/// beyond it.
pub fn manifest_schema() -> Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<Manifest>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Identifier as _;
    use serde_json::json;
    use std::sync::Arc;

    const GOOD: &str = "\
id: demo
name: Demo
description: A service.
schemes:
  - id: key
    name: Key
    type: api_key
    fields: [{ name: api_key, label: Key, secret: true }]
    hosts: [api.example.com]
    attach: { headers: { X-Key: '{{ api_key }}' } }
actions:
  - id: ping
    name: Ping
    inputs: { type: object }
    request: { url: https://api.example.com/ping }
    example: {}
";

    fn told(text: &str, built_in: &Catalogue) -> Vec<String> {
        let faults = App::parse_own(text, built_in, Some("demo")).err().into_iter().flatten();
        faults.map(|fault| format!("{} {}", fault.line, fault.fault.code)).collect()
    }

    #[test]
    fn an_own_app_takes_no_id_of_the_servers_and_no_protocol() {
        let none = Catalogue::default();
        assert_eq!(told(GOOD, &none), [""; 0]);
        let built_in = Catalogue::new([Arc::new(App::parse(GOOD).expect("a manifest"))]);
        assert_eq!(told(GOOD, &built_in), ["1 taken"]);
        let mail = GOOD.replace("description:", "protocol: smtp\ndescription:");
        assert_eq!(told(&mail, &none), ["3 unsupported"]);
        assert_eq!(told(&GOOD.replace("name: Ping", "name: ''"), &none), ["13 invalid_value"]);
        assert_eq!(told(&GOOD.replace("id: demo", "id: other"), &none), ["1 invalid_value"]);
        assert_eq!(told(&GOOD.replace("id: demo", "id: openapi"), &none), ["1 taken"]);
        let document = json!({ "id": "demo" });
        assert!(App::read_own(&document, &none).is_err());
    }

    #[test]
    fn the_manifest_of_the_documentation_is_one() {
        let text = include_str!("../../../../docs/own-apps.md");
        let block = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
        let read = App::parse_own(block.expect("an example"), &Catalogue::default(), None);
        assert_eq!(read.err(), None);
    }

    #[test]
    fn a_row_gives_the_app_that_it_was_saved_as() {
        let app = App::parse(GOOD).expect("a manifest");
        let manifest = serde_json::to_string(&app.manifest).expect("JSON");
        let at = Timestamp::from_millis(1);
        let row = WorkspaceApp {
            workspace: WorkspaceId::from_bytes([1; 16]),
            id: "demo".into(),
            manifest,
            source: AppSource::Uploaded,
            author: MemberId::from_bytes([2; 16]),
            created_at: at,
            updated_at: at,
            revision: 1,
        };
        assert!(row.app().is_some_and(|app| app.action("ping").is_some()));
        assert!(WorkspaceApp { id: "other".into(), ..row.clone() }.app().is_none());
        let mail = row.manifest.replace(r#""protocol":"http""#, r#""protocol":"smtp""#);
        assert_ne!(mail, row.manifest);
        assert!(WorkspaceApp { manifest: mail, ..row.clone() }.app().is_none());
        assert!(WorkspaceApp { manifest: "{".into(), ..row }.app().is_none());
    }

    #[test]
    fn steps_and_tools_name_apps() {
        let check = |step: Value, expected: bool| {
            let definition = json!({ "name": "N", "steps": [{ "kind": "code" }, step] });
            assert_eq!(names_app(&definition, "demo"), expected, "{definition}");
        };
        check(json!({ "kind": "app", "app": "demo", "action": "ping" }), true);
        check(json!({ "kind": "app", "app": "demo2", "action": "demo" }), false);
        check(json!({ "kind": "agent", "tools": ["http", "demo.ping"] }), true);
        check(json!({ "kind": "agent", "tools": ["http", "other.demo"] }), false);
        check(json!({ "kind": "code", "source": "demo", "app": "demo" }), false);
        assert!(!names_app(&json!(null), "demo"));
    }

    #[test]
    fn the_schema_knows_every_member() {
        let schema = manifest_schema();
        for member in ["id", "schemes", "actions", "protocol"] {
            assert!(schema["properties"].get(member).is_some(), "{member}");
        }
    }
}
