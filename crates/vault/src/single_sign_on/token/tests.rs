//! Made-up tokens against made-up keys.

use super::*;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, encode};
use serde_json::{Value, json};

/// A key pair that stands in the provider's set under an id.
struct Pair {
    private: EncodingKey,
    public: Jwk,
    algorithm: Algorithm,
}

fn pair(algorithm: Algorithm, id: Option<&str>) -> Pair {
    let random = SystemRandom::new();
    let private = match algorithm {
        Algorithm::RS256 => {
            let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
            let pkcs8: Pkcs8V1Der<'_> = pair.as_der().expect("its encoding");
            // The library takes PKCS #1, which is what follows the 26 bytes of PKCS #8.
            EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
        }
        Algorithm::ES256 => {
            let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
            EncodingKey::from_ec_der(der.expect("an EC key").as_ref())
        }
        _ => {
            let der = Ed25519KeyPair::generate_pkcs8v1(&random);
            EncodingKey::from_ed_der(der.expect("an Ed25519 key").as_ref())
        }
    };
    let mut public = Jwk::from_encoding_key(&private, algorithm).expect("a public key");
    public.common.key_id = id.map(str::to_owned);
    Pair { private, public, algorithm }
}

impl Pair {
    fn sign(&self, id: Option<&str>) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = id.map(str::to_owned);
        encode(&header, &json!({ "sub": "u1" }), &self.private).expect("a token")
    }
}

fn unsigned(header: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(&json!({ "sub": "u1" })))
}

#[track_caller]
fn check(token: &str, keys: &[&Pair], expected: Result<(), Fault>) {
    let keys: Vec<Jwk> = keys.iter().map(|pair| pair.public.clone()).collect();
    let found = verify(token.as_bytes(), &keys);
    let subject = |claims: Claims| assert_eq!(claims.get("sub"), Some(&json!("u1")));
    assert_eq!(found.map(subject), expected, "{token}");
}

#[test]
fn each_of_our_algorithms_is_verified_by_its_own_key_alone() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let (one, two) = (pair(algorithm, Some("1")), pair(algorithm, Some("2")));
        check(&one.sign(Some("1")), &[&one, &two], Ok(()));
        check(&two.sign(Some("2")), &[&one, &two], Ok(()));
        check(&two.sign(Some("1")), &[&one, &two], Err(Fault::Signature));
        check(&one.sign(Some("3")), &[&one, &two], Err(Fault::UnknownKey));
        check(&one.sign(Some("1")), &[], Err(Fault::UnknownKey));
        // Without an id only where there is no choice.
        check(&one.sign(None), &[&one], Ok(()));
        check(&one.sign(None), &[&two], Err(Fault::Signature));
        check(&one.sign(None), &[&one, &two], Err(Fault::UnknownKey));
        // Two keys of one id: no choice is made.
        let twin = pair(algorithm, Some("1"));
        check(&one.sign(Some("1")), &[&one, &twin], Err(Fault::UnknownKey));
    }
}

#[test]
fn keys_of_another_kind_or_use_do_not_count() {
    let (rsa, ec) = (pair(Algorithm::RS256, Some("1")), pair(Algorithm::ES256, Some("1")));
    check(&rsa.sign(Some("1")), &[&rsa, &ec], Ok(()));
    check(&ec.sign(Some("1")), &[&rsa, &ec], Ok(()));
    check(&ec.sign(Some("1")), &[&rsa], Err(Fault::UnknownKey));
    let with = |change: fn(&mut Jwk)| {
        let mut pair = pair(Algorithm::RS256, Some("1"));
        change(&mut pair.public);
        pair
    };
    let encrypting = with(|key| key.common.public_key_use = Some(PublicKeyUse::Encryption));
    check(&encrypting.sign(Some("1")), &[&encrypting], Err(Fault::UnknownKey));
    let other = with(|key| key.common.key_algorithm = Some(KeyAlgorithm::PS256));
    check(&other.sign(Some("1")), &[&other], Err(Fault::UnknownKey));
    let silent = with(|key| key.common.key_algorithm = None);
    check(&silent.sign(Some("1")), &[&silent], Ok(()));
}

#[test]
fn a_key_by_its_newer_name_counts() {
    let mut pair = pair(Algorithm::EdDSA, Some("1"));
    let mut named = serde_json::to_value(&pair.public).expect("a key");
    named["alg"] = "Ed25519".into();
    pair.public = serde_json::from_value(named).expect("a key");
    check(&pair.sign(Some("1")), &[&pair], Ok(()));
}

#[test]
fn no_token_chooses_how_it_is_verified() {
    let rsa = pair(Algorithm::RS256, Some("1"));
    for alg in ["none", "None", "NONE", "unknown"] {
        check(&unsigned(&json!({ "alg": alg, "kid": "1" })), &[&rsa], Err(Fault::Algorithm));
    }
    check(&unsigned(&json!({ "alg": "RS256", "kid": "1" })), &[&rsa], Err(Fault::Signature));
    // A MAC under what is public: the key's modulus, or the whole key as it is published.
    let published = serde_json::to_value(&rsa.public).expect("a key");
    let modulus = published["n"].as_str().expect("a modulus").to_owned();
    for secret in [modulus, published.to_string()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some("1".into());
            let secret = EncodingKey::from_secret(secret.as_bytes());
            let token = encode(&header, &json!({ "sub": "u1" }), &secret).expect("a token");
            check(&token, &[&rsa], Err(Fault::Algorithm));
        }
    }
    let mut header = Header::new(Algorithm::PS256);
    header.kid = Some("1".into());
    let token = encode(&header, &json!({ "sub": "u1" }), &rsa.private).expect("a token");
    check(&token, &[&rsa], Err(Fault::Algorithm));
    header.alg = Algorithm::RS256;
    header.crit = Some(vec!["exp".into()]);
    let token = encode(&header, &json!({ "sub": "u1" }), &rsa.private).expect("a token");
    check(&token, &[&rsa], Err(Fault::Form));
}

#[test]
fn an_altered_token_is_refused() {
    let rsa = pair(Algorithm::RS256, Some("1"));
    let token = rsa.sign(Some("1"));
    let parts: Vec<_> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"u2"}"#);
    check(&format!("{}.{claims}.{}", parts[0], parts[2]), &[&rsa], Err(Fault::Signature));
    check(&format!("{}.{}.", parts[0], parts[1]), &[&rsa], Err(Fault::Signature));
    let keys = [rsa.public];
    for broken in ["", "a", "a.b", "a.b.c", "a.b.c.d.e", "..", "\u{0}.\u{0}.\u{0}"] {
        assert!(verify(broken.as_bytes(), &keys).is_err(), "{broken:?}");
    }
    let extra = format!("{token}.{}", parts[2]);
    assert!(verify(extra.as_bytes(), &keys).is_err());
}
