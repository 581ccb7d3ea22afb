//! The signature of an ID token (RFC 7515, RFC 7519). Which algorithms count is decided here, not by
//! the token: RS256, ES256 and EdDSA; never `none`, and never a MAC under a key that is public.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use keyward_model::single_sign_on::Claims;

/// Why a token's signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// No signed token at all.
    Form,
    /// Signed by another algorithm than ours.
    Algorithm,
    /// None of the keys is meant.
    UnknownKey,
    /// Signed by another key, or altered.
    Signature,
}

impl Fault {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Form => "the ID token cannot be read",
            Self::Algorithm => {
                "the ID token is signed by another algorithm than RS256, ES256 or EdDSA"
            }
            Self::UnknownKey => {
                "the ID token is signed by a key that the provider does not publish"
            }
            Self::Signature => "the ID token's signature is wrong",
        }
    }
}

/// The claims of a token that one of these keys has signed.
pub(super) fn verify(token: &[u8], keys: &[Jwk]) -> Result<Claims, Fault> {
    let header = decode_header(token).map_err(|error| match error.kind() {
        // `none` and other unknown names.
        jsonwebtoken::errors::ErrorKind::Json(_) => Fault::Algorithm,
        _ => Fault::Form,
    })?;
    if header.crit.is_some() {
        return Err(Fault::Form);
    }
    let key = choose(&header, keys)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| Fault::UnknownKey)?;
    let mut validation = Validation::new(header.alg);
    // The claims are checked by our own rules and our own clock.
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    decode(token, &key, &validation).map(|found| found.claims).map_err(|_| Fault::Signature)
}

/// The one key that the token means: by its id, or, without one, the only one of its kind.
fn choose<'a>(header: &Header, keys: &'a [Jwk]) -> Result<&'a Jwk, Fault> {
    let wanted = match header.alg {
        Algorithm::RS256 => KeyAlgorithm::RS256,
        Algorithm::ES256 => KeyAlgorithm::ES256,
        Algorithm::EdDSA => KeyAlgorithm::EdDSA,
        _ => return Err(Fault::Algorithm),
    };
    let fits = |key: &&Jwk| {
        let common = &key.common;
        let kind = match &key.algorithm {
            AlgorithmParameters::RSA(_) => header.alg == Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) => {
                header.alg == Algorithm::ES256 && key.curve == EllipticCurve::P256
            }
            AlgorithmParameters::OctetKeyPair(key) => {
                header.alg == Algorithm::EdDSA && key.curve == EllipticCurve::Ed25519
            }
            _ => false,
        };
        // `Ed25519` (RFC 9864) is a name that the library does not know.
        let named = common.key_algorithm.is_none_or(|named| {
            named == wanted
                || named == KeyAlgorithm::UNKNOWN_ALGORITHM && wanted == KeyAlgorithm::EdDSA
        });
        let signs = common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
        kind && named && signs && (header.kid.is_none() || header.kid == common.key_id)
    };
    let mut fitting = keys.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(Fault::UnknownKey),
    }
}

#[cfg(test)]
mod tests;
