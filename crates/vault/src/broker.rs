//! The broker: one request from a step, walked hop by hop. It finds sealed values, asks for the
//! permit of each, records the use, opens, fills, sends, and puts sealed values back into the answer.

mod fill;
mod redirect;
mod scan;
mod sign;

pub(crate) use fill::raw;

use crate::authentication::Using;
use crate::placeholder::Known;
use crate::step::{Holder, Reference, StepFailure, StepVault};
use bytes::Bytes;
use keyward_egress::{Ambiguous, Draft, EgressError, Response};
use keyward_model::catalogue::rendered_body;
use keyward_model::destination::{Destination, Place, Scheme};
use keyward_model::error::StepErrorCode;
use keyward_model::workflow::RenderedRequest;
use scan::NotHere;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many hops one request may take.
const MAX_REDIRECTS: usize = 5;

/// A request as a step wants it sent; sealed values stand in it as text.
#[derive(Clone, Default)]
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
    /// PEM text of issuers trusted beside the others, for this request.
    pub roots: Option<Arc<[u8]>>,
    /// What it is signed with as it leaves.
    pub sign: Option<Sign>,
}

/// AWS's signature, made of the request as it leaves; fields are texts with sealed values.
#[derive(Clone)]
pub struct Sign {
    pub(crate) service: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

impl Outgoing {
    /// A request out of a template.
    pub fn of(request: RenderedRequest) -> Self {
        let (body, kind) = match request.body.as_ref().map(rendered_body) {
            Some((body, kind)) => (body, Some(kind)),
            None => (Vec::new(), None),
        };
        let mut headers: Vec<(String, Vec<u8>)> =
            request.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        let has_kind = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if let Some(kind) = kind.filter(|_| !has_kind) {
            headers.push(("Content-Type".into(), kind.into()));
        }
        let url = with_query(&request.url, &request.query);
        let method = request.method.as_str().to_owned();
        Self { method, url, headers, body: body.into(), follow: true, ..Self::default() }
    }

    /// Adds the header that lets a service tell a repetition, where the method changes something; one
    /// that is there stays.
    pub fn add_idempotency_key(&mut self, key: &str) {
        let safe = ["GET", "HEAD"].iter().any(|safe| self.method.eq_ignore_ascii_case(safe));
        let given = |(name, _): &(String, Vec<u8>)| name.eq_ignore_ascii_case("idempotency-key");
        if !safe && !self.headers.iter().any(given) {
            self.headers.push(("Idempotency-Key".into(), key.as_bytes().to_vec()));
        }
    }
}

/// The URL with query parameters after its own. An unreadable URL is left for the broker.
fn with_query(url: &str, query: &[(String, String)]) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if !query.is_empty() => {
            parsed.query_pairs_mut().extend_pairs(query);
            parsed.into()
        }
        _ => url.to_owned(),
    }
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
    /// Sends a request, authenticated as the credential's type, or its app, says.
    pub async fn send(
        &self,
        mut request: Outgoing,
        using: Option<Using<'_>>,
        timeout: Duration,
    ) -> Result<Answer, StepFailure> {
        let deadline = Instant::now() + timeout;
        match using {
            None => {}
            Some(Using::External(values)) => {
                self.external_for_http(&values)?.attach(None, &mut request)?;
            }
            Some(Using::Stored(key)) => {
                let mut authentication = self.stored(key)?;
                self.sign_in_for(&mut authentication, deadline).await?;
                authentication.attach(None, &mut request)?;
            }
        }
        self.send_through(request, deadline).await
    }

    /// Sends a request that is authenticated already, and follows where it leads.
    pub(crate) async fn send_through(
        &self,
        request: Outgoing,
        deadline: Instant,
    ) -> Result<Answer, StepFailure> {
        let mut answer = self.send_plainly(request, deadline).await?;
        let masker = self.masker();
        if !masker.is_empty() {
            for (name, value) in &mut answer.headers {
                *name = String::from_utf8_lossy(&masker.reseal(name.as_bytes())).into_owned();
                *value = masker.reseal(value);
            }
            answer.body = masker.reseal(&answer.body).into();
        }
        Ok(answer)
    }

    /// The same, with the answer as it came, for what takes secrets out of it: one that begins as
    /// another one does would not come through whole. It goes no further than this crate.
    pub(crate) async fn send_plainly(
        &self,
        mut request: Outgoing,
        deadline: Instant,
    ) -> Result<Answer, StepFailure> {
        let mut redirected = false;
        for _ in 0..=MAX_REDIRECTS {
            let (draft, (known, hits), response) = self.hop(&request, deadline).await?;
            let location = redirect::location(&response).map(|sent| self.masker().reseal(sent));
            let holds = |text: &[u8]| !known.search(text).is_empty() || known.search_encoded(text);
            let answered = (&response, location);
            let next = redirect::next(&request, &draft, answered, !hits.is_empty(), holds);
            match next {
                // A signature is for one request.
                _ if !request.follow || request.sign.is_some() => {
                    return self.answer(&draft, response, redirected);
                }
                redirect::Next::Answer => return self.answer(&draft, response, redirected),
                redirect::Next::Stop(reason) => return Err(stopped(&draft, reason)),
                redirect::Next::Follow(next) => request = *next,
            }
            redirected = true;
        }
        let message = format!("more than {MAX_REDIRECTS} redirects");
        Err(StepFailure::new(StepErrorCode::ConnectionFailed, message))
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
        let mut hits = match scan::scan(&draft, &known) {
            Ok(hits) => hits,
            Err(refusal) => return Err(self.not_here(refusal, Some(&draft)).await),
        };
        hits.extend(request.sign.iter().flat_map(|sign| sign.hits(&known)));
        self.egress().check(draft.destination()).map_err(|error| egress_failure(&error))?;
        let (sign, roots) = (request.sign.as_ref(), request.roots.as_deref());
        let request = match hits.is_empty() {
            true => draft.plain(),
            false => self.fill(&draft, (&known, &references), &hits, sign).await?,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let response = match roots {
            None => self.egress().send(&self.pool(), request, left).await,
            Some(pem) => self.egress().send_trusting(&self.pool(), request, left, pem).await,
        };
        let response = response.map_err(|error| egress_failure(&error))?;
        let sent = hits.iter().filter_map(|hit| references.get(hit.number));
        let sent: Vec<&Holder> = sent.map(Reference::holder).collect();
        if !sent.is_empty() {
            self.note_answer(&sent, matches!(response.status, 401 | 403));
        }
        Ok((draft, (known, hits), response))
    }

    async fn fill(
        &self,
        draft: &Draft,
        (known, references): (&Known, &[Reference]),
        hits: &[scan::Hit],
        sign: Option<&Sign>,
    ) -> Result<keyward_egress::Request, StepFailure> {
        if draft.headers().iter().any(|(name, _)| name == "range") {
            let hint = "a range would cut an echoed value into pieces that are not recognised";
            return Err(self.not_here(NotHere { reason: "range", hint }, Some(draft)).await);
        }
        let to = destination(draft)?;
        let plain_allowed = self.egress().allows_plain(&to.host, to.port);
        let values = self.release(&to, references, &places(hits), plain_allowed).await?;
        let value = |number: usize| values.get(&number).map(|secret| secret.expose());
        let mut filled = fill::fill(draft, known, &value);
        if let Some(sign) = sign {
            sign.add(draft, known, &value, self.vault().now(), &mut filled);
        }
        draft.fill(filled).map_err(|error| {
            let holders = hits.iter().filter_map(|hit| references.get(hit.number));
            let shown: BTreeSet<String> =
                holders.map(|reference| self.shown(reference.holder())).collect();
            let shown = shown.into_iter().collect::<Vec<_>>().join(", ");
            let failure = egress_failure(&error);
            let message = format!("the value of {shown} cannot be sent: {}", failure.message);
            StepFailure { message, ..failure }
        })
    }

    fn answer(
        &self,
        draft: &Draft,
        response: Response,
        redirected: bool,
    ) -> Result<Answer, StepFailure> {
        let answer = Answer {
            status: response.status,
            url: draft.url().to_string(),
            headers: response.headers.into_iter().chain(response.trailers).collect(),
            body: response.body,
            redirected,
        };
        if !self.masker().is_empty()
            && !answer.body.is_empty()
            && answer.headers.iter().any(is_coded)
        {
            let to = draft.destination();
            let message = format!(
                "{to} answered in an encoding that cannot be searched for \
                secrets; ask for gzip, deflate or none in Accept-Encoding"
            );
            return Err(StepFailure::new(StepErrorCode::ConnectionFailed, message));
        }
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
    let path = match to.match_path() {
        Ok(path) => path,
        // Services have paths with encoded slashes; only a policy about paths cannot take them.
        Err(Ambiguous::Slash) => to.path(),
        Err(dots @ Ambiguous::Dots) => {
            let message = dots.to_string();
            return Err(StepFailure::new(StepErrorCode::CredentialNotAllowedHere, message));
        }
    };
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
