//! What a script prints of a value that it may read: in every encoding, on every way out.

use crate::scene::Scene;
use crate::server::on_both;
use keyward_testkit::sweep::Sweep;
use serde_json::{Value, json};

/// Functions that write a text in the encodings that are hidden: pairs of a name and what is printed.
const ENCODINGS: &str = r#"
const utf8 = (s) => [...new TextEncoder().encode(s)];
const binary = (bytes) => bytes.map((b) => String.fromCharCode(b)).join('');
const b64 = (bytes) => btoa(binary(bytes));
const url64 = (s) => s.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const wrap = (s, n, end = '\n') => s.match(new RegExp(`.{1,${n}}`, 'g')).join(end);
const utf16 = (s, big) => [...s].flatMap((c) => [...Array(c.length).keys()].flatMap((i) => {
  const u = c.charCodeAt(i); return big ? [u >> 8, u & 255] : [u & 255, u >> 8]; }));
const b32 = (bytes) => {
  let bits = '', out = '';
  for (const b of bytes) bits += b.toString(2).padStart(8, '0');
  for (let i = 0; i < bits.length; i += 5) out += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[parseInt(bits.slice(i, i + 5).padEnd(5, '0'), 2)];
  return out + '='.repeat((8 - out.length % 8) % 8);
};
const hex = (bytes, between = '') => bytes.map((b) => b.toString(16).padStart(2, '0')).join(between);
const percent = (bytes) => bytes.map((b) => '%' + b.toString(16).padStart(2, '0').toUpperCase()).join('');
const u = (s) => [...Array(s.length).keys()].map((i) => '\\u' + s.charCodeAt(i).toString(16).padStart(4, '0')).join('');
const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };
const named = (s) => s.replace(/[&<>"']/g, (c) => entities[c]);
const le = (n, size) => Array.from({ length: size }, (_, i) => (n >>> (8 * i)) & 255);
const stored = (bytes) => [1, ...le(bytes.length, 2), ...le(~bytes.length & 0xffff, 2), ...bytes];
const crc = (bytes) => { let r = -1; for (const b of bytes) { r ^= b; for (let i = 0; i < 8; i++) r = r & 1 ? (r >>> 1) ^ 0xedb88320 : r >>> 1; } return ~r >>> 0; };
const adler = (bytes) => { let a = 1, b = 0; for (const x of bytes) { a = (a + x) % 65521; b = (b + a) % 65521; } return [b >> 8, b & 255, a >> 8, a & 255]; };
const gzip = (bytes) => [31, 139, 8, 0, 0, 0, 0, 0, 0, 255, ...stored(bytes), ...le(crc(bytes), 4), ...le(bytes.length, 4)];
const zlib = (bytes) => [0x78, 0x01, ...stored(bytes), ...adler(bytes)];
const qp = (s) => utf8(s).map((b) => b > 32 && b < 127 && b !== 61 ? String.fromCharCode(b) : '=' + b.toString(16).toUpperCase().padStart(2, '0')).join('');
const encodings = (v) => {
  const bytes = utf8(v);
  return {
    raw: v, upper: v.toUpperCase(), lower: v.toLowerCase(), nfc: v.normalize('NFC'), nfd: v.normalize('NFD'),
    'in a word': `xx${v}yy`, 'first half': v.slice(0, Math.ceil(v.length / 2) + 8), 'second half': v.slice(v.length / 2 - 8),
    base64: b64(bytes), 'base64, shifted by 1': b64([97, ...bytes]), 'base64, shifted by 2': b64([97, 98, ...bytes]),
    'base64, followed': b64([...bytes, 97]), 'base64 unpadded': b64(bytes).replaceAll('=', ''), base64url: url64(b64(bytes)),
    'base64url, shifted': url64(b64([97, 98, ...bytes])), 'base64, 76 a line': wrap(b64([...utf8('x'.repeat(70)), ...bytes]), 76),
    'base64, 64 a line': wrap(b64([...utf8('x'.repeat(50)), ...bytes]), 64, '\r\n'), 'base64 of UTF-16': b64(utf16(v)),
    'base64 of UTF-16, shifted': b64([97, 0, ...utf16(v)]), 'data URL': 'data:text/plain;base64,' + b64(bytes),
    'Basic': 'Authorization: Basic ' + b64(utf8('user:' + v)),
    base32: b32(bytes), 'base32 lower': b32(bytes).toLowerCase(), 'base32, shifted by 1': b32([97, ...bytes]), 'base32, shifted by 2': b32([97, 98, ...bytes]),
    'base32, shifted by 3': b32([97, 98, 99, ...bytes]), 'base32, shifted by 4': b32([97, 98, 99, 100, ...bytes]),
    hex: hex(bytes), HEX: hex(bytes).toUpperCase(), 'hex:': hex(bytes, ':'), 'hex ': hex(bytes, ' '), '\\x': '\\x' + hex(bytes, '\\x'), '0x,': '0x' + hex(bytes, ',0x'), '0x, ': '0x' + hex(bytes, ', 0x'), 'hex odd': 'a' + hex(bytes),
    decimal: bytes.join(','), 'decimal, spaced': bytes.join(', '), 'decimal list': JSON.stringify(bytes), 'decimal lines': bytes.join('\n'),
    'percent component': encodeURIComponent(v), 'percent all': percent(bytes), 'percent lower': percent(bytes).toLowerCase(),
    form: new URLSearchParams({ k: v }).toString(), 'percent mixed': [...v].map((c, i) => i % 2 ? percent(utf8(c)) : encodeURIComponent(c)).join(''),
    'percent twice': encodeURIComponent(percent(bytes)), JSON: JSON.stringify(v), '\\u': u(v), '\\u in JSON': JSON.stringify(u(v)),
    'JSON twice': JSON.stringify(JSON.stringify(v)), '\\/': JSON.stringify(v).replaceAll('/', '\\/'),
    entities: named(v), 'decimal entities': [...v].map((c) => `&#${c.codePointAt(0)};`).join(''), 'hex entities': [...v].map((c) => `&#x${c.codePointAt(0).toString(16)};`).join(''),
    'quoted-printable': qp(v), 'quoted-printable, broken': wrap(qp(v), 30, '=\r\n').replace(/=(=\r\n)/g, '$1'),
    "shell '": "'" + v.replaceAll("'", "'\\''") + "'", 'shell \\': v.replace(/[^A-Za-z0-9_]/g, (c) => '\\' + c), "$'": "$'" + v.replaceAll('\\', '\\\\').replaceAll("'", "\\'") + "'",
    'doubled quotes': "'" + v.replaceAll("'", "''") + "'", 'doubled double quotes': '"' + v.replaceAll('"', '""') + '"',
    'UTF-16LE': binary(utf16(v)), 'UTF-16BE': binary(utf16(v, true)), 'gzip in base64': b64(gzip(bytes)), 'zlib in base64': b64(zlib(bytes)),
    'in a URL': `https://user:${encodeURIComponent(v)}@example.com/?k=${encodeURIComponent(v)}`, 'spread over a list': JSON.stringify({ a: [{ k: v }] }),
    inspected: { deep: { list: [v] } },
  };
};
"#;

/// A strong value with characters that encodings must escape, and its canary's name.
fn values(scene: &Scene) -> [(&'static str, String); 2] {
    let awkward = format!("{}\"'&<>%+=/\\ é{}", scene.canary("FIRST"), scene.canary("SECOND"));
    [("PLAIN", scene.canary("PLAIN")), ("AWKWARD", awkward)]
}

/// Fails where any of the values is seen in the text, in whatever encoding.
#[track_caller]
fn unseen(values: &[(&str, String)], place: &str, text: &str) {
    let sweep = Sweep::new(values.iter().map(|(name, value)| (*name, value.as_str())));
    let found = sweep.bytes(place, text.as_bytes());
    assert!(
        found.is_empty(),
        "{}\n{text:.400}",
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn a_printed_value_is_hidden_in_every_encoding() {
    let scene = Scene::start("masking-encodings");
    let values = values(&scene);
    for (key, value) in &values {
        scene.readable(key, value);
        let source = format!(
            "{ENCODINGS} const v = credential('{key}'); const all = encodings(v); \
             for (const [name, text] of Object.entries(all)) console.log('<', text, '>', name); \
             return all;"
        );
        let run = scene.run(&json!([scene.code("s", &source)]), &json!({}));
        let step = &run["steps"][0];
        assert_eq!(step["status"], "succeeded", "{}", step["error"]);
        let logs = step["logs"].as_array().unwrap();
        assert!(logs.len() > 60);
        for (line, (name, text)) in logs.iter().zip(step["output"].as_object().unwrap()) {
            let message = line["message"].as_str().unwrap();
            unseen(&values, &format!("log of {key} as {name}"), message);
            unseen(&values, &format!("output of {key} as {name}"), &text.to_string());
            assert!(
                message.ends_with('>') || message.contains('>'),
                "the rest of the line stays: {message}"
            );
        }
        // In the order in which they were printed: the names are there, so nothing was lost.
        let text = step["logs"].to_string();
        for name in ["hex entities", "gzip in base64", "spread over a list"] {
            assert!(text.contains(name), "{name}: {text}");
        }
        unseen(&values, "the whole run", &run.to_string());
        assert_eq!(step["credentials"][0]["access"], "exposed");
        assert_eq!(step["output"]["raw"], format!("[sealed:{key}]"));
    }
    assert_eq!(scene.audit("action=credential.exposed").len(), 2);
}

#[test]
fn no_way_out_of_a_run_shows_a_value() {
    on_both("masking-ways-out", |server| {
        let scene = Scene::with(server);
        let values = values(&scene);
        values.iter().for_each(|(key, value)| drop(scene.readable(key, value)));
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fetches = format!(
            "for (const [i, v] of [P, A].entries()) {{ const e = encodeURIComponent(v); \
               for (const url of [`http://{closed}/${{e}}?k=${{e}}`, `http://${{P}}.invalid/`, `http://127.0.0.1:${{v}}/`, `${{v}}://x/`, v, `http://u:${{e}}@x/`]) \
                 try {{ await fetch(url) }} catch (x) {{ console.log(x); console.log(x.message, x.stack, x.cause); told.push(x.message, String(x)) }} \
               try {{ credential(v) }} catch (x) {{ console.error(x); told.push(x.message, x.key) }} \
               try {{ JSON.parse(v) }} catch (x) {{ told.push(x.message) }} \
               try {{ null[v] }} catch (x) {{ told.push(x.message) }} }}"
        );
        let prelude = "const P = credential('PLAIN'), A = credential('AWKWARD'), told = [];";
        let ways: Vec<(&str, String)> = vec![
            ("logs", "for (const l of ['log', 'info', 'warn', 'error', 'debug']) console[l](P, A, [P], { [A]: P }, new Error(A), new Map([[P, A]]), new Set([A]), Symbol(P), new URL('http://x/?' + P)); return 1;".into()),
            ("a long line", "for (let n = 65500; n < 65560; n += 7) console.log('x'.repeat(n) + P + 'y'.repeat(n) + A); return 1;".into()),
            ("output", "return [P, { [P]: A, [A]: [A] }, [...new TextEncoder().encode(P)], [...new TextEncoder().encode(A)], P + A, JSON.stringify({ P, A })];".into()),
            ("a text output", "return `said ${P} and ${btoa(P)}`;".into()),
            ("response", "return { $response: { status: 201, headers: { 'x-p': P, 'x-b': btoa(P) }, body: { P, A } } };".into()),
            ("a text response", "return { $response: { status: 200, headers: { 'content-type': 'text/plain' }, body: `it is ${P} ${A}` } };".into()),
            ("thrown", "throw new Error(`failed with ${P} and ${A}`);".into()),
            ("thrown with a cause", "throw new TypeError('x', { cause: new Error(A + btoa(P)) });".into()),
            ("thrown as text", "throw P + ' ' + A;".into()),
            ("thrown as an object", "throw { P, A };".into()),
            ("an error's name", "const e = new Error('x'); e.name = P; e.code = A; e.key = P; throw e;".into()),
            ("a rejection", "await Promise.reject(new Error(A)); return 1;".into()),
            ("an output that is none", "return { P, A, toJSON() { throw new Error(P + A) } };".into()),
            ("failing fetches", format!("{fetches} return told;")),
            ("a failing fetch", format!("await fetch(`http://{closed}/${{encodeURIComponent(A)}}/${{P}}`); return 1;")),
            ("an evaluated name", "new Function(`throw new Error('${P}')`)();".into()),
        ];
        for (way, source) in ways {
            let (_, hook) = scene.hooked(&json!([scene.code("s", &format!("{prelude} {source}"))]));
            let answer = scene.server.hook(&hook, &json!({}));
            unseen(
                &values,
                &format!("{way}: the answer"),
                &format!("{:?}{}", answer.headers, answer.body),
            );
            let run = scene.server.run_of(&answer);
            unseen(&values, &format!("{way}: the run"), &run.to_string());
            let id = run["id"].as_str().unwrap();
            let events = scene.server.get(&format!("/runs/{id}/events"));
            assert_eq!(events.status, 200);
            unseen(&values, &format!("{way}: the events"), &events.body);
            if way.starts_with("thrown") || way.starts_with("a failing") {
                let problem = answer.expect_problem(500, "run_failed");
                assert_eq!((&problem["run_id"], &problem["step"]), (&run["id"], &json!("s")));
                assert_eq!(problem["error"]["code"], run["steps"][0]["error"]["code"]);
            }
        }
        let page = scene.server.get("/runs?limit=50").expect(200);
        unseen(&values, "the list of runs", &page.to_string());
    });
}

#[test]
fn what_is_computed_from_a_readable_value_is_hidden_as_well() {
    let scene = Scene::start("masking-computed");
    scene.readable("K", &scene.canary("K"));
    scene.credential(&json!({ "key": "B", "type": "basic", "code_access": "readable",
        "fields": { "username": "bob", "password": scene.canary("B") } }));
    let source = "const d = { basic: credential.basic('B'), base64: credential.base64('K'), one: credential.hmac('K', 'one'), \
          two: credential.hmac('K', 'two'), b64: credential.hmac('K', 'three', { encoding: 'base64' }), \
          jwt: credential.jwt('K', { sub: 'x' }, { algorithm: 'HS256' }), other: credential.jwt('K', { sub: 'y' }, { algorithm: 'HS256' }) }; \
        await fetch('HOST/', { method: 'POST', body: JSON.stringify(d) }); \
        for (const [name, value] of Object.entries(d)) console.log(name, value); \
        return d;";
    let (step, received) = scene.sent(source);
    assert_eq!(step["status"], "succeeded", "{step}");
    let real: Value = serde_json::from_slice(&received.unwrap().body).unwrap();
    for (name, value) in real.as_object().unwrap() {
        let value = value.as_str().unwrap();
        assert!(
            value.len() > 40 && !value.starts_with("kws1_"),
            "{name} is the value itself: {value}"
        );
        // Of a JWT the header is public; the signature is what matters.
        let part = value.rsplit('.').next().unwrap();
        assert!(!step.to_string().contains(part), "{name} is shown: {step}");
    }
}

#[test]
fn weak_values_are_hidden_as_whole_tokens_and_tiny_ones_as_whole_strings() {
    let scene = Scene::start("masking-weak");
    let save = |key: &str, value: &str| {
        let body = json!({ "key": key, "type": "api_key", "fields": { "value": value }, "code_access": "readable" });
        let saved = scene.server.post("/credentials", &body).expect(201);
        saved["warnings"].as_array().cloned().unwrap_or_default()
    };
    let weak = save("WEAK", "swordfish");
    let tiny = save("TINY", "xyz");
    let strong = save("STRONG", &scene.canary("STRONG"));
    assert_eq!((weak.len(), tiny.len(), strong.len()), (1, 1, 0), "{weak:?} {tiny:?} {strong:?}");
    assert_eq!(
        (&weak[0]["pointer"], &tiny[0]["pointer"]),
        (&json!("/fields/value"), &json!("/fields/value"))
    );
    assert_ne!(weak[0]["code"], tiny[0]["code"], "{weak:?} {tiny:?}");
    let cases = [
        ("the password is swordfish.", "the password is ***."),
        ("swordfish", "***"),
        ("k=swordfish&a=1", "k=***&a=1"),
        ("user:swordfish@host", "user:***@host"),
        ("SWORDFISH", "***"),
        ("c3dvcmRmaXNo", "***"),
        ("\"swordfish\"", "\"***\""),
        ("swordfishes eat aswordfish_", "swordfishes eat aswordfish_"),
        ("sword fish", "sword fish"),
        ("the xyz is long", "the xyz is long"),
    ];
    let printed = serde_json::to_string(&cases.map(|(text, _)| text)).unwrap();
    let source = format!(
        "credential('WEAK'); credential('TINY'); const all = {printed}; for (const t of all) console.log(t); \
        return {{ all, weak: 'swordfish', tiny: ['xyz', 'xyz!', {{ xyz: 1 }}] }};"
    );
    let step = scene.script(&source);
    assert_eq!(step["status"], "succeeded", "{step}");
    for (line, (text, expected)) in step["logs"].as_array().unwrap().iter().zip(cases) {
        assert_eq!(line["message"], expected, "{text}");
    }
    assert_eq!(step["output"]["weak"], "[sealed:WEAK]", "{step}");
    assert_eq!(step["output"]["tiny"][0], "[sealed:TINY]", "{step}");
    assert_eq!(step["output"]["tiny"][1], "xyz!", "{step}");
}

#[test]
fn a_value_that_a_later_step_reads_stays_hidden_in_what_it_is_given() {
    let scene = Scene::start("masking-later");
    let values = values(&scene);
    values.iter().for_each(|(key, value)| drop(scene.readable(key, value)));
    // The first step's output holds the value; what the second gets of it is the sealed one.
    let steps = json!([
        scene.code("a", "return { p: credential('PLAIN'), text: `it is ${credential('PLAIN')}!` };"),
        scene.code("b", "const { p, text } = steps.a.output; console.log(p, text); return [...p + text].join(' ');"),
        { "id": "c", "kind": "http", "request": { "method": "POST", "url": format!("{}/{{{{ steps.a.output.p | length }}}}", scene.host()), "text": "{{ steps.a.output.text }}" } },
    ]);
    let run = scene.run(&steps, &json!({}));
    let spread = run["steps"][1]["output"].as_str().unwrap().replace(' ', "");
    unseen(&values, "the later step", &spread);
    unseen(&values, "the run", &run.to_string());
}

#[test]
fn a_value_in_pieces_over_several_lines_is_hidden() {
    let scene = Scene::start("masking-pieces");
    let values = values(&scene);
    values.iter().for_each(|(key, value)| drop(scene.readable(key, value)));
    let pieces = "const pieces = (s, n) => s.match(new RegExp(`[^]{1,${n}}`, 'g')); \
        const utf8 = (s) => [...new TextEncoder().encode(s)].map((b) => String.fromCharCode(b)).join('');";
    let joined = |run: &Value, between: &str| {
        let logs = run["steps"][0]["logs"].as_array().unwrap();
        let lines: Vec<&str> = logs.iter().map(|line| line["message"].as_str().unwrap()).collect();
        lines.join(between)
    };
    for (key, value) in &values {
        for size in [5, 6, 7, 8, 9, 10] {
            let ways = [
                format!("for (const p of pieces(v, {size})) console.log(p);"),
                format!("for (const p of pieces(btoa(utf8(v)), {size})) console.log(p);"),
                format!("for (const p of pieces(v, {size})) console.error(p);"),
            ];
            for way in ways {
                let source = format!(
                    "{pieces} const v = credential('{key}'); console.log('before.'); {way} console.log('.after'); return 1;"
                );
                let run = scene.run(&json!([scene.code("s", &source)]), &json!({}));
                assert_eq!(run["status"], "succeeded", "{run}");
                let seen = joined(&run, "");
                unseen(&values, &format!("{key} by {size}: {way}"), &seen);
                assert!(seen.starts_with("before.") && seen.ends_with(".after"), "{seen}");
                let events =
                    scene.server.get(&format!("/runs/{}/events", run["id"].as_str().unwrap()));
                let told: String = events
                    .body
                    .lines()
                    .filter_map(|line| line.strip_prefix("data: "))
                    .filter_map(|data| serde_json::from_str::<Value>(data).ok())
                    .filter_map(|event| event["message"].as_str().map(str::to_owned))
                    .collect();
                unseen(&values, &format!("events of {key} by {size}: {way}"), &told);
                assert!(!told.contains(&value[10..20]));
            }
        }
    }
    // Lines that hold nothing stay as they are.
    let source = "credential('PLAIN'); for (let i = 0; i < 50; i++) console.log(`line ${i} of many, nothing to see`); return 1;";
    let run = scene.run(&json!([scene.code("s", source)]), &json!({}));
    let plain: Vec<String> = (0..50).map(|i| format!("line {i} of many, nothing to see")).collect();
    assert_eq!(joined(&run, "|"), plain.join("|"));
}

#[test]
fn a_sealed_value_is_named_wherever_it_is_shown() {
    let scene = Scene::start("masking-named");
    scene.api_key("K", &scene.canary("K"));
    let ways = [
        "console.log(credential('K')); return credential('K');",
        "console.log({ k: [credential('K')] }, credential.hmac('K', 'm')); return { [credential('K')]: 1, hmac: credential.hmac('K', 'm') };",
        "throw new Error('with ' + credential('K'));",
        "await fetch(`http://${credential('K')}.localhost/`); return 1;",
        "await fetch('http://a b/' + credential('K')); return 1;",
        "throw credential.basic('K') + credential('K');",
    ];
    for source in ways {
        let (_, hook) = scene.hooked(&json!([scene.code("s", source)]));
        let answer = scene.server.hook(&hook, &json!({}));
        let run = scene.server.run_of(&answer);
        let events = scene.server.get(&format!("/runs/{}/events", run["id"].as_str().unwrap()));
        for (place, text) in
            [("answer", answer.body), ("run", run.to_string()), ("events", events.body)]
        {
            assert!(!text.contains("kws1_"), "{place} of {source}: {text}");
        }
        let named = run.to_string().contains("[sealed:K]");
        assert_eq!(named, !source.contains(".localhost"), "{source}: {run}");
    }
}
