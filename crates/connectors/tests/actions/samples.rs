//! Made-up credentials: plain fields hold what their format asks for, secret ones `<name>`.

use crate::attach::Attached;
use keyward_model::catalogue::{Format, Scheme};
use keyward_model::destination::{Destination, EgressPolicy, Place, Scheme as By};
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// The required fields with a value each, and what a sign-in gives.
pub(crate) fn fields(scheme: &Scheme) -> BTreeMap<String, String> {
    let mut fields = fields_before_sign_in(scheme);
    let gives = scheme.sign_in.iter().flat_map(|sign_in| sign_in.gives.keys());
    fields.extend(gives.map(|name| (name.clone(), format!("<{name}>"))));
    fields
}

/// The required fields with a value each.
pub(crate) fn fields_before_sign_in(scheme: &Scheme) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for field in &scheme.fields {
        let label = field.name.replace('_', "-");
        let sample = match field.format {
            _ if field.secret => format!("<{}>", field.name),
            Some(Format::Url) => format!("https://{label}.example.com"),
            Some(Format::Host) => format!("{label}.example.com"),
            Some(Format::Port) => "8443".into(),
            _ => label,
        };
        let value = field.default.clone().or(field.required.then_some(sample));
        fields.extend(value.map(|value| (field.name.clone(), value)));
    }
    fields
}

/// `credential` as the templates of a manifest see it.
pub(crate) fn credential(fields: &BTreeMap<String, String>) -> Value {
    Value::Object(fields.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect())
}

/// The plain ones of these fields.
pub(crate) fn plain(
    scheme: &Scheme,
    fields: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let plain = |name: &str| scheme.field(name).is_some_and(|field| !field.secret);
    let named = fields.iter().filter(|(name, _)| plain(name));
    named.map(|(name, text)| (name.clone(), text.clone())).collect()
}

/// Whether the scheme's credentials may go to a URL, with the places where secret values stand in it.
pub(crate) fn admits(scheme: &Scheme, plain: &BTreeMap<String, String>, sent: &Attached) -> bool {
    let hosts = scheme.hosts_for(plain);
    let policy = EgressPolicy::parse(&hosts, &[], &[], &scheme.places).expect("a policy");
    let url = Url::parse(&sent.url).expect("a URL");
    let to = Destination {
        scheme: if url.scheme() == "https" { By::Https } else { By::Http },
        host: url.host_str().expect("a host").to_owned(),
        port: url.port_or_known_default().expect("a port"),
        method: sent.method.clone(),
        path: url.path().to_owned(),
    };
    let named = |text: &str| {
        let written = |name: &str| {
            text.contains(&format!("<{name}>")) || text.contains(&format!("%3C{name}%3E"))
        };
        let fields = scheme.fields.iter().filter(|field| field.secret).map(|field| &field.name);
        let given = scheme.sign_in.iter().flat_map(|sign_in| sign_in.gives.keys());
        fields.chain(given).any(|name| written(name))
    };
    let mut places = Vec::new();
    places.extend(named(url.path()).then_some(Place::Path));
    places.extend(named(url.query().unwrap_or_default()).then_some(Place::Query));
    !hosts.is_empty() && policy.admits(&to, &places, false).is_ok()
}
