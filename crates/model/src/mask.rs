//! The masker: the one way for what a workflow step gives off into logs, outputs and replies.
//!
//! A run's masker is taught every value that the run resolves. It hides each in all the encodings
//! it can be expected in, streaming, and hides passwords in URLs and credential headers by their
//! place. What it makes is [`Masked`], which is all that the store takes from a step.
//!
//! How it works: [`Needles`] holds a value, its spellings, parts and blocks, and computes their
//! fixed encodings (hex, base64, base32, UTF-16) a character at a time. `index` finds needles by
//! fingerprints of their first bytes. Encodings that vary (escapes, lists of numbers, wrapped
//! lines) are decoded into shadows that remember where each byte came from, and those are searched
//! in the same way. `quiet` tells where a stream may be cut.

mod bytes;
mod cover;
mod detect;
mod escape;
mod form;
mod index;
mod json;
mod lines;
mod lists;
mod needles;
mod packed;
mod parts;
mod pattern;
mod quiet;
mod run;
mod shadow;
mod stream;
mod strength;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64;
use serde_json::Value;

use crate::credential::Sealed;

pub use needles::Needles;
pub use stream::MaskStream;
pub use strength::{Strength, strength};

use cover::Cover;
use detect::Carry;
use index::{Index, Secret};
use stream::{Surface, WINDOW};

/// What the stored text of a no-store run begins with.
const SEALED_ROW: &str = "kwrow1:";
/// What stands for a hidden piece of text.
const MARK: &str = "***";

/// Knows the values of one run and hides them. Cheap to create and to clone (clones share what they
/// know); a run that released nothing holds nothing.
#[derive(Clone, Default)]
pub struct Masker {
    inner: Arc<Inner>,
}

/// What clones of a masker and its streams share.
#[derive(Default)]
struct Inner {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    secrets: Vec<Secret>,
    /// Built when first needed after something was learnt.
    index: Option<Arc<Index>>,
}

impl Masker {
    /// A masker that knows no value yet. It hides patterns from the start.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Teaches a value. `placeholder` (`kws1_...`) is what outputs and code see in its place.
    /// Teaching the same needles under the same placeholder again changes nothing.
    pub fn learn(&self, needles: Arc<Needles>, placeholder: &str) {
        let mut state = self.inner.state();
        let known = |secret: &Secret| {
            Arc::ptr_eq(&secret.needles, &needles) && &*secret.placeholder == placeholder
        };
        if needles.is_empty() || state.secrets.iter().any(known) {
            return;
        }
        state.secrets.push(Secret { needles, placeholder: placeholder.into() });
        state.index = None;
    }

    /// Whether no value was taught.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.state().secrets.is_empty()
    }

    /// Masks a log line or an error: what is hidden shows as `***`.
    #[must_use]
    pub fn text(&self, text: &str) -> Masked {
        let index = self.inner.index();
        match masked_bytes(&self.inner, &index, text.as_bytes(), Surface::Text) {
            Some(hidden) => Masked(String::from_utf8_lossy(&hidden).into_owned()),
            None => Masked(text.to_owned()),
        }
    }

    /// Masks a step's output: string leaves, object keys, numbers and lists of bytes. A value shows
    /// as its placeholder, a pattern as `***`. The result is JSON text.
    #[must_use]
    pub fn json(&self, value: &Value) -> Masked {
        let index = self.inner.index();
        Masked(json::masked(&self.inner, &index, value).to_string())
    }

    /// Masks a response's header or body before code sees it: values become placeholders. Patterns
    /// stay, as code may need what stands there; they are hidden when code gives them off.
    #[must_use]
    pub fn reseal(&self, bytes: &[u8]) -> Vec<u8> {
        let index = self.inner.index();
        for (_, secret) in index.secrets() {
            if secret.needles.tiny().any(|tiny| tiny == bytes.trim_ascii()) {
                return secret.placeholder.as_bytes().to_vec();
            }
        }
        let hidden = masked_bytes(&self.inner, &index, bytes, Surface::Code);
        hidden.unwrap_or_else(|| bytes.to_vec())
    }

    /// Masks text that comes in pieces, as [`Masker::text`] does. Values taught later count from
    /// then on.
    #[must_use]
    pub fn stream(&self) -> MaskStream {
        MaskStream::new(Arc::clone(&self.inner), Surface::Text, WINDOW)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> Arc<Index> {
        let mut state = self.state();
        if let Some(index) = &state.index {
            return Arc::clone(index);
        }
        let index = Arc::new(Index::build(state.secrets.clone()));
        state.index = Some(Arc::clone(&index));
        index
    }
}

/// The masked text; none if nothing in it is hidden.
fn masked_bytes(
    masker: &Arc<Inner>,
    index: &Index,
    text: &[u8],
    surface: Surface,
) -> Option<Vec<u8>> {
    if text.len() > WINDOW {
        let mut stream = MaskStream::new(Arc::clone(masker), surface, WINDOW);
        let mut out = stream.push(text);
        out.extend(stream.finish());
        return Some(out);
    }
    let covers = all_covers(index, text, surface);
    if covers.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    stream::replace(index, surface, text, &covers, &mut out);
    Some(out)
}

/// All that is hidden of a text no longer than a window.
fn all_covers(index: &Index, text: &[u8], surface: Surface) -> Vec<Cover> {
    detect::covers(index, text, surface != Surface::Code, Carry::default())
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker of {} values", self.inner.state().secrets.len())
    }
}

impl fmt::Debug for MaskStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskStream")
    }
}

/// Text that went through a masker: the only thing that the store accepts as step data. It shows
/// that the masker ran, not that the masker knew every value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Masked(String);

impl Masked {
    /// Text that the store gives back: it was masked before it was kept.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// What is kept of a no-store run while it is under way: ciphertext, as text.
    #[must_use]
    pub fn of_sealed(sealed: &Sealed) -> Self {
        Self(format!("{SEALED_ROW}{}", BASE64.encode(sealed.as_bytes())))
    }

    /// Reads what `of_sealed` wrote; `None` for any other text.
    #[must_use]
    pub fn sealed_in(text: &str) -> Option<Sealed> {
        let bytes = BASE64.decode(text.strip_prefix(SEALED_ROW)?.as_bytes()).ok()?;
        Some(Sealed::from_bytes(bytes))
    }

    /// The same text with one sealed value written as another. Neither is a secret; anything that
    /// has not their form (`kws1_` and 40 characters) is left alone.
    #[must_use]
    pub fn renamed(&self, from: &str, to: &str) -> Self {
        let is_sealed = |text: &str| text.starts_with("kws1_") && text.len() == 45;
        match is_sealed(from) && is_sealed(to) {
            true => Self(self.0.replace(from, to)),
            false => self.clone(),
        }
    }

    /// JSON's `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".to_owned())
    }

    /// Text of the program's own, which cannot carry a value.
    #[must_use]
    pub fn from_static(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The masked text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The masked text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
