//! Puts values in the place of placeholders, encoded for where they stand.

use super::scan::basic_payload;
use crate::placeholder::{Found, Known, LENGTH};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderName, HeaderValue};
use keyward_egress::{Draft, Filled};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// Gives the value of a placeholder by its number.
pub(crate) type Values<'a> = &'a dyn Fn(usize) -> Option<&'a [u8]>;

/// How a value is written in the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Raw,
    Percent,
    Json,
    Xml,
}

/// Everything of a request that has placeholders, with values in their place.
pub(crate) fn fill(draft: &Draft, known: &Known, values: Values<'_>) -> Filled {
    let target = substitute(known, draft.path_and_query().as_bytes(), Form::Percent, values);
    let header = |name: &HeaderName, value: &HeaderValue| match basic_payload(
        name.as_str(),
        value.as_bytes(),
    ) {
        Some(decoded) if known.search(value.as_bytes()).is_empty() => {
            let joined = substitute(known, &decoded, Form::Raw, values)?;
            Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(&*joined)).into_bytes()))
        }
        _ => substitute(known, value.as_bytes(), Form::Raw, values),
    };
    let filled: Vec<_> =
        draft.headers().iter().map(|(name, value)| (name, value, header(name, value))).collect();
    // A filled header replaces all of its name, so its unfilled namesakes go along.
    let is_filled =
        |name: &HeaderName| filled.iter().any(|(n, _, new)| *n == name && new.is_some());
    let headers = filled.iter().filter(|(name, ..)| is_filled(name)).map(|(name, value, new)| {
        let kept = || Zeroizing::new(value.as_bytes().to_vec());
        ((*name).clone(), new.clone().unwrap_or_else(kept))
    });
    Filled {
        path_and_query: target
            .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok().map(Zeroizing::new)),
        headers: headers.collect(),
        body: substitute(known, draft.body(), body_form(draft), values),
    }
}

/// A text with its sealed values filled as they are.
pub(crate) fn raw(known: &Known, text: &str, values: Values<'_>) -> Zeroizing<Vec<u8>> {
    let filled = substitute(known, text.as_bytes(), Form::Raw, values);
    filled.unwrap_or_else(|| Zeroizing::new(text.as_bytes().to_vec()))
}

fn body_form(draft: &Draft) -> Form {
    let content_type = draft
        .headers()
        .iter()
        .find(|(name, _)| name == "content-type")
        .and_then(|(_, value)| value.to_str().ok())
        .map(str::to_ascii_lowercase)
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    // What fetch sends of JSON.stringify(...) says that it is text.
    let is_json = || {
        let mut values =
            serde_json::Deserializer::from_slice(draft.body()).into_iter::<IgnoredAny>();
        let quoted = draft.body().trim_ascii_start().first();
        matches!(quoted, Some(b'{' | b'[' | b'"')) && values.all(|value| value.is_ok())
    };
    match essence {
        "application/x-www-form-urlencoded" => Form::Percent,
        json if json.ends_with("json") => Form::Json,
        xml if xml.ends_with("xml") => Form::Xml,
        "" | "text/plain" if is_json() => Form::Json,
        _ => Form::Raw,
    }
}

/// `None` where the text holds no placeholder.
fn substitute(
    known: &Known,
    text: &[u8],
    form: Form,
    values: Values<'_>,
) -> Option<Zeroizing<Vec<u8>>> {
    let spots: Vec<(usize, usize)> = known
        .search(text)
        .into_iter()
        .filter_map(|found| match found {
            Found::Whole { at, number } => Some((at, number)),
            _ => None,
        })
        .collect();
    if spots.is_empty() {
        return None;
    }
    let size =
        spots.iter().filter_map(|(_, number)| values(*number)).map(<[u8]>::len).sum::<usize>();
    // Reserved in full, so that growing leaves no copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + size * 6));
    let mut done = 0;
    for (at, number) in spots {
        out.extend_from_slice(text.get(done..at).unwrap_or_default());
        write(form, values(number).unwrap_or_default(), &mut out);
        done = at + LENGTH;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    Some(out)
}

fn write(form: Form, value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        match (form, *byte) {
            (Form::Raw, byte) => out.push(byte),
            (Form::Percent, byte) => percent(byte, out),
            (Form::Json, b'"') => out.extend_from_slice(b"\\\""),
            (Form::Json, b'\\') => out.extend_from_slice(b"\\\\"),
            (Form::Json, b'\n') => out.extend_from_slice(b"\\n"),
            (Form::Json, byte) if byte < 0x20 => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            }
            (Form::Xml, b'<') => out.extend_from_slice(b"&lt;"),
            (Form::Xml, b'>') => out.extend_from_slice(b"&gt;"),
            (Form::Xml, b'&') => out.extend_from_slice(b"&amp;"),
            (Form::Xml, b'"') => out.extend_from_slice(b"&quot;"),
            (Form::Xml, b'\'') => out.extend_from_slice(b"&#39;"),
            (_, byte) => out.push(byte),
        }
    }
}

/// RFC 3986 §2.3: everything but unreserved characters is encoded, and a colon, which may stand in a
/// path and a query as it is, and which some services look for in a path.
fn percent(byte: u8, out: &mut Vec<u8>) {
    if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
        return out.push(byte);
    }
    out.extend_from_slice(format!("%{byte:02X}").as_bytes());
}
