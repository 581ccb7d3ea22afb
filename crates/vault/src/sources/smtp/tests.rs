//! Mails through a real server, and what hostile ones are answered.

mod hostile;

use std::time::{Duration, Instant, SystemTime};

use keyward_egress::{Allow, Client, Options};
use keyward_model::error::StepErrorCode;
use keyward_testkit::authority::Authority;
use keyward_testkit::canary::canary;
use keyward_testkit::smtp::{MailServer, Way};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;

const USER: &str = "keyward";

fn egress(allow: &str) -> Client {
    let allow = Allow::parse(allow).unwrap();
    Client::new(Options { allow, ..Options::default() }).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn secret(text: &str) -> Secret {
    Secret::new(Zeroizing::new(text.as_bytes().to_vec()))
}

fn mark(key: &str) -> Mark<'_> {
    Mark { idempotency_key: key, date: SystemTime::UNIX_EPOCH + Duration::from_secs(784_887_151) }
}

/// A server with one user, and what a credential for it holds.
struct Scene {
    mails: MailServer,
    egress: Client,
    password: Secret,
}

impl Scene {
    fn new(test: &str) -> Self {
        let password = canary(&format!("smtp/{test}"));
        let mails = MailServer::start(USER, &password);
        Self { mails, egress: egress("127.0.0.1"), password: secret(&password) }
    }

    fn server(&self, way: Way) -> Server<'_> {
        Server {
            host: "127.0.0.1",
            port: self.mails.port(way),
            security: match way {
                Way::StartTls | Way::LoginOnly => Security::StartTls,
                Way::Tls => Security::Tls,
                Way::Plain => Security::None,
            },
            username: (way != Way::Plain).then_some(USER),
            password: (way != Way::Plain).then_some(&self.password),
            ca_pem: Some(self.mails.ca_pem().as_bytes()),
        }
    }

    async fn send(&self, server: &Server<'_>, inputs: &Value) -> Result<Sent, MailError> {
        let mail = Mail::from_inputs(inputs)?;
        send(&self.egress, server, &mail, &mark("key"), soon()).await
    }

    /// The one mail that arrived.
    fn arrived(&self) -> Value {
        let [mail] = self.mails.inbox().try_into().unwrap();
        self.mails.clear();
        mail
    }
}

fn mail_to(to: &Value) -> Value {
    json!({ "from": "Ada <ada@example.com>", "to": to, "subject": "Hello", "text": "Hello, you." })
}

#[test]
fn fields_are_read_as_people_write_them() {
    let check = |host: &str, expected: Option<&str>| {
        let found = tls_name(host).map(|name| name.to_str().into_owned());
        assert_eq!(found.as_deref(), expected, "{host}");
    };
    check("mail.example.com.", Some("mail.example.com"));
    check("Bücher.example", Some("xn--bcher-kva.example"));
    check("192.0.2.1", Some("192.0.2.1"));
    check("2001:db8::1", Some("2001:db8::1"));
    check("[2001:db8::1]", Some("2001:db8::1"));
    check("", None);
    check("a b", None);
    let check = |word: &str, expected: Option<(Security, u16)>| {
        let found = Security::parse(word).map(|security| (security, security.usual_port()));
        assert_eq!(found, expected, "{word}");
    };
    check("starttls", Some((Security::StartTls, 587)));
    check("tls", Some((Security::Tls, 465)));
    check("none", Some((Security::None, 25)));
    check("", None);
    check("TLS", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_arrives_each_way() {
    let scene = Scene::new("ways");
    for way in [Way::StartTls, Way::LoginOnly, Way::Tls, Way::Plain] {
        let server = scene.server(way);
        check(&scene.egress, &server, soon()).await.unwrap();
        let to = json!(["Bob <bob@example.com>", "carol@example.com"]);
        let sent = scene.send(&server, &mail_to(&to)).await.unwrap();
        assert_eq!(sent.accepted, ["bob@example.com", "carol@example.com"]);
        assert_eq!(sent.response_code, 250);
        let mail = scene.arrived();
        let is_tls = way != Way::Plain;
        assert_eq!((&mail["tls"], &mail["mail_from"]), (&json!(is_tls), &json!("ada@example.com")));
        assert_eq!(mail["user"], if is_tls { USER } else { "" });
        assert_eq!(mail["hello"], "[127.0.0.1]");
        assert_eq!(mail["rcpt_tos"], json!(sent.accepted));
        let expected = json!({
            "date": "Tue, 15 Nov 1994 08:12:31 +0000",
            "message-id": sent.message_id,
            "from": "Ada <ada@example.com>",
            "subject": "Hello",
            "to": "Bob <bob@example.com>, carol@example.com",
            "mime-version": "1.0",
            "content-type": "text/plain; charset=\"utf-8\"",
            "content-transfer-encoding": "7bit",
        });
        assert_eq!(mail["headers"], expected);
        assert_eq!(mail["text"], "Hello, you.\r\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_arrives_as_they_wrote_it() {
    let scene = Scene::new("content");
    let server = scene.server(Way::StartTls);
    let long = "ä lot ".repeat(300);
    let dots = ".\n..\n.\r\n\r.a\nQUIT\n";
    let inputs = json!({
        "from": "Ада Лавлейс <ada@example.com>",
        "to": "\"Б, Б\" <bob@bücher.example>, carol@example.com",
        "cc": ["dan@example.com"],
        "bcc": "hidden@example.com",
        "reply_to": "answers@example.com",
        "subject": format!("Grüße ✉ {}", "und so weiter ".repeat(20)),
        "text": format!("{dots}{long}"),
        "html": "<p>Grüße</p>\n.\n",
        "headers": { "X-Campaign": "spring é", "List-Unsubscribe": "<https://example.com/u>" },
        "attachments": [
            { "name": "Übersicht.bin", "content": "AP8NCi4NCg0K" },
            { "name": "a.txt", "content_type": "text/plain; charset=utf-8", "content": "Cg==" },
        ],
    });
    let sent = scene.send(&server, &inputs).await.unwrap();
    let people = ["bob@xn--bcher-kva.example", "carol@example.com", "dan@example.com"];
    assert_eq!(sent.accepted, [&people[..], &["hidden@example.com"]].concat());
    let mail = scene.arrived();
    let headers = &mail["headers"];
    assert_eq!(headers["from"], "Ада Лавлейс <ada@example.com>");
    assert_eq!(headers["to"], "\"Б, Б\" <bob@xn--bcher-kva.example>, carol@example.com");
    assert_eq!((&headers["cc"], &headers["bcc"]), (&json!("dan@example.com"), &Value::Null));
    assert_eq!(headers["reply-to"], "answers@example.com");
    assert_eq!(headers["subject"], inputs["subject"]);
    assert_eq!(headers["x-campaign"], "spring é");
    assert_eq!(headers["list-unsubscribe"], "<https://example.com/u>");
    let lines = |text: &Value| text.as_str().unwrap().replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!(lines(&mail["text"]), format!(".\n..\n.\n\n.a\nQUIT\n{}", long.trim_end()));
    assert_eq!(lines(&mail["html"]), "<p>Grüße</p>\n.");
    let files = json!([
        { "name": "Übersicht.bin", "type": "application/octet-stream", "hex": "00ff0d0a2e0d0a0d0a" },
        { "name": "a.txt", "type": "text/plain", "hex": "0a" },
    ]);
    assert_eq!(mail["attachments"], files);
    let raw = mail["raw"].as_str().unwrap();
    assert!(raw.is_ascii() && raw.split("\r\n").all(|line| line.len() <= 998), "{raw}");
    assert!(!raw.contains("hidden@example.com"), "bcc stays out of the message");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_people_get_it() {
    let scene = Scene::new("hundred");
    let person = |n| format!("{} <somebody-{n}@example.com>", "\"x\" y ".repeat(20));
    let people: Vec<String> = (0..100).map(person).collect();
    let sent = scene.send(&scene.server(Way::StartTls), &mail_to(&json!(people))).await.unwrap();
    assert_eq!(sent.accepted.len(), 100);
    let mail = scene.arrived();
    assert_eq!(mail["rcpt_tos"], json!(sent.accepted));
    let written = mail["headers"]["to"].as_str().unwrap().matches("somebody-").count();
    assert_eq!(written, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_beyond_ascii_need_the_servers_help() {
    let scene = Scene::new("utf8");
    let sent = scene.send(&scene.server(Way::Tls), &mail_to(&json!("грета@example.com"))).await;
    assert_eq!(sent.unwrap().accepted, ["грета@example.com"]);
    let mail = scene.arrived();
    assert_eq!(mail["rcpt_tos"], json!(["грета@example.com"]));
    assert!(mail["mail_options"].to_string().contains("SMTPUTF8"), "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_by_place_and_code() {
    let scene = Scene::new("refusals");
    let server = scene.server(Way::StartTls);
    let refused = async |to: Value, expected: &str, code: StepErrorCode| {
        let error = scene.send(&server, &mail_to(&to)).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.code()), (expected, code));
    };
    use StepErrorCode::{ConnectionFailed, ValidationFailed};
    let nobody = "so the mail was sent to nobody";
    let text = format!("the mail server refused \"to[1]\" (550 5.1.1), {nobody}");
    refused(json!(["a@example.com", "bounce@example.com"]), &text, ValidationFailed).await;
    let text = format!("the mail server refused \"to[0]\" (451 4.7.1), {nobody}");
    refused(json!("later@example.com"), &text, ConnectionFailed).await;
    let text = "the mail server refused the message (552 5.2.2)";
    refused(json!("full@example.com"), text, ValidationFailed).await;
    let text = "the mail server refused the message (452 4.3.1)";
    refused(json!("busy@example.com"), text, ConnectionFailed).await;
    let mut large = mail_to(&json!("a@example.com"));
    large["text"] = json!("a line\n".repeat(20_000));
    let error = scene.send(&server, &large).await.unwrap_err();
    assert!(matches!(error, MailError::TooLarge { limit: 100_000, .. }), "{error}");
    assert_eq!(error.code(), ValidationFailed);
    assert!(scene.mails.inbox().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_servers_are_waited_for_until_the_deadline() {
    let scene = Scene::new("slow");
    let server = scene.server(Way::Tls);
    let mail = Mail::from_inputs(&mail_to(&json!("slow@example.com"))).unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    let error = send(&scene.egress, &server, &mail, &mark("key"), deadline).await.unwrap_err();
    assert_eq!(error, MailError::Timeout(Stage::Recipients));
    assert_eq!(error.code(), StepErrorCode::Timeout);
    assert!(scene.mails.inbox().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_hold_what_is_asked_get_no_password() {
    let scene = Scene::new("trust");
    let wrong = secret("not the password");
    let failed = async |server: Server<'_>, expected: &str| {
        let error = check(&scene.egress, &server, soon()).await.unwrap_err();
        let sent = scene.send(&server, &mail_to(&json!("a@example.com"))).await.unwrap_err();
        assert_eq!(error, sent);
        assert!(error.to_string().contains(expected), "{error}");
        error.code()
    };
    use StepErrorCode::{ConnectionFailed, DestinationBlocked, ValidationFailed};
    for way in [Way::StartTls, Way::LoginOnly, Way::Tls] {
        let server = Server { password: Some(&wrong), ..scene.server(way) };
        let code = failed(server, "refused user and password (535 5.7.8)").await;
        assert_eq!(code, ConnectionFailed);
        let server = Server { ca_pem: None, ..scene.server(way) };
        assert_eq!(failed(server, "issuer that is not trusted").await, ConnectionFailed);
        let server = Server { ca_pem: Some(b"no certificate"), ..scene.server(way) };
        assert_eq!(failed(server, "holds no certificate").await, ValidationFailed);
        let server = Server { password: None, ..scene.server(way) };
        assert_eq!(failed(server, "\"password\" is missing").await, ValidationFailed);
        let server = Server { username: Some("a\0b"), ..scene.server(way) };
        assert_eq!(failed(server, "\"username\" holds a NUL").await, ValidationFailed);
    }
    let plain = scene.server(Way::Plain);
    let server = Server { security: Security::StartTls, ..scene.server(Way::Plain) };
    assert_eq!(failed(server, "offers no STARTTLS").await, ConnectionFailed);
    let server = Server { security: Security::Tls, ..scene.server(Way::Plain) };
    assert_eq!(failed(server, "over TLS").await, ConnectionFailed);
    let server = Server { security: Security::Tls, ..scene.server(Way::StartTls) };
    assert_eq!(failed(server, "over TLS").await, ConnectionFailed);
    let server = Server {
        username: Some(USER),
        password: Some(&scene.password),
        ..scene.server(Way::Plain)
    };
    assert_eq!(failed(server, "no way to sign in").await, ConnectionFailed);
    let closed = egress("192.0.2.1");
    let error = check(&closed, &plain, soon()).await.unwrap_err();
    assert_eq!(error.code(), DestinationBlocked, "{error}");
    assert!(scene.mails.inbox().is_empty());
}
