//! `fetch`: one frame out, one frame in.

use crate::helper::{Step, echo, handle, sandbox, step};
use keyward_sandbox::{Event, FetchResponse, Limits, Outcome, Redirect, ScriptError};
use serde_json::json;

fn response(body: impl Into<bytes::Bytes>) -> FetchResponse {
    FetchResponse {
        status: 200,
        status_text: String::new(),
        url: "https://a.b/".to_owned(),
        headers: Vec::new(),
        body: body.into(),
        redirected: false,
    }
}

#[tokio::test]
async fn sends_what_the_script_asked_for() {
    let sandbox = sandbox().await;
    let source = r#"const r = await fetch("https://slack.com/api/auth.test", {
            method: "post", headers: { authorization: `Bearer ${credential("SLACK")}` }, body: JSON.stringify({ a: 1 }) });
        return { ok: r.ok, status: r.status, text: r.statusText, url: r.url, echoed: await r.json(), type: r.headers.get("Content-Type") }"#;
    let credentials = vec![handle("SLACK", &[("bot_token", "kws1_sealed")])];
    let ran = Step { credentials, ..step(source) }.run(&sandbox).await;
    let url = "https://slack.com/api/auth.test";
    let headers =
        json!({"authorization": "Bearer kws1_sealed", "content-type": "text/plain;charset=UTF-8"});
    assert_eq!(
        ran.output(),
        json!({"ok": true, "status": 200, "text": "OK", "url": url, "type": "application/json",
               "echoed": {"method": "POST", "url": url, "body": "{\"a\":1}", "credential": null, "headers": headers}})
    );
}

#[tokio::test]
async fn passes_bodies_redirects_and_credentials() {
    let sandbox = sandbox().await;
    let credentials = vec![handle("K", &[("value", "kws1_k")])];
    let source = "await fetch(new Request('https://a.b/x', { method: 'PUT', body: new Uint8Array([0, 255, 10]), redirect: 'manual' }));
                  await fetch(new URL('https://a.b/#frag'), { credential: 'K', redirect: 'error', headers: [['X-A', '1'], ['x-a', '2']] })";
    let ran = Step { credentials, ..step(source) }.run(&sandbox).await;
    ran.output();
    let [first, second] = ran.requests.as_slice() else { panic!("{:?}", ran.requests) };
    assert_eq!((&first.body[..], first.redirect), (&[0, 255, 10][..], Redirect::Manual));
    assert_eq!((first.method.as_str(), first.credential.as_deref()), ("PUT", None));
    assert_eq!((second.redirect, second.credential.as_deref()), (Redirect::Error, Some("K")));
    let pair = |value: &str| ("x-a".to_owned(), value.to_owned());
    assert_eq!(second.headers, [pair("1"), pair("2")]);
}

#[tokio::test]
async fn has_several_under_way_answered_in_any_order() {
    let sandbox = sandbox().await;
    let source = "const all = await Promise.all(['a', 'b', 'c'].map((p) => fetch(`https://x.y/${p}`).then((r) => r.text()))); return all";
    let mut session = step(source).start(&sandbox).await;
    let mut open = Vec::new();
    let outcome = loop {
        match session.next().await {
            Event::Fetch { id, request } => {
                open.push((id, request.url));
                if open.len() == 3 {
                    for (id, url) in open.drain(..).rev() {
                        session.answer_fetch(id, Ok(response(url)));
                    }
                }
            }
            Event::Finished(outcome) => break outcome,
            other => panic!("{other:?}"),
        }
    };
    let expected = r#"["https://x.y/a","https://x.y/b","https://x.y/c"]"#;
    assert_eq!(outcome, Outcome::Output(expected.into()));
}

#[tokio::test]
async fn queues_beyond_what_may_be_under_way() {
    let sandbox = sandbox().await;
    let limits = Limits { fetches_at_once: 2, ..Limits::default() };
    let source = "const all = await Promise.all(Array.from({ length: 7 }, (_, i) => fetch(`https://x.y/${i}`).then((r) => r.json()))); return all.map((each) => each.url.at(-1)).join('')";
    let ran = Step { limits, ..step(source) }.run(&sandbox).await;
    assert_eq!((ran.output(), ran.requests.len()), (json!("0123456"), 7));
}

#[tokio::test]
async fn throws_errors_with_their_code() {
    let sandbox = sandbox().await;
    let on_fetch = |_: &_| {
        Err(ScriptError::new("credential_not_allowed_here", "not bound to this host").about("K"))
    };
    let caught = "try { await fetch('https://a.b') } catch (error) { return [error.code, error.key, error.message, error instanceof TypeError] }";
    let ran = Step { on_fetch, ..step(caught) }.run(&sandbox).await;
    let expected = json!(["credential_not_allowed_here", "K", "not bound to this host", true]);
    assert_eq!(ran.output(), expected);
    let escaped = "const a = 1;\nawait fetch('https://a.b')";
    let ran = Step { on_fetch, ..step(escaped) }.run(&sandbox).await;
    let failure = ran.failure();
    assert_eq!((failure.code, failure.line), ("credential_not_allowed_here", Some(2)));
    assert_eq!(failure.key.as_deref(), Some("K"));
    assert_eq!(failure.message, "not bound to this host (line 2)");
    let unknown = |_: &_| Err(ScriptError::new("made_up", "?"));
    let ran = Step { on_fetch: unknown, ..step("await fetch('https://a.b')") }.run(&sandbox).await;
    assert_eq!(ran.failure().code, "script_error");
    for source in ["await fetch('nope')", "await fetch('https://a.b', { method: 'A B' })"] {
        let ran = step(source).run(&sandbox).await;
        assert_eq!((ran.failure().code, ran.requests.len()), ("script_error", 0), "{source}");
    }
}

#[tokio::test]
async fn gives_up_what_is_aborted() {
    let sandbox = sandbox().await;
    let source = "try { await fetch('https://a.b', { signal: AbortSignal.timeout(10) }) } catch (error) { return error.name }";
    let mut session = step(source).start(&sandbox).await;
    let Event::Fetch { id, .. } = session.next().await else { panic!("it fetches") };
    assert_eq!(session.next().await, Event::Abort { id });
    session.answer_fetch(id, Ok(response("too late")));
    assert_eq!(session.next().await, Event::Finished(Outcome::Output("\"TimeoutError\"".into())));
    let ran = step("try { await fetch('https://a.b', { signal: AbortSignal.abort() }) } catch (error) { return error.name }")
        .run(&sandbox)
        .await;
    assert_eq!((ran.output(), ran.requests.len()), (json!("AbortError"), 0));
}

#[tokio::test]
async fn carries_large_bodies_both_ways() {
    let sandbox = sandbox().await;
    let source = "const body = 'x'.repeat(6_000_000); const r = await fetch('https://a.b', { method: 'POST', body }); const text = await r.text(); return [text.length, text.at(-1)]";
    let on_fetch = |request: &keyward_sandbox::FetchRequest| Ok(response(request.body.clone()));
    let ran = Step { on_fetch, ..step(source) }.run(&sandbox).await;
    assert_eq!(ran.output(), json!([6_000_000, "x"]));
    let limits = Limits { request_bytes: 1_000, ..Limits::default() };
    let source = "await fetch('https://a.b', { method: 'POST', body: 'x'.repeat(1_001) })";
    let ran = Step { limits, ..step(source) }.run(&sandbox).await;
    assert_eq!((ran.failure().code, ran.requests.len()), ("validation_failed", 0));
}

#[tokio::test]
async fn keeps_unusual_answers_apart() {
    let sandbox = sandbox().await;
    let on_fetch = |request: &keyward_sandbox::FetchRequest| {
        let mut answer = echo(request)?;
        answer.status = if request.url.ends_with("empty") { 204 } else { 302 };
        answer.body = if answer.status == 204 { bytes::Bytes::new() } else { answer.body };
        answer.redirected = true;
        answer.headers.push(("set-cookie".to_owned(), "a=1".to_owned()));
        answer.headers.push(("set-cookie".to_owned(), "b=2".to_owned()));
        Ok(answer)
    };
    let source = "const a = await fetch('https://a.b/empty'); const b = await fetch('https://a.b/x');
                  return [a.status, await a.text(), a.ok, b.status, b.ok, b.redirected, b.headers.getSetCookie()]";
    let ran = Step { on_fetch, ..step(source) }.run(&sandbox).await;
    assert_eq!(ran.output(), json!([204, "", true, 302, false, true, ["a=1", "b=2"]]));
}
