//! `credential`: sealed strings at once, and questions that block.

use crate::helper::{Step, handle, sandbox, step};
use keyward_sandbox::{Ask, CredentialHandle, Derivation, ScriptError};
use serde_json::json;

fn handles() -> Vec<CredentialHandle> {
    let main = Some("value".to_owned());
    let open = CredentialHandle { readable: true, main, ..handle("OPEN", &[]) };
    vec![
        handle("ONE", &[("value", "kws1_one")]),
        handle("TWO", &[("password", "kws1_pw"), ("username", "bob")]),
        open,
    ]
}

fn with_handles(source: &str) -> Step {
    Step { credentials: handles(), ..step(source) }
}

#[tokio::test]
async fn gives_sealed_strings_at_once() {
    let sandbox = sandbox().await;
    let source = "return [credential('ONE'), credential('ONE', 'value'), credential('TWO', 'username'), credential('TWO', 'password'), credential.info('ONE')]";
    let ran = with_handles(source).run(&sandbox).await;
    let expected = json!(["kws1_one", "kws1_one", "bob", "kws1_pw", {"type": "api_key"}]);
    assert_eq!(ran.output(), expected);
    assert_eq!(ran.asked, []);
}

#[tokio::test]
async fn names_what_is_missing() {
    let sandbox = sandbox().await;
    let cases = [
        ("credential('NONE')", "NONE", "credential \"NONE\" is missing"),
        ("credential.basic('NONE')", "NONE", "credential \"NONE\" is missing"),
        ("credential.info('NONE')", "NONE", "credential \"NONE\" is missing"),
        ("await fetch('https://a.b', { credential: 'NONE' })", "NONE", "credential \"NONE\" is"),
        ("credential('ONE', 'nope')", "ONE", "credential \"ONE\" has no field \"nope\""),
        (
            "credential('TWO')",
            "TWO",
            "credential \"TWO\" has several fields: name one of password, username",
        ),
        ("credential('__proto__')", "__proto__", "credential \"__proto__\" is missing"),
        ("credential('ONE', 'constructor')", "ONE", "credential \"ONE\" has no field"),
    ];
    for (source, key, message) in cases {
        let caught = format!(
            "try {{ {source} }} catch (error) {{ return [error.code, error.key, error instanceof Error] }}"
        );
        let ran = with_handles(&caught).run(&sandbox).await;
        assert_eq!(ran.output(), json!(["missing_credential", key, true]), "{source}");
        let ran = with_handles(&format!("\n{source}")).run(&sandbox).await;
        let failure = ran.failure();
        assert_eq!((failure.code, failure.key.as_deref()), ("missing_credential", Some(key)));
        assert!(failure.message.starts_with(message), "{source}: {}", failure.message);
        assert_eq!(failure.line, Some(2), "{source}: {}", failure.message);
        assert!(ran.asked.is_empty() && ran.requests.is_empty(), "{source}");
    }
    let ran = with_handles("credential(5)").run(&sandbox).await;
    assert_eq!(ran.failure().code, "script_error");
}

#[tokio::test]
async fn asks_for_readable_values_and_derivations() {
    let sandbox = sandbox().await;
    let on_ask = |ask: &Ask| {
        Ok(match ask {
            Ask::Expose { field, .. } => format!("plain {field:?}"),
            Ask::VerifyHmac { signature, .. } => (signature == "good").to_string(),
            Ask::Derive { derivation, .. } => match derivation {
                Derivation::Basic => "kws1_basic".to_owned(),
                Derivation::Base64 { .. } => "kws1_base64".to_owned(),
                Derivation::Hmac { message, .. } => format!("kws1_hmac {}", message.len()),
                Derivation::Jwt { claims, .. } => format!("kws1_jwt {claims}"),
            },
        })
    };
    let source = "return [credential('OPEN'), credential('OPEN', 'value'), credential.basic('TWO'), credential.base64('TWO', 'password'),
        credential.hmac('ONE', 'mä'), credential.hmac('ONE', new Uint8Array([1, 255]), { algorithm: 'sha512', encoding: 'base64', field: 'value' }),
        credential.jwt('ONE', { sub: 'x' }), credential.jwt('ONE', {}, { algorithm: 'HS256', expires_in: 60, header: { kid: '1' } }),
        credential.verifyHmac('ONE', 'body', 'good'), credential.verifyHmac('ONE', 'body', 'bad')]";
    let ran = Step { on_ask, ..with_handles(source) }.run(&sandbox).await;
    assert_eq!(
        ran.output(),
        json!([
            "plain None",
            "plain Some(\"value\")",
            "kws1_basic",
            "kws1_base64",
            "kws1_hmac 3",
            "kws1_hmac 2",
            "kws1_jwt {\"sub\":\"x\"}",
            "kws1_jwt {}",
            true,
            false
        ])
    );
    let text = |text: &str| text.to_owned();
    let derive = |key: &str, derivation| Ask::Derive { key: text(key), derivation };
    let jwt = |claims: &str, header: Option<&str>, algorithm: &str, expires_in| {
        let header = header.map(text);
        let (claims, algorithm) = (text(claims), text(algorithm));
        derive("ONE", Derivation::Jwt { field: None, claims, header, algorithm, expires_in })
    };
    let verify = |signature: &str| Ask::VerifyHmac {
        key: text("ONE"),
        field: None,
        message: "body".into(),
        signature: text(signature),
        algorithm: text("sha256"),
        encoding: text("hex"),
    };
    let hmac = |field, message: &'static [u8], algorithm: &str, encoding: &str| {
        let (algorithm, encoding) = (text(algorithm), text(encoding));
        derive("ONE", Derivation::Hmac { field, message: message.into(), algorithm, encoding })
    };
    assert_eq!(
        ran.asked,
        [
            Ask::Expose { key: text("OPEN"), field: None },
            Ask::Expose { key: text("OPEN"), field: Some(text("value")) },
            derive("TWO", Derivation::Basic),
            derive("TWO", Derivation::Base64 { field: Some(text("password")) }),
            hmac(None, "mä".as_bytes(), "sha256", "hex"),
            hmac(Some(text("value")), &[1, 255], "sha512", "base64"),
            jwt("{\"sub\":\"x\"}", None, "RS256", 300),
            jwt("{}", Some("{\"kid\":\"1\"}"), "HS256", 60),
            verify("good"),
            verify("bad"),
        ]
    );
}

#[tokio::test]
async fn throws_the_error_of_an_answer() {
    let sandbox = sandbox().await;
    let on_ask =
        |_: &Ask| Err(ScriptError::new("credential_unusable", "it has expired").about("OPEN"));
    let ran = Step { on_ask, ..with_handles("credential('OPEN')") }.run(&sandbox).await;
    let failure = ran.failure();
    assert_eq!((failure.code, failure.line), ("credential_unusable", Some(1)));
    assert_eq!(failure.message, "it has expired (line 1)");
}

#[tokio::test]
async fn answers_a_question_while_fetches_are_under_way() {
    use keyward_sandbox::{Event, Outcome};
    let sandbox = sandbox().await;
    let source = "const a = fetch('https://a.b/1').then((r) => r.status); const b = credential('OPEN'); return [await a, b]";
    let mut session = with_handles(source).start(&sandbox).await;
    let Event::Fetch { id: fetch, request } = session.next().await else { panic!("it fetches") };
    let Event::Ask { id: ask, .. } = session.next().await else { panic!("it asks") };
    // The fetch is answered first, while the script can only take the other answer.
    session.answer_fetch(fetch, crate::helper::echo(&request));
    session.answer_ask(ask, Ok("plain".to_owned()));
    assert_eq!(session.next().await, Event::Finished(Outcome::Output("[200,\"plain\"]".into())));
}
