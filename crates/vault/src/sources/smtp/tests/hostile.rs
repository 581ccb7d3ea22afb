//! Servers that break the rules, by script: nothing that they say is taken in without bounds,
//! believed early, or repeated.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::sources::smtp::reply::ReplyCode;

const OFFERS: &str = "250-host\r\n250-SIZE\r\n250 AUTH PLAIN\r\n";
const OK: &str = "250 ok\r\n";

/// Listens once: says a greeting, then one answer for each line that arrives, and waits for the
/// client to leave. Gives the port and what arrived.
async fn scripted(said: &[&str]) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said: Vec<String> = said.iter().map(ToString::to_string).collect();
    let serving = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        let mut written = 0;
        loop {
            let lines = heard.iter().filter(|byte| **byte == b'\n').count();
            while let Some(answer) = said.get(written).filter(|_| written <= lines) {
                written += 1;
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
            if !matches!(stream.read_buf(&mut heard).await, Ok(1..)) {
                return String::from_utf8(heard).unwrap();
            }
        }
    };
    (port, tokio::spawn(serving))
}

fn password() -> String {
    canary("smtp/hostile")
}

/// What a mail to two ends with there, and what the server heard.
async fn told(said: &[&str], security: Security) -> (MailError, String) {
    let (port, serving) = scripted(said).await;
    let password = secret(&password());
    let (username, password) = (Some(USER), Some(&password));
    let server = Server { host: "127.0.0.1", port, security, username, password, ca_pem: None };
    let mail = Mail::from_inputs(&mail_to(&json!(["a@example.com", "b@example.com"]))).unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    let error = send(&egress("127.0.0.1"), &server, &mail, &mark("key"), deadline).await;
    (error.unwrap_err(), serving.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_smtp_is_given_up() {
    let check = async |said: &[&str], expected: MailError| {
        let (error, heard) = told(said, Security::None).await;
        assert_eq!(error, expected, "{}", said[0].get(..30).unwrap_or(said[0]));
        assert!(!heard.contains("AUTH"), "{heard}");
    };
    let (greeting, hello) = (Stage::Greeting, Stage::Hello);
    check(&["HTTP/1.1 400 Bad Request\r\n\r\n"], MailError::Garbage(greeting)).await;
    check(&["SSH-2.0-OpenSSH_9.2\r\n"], MailError::Garbage(greeting)).await;
    check(&["\0\u{1}\u{7f}\n"], MailError::Garbage(greeting)).await;
    check(&["220-a\r\n250 b\r\n"], MailError::Garbage(greeting)).await;
    check(&[&"2".repeat(100_000)], MailError::Garbage(greeting)).await;
    check(&[&format!("220 {}\r\n", "x".repeat(5000))], MailError::Garbage(greeting)).await;
    check(&[&"220-hello\r\n".repeat(10_000)], MailError::Garbage(greeting)).await;
    check(&["220 a\r\n250 host\r\n"], MailError::Garbage(hello)).await;
    check(&["220 a\r\n", "25"], MailError::Timeout(hello)).await;
    let code = ReplyCode::new(554, "5.7.1");
    check(&["554 5.7.1 go away\r\n"], MailError::Refused { stage: greeting, code }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_said_before_tls_counts_after_it() {
    let hello = "250-host\r\n250 STARTTLS\r\n";
    let check = async |answer: &str, expected: MailError| {
        let (error, heard) = told(&["220 a\r\n", hello, answer], Security::StartTls).await;
        assert_eq!(error, expected);
        assert_eq!(heard, "EHLO [127.0.0.1]\r\nSTARTTLS\r\n");
    };
    let early = "220 go\r\n250-host\r\n250 AUTH PLAIN\r\n235 in\r\n";
    check(early, MailError::EarlyText).await;
    let code = ReplyCode::new(454, "4.7.0");
    check("454 4.7.0 later\r\n", MailError::Refused { stage: Stage::StartTls, code }).await;
    let (error, heard) = told(&["220 a\r\n", OFFERS], Security::StartTls).await;
    assert_eq!((error, heard.as_str()), (MailError::NoStartTls, "EHLO [127.0.0.1]\r\n"));
}

/// What was offered in plain text, where anybody on the way could write it, no longer counts.
#[tokio::test(flavor = "multi_thread")]
async fn offers_are_asked_for_anew_under_tls() {
    let authority = Authority::new("A hostile server's issuer");
    let acceptor = TlsAcceptor::from(authority.server(&["127.0.0.1"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 1024];
        for answer in ["220 a\r\n", "250-host\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"] {
            stream.write_all(answer.as_bytes()).await.unwrap();
            assert!(stream.read(&mut bytes).await.unwrap() > 0);
        }
        stream.write_all(b"220 go\r\n").await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        assert!(stream.read(&mut bytes).await.unwrap() > 0);
        stream.write_all(b"250 host\r\n").await.unwrap();
        let length = stream.read(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    });
    let password = secret(&password());
    let server = Server {
        host: "127.0.0.1",
        port,
        security: Security::StartTls,
        username: Some(USER),
        password: Some(&password),
        ca_pem: Some(authority.pem().as_bytes()),
    };
    let error = check(&egress("127.0.0.1"), &server, soon()).await.unwrap_err();
    assert_eq!(error, MailError::NoSignIn);
    assert_eq!(serving.await.unwrap(), "RSET\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_repeats_is_not_told() {
    let password = password();
    let check = async |answer: String, expected: &str| {
        let (error, heard) = told(&["220 a\r\n", OFFERS, &answer, OK], Security::None).await;
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains(&password), "{error:?}");
        assert!(heard.contains("AUTH PLAIN AGtleXdhcmQAa3d0ZXN0X"), "{heard}");
    };
    let wrong = format!("535 5.7.8 {password} is wrong\r\n");
    check(wrong, "the mail server refused user and password (535 5.7.8)").await;
    let later = format!("454-4.7.0 {password}\r\n454 {password}\r\n");
    check(later, "the mail server refused the sign-in (454 4.7.0)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_ends_it_before_the_message() {
    let said = ["220 a\r\n", OFFERS, "235 in\r\n", OK, OK, "550 no\r\n", OK];
    let (error, heard) = told(&said, Security::None).await;
    let code = ReplyCode::new(550, "");
    assert_eq!(error, MailError::Recipient { field: "to[1]".into(), code });
    assert!(heard.ends_with("RCPT TO:<b@example.com>\r\nRSET\r\nQUIT\r\n"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_is_lost_may_have_been_taken() {
    let said = ["220 a\r\n", OFFERS, "235 in\r\n", OK, OK, OK, "354 go\r\n"];
    let (error, heard) = told(&said, Security::None).await;
    assert_eq!(error, MailError::Timeout(Stage::Message));
    assert!(error.to_string().contains("may have taken"), "{error}");
    assert!(heard.ends_with("\r\n.\r\n"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_password_has_a_line_of_its_own() {
    let said = ["220 a\r\n", OFFERS, "334 \r\n", "535 no\r\n", OK, "221 bye\r\n"];
    let (port, serving) = scripted(&said).await;
    let password = secret(&"x".repeat(2000));
    let server = Server {
        host: "127.0.0.1",
        port,
        security: Security::None,
        username: Some(USER),
        password: Some(&password),
        ca_pem: None,
    };
    let error = check(&egress("127.0.0.1"), &server, soon()).await.unwrap_err();
    assert_eq!(error, MailError::SignIn(ReplyCode::new(535, "")));
    let heard = serving.await.unwrap();
    let lines: Vec<&str> = heard.lines().collect();
    assert_eq!(lines[1], "AUTH PLAIN");
    assert!(lines[2].starts_with("AGtleXdhcmQAeHh4") && lines[2].len() > 2000, "{heard}");
    assert_eq!(lines[3..], ["RSET", "QUIT"]);
}
