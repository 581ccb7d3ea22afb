//! How a credential attaches to a request: each type writes its *placeholders* where its values
//! belong, and the broker fills them like any other.

mod api_key;
mod basic;
mod custom;
pub(crate) mod sigv4;

use crate::broker::Outgoing;
use keyward_model::credential::{CredentialType, Details};

/// Why a credential cannot be attached to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// A custom credential without a template.
    #[error(
        "this credential has no template that says where its fields go; name its sealed values in the request instead"
    )]
    NoTemplate,
    /// A field that the type needs is not set.
    #[error("a field that this credential's type needs is not set")]
    MissingField,
    /// The template names a field that is not there.
    #[error("the credential's template names a field that the credential does not have")]
    UnknownField,
    /// The template puts members into a body that is not a JSON object.
    #[error("the credential's template adds to a JSON object, but the request's body is not one")]
    BodyNotObject,
    /// The URL cannot be read.
    #[error("the URL cannot be read")]
    Url,
}

/// What a type may ask of a credential: plain fields, and placeholders for secret ones.
pub(crate) struct Fields<'a> {
    pub(crate) kind: CredentialType,
    pub(crate) details: &'a Details,
    pub(crate) placeholder: &'a dyn Fn(&str) -> Option<String>,
}

impl Fields<'_> {
    fn plain(&self, name: &str) -> Option<&str> {
        self.details.plain.get(name).map(String::as_str)
    }

    /// The plain value, or the secret one's placeholder.
    fn text(&self, name: &str) -> Option<String> {
        self.plain(name).map(str::to_owned).or_else(|| (self.placeholder)(name))
    }
}

/// Attaches a credential as its type says.
pub(crate) fn attach(fields: &Fields<'_>, request: &mut Outgoing) -> Result<(), AttachError> {
    match fields.kind {
        _ if fields.details.app.is_some() => custom::attach(fields, request),
        CredentialType::ApiKey => api_key::attach(fields, request),
        CredentialType::Basic => basic::attach(fields, request),
        CredentialType::Custom => custom::attach(fields, request),
    }
}

/// Sets a header, replacing what the step wrote under that name.
fn set_header(request: &mut Outgoing, name: &str, value: String) {
    request.headers.retain(|(existing, _)| !existing.eq_ignore_ascii_case(name));
    request.headers.push((name.to_owned(), value.into_bytes()));
}

/// Sets a query parameter, replacing what the step wrote under that name.
fn set_query(request: &mut Outgoing, name: &str, value: &str) -> Result<(), AttachError> {
    let mut url = url::Url::parse(&request.url).map_err(|_| AttachError::Url)?;
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(existing, _)| existing != name)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept).append_pair(name, value);
    request.url = url.into();
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use keyward_model::clock::Timestamp;
    use keyward_model::credential::{CodeAccess, Credential, Details, Scope, Status};
    use keyward_model::id::{CredentialId, Identifier as _, MemberId, WorkspaceId};

    pub(crate) fn credential(kind: CredentialType, plain: &[(&str, &str)]) -> Credential {
        let now = Timestamp::from_millis(0);
        Credential {
            workspace: WorkspaceId::from_bytes([1; 16]),
            id: CredentialId::from_bytes([2; 16]),
            key: "KEY".into(),
            kind,
            scope: Scope::Workspace,
            policy: Default::default(),
            code_access: CodeAccess::Sealed,
            details: Details {
                name: "KEY".into(),
                description: String::new(),
                environment: String::new(),
                tags: vec![],
                plain: plain.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
                secret: vec!["value".into(), "password".into()],
                template: None,
                test: None,
                ..Details::default()
            },
            version: 1,
            status: Status::Active,
            status_reason: None,
            owner: MemberId::from_bytes([3; 16]),
            created_at: now,
            updated_at: now,
            rotated_at: now,
            expires_at: None,
            revision: 1,
            lifecycle: Default::default(),
        }
    }

    fn attached(credential: &Credential, body: &'static str) -> Result<Outgoing, AttachError> {
        let mut request = Outgoing {
            method: "POST".into(),
            url: "https://x.org/p?a=1&key=old".into(),
            headers: vec![("Authorization".into(), b"mine".to_vec())],
            body: body.into(),
            ..Outgoing::default()
        };
        let placeholder = |name: &str| {
            credential.details.secret.iter().any(|s| s == name).then(|| format!("<{name}>"))
        };
        let Credential { kind, details, .. } = credential;
        attach(&Fields { kind: *kind, details, placeholder: &placeholder }, &mut request)?;
        Ok(request)
    }

    fn header<'a>(request: &'a Outgoing, name: &str) -> Vec<&'a str> {
        let named = |(found, value): &'a (String, Vec<u8>)| {
            found.eq_ignore_ascii_case(name).then(|| std::str::from_utf8(value).unwrap())
        };
        request.headers.iter().filter_map(named).collect()
    }

    #[test]
    fn an_api_key_goes_into_a_header_or_the_query() {
        let plain = attached(&credential(CredentialType::ApiKey, &[]), "").unwrap();
        assert_eq!(header(&plain, "authorization"), ["Bearer <value>"]);
        let named =
            attached(&credential(CredentialType::ApiKey, &[("name", "X-Key")]), "").unwrap();
        assert_eq!(header(&named, "x-key"), ["<value>"]);
        assert_eq!(header(&named, "authorization"), ["mine"]);
        let prefixed = credential(CredentialType::ApiKey, &[("name", "X-Key"), ("prefix", "Key ")]);
        assert_eq!(header(&attached(&prefixed, "").unwrap(), "x-key"), ["Key <value>"]);
        let query = credential(CredentialType::ApiKey, &[("in", "query"), ("name", "key")]);
        assert_eq!(attached(&query, "").unwrap().url, "https://x.org/p?a=1&key=%3Cvalue%3E");
    }

    #[test]
    fn basic_joins_user_and_password() {
        use base64::Engine as _;
        let basic =
            attached(&credential(CredentialType::Basic, &[("username", "bob")]), "").unwrap();
        let encoded = base64::engine::general_purpose::STANDARD.encode("bob:<password>");
        assert_eq!(header(&basic, "authorization"), [format!("Basic {encoded}")]);
    }

    #[test]
    fn a_custom_template_fills_headers_query_and_json() {
        let mut custom = credential(CredentialType::Custom, &[("account", "7")]);
        assert_eq!(attached(&custom, "").err().unwrap(), AttachError::NoTemplate);
        custom.details.template = Some(serde_json::json!({
            "headers": {"X-Sign": "v1 {{ value }} {{account}}"},
            "query": {"acc": "{{ account }}"},
            "json": {"auth": {"password": "{{ password }}"}},
        }));
        let request = attached(&custom, r#"{"auth":{"user":"u"},"x":1}"#).unwrap();
        assert_eq!(header(&request, "x-sign"), ["v1 <value> 7"]);
        assert_eq!(request.url, "https://x.org/p?a=1&key=old&acc=7");
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let expected = serde_json::json!({"auth": {"user": "u", "password": "<password>"}, "x": 1});
        assert_eq!(body, expected);
        assert_eq!(attached(&custom, "[1]").err().unwrap(), AttachError::BodyNotObject);
        custom.details.template = Some(serde_json::json!({"headers": {"a": "{{ nobody }}"}}));
        assert_eq!(attached(&custom, "").err().unwrap(), AttachError::UnknownField);
    }
}
