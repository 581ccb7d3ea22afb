//! What a request is authenticated with: a stored credential, or values that the run's data brings.
//! Its secret fields are texts that sealed values stand in; nothing is opened here.

use crate::broker::Outgoing;
use crate::bytes::sha256;
use crate::inject::{self, Fields};
use crate::placeholder;
use crate::session::Session;
use crate::step::{Holder, StepFailure, StepVault};
use data_encoding::HEXLOWER;
use keyward_model::catalogue::{App, Attach, Field, Format, SchemeOf};
use keyward_model::credential::{Credential, CredentialType, Details, MAX_FIELD_BYTES};
use keyward_model::error::StepErrorCode;
use keyward_model::id::CredentialId;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a step names to authenticate with.
pub enum Using<'a> {
    /// The stored credential of that key.
    Stored(&'a str),
    /// Values of the run's data.
    External(ExternalValues<'a>),
}

/// The fields of an external credential, as the run's data has them.
pub struct ExternalValues<'a> {
    /// The scheme, or for an `http` step the type; none where there is one only.
    pub scheme: Option<&'a str>,
    /// Each field with what stands at its path; none where nothing does.
    pub fields: Vec<(&'a str, Option<Value>)>,
}

/// Fields on their way into requests.
pub(crate) struct Authentication {
    pub(crate) holder: Option<Holder>,
    /// What names of sessions and sealed values are made from.
    pub(crate) id: CredentialId,
    pub(crate) kind: CredentialType,
    pub(crate) details: Details,
    /// Secret fields as texts with sealed values.
    pub(crate) texts: BTreeMap<String, String>,
    /// What makes the fields another's than before: a version, or the values themselves.
    pub(crate) version: String,
}

impl Authentication {
    /// `credential` as the templates of a manifest see it: plain fields with their defaults, and
    /// sealed values.
    pub(crate) fn context(&self, scheme: &SchemeOf<'_>) -> Arc<Value> {
        let mut members = Map::new();
        for field in &scheme.manifest.fields {
            if let Some(text) = self.text(field) {
                members.insert(field.name.clone(), text.into());
            }
        }
        for (name, text) in &self.texts {
            members.insert(name.clone(), text.clone().into());
        }
        Arc::new(Value::Object(members))
    }

    /// A field's text, or its default.
    pub(crate) fn text(&self, field: &Field) -> Option<String> {
        let given = self.texts.get(&field.name).or_else(|| self.details.plain.get(&field.name));
        let text = given.or(field.default.as_ref()).filter(|text| !text.is_empty())?;
        Some(match field.format {
            // A path is put behind it.
            Some(Format::Url) => text.trim_end_matches('/').to_owned(),
            _ => text.clone(),
        })
    }

    /// A plain field, or its default.
    pub(crate) fn plain(&self, scheme: &SchemeOf<'_>, name: &str) -> Option<String> {
        self.text(scheme.manifest.field(name)?)
    }

    /// Puts the fields into a request as `attach` says, or as the credential does.
    pub(crate) fn attach(
        &self,
        attach: Option<&Attach>,
        request: &mut Outgoing,
    ) -> Result<(), StepFailure> {
        let own;
        let details = match attach {
            Some(attach) => {
                own = Details { template: template(attach), ..self.details.clone() };
                &own
            }
            None => &self.details,
        };
        let placeholder = |name: &str| self.texts.get(name).cloned();
        let fields = Fields { kind: self.kind, details, placeholder: &placeholder };
        inject::attach(&fields, request)
            .map_err(|error| StepFailure::new(StepErrorCode::ValidationFailed, error.to_string()))
    }

    /// Adds what signing in gave.
    pub(crate) fn add(&mut self, step: &StepVault, session: &Arc<Session>) {
        for name in session.fields.keys() {
            self.texts.insert(name.clone(), step.placeholder(self.id, name, None));
        }
        if let Some(holder) = &self.holder {
            step.note_session(holder.clone(), self.id, session.clone());
        }
    }
}

/// What a session is good for: these values, plain fields and hosts. A new name, or a test, makes no
/// other credential of it.
fn version(credential: &Credential) -> String {
    let plain = serde_json::to_string(&credential.details.plain).unwrap_or_default();
    let links = serde_json::to_string(&credential.details.links).unwrap_or_default();
    let bound = format!("{plain}{links}{}", credential.policy_document());
    format!("{}.{}", credential.version, HEXLOWER.encode(&sha256(bound.as_bytes())))
}

/// An attach rule as credentials keep it.
pub fn template(attach: &Attach) -> Option<Value> {
    serde_json::to_value(attach).ok()
}

impl StepVault {
    /// A stored credential, where the step has it.
    pub(crate) fn stored(&self, key: &str) -> Result<Authentication, StepFailure> {
        let credential = self.grant(key)?.credential();
        let secret = credential.details.secret.iter();
        let text = |name: &String| (name.clone(), self.placeholder(credential.id, name, None));
        Ok(Authentication {
            holder: Some(Holder::Stored(key.to_owned())),
            id: credential.id,
            kind: credential.kind,
            texts: secret.map(text).collect(),
            details: credential.details.clone(),
            version: version(credential),
        })
    }

    /// A stored credential of that app, with its scheme.
    pub(crate) fn stored_for<'a>(
        &self,
        key: &str,
        app: &'a App,
    ) -> Result<(Authentication, SchemeOf<'a>), StepFailure> {
        let authentication = self.stored(key)?;
        let details = &authentication.details;
        let scheme = (details.app.as_deref() == Some(app.id()))
            .then(|| app.scheme(details.scheme.as_deref()))
            .flatten();
        let scheme = scheme.ok_or_else(|| {
            let message = format!("credential \"{key}\" is not one of app \"{}\"", app.id());
            StepFailure::of_key(StepErrorCode::CredentialUnusable, key, message)
        })?;
        Ok((authentication, scheme))
    }

    /// External values for a scheme of an app.
    pub(crate) fn external_for<'a>(
        &self,
        app: &'a App,
        values: &ExternalValues<'_>,
    ) -> Result<(Authentication, SchemeOf<'a>), StepFailure> {
        let scheme = app.scheme(values.scheme).ok_or_else(|| {
            let message = format!("app \"{}\" has no such scheme any more", app.id());
            StepFailure::new(StepErrorCode::ValidationFailed, message)
        })?;
        let fields = scheme.manifest.fields.iter();
        let fields: Vec<(&str, bool, bool)> = fields
            .map(|f| (f.name.as_str(), f.secret, f.required && f.default.is_none()))
            .collect();
        let mut authentication = self.external(&fields, values)?;
        for field in &scheme.manifest.fields {
            let text = authentication.details.plain.get(&field.name);
            if text.is_some_and(|text| !field.fits(text)) {
                return Err(invalid(&field.name, "has a value that its scheme does not take"));
            }
        }
        authentication.kind = scheme.manifest.kind;
        authentication.details.app = Some(app.id().to_owned());
        authentication.details.scheme = Some(scheme.manifest.id.clone());
        authentication.details.template = template(&scheme.manifest.attach);
        // The same values may be sent to two apps, and each signs in by itself.
        let (app, id) = (app.id(), &scheme.manifest.id);
        authentication.version = format!("{app}/{id}/{}", authentication.version);
        Ok((authentication, scheme))
    }

    /// External values for an `http` step, as one of the types.
    pub(crate) fn external_for_http(
        &self,
        values: &ExternalValues<'_>,
    ) -> Result<Authentication, StepFailure> {
        let kind = values.scheme.unwrap_or_default();
        let names = keyward_model::sealing::HTTP_SCHEMES.iter().find(|(name, _)| *name == kind);
        let names = names.map_or(&[][..], |(_, names)| names);
        let fields: Vec<_> = names.iter().map(|name| (*name, true, true)).collect();
        let (kind, template) = match kind {
            "basic" => (CredentialType::Basic, None),
            "oauth2" => {
                let bearer = "Bearer {{ oauth_access_token }}";
                let headers = serde_json::json!({ "headers": { "Authorization": bearer } });
                (CredentialType::Custom, Some(headers))
            }
            _ => (CredentialType::ApiKey, None),
        };
        let mut authentication = self.external(&fields, values)?;
        authentication.kind = kind;
        authentication.details.template = template;
        Ok(authentication)
    }

    /// `fields`: name, whether it is secret, whether it is needed.
    fn external(
        &self,
        fields: &[(&str, bool, bool)],
        values: &ExternalValues<'_>,
    ) -> Result<Authentication, StepFailure> {
        let (mut details, mut texts) = (Details::default(), BTreeMap::new());
        let mut holder = None;
        for (name, is_secret, needed) in fields {
            let given = values.fields.iter().find(|(known, _)| known == name);
            let text = match given.map(|(_, value)| value) {
                None if !needed => continue,
                None | Some(None | Some(Value::Null)) if *needed => {
                    return Err(invalid(name, "is absent: nothing stands at its path"));
                }
                None | Some(None | Some(Value::Null)) => continue,
                Some(Some(Value::String(text))) if text.is_empty() && !needed => continue,
                Some(Some(Value::String(text))) if text.is_empty() => {
                    return Err(invalid(name, "is empty"));
                }
                Some(Some(Value::String(text))) => text.clone(),
                Some(Some(_)) => return Err(invalid(name, "is not text")),
            };
            if !is_secret {
                details.plain.insert((*name).to_owned(), text);
                continue;
            }
            let (text, first) = self.sealed_text(name, &text)?;
            holder = holder.or(Some(Holder::Received(first)));
            details.secret.push((*name).to_owned());
            texts.insert((*name).to_owned(), text);
        }
        let id = match &holder {
            Some(Holder::Received(first)) => self.received_id(first),
            _ => self.fresh_id(),
        };
        // Plain fields too: they say where a secret was read, and as whom.
        let version = serde_json::json!([texts, details.plain]).to_string();
        let kind = CredentialType::Custom;
        Ok(Authentication { holder, id, kind, details, texts, version })
    }

    /// A secret field's text and the first sealed value in it. One without any was sealed nowhere, so
    /// it is not sent anywhere either.
    fn sealed_text(&self, name: &str, text: &str) -> Result<(String, String), StepFailure> {
        let found = self.received_in(text);
        let Some((first, _)) = found.first() else {
            let why = "holds no sealed value of this run, and so cannot be used as a credential";
            return Err(invalid(name, why));
        };
        for (_, about) in &found {
            if !about.is_text {
                return Err(invalid(name, "is not text"));
            }
            if about.length > MAX_FIELD_BYTES {
                return Err(invalid(name, "is larger than 65,536 bytes (64 KiB)"));
            }
        }
        let first = first.clone();
        // Attaching says `Bearer` itself.
        let bearer = text.split_once(' ').filter(|(scheme, rest)| {
            scheme.eq_ignore_ascii_case("bearer") && placeholder::is_whole(rest)
        });
        Ok((bearer.map_or(text, |(_, rest)| rest).to_owned(), first))
    }
}

fn invalid(field: &str, why: &str) -> StepFailure {
    let message = format!("the external credential's field \"{field}\" {why}");
    StepFailure::new(StepErrorCode::ValidationFailed, message)
}
