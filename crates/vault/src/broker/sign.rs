//! Signs a request as it leaves, with the values in their places (AWS Signature Version 4).

use super::Sign;
use super::fill::{Values, raw};
use super::scan::Hit;
use crate::inject::sigv4::{self, Credentials, Signing};
use crate::placeholder::{Found, Known};
use keyward_egress::{Draft, Filled};
use keyward_model::clock::Timestamp;
use keyward_model::destination::Place;
use zeroize::Zeroizing;

impl Sign {
    fn texts(&self) -> impl Iterator<Item = &str> {
        let Self { access_key_id, secret_access_key, session_token, .. } = self;
        [Some(access_key_id), Some(secret_access_key), session_token.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// The sealed values that the signature is made of; it stands in a header.
    pub(super) fn hits(&self, known: &Known) -> Vec<Hit> {
        let found = self.texts().flat_map(|text| known.search(text.as_bytes()));
        let number = |found: Found| match found {
            Found::Whole { number, .. } => Some(Hit { number, place: Place::Header }),
            _ => None,
        };
        found.filter_map(number).collect()
    }

    /// Adds the signature's headers to a filled request.
    pub(super) fn add(
        &self,
        draft: &Draft,
        known: &Known,
        values: Values<'_>,
        now: Timestamp,
        filled: &mut Filled,
    ) {
        let (id, secret) =
            (raw(known, &self.access_key_id, values), raw(known, &self.secret_access_key, values));
        let token = self.session_token.as_ref().map(|token| raw(known, token, values));
        let credentials = Credentials {
            access_key_id: &id,
            secret_access_key: &secret,
            session_token: token.as_ref().map(|token| token.as_slice()),
        };
        let headers = draft.headers().iter().map(|(name, value)| {
            let new = filled.headers.iter().find(|(filled, _)| filled == name);
            let value = new.map_or_else(
                || Zeroizing::new(value.as_bytes().to_vec()),
                |(_, value)| value.clone(),
            );
            (name.as_str().to_owned(), value)
        });
        let headers: Vec<_> = headers.collect();
        let path_and_query = filled.path_and_query.as_deref().map(String::as_str);
        let signing = Signing {
            method: draft.method().as_str(),
            host: &draft.destination().authority(),
            path_and_query: path_and_query.unwrap_or_else(|| draft.path_and_query()),
            headers: &headers,
            body: filled
                .body
                .as_ref()
                .map_or_else(|| draft.body().as_ref(), |body| body.as_slice()),
            service: &self.service,
            region: &self.region,
            now,
        };
        filled.headers.extend(sigv4::sign(&credentials, &signing));
    }
}
