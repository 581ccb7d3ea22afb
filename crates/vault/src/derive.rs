//! Values computed from a secret for code that must not have it: Basic, base64, HMAC and JWT. Each
//! is a placeholder too, computed only when its request leaves.

use aws_lc_rs::{hmac, rand, rsa, signature};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyward_model::clock::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The longest that a token made by `credential.jwt` may be valid, in seconds.
pub(crate) const MAX_JWT_SECONDS: u64 = 3600;

/// What is computed, with all its inputs but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Derivation {
    /// base64 of `username:password` (RFC 7617).
    Basic,
    /// base64 of the field (RFC 4648 §4).
    Base64,
    /// HMAC (RFC 2104) of a message under the field.
    Hmac {
        /// The message's bytes.
        message: Vec<u8>,
        /// `sha256`, `sha384`, `sha512` or `sha1`.
        algorithm: String,
        /// `hex`, `base64` or `base64url`.
        encoding: String,
    },
    /// A JWT (RFC 7519) signed with the field.
    Jwt {
        /// The claims, a JSON object; `iat` and `exp` are added where absent.
        claims: String,
        /// `RS256`, `ES256` or `HS256`.
        algorithm: String,
        /// Further header members, a JSON object.
        header: Option<String>,
        /// When it was asked for.
        issued_at: Timestamp,
        /// Validity in seconds.
        expires_in: u64,
    },
}

/// Why a value cannot be derived; tells what is wrong with the inputs, never with the secret's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// Algorithm unknown.
    #[error(
        "the algorithm is not supported: hmac knows sha1, sha256, sha384 and sha512, jwt RS256, ES256 and HS256"
    )]
    Algorithm,
    /// Encoding unknown.
    #[error("the encoding is not supported: hex, base64 and base64url are")]
    Encoding,
    /// Claims are not an object.
    #[error("the claims and header of a JWT are JSON objects")]
    Claims,
    /// Too long.
    #[error("a JWT may be valid for one hour at most")]
    Validity,
    /// More than a run may keep.
    #[error("a run computes at most 1,000 values, from 8 MiB of messages and claims in all")]
    TooMany,
    /// The field is no key of that algorithm.
    #[error(
        "the field does not hold a private key of that algorithm in PEM (PKCS #8 or, for RSA, PKCS #1)"
    )]
    Key,
}

impl Derivation {
    /// The derivation's inputs as one text: part of its placeholder's computation.
    pub(crate) fn canonical(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// How many bytes of code's own it holds.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Basic | Self::Base64 => 0,
            Self::Hmac { message, .. } => message.len(),
            Self::Jwt { claims, header, .. } => {
                claims.len() + header.as_ref().map_or(0, String::len)
            }
        }
    }

    /// Checks everything that can be told without the secret.
    pub fn check(&self) -> Result<(), DeriveError> {
        match self {
            Self::Basic | Self::Base64 => Ok(()),
            Self::Hmac { algorithm, encoding, .. } => {
                hmac_algorithm(algorithm)?;
                encode(encoding, b"").map(|_| ())
            }
            Self::Jwt { claims, algorithm, header, expires_in, .. } => {
                if !["RS256", "ES256", "HS256"].contains(&algorithm.as_str()) {
                    return Err(DeriveError::Algorithm);
                }
                if *expires_in == 0 || *expires_in > MAX_JWT_SECONDS {
                    return Err(DeriveError::Validity);
                }
                object(claims)?;
                header.as_deref().map_or(Ok(()), |header| object(header).map(|_| ()))
            }
        }
    }

    /// Computes the value. `username` is the plain field that Basic puts before the secret.
    pub(crate) fn apply(
        &self,
        username: &str,
        secret: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, DeriveError> {
        match self {
            Self::Basic => {
                let mut joined = Zeroizing::new(format!("{username}:").into_bytes());
                joined.extend_from_slice(secret);
                Ok(Zeroizing::new(STANDARD.encode(&*joined).into_bytes()))
            }
            Self::Base64 => Ok(Zeroizing::new(STANDARD.encode(secret).into_bytes())),
            Self::Hmac { message, algorithm, encoding } => {
                let key = hmac::Key::new(hmac_algorithm(algorithm)?, secret);
                encode(encoding, hmac::sign(&key, message).as_ref()).map(Zeroizing::new)
            }
            Self::Jwt { claims, algorithm, header, issued_at, expires_in } => {
                let payload = payload(claims, issued_at.millis() / 1000, *expires_in)?;
                sign_jwt(algorithm, header.as_deref(), &payload, secret).map(Zeroizing::new)
            }
        }
    }
}

/// Checks a signature in constant time: HMAC of `message` under the secret.
pub(crate) fn verify_hmac(
    secret: &[u8],
    message: &[u8],
    signature: &str,
    algorithm: &str,
    encoding: &str,
) -> Result<bool, DeriveError> {
    let key = hmac::Key::new(hmac_algorithm(algorithm)?, secret);
    let given = match encoding {
        "hex" => data_encoding::HEXLOWER_PERMISSIVE.decode(signature.as_bytes()).ok(),
        "base64" => STANDARD.decode(signature).ok(),
        "base64url" => URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')).ok(),
        _ => return Err(DeriveError::Encoding),
    };
    Ok(given.is_some_and(|given| hmac::verify(&key, message, &given).is_ok()))
}

fn hmac_algorithm(name: &str) -> Result<hmac::Algorithm, DeriveError> {
    match name {
        "sha1" => Ok(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        "sha256" => Ok(hmac::HMAC_SHA256),
        "sha384" => Ok(hmac::HMAC_SHA384),
        "sha512" => Ok(hmac::HMAC_SHA512),
        _ => Err(DeriveError::Algorithm),
    }
}

fn encode(encoding: &str, bytes: &[u8]) -> Result<Vec<u8>, DeriveError> {
    match encoding {
        "hex" => Ok(data_encoding::HEXLOWER.encode(bytes).into_bytes()),
        "base64" => Ok(STANDARD.encode(bytes).into_bytes()),
        "base64url" => Ok(URL_SAFE_NO_PAD.encode(bytes).into_bytes()),
        _ => Err(DeriveError::Encoding),
    }
}

type Object = serde_json::Map<String, serde_json::Value>;

fn object(text: &str) -> Result<Object, DeriveError> {
    serde_json::from_str(text).map_err(|_| DeriveError::Claims)
}

fn payload(claims: &str, now: i64, expires_in: u64) -> Result<String, DeriveError> {
    let mut claims = object(claims)?;
    let latest = now.saturating_add(i64::try_from(MAX_JWT_SECONDS).unwrap_or(0));
    let expires = now.saturating_add(i64::try_from(expires_in).unwrap_or(0));
    claims.entry("iat").or_insert(now.into());
    let exp = claims.entry("exp").or_insert(expires.into());
    if exp.as_i64().is_none_or(|exp| exp > latest) {
        return Err(DeriveError::Validity);
    }
    Ok(serde_json::Value::Object(claims).to_string())
}

fn sign_jwt(
    algorithm: &str,
    header: Option<&str>,
    payload: &str,
    secret: &[u8],
) -> Result<Vec<u8>, DeriveError> {
    let mut members = object(header.unwrap_or("{}"))?;
    members.insert("alg".into(), algorithm.into());
    members.entry("typ").or_insert("JWT".into());
    let header = serde_json::Value::Object(members).to_string();
    let mut token =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = match algorithm {
        "HS256" => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            hmac::sign(&key, token.as_bytes()).as_ref().to_vec()
        }
        "RS256" => sign_rsa(secret, token.as_bytes())?,
        "ES256" => sign_ecdsa(secret, token.as_bytes())?,
        _ => return Err(DeriveError::Algorithm),
    };
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(token.into_bytes())
}

fn sign_rsa(pem: &[u8], message: &[u8]) -> Result<Vec<u8>, DeriveError> {
    let (label, der) = pem_block(pem)?;
    let key = match label {
        "PRIVATE KEY" => rsa::KeyPair::from_pkcs8(&der),
        "RSA PRIVATE KEY" => rsa::KeyPair::from_der(&der),
        _ => return Err(DeriveError::Key),
    };
    let key = key.map_err(|_| DeriveError::Key)?;
    let mut out = vec![0; key.public_modulus_len()];
    let random = rand::SystemRandom::new();
    key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out)
        .map_err(|_| DeriveError::Key)?;
    Ok(out)
}

fn sign_ecdsa(pem: &[u8], message: &[u8]) -> Result<Vec<u8>, DeriveError> {
    let (label, der) = pem_block(pem)?;
    let scheme = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = match label {
        "PRIVATE KEY" => signature::EcdsaKeyPair::from_pkcs8(scheme, &der),
        "EC PRIVATE KEY" => signature::EcdsaKeyPair::from_private_key_der(scheme, &der),
        _ => return Err(DeriveError::Key),
    };
    let key = key.map_err(|_| DeriveError::Key)?;
    let signed = key.sign(&rand::SystemRandom::new(), message).map_err(|_| DeriveError::Key)?;
    Ok(signed.as_ref().to_vec())
}

/// The first block of a PEM text (RFC 7468): its label and DER bytes.
fn pem_block(pem: &[u8]) -> Result<(&str, Zeroizing<Vec<u8>>), DeriveError> {
    let text = std::str::from_utf8(pem).map_err(|_| DeriveError::Key)?;
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(DeriveError::Key)?;
    let (label, rest) = rest.split_once("-----").ok_or(DeriveError::Key)?;
    let (body, _) = rest.split_once("-----END ").ok_or(DeriveError::Key)?;
    let body: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|letter| !letter.is_whitespace()).collect());
    let der = STANDARD.decode(body.as_bytes()).map_err(|_| DeriveError::Key)?;
    Ok((label, Zeroizing::new(der)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(derivation: &Derivation, username: &str, secret: &[u8]) -> String {
        String::from_utf8(derivation.apply(username, secret).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn known_answers() {
        assert_eq!(
            text(&Derivation::Basic, "Aladdin", b"open sesame"),
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(text(&Derivation::Base64, "", b"key"), "a2V5");
        // RFC 4231, test case 2.
        let hmac = |encoding: &str| Derivation::Hmac {
            message: b"what do ya want for nothing?".to_vec(),
            algorithm: "sha256".into(),
            encoding: encoding.into(),
        };
        let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(text(&hmac("hex"), "", b"Jefe"), hex);
        assert_eq!(hmac("octal").check(), Err(DeriveError::Encoding));
        let message = b"what do ya want for nothing?";
        assert_eq!(verify_hmac(b"Jefe", message, hex, "sha256", "hex"), Ok(true));
        assert_eq!(
            verify_hmac(b"Jefe", message, &hex.replace('5', "6"), "sha256", "hex"),
            Ok(false)
        );
        assert_eq!(verify_hmac(b"Jefe", message, "zz", "sha256", "hex"), Ok(false));
    }

    #[test]
    fn a_token_has_its_claims_and_a_bounded_life() {
        let jwt = |claims: &str, expires_in| Derivation::Jwt {
            claims: claims.into(),
            algorithm: "HS256".into(),
            header: Some(r#"{"kid":"k1"}"#.into()),
            issued_at: Timestamp::from_millis(1_700_000_000_000),
            expires_in,
        };
        let token = text(&jwt(r#"{"iss":"me"}"#, 300), "", b"secret");
        let parts: Vec<_> = token.split('.').collect();
        let decode = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decode(parts[0]), r#"{"kid":"k1","alg":"HS256","typ":"JWT"}"#);
        assert_eq!(decode(parts[1]), r#"{"iss":"me","iat":1700000000,"exp":1700000300}"#);
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        assert!(
            hmac::verify(&key, format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature).is_ok()
        );
        assert_eq!(jwt("{}", 3601).check(), Err(DeriveError::Validity));
        assert_eq!(jwt("[]", 300).check(), Err(DeriveError::Claims));
        let late = jwt(r#"{"exp":1700009999}"#, 300);
        assert_eq!(late.apply("", b"secret").unwrap_err(), DeriveError::Validity);
    }

    #[test]
    fn keys_are_read_from_pem() {
        let pkcs8 = signature::EcdsaKeyPair::generate_pkcs8(
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &rand::SystemRandom::new(),
        )
        .unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(pkcs8.as_ref())
        );
        let jwt = Derivation::Jwt {
            claims: "{}".into(),
            algorithm: "ES256".into(),
            header: None,
            issued_at: Timestamp::from_millis(0),
            expires_in: 60,
        };
        assert_eq!(text(&jwt, "", pem.as_bytes()).split('.').count(), 3);
        assert_eq!(jwt.apply("", b"not a key").unwrap_err(), DeriveError::Key);
    }
}
