//! The broker: one request from a step, walked hop by hop. It finds sealed values, asks for the
//! permit of each, records the use, opens, fills, sends, and puts sealed values back into the answer.

mod fill;
mod redirect;
mod scan;

use crate::inject::{self, Fields};
use crate::placeholder::Known;
use crate::step::{Reference, StepFailure, StepVault};
use bytes::Bytes;
use keyward_egress::{Draft, EgressError, Response};
use keyward_model::destination::{Destination, Place, Scheme};
use keyward_model::error::StepErrorCode;
use scan::NotHere;
use std::time::{Duration, Instant};

/// How many hops one request may take.
const MAX_REDIRECTS: usize = 5;

/// A request as a step wants it sent; sealed values stand in it as text.
#[derive(Clone)]
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
    /// Whether redirects are followed.
    pub follow: bool,
}

/// An answer, with sealed values where secrets stood.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The URL that answered in the end, sealed values in place.
    pub url: String,
    /// Headers in order, masked.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The decoded body, masked.
    pub body: Bytes,
    /// Whether a redirect was followed.
    pub redirected: bool,
}

impl StepVault {
    /// Sends a request. `attach` names the credential that is put in as its type says.
    pub async fn send(
        &self,
        mut request: Outgoing,
        attach: Option<&str>,
        timeout: Duration,
    ) -> Result<Answer, StepFailure> {
        let deadline = Instant::now() + timeout;
        if let Some(key) = attach {
            self.attach(key, &mut request)?;
        }
        let mut redirected = false;
        for _ in 0..=MAX_REDIRECTS {
            let (draft, (known, hits), response) = self.hop(&request, deadline).await?;
            let location = redirect::location(&response).map(|sent| self.masker().reseal(sent));
            let holds = |text: &[u8]| !known.search(text).is_empty() || known.search_encoded(text);
            let answered = (&response, location);
            let next = redirect::next(&request, &draft, answered, !hits.is_empty(), holds);
            match next {
                _ if !request.follow => return self.answer(&draft, response, redirected),
                redirect::Next::Answer => return self.answer(&draft, response, redirected),
                redirect::Next::Stop(reason) => return Err(stopped(&draft, reason)),
                redirect::Next::Follow(next) => request = next,
            }
            redirected = true;
        }
        let message = format!("more than {MAX_REDIRECTS} redirects");
        Err(StepFailure::new(StepErrorCode::ConnectionFailed, message))
    }

    fn attach(&self, key: &str, request: &mut Outgoing) -> Result<(), StepFailure> {
        let grant = self.grant(key)?;
        let credential = grant.credential();
        let placeholder = |field: &str| {
            let known = credential.details.secret.iter().any(|name| name == field);
            known.then(|| self.placeholder(credential.id, field, None))
        };
        inject::attach(&Fields { credential, placeholder: &placeholder }, request)
            .map_err(|error| StepFailure::new(StepErrorCode::ValidationFailed, error.to_string()))
    }

    /// One hop: everything is decided before the first byte leaves.
    async fn hop(
        &self,
        request: &Outgoing,
        deadline: Instant,
    ) -> Result<(Draft, (Known, Vec<scan::Hit>), Response), StepFailure> {
        let (known, references) = self.known();
        let written = scan::scan_written(request, &known);
        if let Err(refusal) = written {
            return Err(self.not_here(refusal, None).await);
        }
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let draft = Draft::parse(&request.method, &request.url, headers, request.body.clone())
            .map_err(|error| egress_failure(&error))?;
        let hits = match scan::scan(&draft, &known) {
            Ok(hits) => hits,
            Err(refusal) => return Err(self.not_here(refusal, Some(&draft)).await),
        };
        self.egress().check(draft.destination()).map_err(|error| egress_failure(&error))?;
        let request = match hits.is_empty() {
            true => draft.plain(),
            false => self.fill(&draft, (&known, &references), &hits).await?,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let response = self.egress().send(&self.pool(), request, left).await;
        let response = response.map_err(|error| egress_failure(&error))?;
        let sent = hits.iter().filter_map(|hit| references.get(hit.number));
        let sent: Vec<&str> = sent.map(Reference::key).collect();
        if !sent.is_empty() {
            self.note_answer(&sent, response.status);
        }
        Ok((draft, (known, hits), response))
    }

    async fn fill(
        &self,
        draft: &Draft,
        (known, references): (&Known, &[Reference]),
        hits: &[scan::Hit],
    ) -> Result<keyward_egress::Request, StepFailure> {
        if draft.headers().iter().any(|(name, _)| name == "range") {
            let hint = "a range would cut an echoed value into pieces that are not recognised";
            return Err(self.not_here(NotHere { reason: "range", hint }, Some(draft)).await);
        }
        let to = destination(draft)?;
        let plain_allowed = self.egress().allows_plain(&to.host, to.port);
        let values = self.release(&to, references, &places(hits), plain_allowed).await?;
        let value = |number: usize| values.get(&number).map(|secret| secret.expose());
        draft.fill(fill::fill(draft, known, &value)).map_err(|error| egress_failure(&error))
    }

    fn answer(
        &self,
        draft: &Draft,
        response: Response,
        redirected: bool,
    ) -> Result<Answer, StepFailure> {
        let masker = self.masker();
        let mut answer = Answer {
            status: response.status,
            url: draft.url().to_string(),
            headers: response.headers.into_iter().chain(response.trailers).collect(),
            body: response.body,
            redirected,
        };
        if masker.is_empty() {
            return Ok(answer);
        }
        if !answer.body.is_empty() && answer.headers.iter().any(is_coded) {
            let to = draft.destination();
            let message = format!(
                "{to} answered in an encoding that cannot be searched for \
                secrets; ask for gzip, deflate or none in Accept-Encoding"
            );
            return Err(StepFailure::new(StepErrorCode::ConnectionFailed, message));
        }
        for (name, value) in &mut answer.headers {
            *name = String::from_utf8_lossy(&masker.reseal(name.as_bytes())).into_owned();
            *value = masker.reseal(value);
        }
        answer.body = masker.reseal(&answer.body).into();
        Ok(answer)
    }

    async fn not_here(&self, refusal: NotHere, draft: Option<&Draft>) -> StepFailure {
        let to = draft.and_then(|draft| destination(draft).ok()).map(|to| to.origin());
        self.record_misplaced(refusal.reason, to).await;
        let message = format!("{} ({})", refusal.hint, refusal.reason);
        StepFailure::new(StepErrorCode::CredentialNotAllowedHere, message)
    }
}

/// Whether a header says that the body is still encoded: what could be decoded no longer has one.
fn is_coded((name, value): &(String, Vec<u8>)) -> bool {
    let plain: &[u8] = match name.as_str() {
        "content-encoding" => b"identity",
        "transfer-encoding" => b"chunked",
        _ => return false,
    };
    !value.trim_ascii().eq_ignore_ascii_case(plain)
}

/// Which placeholders stand in which places, each number once.
fn places(hits: &[scan::Hit]) -> Vec<(usize, Vec<Place>)> {
    let mut out: Vec<(usize, Vec<Place>)> = Vec::new();
    for hit in hits {
        match out.iter_mut().find(|(number, _)| *number == hit.number) {
            Some((_, places)) if places.contains(&hit.place) => {}
            Some((_, places)) => places.push(hit.place),
            None => out.push((hit.number, vec![hit.place])),
        }
    }
    out
}

/// The destination that the policy is held against.
pub(crate) fn destination(draft: &Draft) -> Result<Destination, StepFailure> {
    let to = draft.destination();
    let path = to.match_path().map_err(|ambiguous| {
        StepFailure::new(StepErrorCode::CredentialNotAllowedHere, ambiguous.to_string())
    })?;
    let is_https = to.scheme() == keyward_egress::Scheme::Https;
    Ok(Destination {
        scheme: if is_https { Scheme::Https } else { Scheme::Http },
        host: to.host().to_owned(),
        port: to.port(),
        method: draft.method().as_str().to_ascii_uppercase(),
        path: path.to_owned(),
    })
}

fn stopped(draft: &Draft, reason: &str) -> StepFailure {
    let message = format!("{} redirects, which stops here: {reason}", draft.destination());
    StepFailure::new(StepErrorCode::CredentialNotAllowedHere, message)
}

fn egress_failure(error: &EgressError) -> StepFailure {
    let code = StepErrorCode::parse(error.code()).unwrap_or(StepErrorCode::ConnectionFailed);
    StepFailure::new(code, error.to_string())
}
