//! The code for tokens (RFC 6749 §4.1.3), and what the ID token leaves to the user information.

use super::discovery::Discovered;
use super::flow::Flow;
use super::{Provider, SignOnError, request};
use crate::secret::Incoming;
use crate::vault::Vault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_model::single_sign_on::Claims;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

/// Room for a form, so that it does not grow and leave copies.
const FORM: usize = 8 * 1024;

/// The tokens that a code was worth.
#[derive(Deserialize)]
pub(super) struct Tokens {
    id_token: Incoming,
    access_token: Option<Incoming>,
}

impl Tokens {
    pub(super) fn id_token(&self) -> &[u8] {
        self.id_token.expose()
    }
}

impl Provider {
    /// Exchanges the code.
    pub(super) async fn exchange(
        &self,
        vault: &Vault,
        known: &Discovered,
        code: &Incoming,
        flow: &Flow,
    ) -> Result<Tokens, SignOnError> {
        let form = self.token_request(known, code, flow)?;
        request::post(vault, &known.token_endpoint, form).await
    }

    /// The form, and the header where the secret goes there.
    fn token_request(
        &self,
        known: &Discovered,
        code: &Incoming,
        flow: &Flow,
    ) -> Result<request::Form, SignOnError> {
        let settings = &self.settings;
        let code = std::str::from_utf8(code.expose()).map_err(|_| SignOnError::Denied)?;
        let mut form = Serializer::new(String::with_capacity(FORM));
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &settings.redirect_uri)
            .append_pair("client_id", &settings.client_id)
            .append_pair("code_verifier", &flow.verifier);
        let takes = |method: &str| known.authentication.iter().any(|known| known == method);
        let mut authorization = None;
        match settings.client_secret.as_ref().map(|secret| std::str::from_utf8(secret.expose())) {
            None => {}
            Some(Ok(secret)) if takes("client_secret_basic") => {
                authorization = Some(basic(&settings.client_id, secret));
            }
            Some(Ok(secret)) if takes("client_secret_post") => {
                form.append_pair("client_secret", secret);
            }
            Some(_) => {
                let detail = "the provider takes no client secret, neither in a header nor a form";
                return Err(SignOnError::Provider(detail));
            }
        }
        Ok(request::Form { fields: Zeroizing::new(form.finish()), authorization })
    }

    /// Adds claims that only the user information holds (OpenID Connect Core 1.0 §5.3).
    pub(super) async fn add_user_info(
        &self,
        vault: &Vault,
        known: &Discovered,
        tokens: &Tokens,
        claims: &mut Claims,
    ) -> Result<(), SignOnError> {
        let (Some(url), Some(token)) = (&known.user_info_endpoint, &tokens.access_token) else {
            return Ok(());
        };
        let more: Claims = request::get(vault, url, Some(token)).await?;
        if more.get("sub") != claims.get("sub") {
            return Err(SignOnError::Provider("the user information is of another person"));
        }
        add(claims, more);
        Ok(())
    }
}

/// What the token says itself stays. An address and whether it is verified belong together.
fn add(claims: &mut Claims, mut more: Claims) {
    if claims.contains_key("email") {
        more.shift_remove("email_verified");
    } else {
        claims.shift_remove("email_verified");
    }
    for (name, value) in more {
        claims.entry(name).or_insert(value);
    }
}

/// Both parts are form-encoded first (RFC 6749 §2.3.1).
fn basic(client_id: &str, secret: &str) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(String::with_capacity(FORM));
    plain.extend(byte_serialize(client_id.as_bytes()));
    plain.push(':');
    plain.extend(byte_serialize(secret.as_bytes()));
    let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
    Zeroizing::new([b"Basic ", encoded.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_secret_is_form_encoded_before_it_is_base64() {
        let check = |id: &str, secret: &str, expected: &str| {
            let plain = STANDARD.encode(expected);
            assert_eq!(&*basic(id, secret), format!("Basic {plain}").as_bytes());
        };
        check("keyward", "secret", "keyward:secret");
        check("a:b", "c d+é%", "a%3Ab:c+d%2B%C3%A9%25");
    }

    #[test]
    fn user_information_adds_and_never_replaces() {
        let check = |own: Value, more: Value, expected: Value| {
            let object = |value: &Value| value.as_object().expect("an object").clone();
            let mut claims = object(&own);
            add(&mut claims, object(&more));
            assert_eq!(Value::Object(claims), expected, "{own} {more}");
        };
        let verified = json!({ "email": "b@x", "email_verified": true });
        check(
            json!({ "sub": "1" }),
            json!({ "sub": "2", "name": "N" }),
            json!({ "sub": "1", "name": "N" }),
        );
        check(json!({}), verified.clone(), verified.clone());
        check(json!({ "email": "a@x" }), verified, json!({ "email": "a@x" }));
        check(
            json!({ "email_verified": true }),
            json!({ "email": "b@x" }),
            json!({ "email": "b@x" }),
        );
    }
}
