//! The claims of an ID token whose signature has been verified (OpenID Connect Core 1.0 §3.1.3.7).

use crate::clock::Timestamp;
use serde_json::{Map, Value};

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// How far the provider's clock may be from ours, in seconds.
const SKEW: f64 = 60.0;
/// How long ago a token may have been issued that was just exchanged for a code, in seconds.
const MAX_AGE: f64 = 600.0;
/// The longest subject (OpenID Connect Core 1.0 §2).
const MAX_SUBJECT: usize = 255;

/// What a token is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The configured issuer.
    pub issuer: &'a str,
    /// Our client id.
    pub client_id: &'a str,
    /// What was sent with the request that the token answers.
    pub nonce: &'a str,
    /// The current time.
    pub now: Timestamp,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `iss`
    #[error("the ID token is from another issuer")]
    Issuer,
    /// `aud`
    #[error("the ID token is for another client")]
    Audience,
    /// `azp`
    #[error("the ID token was given to another client")]
    AuthorizedParty,
    /// `exp`
    #[error("the ID token has expired")]
    Expired,
    /// `iat` or `nbf`
    #[error("the ID token was issued at another time")]
    IssuedAt,
    /// `nonce`
    #[error("the ID token answers another request")]
    Nonce,
    /// `sub`
    #[error("the ID token names nobody")]
    Subject,
}

/// Checks the claims of a token.
///
/// # Errors
/// The first rule that is broken.
pub fn check(claims: &Claims, expected: &Expected<'_>) -> Result<(), Refused> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let now = seconds(expected.now);
    let demand = |holds: bool, refused: Refused| if holds { Ok(()) } else { Err(refused) };
    demand(text("iss") == Some(expected.issuer), Refused::Issuer)?;
    let audience = strings(claims.get("aud"));
    demand(audience.contains(&expected.client_id), Refused::Audience)?;
    let party = match claims.get("azp") {
        None => audience.len() == 1,
        Some(party) => party.as_str() == Some(expected.client_id),
    };
    demand(party, Refused::AuthorizedParty)?;
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    demand(time("exp").is_some_and(|at| at > now - SKEW), Refused::Expired)?;
    let issued = |at: f64| (now - MAX_AGE..=now + SKEW).contains(&at);
    demand(time("iat").is_some_and(issued), Refused::IssuedAt)?;
    let began = claims.get("nbf").is_none_or(|at| at.as_f64().is_some_and(|at| at <= now + SKEW));
    demand(began, Refused::IssuedAt)?;
    demand(text("nonce") == Some(expected.nonce), Refused::Nonce)?;
    let named = |subject: &str| {
        !subject.is_empty() && subject.len() <= MAX_SUBJECT && !subject.contains(char::is_control)
    };
    demand(text("sub").is_some_and(named), Refused::Subject)
}

/// The text of a claim, or the texts of a claim that is a list.
pub(super) fn strings(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
fn seconds(at: Timestamp) -> f64 {
    (at.millis() / 1000) as f64
}

/// Whom the claims name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `iss`: who says so.
    pub issuer: String,
    /// `sub`: the person's name there, the same for ever.
    pub subject: String,
    /// The address, lower-case, where the provider has verified it.
    pub email: Option<String>,
    /// The name that people read.
    pub name: Option<String>,
}

impl Identity {
    /// Issuer and subject as one text, under which an account is found again.
    pub fn key(&self) -> String {
        // A URL holds no space, so two pairs never give the same text.
        format!("{} {}", self.issuer, self.subject)
    }

    /// Whether this person may take over the account of their verified address, which so far is
    /// known to the provider by that key: not where it belongs to somebody else there.
    pub fn may_take(&self, known_as: Option<&str>) -> bool {
        let same_issuer = |key: &str| key.split(' ').next() == Some(self.issuer.as_str());
        self.email.is_some() && !known_as.is_some_and(same_issuer)
    }

    /// Reads checked claims.
    pub fn of(claims: &Claims) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::trim);
        let given = |name: &str| text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let verified = claims.get("email_verified") == Some(&Value::Bool(true));
        let exact = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        Self {
            issuer: exact("iss").to_owned(),
            subject: exact("sub").to_owned(),
            email: given("email").filter(|_| verified).map(|email| email.to_lowercase()),
            name: given("name").or_else(|| given("preferred_username")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_767_225_600;

    fn claims(change: &Value) -> Claims {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "keyward", "nonce": "n", "sub": "u1",
            "iat": NOW, "exp": NOW + 300,
        });
        for (name, value) in change.as_object().expect("an object") {
            // `null` takes a claim out.
            let claims = claims.as_object_mut().expect("an object");
            claims.insert(name.clone(), value.clone());
            claims.retain(|_, value| !value.is_null());
        }
        claims.as_object().expect("an object").clone()
    }

    #[test]
    fn a_token_is_believed_only_where_every_claim_fits() {
        let check = |change: Value, result: Result<(), Refused>| {
            let expected = Expected {
                issuer: "https://id.example",
                client_id: "keyward",
                nonce: "n",
                now: Timestamp::from_millis(NOW * 1000),
            };
            assert_eq!(check(&claims(&change), &expected), result, "{change}");
        };
        check(json!({}), Ok(()));
        check(json!({ "iss": "https://id.example/" }), Err(Refused::Issuer));
        check(json!({ "iss": null }), Err(Refused::Issuer));
        check(json!({ "iss": ["https://id.example"] }), Err(Refused::Issuer));
        check(json!({ "aud": "other" }), Err(Refused::Audience));
        check(json!({ "aud": "keyward2" }), Err(Refused::Audience));
        check(json!({ "aud": null }), Err(Refused::Audience));
        check(json!({ "aud": [] }), Err(Refused::Audience));
        check(json!({ "aud": ["keyward"] }), Ok(()));
        check(json!({ "aud": ["keyward", "other"] }), Err(Refused::AuthorizedParty));
        check(json!({ "aud": ["keyward", "other"], "azp": "keyward" }), Ok(()));
        check(json!({ "azp": "other" }), Err(Refused::AuthorizedParty));
        check(json!({ "azp": 1 }), Err(Refused::AuthorizedParty));
        check(json!({ "exp": NOW - 59 }), Ok(()));
        check(json!({ "exp": NOW - 60 }), Err(Refused::Expired));
        check(json!({ "exp": null }), Err(Refused::Expired));
        check(json!({ "exp": (NOW + 300).to_string() }), Err(Refused::Expired));
        check(json!({ "iat": null }), Err(Refused::IssuedAt));
        check(json!({ "iat": NOW + 60 }), Ok(()));
        check(json!({ "iat": NOW + 61 }), Err(Refused::IssuedAt));
        check(json!({ "iat": NOW - 601 }), Err(Refused::IssuedAt));
        check(json!({ "nbf": NOW + 61 }), Err(Refused::IssuedAt));
        check(json!({ "nbf": "soon" }), Err(Refused::IssuedAt));
        check(json!({ "nbf": NOW }), Ok(()));
        check(json!({ "nonce": "other" }), Err(Refused::Nonce));
        check(json!({ "nonce": null }), Err(Refused::Nonce));
        check(json!({ "sub": "" }), Err(Refused::Subject));
        check(json!({ "sub": null }), Err(Refused::Subject));
        check(json!({ "sub": 7 }), Err(Refused::Subject));
        check(json!({ "sub": "a\u{0}b" }), Err(Refused::Subject));
        check(json!({ "sub": "u".repeat(256) }), Err(Refused::Subject));
    }

    #[test]
    fn only_a_verified_address_counts() {
        let check = |change: Value, email: Option<&str>, name: Option<&str>| {
            let identity = Identity::of(&claims(&change));
            assert_eq!((identity.email.as_deref(), identity.name.as_deref()), (email, name));
            assert_eq!((&*identity.issuer, &*identity.subject), ("https://id.example", "u1"));
        };
        let address = "Alice@Example.com";
        check(json!({}), None, None);
        check(json!({ "email": address }), None, None);
        check(json!({ "email": address, "email_verified": false }), None, None);
        check(json!({ "email": address, "email_verified": "true" }), None, None);
        check(json!({ "email": address, "email_verified": 1 }), None, None);
        let verified = json!({ "email": address, "email_verified": true, "name": " Alice " });
        check(verified, Some("alice@example.com"), Some("Alice"));
        check(json!({ "email": "", "email_verified": true, "name": " " }), None, None);
        check(json!({ "preferred_username": "al" }), None, Some("al"));
    }

    #[test]
    fn an_account_is_taken_by_a_verified_address_alone_and_once() {
        let check = |email: Option<&str>, known_as: Option<&str>, expected: bool| {
            let identity = Identity {
                issuer: "https://id.example".into(),
                subject: "u1".into(),
                email: email.map(str::to_owned),
                name: None,
            };
            assert_eq!(identity.may_take(known_as), expected, "{email:?} {known_as:?}");
            assert_eq!(identity.key(), "https://id.example u1");
        };
        check(Some("a@b.c"), None, true);
        check(None, None, false);
        check(Some("a@b.c"), Some("https://id.example u2"), false);
        check(Some("a@b.c"), Some("https://id.example u1"), false);
        // The operator has moved to another provider.
        check(Some("a@b.c"), Some("https://id.example.old u2"), true);
        check(None, Some("https://id.example.old u2"), false);
    }
}
