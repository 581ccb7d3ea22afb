//! Credentials: what is stored of one beside its sealed values, and how it attaches to a request.

use crate::clock::Timestamp;
use crate::destination::EgressPolicy;
use crate::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};
use crate::lifecycle::Lifecycle;
use crate::tag::{Columns, Granting};
use crate::template::{Dialect, Path, Template};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most bytes that one secret field may hold.
pub const MAX_FIELD_BYTES: usize = 65_536;
/// The most fields that one credential may have.
pub const MAX_FIELDS: usize = 64;

/// How a credential is made up and attaches to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// One secret `value` in a header or the query.
    ApiKey,
    /// `username` and a secret `password`, sent as HTTP Basic (RFC 7617).
    Basic,
    /// Any named fields, placed by a template.
    Custom,
}

impl CredentialType {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::Custom => "custom",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ApiKey, Self::Basic, Self::Custom].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Whose steps may resolve a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All workflows of the workspace.
    Workspace,
    /// One workflow; overrides every other credential of the same key there.
    Workflow(WorkflowId),
    /// The workflows of one member, and of those whom it is shared with.
    Personal(MemberId),
}

impl Scope {
    /// The kind's word, as stored and shown.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Workflow(_) => "workflow",
            Self::Personal(_) => "personal",
        }
    }

    /// The workflow's or member's id as text, or empty.
    pub fn id_text(self) -> String {
        match self {
            Self::Workspace => String::new(),
            Self::Workflow(id) => id.to_string(),
            Self::Personal(id) => id.to_string(),
        }
    }

    /// Reads the two stored columns.
    pub fn parse(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "workspace" if id.is_empty() => Some(Self::Workspace),
            "workflow" => id.parse().ok().map(Self::Workflow),
            "personal" => id.parse().ok().map(Self::Personal),
            _ => None,
        }
    }
}

/// What `credential("KEY")` gives to code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeAccess {
    /// A sealed value, which only the broker turns into the real one.
    Sealed,
    /// The value itself, audited at each use.
    Readable,
}

impl CodeAccess {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Readable => "readable",
        }
    }
}

/// Whether a credential can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It can.
    Active,
    /// Its date has passed.
    Expired,
    /// It cannot be opened, or the service refused it; the reason says which.
    Error,
    /// It must be connected to its service, anew or for the first time.
    ReauthorizationRequired,
    /// Somebody stopped every use of it.
    Suspended,
}

impl Status {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Error => "error",
            Self::ReauthorizationRequired => "reauthorization_required",
            Self::Suspended => "suspended",
        }
    }

    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Expired, Self::Error, Self::ReauthorizationRequired, Self::Suspended];

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// The part of a credential that is plain by nature and grants nothing: what people wrote about it,
/// its non-secret fields and how it attaches. Stored as one JSON document inside the tagged row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `prod`, `staging`, `dev` or free text.
    pub environment: String,
    /// Labels.
    pub tags: Vec<String>,
    /// Plain fields by name, such as `username` or `in`.
    pub plain: BTreeMap<String, String>,
    /// Names of the secret fields, whose values lie in the versions.
    pub secret: Vec<String>,
    /// For `custom`: where the fields go, `{"headers":{},"query":{},"json":{}}` with `{{ field }}` holes.
    pub template: Option<Value>,
    /// A request that tests the credential: method and URL.
    pub test: Option<TestRequest>,
    /// The app that it is for, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The app's scheme, by id; `template` then says how it attaches, as the app's manifest did when
    /// the credential was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Secret fields whose values are read from a secret store when they are used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Link>,
}

/// Where a linked field's value is read: the action of another credential's app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The key of the credential that reads.
    pub credential: String,
    /// The action, where its app has several that read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The action's inputs.
    pub inputs: serde_json::Map<String, Value>,
    /// Where in the output the value stands, such as `data.password` or `rows[0].token`.
    pub output: String,
    /// For how long a value that was read may be kept in memory, in seconds.
    #[serde(default = "link_age")]
    pub max_age_seconds: u32,
}

/// For so long a linked value is kept where nothing is said.
fn link_age() -> u32 {
    60
}

/// A request that tests a credential without an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// HTTP method.
    pub method: String,
    /// Absolute URL.
    pub url: String,
}

/// The head of a credential: everything but its values. Grants, and so is tagged.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: CredentialId,
    /// The identifier that steps name, unique in its scope.
    pub key: String,
    /// How it is made up.
    pub kind: CredentialType,
    /// Whose steps may resolve it.
    pub scope: Scope,
    /// Where it may go.
    pub policy: EgressPolicy,
    /// What code gets.
    pub code_access: CodeAccess,
    /// Everything plain.
    pub details: Details,
    /// The version whose value is used.
    pub version: i64,
    /// Whether it can be used.
    pub status: Status,
    /// Why it cannot, a fixed word.
    pub status_reason: Option<String>,
    /// Who made it.
    pub owner: MemberId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything of it was changed.
    pub updated_at: Timestamp,
    /// When its value was replaced.
    pub rotated_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// Raised by each change; compare-and-set.
    pub revision: i64,
    /// Its versions, tests, suspension and deletion.
    pub lifecycle: Lifecycle,
}

impl Link {
    /// Where in the output the value stands; `None` where the text is no plain path.
    pub fn path(&self) -> Option<Path> {
        let whole = format!("{{{{ answer.{} }}}}", self.output);
        let template = Template::compile_in(Dialect::Manifest, &whole).ok()?;
        template.lone_path().cloned()
    }
}

impl Credential {
    /// The policy as the stored JSON document.
    pub fn policy_document(&self) -> String {
        let (hosts, methods, paths, places) = self.policy.lists();
        serde_json::json!({ "hosts": hosts, "methods": methods, "paths": paths, "places": places })
            .to_string()
    }

    /// The details as the stored JSON document.
    pub fn details_document(&self) -> String {
        serde_json::to_string(&self.details).unwrap_or_default()
    }

    /// The lifecycle as the stored JSON document.
    pub fn lifecycle_document(&self) -> String {
        serde_json::to_string(&self.lifecycle).unwrap_or_default()
    }

    /// Whether a connection test can be made: it is said how, and the value has its place in it.
    pub fn is_testable(&self) -> bool {
        let placed = self.kind != CredentialType::Custom || self.details.template.is_some();
        self.details.app.is_some() || self.details.test.is_some() && placed
    }

    /// The secret field that `credential("KEY")` means: `value`, `password`, or the only one.
    pub fn main_field(&self) -> Option<&str> {
        let main = match self.kind {
            _ if self.details.app.is_some() => match self.details.secret.as_slice() {
                [only] => Some(only.as_str()),
                _ => None,
            },
            CredentialType::ApiKey => Some("value"),
            CredentialType::Basic => Some("password"),
            CredentialType::Custom => match self.details.secret.as_slice() {
                [only] => Some(only.as_str()),
                fields => fields.iter().map(String::as_str).find(|name| *name == "value"),
            },
        };
        main.filter(|name| self.details.secret.iter().any(|field| field == name))
    }
}

/// Reads a stored policy document.
pub fn policy_from_document(text: &str) -> Option<EgressPolicy> {
    #[derive(Deserialize)]
    struct Document {
        hosts: Vec<String>,
        methods: Vec<String>,
        paths: Vec<String>,
        places: Vec<crate::destination::Place>,
    }
    let document: Document = serde_json::from_str(text).ok()?;
    EgressPolicy::parse(&document.hosts, &document.methods, &document.paths, &document.places).ok()
}

impl Granting for Credential {
    const TABLE: &'static str = "credentials";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.id.to_string()).text(&self.key);
        out.text(self.kind.as_str()).text(self.scope.kind()).text(&self.scope.id_text());
        out.text(&self.policy_document()).text(self.code_access.as_str());
        out.text(&self.details_document()).number(self.version).text(self.status.as_str());
        out.optional(self.status_reason.as_deref()).text(&self.owner.to_string());
        out.number(self.created_at.millis()).number(self.updated_at.millis());
        out.number(self.rotated_at.millis());
        out.number(self.expires_at.map_or(-1, Timestamp::millis)).number(self.revision);
        // Rows from before there was a lifecycle keep their tag.
        if self.lifecycle != Lifecycle::default() {
            out.text(&self.lifecycle_document());
        }
    }
}

/// One sealed version of a credential: the wrapped version key and each secret field under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialVersion {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The credential.
    pub credential: CredentialId,
    /// 1 for the first.
    pub version: i64,
    /// The wrapped version key (docs/sealed-format.md).
    pub wrapped_key: Sealed,
    /// Sealed fields by name.
    pub fields: BTreeMap<String, Sealed>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An encrypted record (docs/sealed-format.md): the store may keep it, only the vault opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps the bytes of a record, made by the vault or read back from the database.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The record's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
