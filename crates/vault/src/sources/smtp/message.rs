//! A mail as a step writes it, checked and made into a message (RFC 5322, RFC 2045 to 2047).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use lettre::address::{Address, Envelope};
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, Headers, To,
};
use lettre::message::{
    Attachment as AttachmentPart, Body, Mailbox, Mailboxes, MessageBuilder, MultiPart, SinglePart,
};
use serde_json::{Map, Value};

use super::{MailError, Mark};

/// Addresses in `to`, `cc` and `bcc` together.
const MAX_RECIPIENTS: usize = 100;
/// Bytes of a header's text: a line has at most 998 (RFC 5322 section 2.1.1).
const MAX_TEXT: usize = 900;
/// Bytes of an address (RFC 5321 section 4.5.3.1.3, without the brackets).
const MAX_ADDRESS: usize = 254;
/// Bytes of the name beside an address, which stands with it on one line.
const MAX_NAME: usize = 256;
/// Headers that come from inputs of their own or say how the message is written.
const OWN_HEADERS: &[&str] = &[
    "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id",
    "mime-version", "return-path", "received",
];

/// A mail as a step writes it. Lists of addresses hold mailboxes, with or without a name, or lists
/// of them with commas.
#[derive(Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) cc: Vec<String>,
    pub(crate) bcc: Vec<String>,
    pub(crate) reply_to: Vec<String>,
    pub(crate) subject: String,
    /// At least one of this and `html`.
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
    /// Names and values beside the headers that come of the other inputs.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) attachments: Vec<Attachment>,
}

/// A file of a mail.
pub(crate) struct Attachment {
    pub(crate) name: String,
    /// `application/octet-stream` where there is none.
    pub(crate) content_type: Option<String>,
    /// In base64.
    pub(crate) content: String,
}

/// A message that can be handed to a server.
pub(super) struct Message {
    pub(super) from: String,
    pub(super) recipients: Vec<Recipient>,
    pub(super) bytes: Vec<u8>,
    /// Whether an address is not ASCII before the @.
    pub(super) needs_utf8: bool,
    pub(super) id: String,
}

pub(super) struct Recipient {
    pub(super) address: String,
    /// Where it stands among the inputs: `to[1]`.
    pub(super) field: String,
}

impl Mail {
    /// Reads an action's inputs: `from`, `to`, `cc`, `bcc`, `reply_to`, `subject`, `text`, `html`,
    /// `headers` and `attachments` (`name`, `content_type`, `content` in base64). An address list is
    /// a string or an array of strings; null is as if absent.
    pub(crate) fn from_inputs(inputs: &Value) -> Result<Self, MailError> {
        let nothing = Map::new();
        let inputs = inputs.as_object().unwrap_or(&nothing);
        Ok(Self {
            from: text(inputs, "from", "from")?.unwrap_or_default(),
            to: list(inputs, "to")?,
            cc: list(inputs, "cc")?,
            bcc: list(inputs, "bcc")?,
            reply_to: list(inputs, "reply_to")?,
            subject: text(inputs, "subject", "subject")?.unwrap_or_default(),
            text: text(inputs, "text", "text")?,
            html: text(inputs, "html", "html")?,
            headers: headers(inputs)?,
            attachments: attachments(inputs)?,
        })
    }
}

fn given<'v>(inputs: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    inputs.get(name).filter(|value| !value.is_null())
}

fn text(inputs: &Map<String, Value>, name: &str, field: &str) -> Result<Option<String>, MailError> {
    let string = |value: &Value| value.as_str().map(str::to_owned);
    let value = given(inputs, name)
        .map(|value| string(value).ok_or_else(|| MailError::input(field, "is not a string")));
    value.transpose()
}

fn list(inputs: &Map<String, Value>, name: &str) -> Result<Vec<String>, MailError> {
    match given(inputs, name) {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(items)) => {
            let string = |(at, item): (usize, &Value)| {
                let wrong = || MailError::input(format!("{name}[{at}]"), "is not a string");
                item.as_str().map(str::to_owned).ok_or_else(wrong)
            };
            items.iter().enumerate().map(string).collect()
        }
        Some(_) => Err(MailError::input(name, "is neither a string nor a list of strings")),
    }
}

fn headers(inputs: &Map<String, Value>) -> Result<Vec<(String, String)>, MailError> {
    let Some(headers) = given(inputs, "headers") else { return Ok(Vec::new()) };
    let wrong = || MailError::input("headers", "is not an object of strings");
    let pair = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    headers.as_object().ok_or_else(wrong)?.iter().map(|h| pair(h).ok_or_else(wrong)).collect()
}

fn attachments(inputs: &Map<String, Value>) -> Result<Vec<Attachment>, MailError> {
    let Some(list) = given(inputs, "attachments") else { return Ok(Vec::new()) };
    let wrong = || MailError::input("attachments", "is not a list of objects");
    let attachment = |(at, item): (usize, &Value)| {
        let item = item.as_object().ok_or_else(wrong)?;
        let member = |name: &str| text(item, name, &format!("attachments[{at}].{name}"));
        Ok(Attachment {
            name: member("name")?.unwrap_or_default(),
            content_type: member("content_type")?,
            content: member("content")?.unwrap_or_default(),
        })
    };
    list.as_array().ok_or_else(wrong)?.iter().enumerate().map(attachment).collect()
}

/// Checks a mail and writes its message.
pub(super) fn compose(mail: &Mail, mark: &Mark<'_>) -> Result<Message, MailError> {
    let from = single(mailboxes("from", &[&mail.from])?)
        .ok_or_else(|| MailError::input("from", "is not one e-mail address"))?;
    let to = mailboxes("to", &mail.to)?;
    let cc = mailboxes("cc", &mail.cc)?;
    let bcc = mailboxes("bcc", &mail.bcc)?;
    let recipients = recipients(&[&to, &cc, &bcc])?;
    let id = message_id(mark.idempotency_key, from.email.domain());
    let mut builder = lettre::Message::builder()
        .date(mark.date)
        .message_id(Some(id.clone()))
        .from(from.clone())
        .subject(header_text("subject", &mail.subject)?);
    let reply_to = mailboxes("reply_to", &mail.reply_to)?;
    for (name, listed) in [("To", to), ("Cc", cc), ("Reply-To", reply_to)] {
        if !listed.is_empty() {
            builder = builder.raw_header(address_list(name, listed)?);
        }
    }
    for (name, value) in &mail.headers {
        builder = builder.raw_header(own_header(name, value)?);
    }
    // Its own look at the headers would miss who is in `bcc` alone.
    let envelope = Envelope::new(Some(from.email.clone()), vec![from.email.clone()]);
    let builder = builder.envelope(envelope.map_err(|_| unwritable())?);
    let bytes = with_body(builder, mail)?.formatted();
    let is_ascii = recipients.iter().all(|recipient| recipient.address.is_ascii());
    let needs_utf8 = !(is_ascii && bytes.is_ascii());
    Ok(Message { from: from.email.to_string(), recipients, bytes, needs_utf8, id })
}

fn with_body(builder: MessageBuilder, mail: &Mail) -> Result<lettre::Message, MailError> {
    let plain = mail.text.as_deref().map(|text| SinglePart::plain(lines(text)));
    let html = mail.html.as_deref().map(|html| SinglePart::html(lines(html)));
    let files = mail.attachments.iter().enumerate().map(|(at, file)| part(at, file));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let message = match (plain, html, files.is_empty()) {
        (None, None, _) => return Err(MailError::input("text", "and html are both missing")),
        (Some(only), None, true) | (None, Some(only), true) => builder.singlepart(only),
        (Some(plain), Some(html), true) => builder.multipart(alternative(plain, html)),
        (Some(only), None, false) | (None, Some(only), false) => {
            builder.multipart(mixed(MultiPart::mixed().singlepart(only), files))
        }
        (Some(plain), Some(html), false) => {
            let first = MultiPart::mixed().multipart(alternative(plain, html));
            builder.multipart(mixed(first, files))
        }
    };
    message.map_err(|_| unwritable())
}

fn alternative(plain: SinglePart, html: SinglePart) -> MultiPart {
    MultiPart::alternative().singlepart(plain).singlepart(html)
}

fn mixed(first: MultiPart, files: Vec<SinglePart>) -> MultiPart {
    files.into_iter().fold(first, MultiPart::singlepart)
}

fn part(at: usize, file: &Attachment) -> Result<SinglePart, MailError> {
    let field = |name: &str| format!("attachments[{at}].{name}");
    let name = header_text(&field("name"), &file.name)?;
    if name.is_empty() {
        return Err(MailError::input(field("name"), "is missing"));
    }
    let written = file.content_type.as_deref().unwrap_or("application/octet-stream");
    let written = header_text(&field("content_type"), written)?;
    let content_type = ContentType::parse(&written)
        .map_err(|_| MailError::input(field("content_type"), "is not a media type"))?;
    let content = STANDARD
        .decode(&file.content)
        .map_err(|_| MailError::input(field("content"), "is not base64"))?;
    let body = Body::new_with_encoding(content, ContentTransferEncoding::Base64)
        .map_err(|_| unwritable())?;
    Ok(AttachmentPart::new(name).body(body, content_type))
}

/// The mailboxes of a field, each with where it stands.
fn mailboxes<T: AsRef<str>>(field: &str, texts: &[T]) -> Result<Vec<(String, Mailbox)>, MailError> {
    let mut found = Vec::new();
    for (at, text) in texts.iter().map(AsRef::as_ref).enumerate() {
        let place = if field == "from" { field.to_owned() } else { format!("{field}[{at}]") };
        // Before the parser, which skips some of them.
        if text.chars().any(is_unwritable) {
            return Err(MailError::input(place, "holds a line break or another control character"));
        }
        let wrong = "is not an e-mail address, such as ada@example.com or Ada <ada@example.com>";
        let wrong = || MailError::input(place.clone(), wrong);
        let listed: Mailboxes = text.parse().map_err(|_| wrong())?;
        let listed: Vec<Mailbox> = listed.into();
        if listed.is_empty() {
            return Err(wrong());
        }
        for Mailbox { name, email } in listed {
            let email = sendable(&email).ok_or_else(wrong)?;
            if name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
                return Err(MailError::input(place, "holds a name of over 256 bytes"));
            }
            found.push((place.clone(), Mailbox::new(name, email)));
        }
    }
    Ok(found)
}

fn single(mailboxes: Vec<(String, Mailbox)>) -> Option<Mailbox> {
    match <[_; 1]>::try_from(mailboxes) {
        Ok([(_, mailbox)]) => Some(mailbox),
        Err(_) => None,
    }
}

/// The address with its domain in ASCII. What is in quotes before the @ is refused: servers read it
/// in more than one way.
fn sendable(address: &Address) -> Option<Address> {
    let domain = idna::domain_to_ascii(address.domain()).ok()?;
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '<' | '>' | '\\');
    let address = Address::new(address.user(), domain).ok()?;
    let text: &str = address.as_ref();
    (text.len() <= MAX_ADDRESS && text.chars().all(plain)).then_some(address)
}

/// A header with one mailbox on each line: lettre would write them all on one, which may have 998
/// bytes.
fn address_list(name: &str, listed: Vec<(String, Mailbox)>) -> Result<HeaderValue, MailError> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| unwritable())?;
    let mut written = Vec::new();
    for (_, mailbox) in listed {
        let mut headers = Headers::new();
        headers.set(To::from(Mailboxes::from(mailbox)));
        let text = headers.to_string();
        let text = text.strip_prefix("To: ").and_then(|text| text.strip_suffix("\r\n"));
        written.push(text.ok_or_else(unwritable)?.to_owned());
    }
    let written = written.join(",\r\n ");
    Ok(HeaderValue::dangerous_new_pre_encoded(name, written.clone(), written))
}

/// Each address once, where it stands first.
fn recipients(fields: &[&[(String, Mailbox)]]) -> Result<Vec<Recipient>, MailError> {
    let mut found: Vec<Recipient> = Vec::new();
    for (field, mailbox) in fields.iter().copied().flatten() {
        let address = mailbox.email.to_string();
        if !found.iter().any(|recipient| recipient.address == address) {
            found.push(Recipient { address, field: field.clone() });
        }
        if found.len() > MAX_RECIPIENTS {
            return Err(MailError::input("to", "has over 100 recipients, with cc and bcc"));
        }
    }
    if found.is_empty() {
        return Err(MailError::input("to", "names nobody, and neither do cc and bcc"));
    }
    Ok(found)
}

fn own_header(name: &str, value: &str) -> Result<HeaderValue, MailError> {
    let lower = name.to_ascii_lowercase();
    if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("content-") {
        return Err(MailError::input("headers", "sets a header that has an input of its own"));
    }
    let wrong = || MailError::input("headers", "holds a name that is none of a header");
    let is_name = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    let name = HeaderName::new_from_ascii(name.to_owned()).ok().filter(|_| is_name);
    Ok(HeaderValue::new(name.ok_or_else(wrong)?, header_text("headers", value)?))
}

fn header_text(field: &str, text: &str) -> Result<String, MailError> {
    if text.chars().any(is_unwritable) {
        return Err(MailError::input(field, "holds a line break or another control character"));
    }
    if text.len() > MAX_TEXT {
        return Err(MailError::input(field, "is longer than 900 bytes"));
    }
    Ok(text.to_owned())
}

/// Control characters and what Unicode takes for the end of a line.
fn is_unwritable(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A text whose lines all end with CRLF, as mail has them.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// The same for each try of a step, and without what its key is made of.
fn message_id(idempotency_key: &str, domain: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, idempotency_key.as_bytes());
    let digest = HEXLOWER.encode(digest.as_ref());
    let short = digest.get(..32).unwrap_or(&digest);
    format!("<{short}@{domain}>")
}

fn unwritable() -> MailError {
    MailError::input("text", "cannot be written as a mail")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::*;

    fn compose_from(inputs: &Value) -> Result<Message, MailError> {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_887_151);
        compose(&Mail::from_inputs(inputs)?, &Mark { idempotency_key: "key", date })
    }

    fn with(member: &str, value: Value) -> Value {
        let mut inputs = json!({ "from": "a@example.com", "to": "b@example.com", "text": "x" });
        inputs[member] = value;
        inputs
    }

    #[test]
    fn a_message_is_the_same_at_each_try() {
        let mut inputs = with("subject", json!("Grüße"));
        inputs["to"] = json!(["Bé <b@bücher.example>, c@example.com", "b@bücher.example"]);
        inputs["bcc"] = json!("hidden@example.com");
        inputs["headers"] = json!({ "X-Own": "1" });
        let message = compose_from(&inputs).unwrap();
        let expected = "Date: Tue, 15 Nov 1994 08:12:31 +0000\r\n\
            Message-ID: <2c70e12b7a0646f92279f427c7b38e73@example.com>\r\n\
            From: a@example.com\r\n\
            Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n\
            To: =?utf-8?b?QsOp?= <b@xn--bcher-kva.example>,\r\n \
            c@example.com,\r\n b@xn--bcher-kva.example\r\n\
            X-Own: 1\r\n\
            MIME-Version: 1.0\r\n\
            Content-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: 7bit\r\n\r\nx\r\n";
        assert_eq!(String::from_utf8(message.bytes).unwrap(), expected);
        let recipients = message.recipients.iter().map(|r| (r.field.as_str(), r.address.as_str()));
        let expected = [
            ("to[0]", "b@xn--bcher-kva.example"),
            ("to[0]", "c@example.com"),
            ("bcc[0]", "hidden@example.com"),
        ];
        assert_eq!(recipients.collect::<Vec<_>>(), expected);
        assert!(!message.needs_utf8);
        let outside = compose_from(&with("to", json!("bé@example.com"))).unwrap();
        assert!(outside.needs_utf8);
    }

    #[test]
    fn inputs_that_break_a_rule_are_named_and_not_shown() {
        let check = |member: &str, value: Value, field: &str, what: &str| {
            let refused = compose_from(&with(member, value.clone())).err();
            let Some(MailError::Input { field: found, what: why }) = &refused else {
                panic!("{member} {value}: {refused:?}");
            };
            assert_eq!((found.as_str(), why.contains(what)), (field, true), "{value}: {why}");
        };
        for text in ["", "nobody", "a@", "@b", "a b@c.d", "a@b c", "<a@b.c", "a@b.c>", "a@b.c, "] {
            check("to", json!(text), "to[0]", "is not an e-mail address");
            check("from", json!(text), "from", "is not an e-mail address");
        }
        check("to", json!("\"a>b\"@c.d"), "to[0]", "is not an e-mail address");
        check("to", json!(["a@b.c", "x"]), "to[1]", "is not an e-mail address");
        check("to", json!(["a@b.c", 1]), "to[1]", "is not a string");
        check("to", json!(1), "to", "neither a string nor a list");
        check("to", json!([]), "to", "names nobody");
        check("to", Value::Null, "to", "names nobody");
        let many: Vec<String> = (0..101).map(|n| format!("a{n}@b.c")).collect();
        check("to", json!(many), "to", "over 100");
        check("to", json!(many.join(",")), "to", "over 100");
        check("from", json!("a@b.c, d@e.f"), "from", "is not one e-mail address");
        check("to", json!(format!("{} <a@b.c>", "n".repeat(257))), "to[0]", "256 bytes");
        for text in ["x\r\nBcc: evil@example.com", "x\ny", "x\ry", "x\0", "x\u{2028}y", "x\u{85}y"]
        {
            check("subject", json!(text), "subject", "line break");
            check("headers", json!({ "X-A": text }), "headers", "line break");
            let named = format!("{text} <b@example.com>");
            check("to", json!([named.clone()]), "to[0]", "line break");
            check("cc", json!([named.clone()]), "cc[0]", "line break");
            check("bcc", json!([named.clone()]), "bcc[0]", "line break");
            check("reply_to", json!([named.clone()]), "reply_to[0]", "line break");
            check("from", json!(named), "from", "line break");
            let file = json!([{ "name": text, "content": "" }]);
            check("attachments", file, "attachments[0].name", "line break");
            let file = json!([{ "name": "a", "content_type": text, "content": "" }]);
            check("attachments", file, "attachments[0].content_type", "line break");
        }
        for name in ["Subject", "bcc", "Content-Type", "MIME-Version"] {
            check("headers", json!({ name: "x" }), "headers", "input of its own");
        }
        for name in ["", "X A", "X:", "X\r\nBcc", "Ä"] {
            check("headers", json!({ name: "x" }), "headers", "none of a header");
        }
        check("headers", json!({ "X": 1 }), "headers", "object of strings");
        check("subject", json!("s".repeat(901)), "subject", "900 bytes");
        check("text", Value::Null, "text", "both missing");
        check("html", json!({}), "html", "is not a string");
        let file = json!([{ "name": "a", "content": "not base64!" }]);
        check("attachments", file, "attachments[0].content", "not base64");
        check("attachments", json!([{ "content": "" }]), "attachments[0].name", "is missing");
        check("attachments", json!(["a"]), "attachments", "list of objects");
    }
}
