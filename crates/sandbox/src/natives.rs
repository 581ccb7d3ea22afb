//! The built-in functions that are written in Rust. Each belongs to the object `host` that the
//! JavaScript files see and scripts do not.
#![expect(unsafe_code, reason = "the bytes of a typed array are borrowed without a copy")]

use crate::host::{Host, fill_random};
use crate::step::{Level, Redirect};
use crate::wire::{AskHeader, FetchHeader, FromStep};
use data_encoding::{BASE64, Encoding};
use hmac::{KeyInit, Mac};
use rquickjs::function::Opt;
use rquickjs::{Coerced, Ctx, Exception, Function, IntoJs, Object, Result, TypedArray, Value};
use sha2::Digest;
use std::rc::Rc;
use url::{Url, form_urlencoded, quirks};

/// Most random bytes given at once.
const MAX_RANDOM: usize = 1 << 20;

type Bytes<'js> = TypedArray<'js, u8>;

/// Makes the object `host`.
pub(crate) fn host_object<'js>(ctx: &Ctx<'js>, host: &Rc<Host>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    step_functions(ctx, &object, host)?;
    frame_functions(ctx, &object, host)?;
    byte_functions(ctx, &object)?;
    url_functions(ctx, &object)?;
    Ok(object)
}

fn slice<'a>(bytes: &'a Bytes<'_>) -> &'a [u8] {
    // SAFETY: the functions here look at the bytes and return before any JavaScript runs.
    // A detached buffer has no bytes.
    unsafe { bytes.as_bytes() }.unwrap_or_default()
}

fn step_functions<'js>(ctx: &Ctx<'js>, object: &Object<'js>, host: &Rc<Host>) -> Result<()> {
    let own = Rc::clone(host);
    let part = move |ctx: Ctx<'js>, index: usize| -> Result<Value<'js>> {
        let text = own.part(index);
        if text.is_empty() { Ok(Value::new_undefined(ctx)) } else { ctx.json_parse(text.to_vec()) }
    };
    object.set("part", Function::new(ctx.clone(), part)?)?;
    let own = Rc::clone(host);
    object.set("now", Function::new(ctx.clone(), move || own.now())?)?;
    let own = Rc::clone(host);
    object.set("random", Function::new(ctx.clone(), move || own.random())?)?;
    let own = Rc::clone(host);
    object.set("requestBytes", Function::new(ctx.clone(), move || own.request_bytes())?)?;
    let own = Rc::clone(host);
    object.set("fetchesAtOnce", Function::new(ctx.clone(), move || own.fetches_at_once())?)?;
    object.set("wasRefusedMemory", Function::new(ctx.clone(), crate::memory::was_refused)?)?;
    object.set("relax", Function::new(ctx.clone(), crate::engine::relax_memory)?)
}

fn frame_functions<'js>(ctx: &Ctx<'js>, object: &Object<'js>, host: &Rc<Host>) -> Result<()> {
    let own = Rc::clone(host);
    let log = move |level: String, text: String| {
        let level = match level.as_str() {
            "debug" => Level::Debug,
            "warn" => Level::Warn,
            "error" => Level::Error,
            _ => Level::Info,
        };
        own.log(level, &text);
    };
    object.set("log", Function::new(ctx.clone(), log)?)?;
    let own = Rc::clone(host);
    object.set("output", Function::new(ctx.clone(), move |text: String| own.output(&text))?)?;
    let own = Rc::clone(host);
    let fail = move |code: String, message: String, key: Option<String>, line: Option<u32>| {
        own.fail(&code, message, key, line);
    };
    object.set("fail", Function::new(ctx.clone(), fail)?)?;
    let own = Rc::clone(host);
    let fetch = move |id: u32,
                      url: String,
                      method: String,
                      headers: Vec<Vec<String>>,
                      body: Option<Bytes<'js>>,
                      credential: Option<String>,
                      redirect: String| {
        let pair = |pair: Vec<String>| <[String; 2]>::try_from(pair).ok().map(<(_, _)>::from);
        let headers = headers.into_iter().filter_map(pair).collect();
        let redirect = match redirect.as_str() {
            "manual" => Redirect::Manual,
            "error" => Redirect::Error,
            _ => Redirect::Follow,
        };
        let header =
            FromStep::Fetch(FetchHeader { id, url, method, headers, credential, redirect });
        own.queue(&header, body.as_ref().map(slice).unwrap_or_default());
    };
    object.set("fetch", Function::new(ctx.clone(), fetch)?)?;
    let own = Rc::clone(host);
    let abort = move |id: u32| own.queue(&FromStep::Abort { id }, &[]);
    object.set("abort", Function::new(ctx.clone(), abort)?)?;
    let own = Rc::clone(host);
    let ask = move |ctx: Ctx<'js>, header: String, message: Opt<Option<Bytes<'js>>>| {
        let header: AskHeader = serde_json::from_str(&header)
            .map_err(|_| Exception::throw_type(&ctx, "the question cannot be asked"))?;
        let message = message.0.flatten();
        match own.ask(header, message.as_ref().map(slice).unwrap_or_default()) {
            Ok(answer) => answer.into_js(&ctx),
            Err(error) => script_error(&ctx, &error),
        }
    };
    object.set("ask", Function::new(ctx.clone(), ask)?)
}

/// An error as the JavaScript files take it apart.
pub(crate) fn script_error<'js>(
    ctx: &Ctx<'js>,
    error: &crate::error::ScriptError,
) -> Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("code", error.code.as_ref())?;
    object.set("message", error.message.as_str())?;
    object.set("key", error.key.as_deref())?;
    Ok(object.into_value())
}

fn byte_functions<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> Result<()> {
    let encode = |ctx: Ctx<'js>, text: String| TypedArray::new_copy(ctx, text.as_bytes());
    object.set("encode", Function::new(ctx.clone(), encode)?)?;
    object.set(
        "decode",
        Function::new(ctx.clone(), |encoding: String, bytes: Bytes<'js>, fatal: bool| {
            decode(&encoding, slice(&bytes), fatal)
        })?,
    )?;
    let base64 = |bytes: Bytes<'js>| BASE64.encode(slice(&bytes));
    object.set("base64", Function::new(ctx.clone(), base64)?)?;
    let unbase64 = |text: Coerced<String>| forgiving_base64(&text.0);
    object.set("unbase64", Function::new(ctx.clone(), unbase64)?)?;
    let random = |ctx: Ctx<'js>, count: usize| {
        let mut bytes = vec![0_u8; count.min(MAX_RANDOM)];
        fill_random(&mut bytes);
        TypedArray::new_copy(ctx, bytes)
    };
    object.set("randomBytes", Function::new(ctx.clone(), random)?)?;
    let digest = |ctx: Ctx<'js>, name: String, data: Bytes<'js>| {
        let data = slice(&data);
        let hash = match name.as_str() {
            "SHA-1" => sha1::Sha1::digest(data).to_vec(),
            "SHA-256" => sha2::Sha256::digest(data).to_vec(),
            "SHA-384" => sha2::Sha384::digest(data).to_vec(),
            _ => sha2::Sha512::digest(data).to_vec(),
        };
        TypedArray::new_copy(ctx, hash)
    };
    object.set("digest", Function::new(ctx.clone(), digest)?)?;
    let hmac = |ctx: Ctx<'js>, name: String, key: Bytes<'js>, data: Bytes<'js>| {
        let (key, data) = (slice(&key), slice(&data));
        let code = match name.as_str() {
            "SHA-1" => keyed::<hmac::Hmac<sha1::Sha1>>(key, data),
            "SHA-256" => keyed::<hmac::Hmac<sha2::Sha256>>(key, data),
            "SHA-384" => keyed::<hmac::Hmac<sha2::Sha384>>(key, data),
            _ => keyed::<hmac::Hmac<sha2::Sha512>>(key, data),
        };
        TypedArray::new_copy(ctx, code)
    };
    object.set("hmac", Function::new(ctx.clone(), hmac)?)
}

fn keyed<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length, so there is no error to meet.
    <M as KeyInit>::new_from_slice(key)
        .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

/// Text of these bytes; null where `fatal` and they are not valid.
fn decode(encoding: &str, bytes: &[u8], fatal: bool) -> Option<String> {
    match encoding {
        "utf-8" if fatal => std::str::from_utf8(bytes).ok().map(str::to_owned),
        "utf-8" => Some(String::from_utf8_lossy(bytes).into_owned()),
        "utf-16le" => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units = || pairs.iter().map(|pair| u16::from_le_bytes(*pair));
            let valid = rest.is_empty() && char::decode_utf16(units()).all(|unit| unit.is_ok());
            if fatal && !valid {
                return None;
            }
            let lossy = |unit: std::result::Result<char, _>| unit.unwrap_or('\u{fffd}');
            let tail = (!rest.is_empty()).then_some('\u{fffd}');
            Some(char::decode_utf16(units()).map(lossy).chain(tail).collect())
        }
        _ => Some(
            bytes
                .iter()
                .map(|byte| {
                    WINDOWS_1252
                        .get(usize::from(*byte).wrapping_sub(0x80))
                        .copied()
                        .unwrap_or(char::from(*byte))
                })
                .collect(),
        ),
    }
}

/// What windows-1252 has from 0x80 to 0x9f.
const WINDOWS_1252: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

/// WHATWG forgiving-base64 decode, one character for each byte.
fn forgiving_base64(text: &str) -> Option<String> {
    let mut text: Vec<u8> = text.bytes().filter(|byte| !b" \t\n\x0c\r".contains(byte)).collect();
    if text.len().is_multiple_of(4) {
        let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
        text.truncate(text.len() - padding);
    }
    let bytes = lenient().decode(&text).ok()?;
    Some(bytes.into_iter().map(char::from).collect())
}

/// Base64 without padding, whatever the unused last bits are.
fn lenient() -> Encoding {
    let mut specification = data_encoding::BASE64_NOPAD.specification();
    specification.check_trailing_bits = false;
    specification.encoding().unwrap_or(data_encoding::BASE64_NOPAD)
}

fn url_functions<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> Result<()> {
    let parse = |text: String, base: Opt<Option<String>>| {
        let base = match base.0.flatten() {
            Some(base) => Some(Url::parse(&base).ok()?),
            None => None,
        };
        Url::options().base_url(base.as_ref()).parse(&text).ok().map(|url| parts(&url))
    };
    object.set("parseUrl", Function::new(ctx.clone(), parse)?)?;
    object.set(
        "setUrl",
        Function::new(ctx.clone(), |href: String, name: String, value: String| {
            set_url(&href, &name, &value)
        })?,
    )?;
    let parse_form = |text: String| -> Vec<Vec<String>> {
        form_urlencoded::parse(text.as_bytes())
            .map(|(name, value)| vec![name.into_owned(), value.into_owned()])
            .collect()
    };
    object.set("parseForm", Function::new(ctx.clone(), parse_form)?)?;
    let format_form = |pairs: Vec<Vec<String>>| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for pair in &pairs {
            if let [name, value] = pair.as_slice() {
                form.append_pair(name, value);
            }
        }
        form.finish()
    };
    object.set("formatForm", Function::new(ctx.clone(), format_form)?)
}

/// The members of `URL`, in the order that `url.js` names them.
fn parts(url: &Url) -> Vec<String> {
    vec![
        quirks::href(url).to_owned(),
        quirks::origin(url),
        quirks::protocol(url).to_owned(),
        quirks::username(url).to_owned(),
        quirks::password(url).to_owned(),
        quirks::host(url).to_owned(),
        quirks::hostname(url).to_owned(),
        quirks::port(url).to_owned(),
        quirks::pathname(url).to_owned(),
        quirks::search(url).to_owned(),
        quirks::hash(url).to_owned(),
    ]
}

/// The members after setting one; null where the value was not acceptable.
fn set_url(href: &str, name: &str, value: &str) -> Option<Vec<String>> {
    let mut url = Url::parse(href).ok()?;
    let set = match name {
        "protocol" => quirks::set_protocol(&mut url, value).is_ok(),
        "username" => quirks::set_username(&mut url, value).is_ok(),
        "password" => quirks::set_password(&mut url, value).is_ok(),
        "host" => quirks::set_host(&mut url, value).is_ok(),
        "hostname" => quirks::set_hostname(&mut url, value).is_ok(),
        "port" => quirks::set_port(&mut url, value).is_ok(),
        _ => {
            match name {
                "pathname" => quirks::set_pathname(&mut url, value),
                "search" => quirks::set_search(&mut url, value),
                _ => quirks::set_hash(&mut url, value),
            }
            true
        }
    };
    set.then(|| parts(&url))
}
