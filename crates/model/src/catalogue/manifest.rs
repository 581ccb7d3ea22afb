//! The form of an app's manifest: what people write, before it is checked.

use crate::credential::CredentialType;
use crate::destination::Place;
use crate::workflow::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An app: a service that steps act on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppManifest")]
pub struct Manifest {
    /// Its id, `[a-z][a-z0-9_]*`, 64 characters at most: what steps name.
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// An SVG picture as text; no scripts, no links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Where its interface is documented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Where the service says whether it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_page: Option<String>,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// The ways to authenticate to it, at least one.
    pub schemes: Vec<Scheme>,
    /// What steps can do with it, at least one.
    pub actions: Vec<Action>,
}

/// What an app speaks. All but `http` are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AppProtocol")]
pub enum Protocol {
    /// HTTP requests, described by templates.
    #[default]
    Http,
    /// Mail submission (RFC 6409).
    Smtp,
    /// PostgreSQL's protocol.
    Postgres,
    /// MySQL's and MariaDB's protocol.
    Mysql,
    /// A SQLite file in the operator's folder.
    Sqlite,
}

/// A way to authenticate to an app: a typed form, and what becomes of its fields.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppScheme")]
pub struct Scheme {
    /// Its id within the app, in the vendor's words.
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// When to take this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The type of its credentials.
    #[serde(rename = "type")]
    pub kind: CredentialType,
    /// What a person enters.
    pub fields: Vec<Field>,
    /// Where its credentials may go: host entries, with `{{ field }}` holes of plain fields.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Where in a request its values may stand; header, query and body where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// How it attaches to each request.
    #[serde(default)]
    pub attach: Attach,
    /// A request that gets what the others need, such as a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    /// A request that shows whether the credential works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// A field of a scheme's form.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppField")]
pub struct Field {
    /// Its name, in the vendor's words.
    pub name: String,
    /// The label that people read.
    pub label: String,
    /// Where to find the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether its value is secret.
    #[serde(default)]
    pub secret: bool,
    /// Whether it must be given; a field with a default need not.
    #[serde(default = "yes")]
    pub required: bool,
    /// What a plain field holds where nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The values that a plain field takes, where they are few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// What the value must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What the value begins with, where the vendor says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Whether a change of it needs all secrets anew, because it says how safely they travel: TLS or
    /// not, and whose certificates are trusted. `ca_pem` does so anyway.
    #[serde(default)]
    pub guards: bool,
}

fn yes() -> bool {
    true
}

/// What a field's value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AppFormat")]
pub enum Format {
    /// `https://` or `http://`, a host, perhaps a port and a path; no user, query or fragment.
    Url,
    /// A host name or address.
    Host,
    /// One label of a host name, such as the `acme` of `acme.example.com`.
    Label,
    /// A TCP port.
    Port,
    /// PEM text (RFC 7468).
    Pem,
    /// Letters, digits and `-._~` only.
    Word,
}

/// Where a scheme's fields go: texts with `{{ field }}` holes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppAttach")]
pub struct Attach {
    /// Headers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Query parameters by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Members put into a JSON body.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub json: Map<String, Value>,
    /// HTTP Basic (RFC 7617).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// AWS Signature Version 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigv4: Option<SigV4>,
}

/// What HTTP Basic is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppBasic")]
pub struct Basic {
    /// Before the colon.
    pub username: String,
    /// Behind it.
    pub password: String,
}

/// What a signature of AWS's is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppSigV4")]
pub struct SigV4 {
    /// The service's name, such as `secretsmanager`.
    pub service: String,
    /// The region.
    pub region: String,
    /// The field that holds the access key's id.
    #[serde(default = "access_key_id")]
    pub access_key_id: String,
    /// The field that holds the secret access key.
    #[serde(default = "secret_access_key")]
    pub secret_access_key: String,
    /// The field that holds the session token, where one is set.
    #[serde(default = "session_token")]
    pub session_token: String,
}

fn access_key_id() -> String {
    "access_key_id".into()
}

fn secret_access_key() -> String {
    "secret_access_key".into()
}

fn session_token() -> String {
    "session_token".into()
}

/// A request, with templates over `inputs` and `credential`. What is nothing but a path that is not
/// there is left out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppRequest")]
pub struct Request {
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The URL. Inputs stand in its path as one segment each, percent-encoded.
    pub url: String,
    /// Inputs that stand in the path as several segments: their `/` stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path_inputs: Vec<String>,
    /// Headers. Where `Accept` does not ask for HTML, an answer that is a page of HTML is an error.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    /// Query parameters beside the URL's own.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Map<String, Value>>,
    /// A text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Bytes, given as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// How a scheme gets what its requests need. What it gets is kept in memory for as long as it is valid.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppSignIn")]
pub struct SignIn {
    /// The request, over `credential`.
    pub request: Request,
    /// How the request itself is authenticated.
    #[serde(default)]
    pub attach: Attach,
    /// Whether it worked, over `answer`; a status below 400 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<String>,
    /// What it gives, over `answer`: further secret fields for `attach` and requests.
    pub gives: BTreeMap<String, String>,
    /// For how many seconds it is valid, over `answer`; 300 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<String>,
}

/// A request that shows whether a credential works.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppTest")]
pub struct Test {
    /// The request, over `credential`; nothing for what is no HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// Whether it worked, over `answer`; a status below 400 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<String>,
}

/// Something that a step can do with an app.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppAction")]
pub struct Action {
    /// Its id within the app.
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the vendor documents it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Whether it only reads, and so may feed a linked credential.
    #[serde(default)]
    pub reads: bool,
    /// The schemes that it works with, by id; all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemes: Vec<String>,
    /// Its inputs: the JSON Schema of an object.
    pub inputs: Value,
    /// The request; nothing for what is no HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// Whether it worked, over `answer`; a status below 400 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<String>,
    /// Whether the service refused the credential, over `answer`: 401 says so anyway, and 403 where
    /// nothing is said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// What the service says is wrong, over `answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The output, over `answer`; its body where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// How more of a list is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// Paths of the output below which every text is secret: `data`, `rows[*].token`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_outputs: Vec<String>,
    /// Paths below those that are plain all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plain_outputs: Vec<String>,
    /// Another action that is tried with the same inputs where this one fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// How long what it read is valid, where the service lends it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Inputs that work, for tests and for people.
    pub example: Map<String, Value>,
}

/// How more of a list is asked for: the same request with other query or JSON members.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppPagination")]
pub struct Pagination {
    /// The items of one answer, over `answer`: an array. The output is all of them.
    pub items: String,
    /// Query parameters of the next request, over `answer`; the last page is where one is not
    /// there, null or empty.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub next_query: Map<String, Value>,
    /// JSON members of the next request, in the same way.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub next_json: Map<String, Value>,
    /// The URL of the next request, in the same way; it must be of the same origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_url: Option<String>,
    /// Whether the answer's `Link` header names the next one (RFC 8288, `rel="next"`).
    #[serde(default)]
    pub link_header: bool,
}

/// Another action that is tried where one fails with certain statuses; if that fails too, the first
/// one's failure counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppFallback")]
pub struct Fallback {
    /// The other action's id.
    pub action: String,
    /// The statuses.
    pub statuses: Vec<u16>,
    /// The input for whose value it is remembered which of the two works.
    pub remember: String,
}

/// A value that is lent out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppLease")]
pub struct Lease {
    /// Its id, over `answer`; empty where nothing is lent.
    pub id: String,
    /// For how many seconds, over `answer`.
    pub seconds: String,
    /// The request that renews it: over `credential` and `inputs.lease_id`.
    pub renew: Request,
}
