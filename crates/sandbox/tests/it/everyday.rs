//! What ordinary authors write: outputs, logs, errors and their lines.

use crate::helper::{Step, check_outputs, sandbox, step};
use keyward_sandbox::{Language, Level, Limits};
use serde_json::json;

#[tokio::test]
async fn gives_the_returned_value_as_json() {
    check_outputs(&[
        ("return 1 + 1", json!(2)),
        ("return { a: [1, 'x', null], b: undefined }", json!({"a": [1, "x", null]})),
        ("", json!(null)),
        ("return undefined", json!(null)),
        ("return { toJSON() {} }", json!(null)),
        ("return trigger.body.n + steps.before.output.length", json!(4)),
        ("return [run.id, run.attempt, typeof item]", json!(["run_1", 1, "undefined"])),
        ("const trigger = 5; return trigger", json!(5)),
        ("trigger = 6; return trigger", json!(6)),
        ("trigger.body.n = 7; return trigger.body.n", json!(7)),
        ("return new Promise((done) => setTimeout(() => done('late'), 5))", json!("late")),
        ("return new Date(0)", json!("1970-01-01T00:00:00.000Z")),
        ("return JSON.stringify('\\ud800')", json!("\"\\ud800\"")),
        ("return ['ä', '\\ud83d\\ude00', '\\u0000'].join('')", json!("ä😀\0")),
        ("return 1 // no newline after this", json!(1)),
        ("return 1 /* nor here */", json!(1)),
        ("// a line\nreturn `a\n}b`", json!("a\n}b")),
        (
            "return Object.groupBy([1, 2, 3], (n) => n % 2 ? 'odd' : 'even')",
            json!({"odd": [1, 3], "even": [2]}),
        ),
        ("async function* two() { yield 1; yield 2 } const all = []; for await (const n of two()) all.push(n); return all", json!([1, 2])),
        ("const { promise, resolve } = Promise.withResolvers(); queueMicrotask(() => resolve(3)); return promise", json!(3)),
        ("return await Promise.allSettled([Promise.reject(1), 2]).then((all) => all.map((each) => each.status))", json!(["rejected", "fulfilled"])),
    ])
    .await;
}

#[tokio::test]
async fn runs_timers_in_their_order() {
    check_outputs(&[
        (
            "const order = []; setTimeout(() => order.push(3), 20); setTimeout(() => order.push(1), 0);
             setTimeout(() => Promise.resolve().then(() => order.push(2)), 5); order.push(0);
             await new Promise((done) => setTimeout(done, 40)); return order",
            json!([0, 1, 2, 3]),
        ),
        (
            "let count = 0; const id = setInterval(() => { if (++count === 3) clearInterval(id) }, 2);
             await new Promise((done) => setTimeout(done, 60)); return count",
            json!(3),
        ),
        ("const id = setTimeout(() => { throw 1 }, 0); clearTimeout(id); await new Promise((done) => setTimeout(done, 5)); return 'quiet'", json!("quiet")),
        ("return await new Promise((done) => setTimeout((a, b) => done(a + b), 1, 2, 3))", json!(5)),
        ("setInterval(() => {}, 1); return 'ends all the same'", json!("ends all the same")),
        ("const at = performance.now(); await new Promise((done) => setTimeout(done, 12)); const t = performance.now(); return [t - at >= 12, Number.isInteger(t)]", json!([true, true])),
    ])
    .await;
}

#[tokio::test]
async fn strips_types_and_keeps_lines() {
    let sandbox = sandbox().await;
    let typescript = |source| Step { language: Language::Typescript, ..step(source) };
    let source = "interface Row { n: number }\nconst rows: Row[] = [{ n: 1 }, { n: 2 }];\nconst sum = rows.reduce<number>((all, { n }) => all + n, 0);\nreturn { sum, first: rows[0]! } satisfies object as any;";
    let ran = typescript(source).run(&sandbox).await;
    assert_eq!(ran.output(), json!({"sum": 3, "first": {"n": 1}}));
    let ran =
        typescript("type A = {\n  x: string\n}\nconst a = null as unknown as A;\nreturn a.x;")
            .run(&sandbox)
            .await;
    assert_eq!(ran.failure().line, Some(5), "{:?}", ran.failure());
}

#[tokio::test]
async fn tells_authors_what_failed_and_where() {
    let sandbox = sandbox().await;
    let cases = [
        ("throw new Error('boom')", "boom (line 1)", Some(1)),
        ("const x = 1;\n\nnull.a", "TypeError: cannot read property 'a' of null (line 3)", Some(3)),
        (
            "function inner() {\n  throw new RangeError('far')\n}\nfunction outer() {\n  inner()\n}\nouter()",
            "RangeError: far (line 2)\n    at outer, line 5\n    at line 7",
            Some(2),
        ),
        ("await Promise.reject(new Error('late'))", "late (line 1)", Some(1)),
        ("throw 'text'", "threw 'text'", None),
        ("throw { a: 1 }", "threw { a: 1 }", None),
        ("throw null", "threw null", None),
        (
            "require('fs')",
            "ReferenceError: require is not defined (code steps have no modules: use the built-in globals, such as fetch and crypto) (line 1)",
            Some(1),
        ),
        (
            "return process.env.X",
            "ReferenceError: process is not defined (code steps have no process and no environment: secrets come from credential(\"KEY\")) (line 1)",
            Some(1),
        ),
        ("return 1n", "the output is not JSON: TypeError: BigInt", None),
        (
            "const a = {}; a.a = a; return a",
            "the output is not JSON: TypeError: circular reference",
            None,
        ),
        ("return () => 1", "the output is not JSON: TypeError: a function is not JSON", None),
        ("eval('1 +')", "SyntaxError: ", Some(1)),
        ("await new Promise(() => {})", "the code waits for something that can never happen", None),
    ];
    for (source, expected, line) in cases {
        let ran = step(source).run(&sandbox).await;
        let failure = ran.failure();
        assert_eq!(failure.code, "script_error", "{source}");
        assert!(failure.message.starts_with(expected), "{source}: {:?}", failure.message);
        assert_eq!(failure.line, line, "{source}: {:?}", failure.message);
    }
}

#[tokio::test]
async fn prints_what_a_person_can_read() {
    let sandbox = sandbox().await;
    let source = r#"
        console.log('plain', 1, true, null, undefined, 2n, -0, Symbol('s'));
        console.info({ a: 1, 'b c': [1, 'x'], f() {}, d: new Date(0), r: /x/g });
        console.warn(new Map([['k', { v: 1 }]]), new Set([1]), new Uint8Array([1, 2]));
        console.error(new TypeError('bad'));
        console.debug('%s is %d, %j', 'x', '4', { y: 1 }, 'rest');
        const self = {}; self.self = self; console.log(self);
        console.log([[[[['deep']]]]]);
        console.log({ get broken() { throw 1 } }, new (class Point { x = 1 })(), new Headers({ a: 'b' }), new URL('https://x.y/z'));
        console.log(new Proxy({}, { ownKeys() { throw 1 } }));
        console.log('\ud800');
        console.log(Array.from({ length: 30 }, (_, i) => `item ${i}`).slice(0, 12));
    "#;
    let ran = step(source).run(&sandbox).await;
    let levels: Vec<Level> = ran.logs.iter().map(|(level, _)| *level).take(5).collect();
    assert_eq!(levels, [Level::Info, Level::Info, Level::Warn, Level::Error, Level::Debug]);
    let wrapped: String = (0..12).map(|i| format!("\n  'item {i}',")).collect();
    assert_eq!(
        ran.log(),
        [
            "plain 1 true null undefined 2n -0 Symbol(s)",
            "{\n  a: 1,\n  'b c': [ 1, 'x' ],\n  f: [Function: f],\n  d: 1970-01-01T00:00:00.000Z,\n  r: /x/g\n}",
            "Map(1) { 'k' => { v: 1 } } Set(1) { 1 } Uint8Array(2) [ 1, 2 ]",
            "TypeError: bad (line 5)",
            "x is 4, {\"y\":1} rest",
            "{ self: [Circular] }",
            "[ [ [ [ [Array] ] ] ] ]",
            "{ broken: [Getter] } Point { x: 1 } Headers { 'a': 'b' } https://x.y/z",
            "[object that cannot be shown]",
            "\u{fffd}",
            format!("[{}\n]", wrapped.trim_end_matches(',')).as_str(),
        ]
    );
}

#[tokio::test]
async fn cuts_the_log_and_goes_on() {
    let sandbox = sandbox().await;
    let limits = Limits { log_bytes: 1_000, ..Limits::default() };
    let source = "for (let i = 0; i < 100; i++) console.log('x'.repeat(92)); return 'done'";
    let ran = Step { limits, ..step(source) }.run(&sandbox).await;
    assert_eq!(ran.output(), json!("done"));
    let log = ran.log();
    assert_eq!(log.len(), 11, "ten lines fit: {log:?}");
    assert_eq!(log[9].len(), 92);
    assert_eq!(log[10], "the log has reached its limit and was cut here; the code goes on");
    let limits = Limits { log_bytes: 21, ..Limits::default() };
    let ran = Step { limits, ..step("console.log('ää'.repeat(9)); console.log('b')") }
        .run(&sandbox)
        .await;
    assert_eq!(ran.log()[0], "ä".repeat(6), "cut between characters");
    assert_eq!(ran.logs.len(), 2);
}

#[tokio::test]
async fn shows_logs_while_the_code_still_runs() {
    use keyward_sandbox::Event;
    let sandbox = sandbox().await;
    let source = "console.log('first'); await new Promise((done) => setTimeout(done, 30_000))";
    let mut session = step(source).start(&sandbox).await;
    let event = tokio::time::timeout(std::time::Duration::from_secs(5), session.next()).await;
    assert_eq!(event.ok(), Some(Event::Log { level: Level::Info, text: "first".to_owned() }));
}

#[tokio::test]
async fn long_errors_are_cut() {
    let sandbox = sandbox().await;
    for source in [
        "throw new Error('long '.repeat(20_000))",
        "throw new Error('long '.repeat(2_000_000))",
        "throw 'long '.repeat(2_000_000)",
        "throw { message: 'long '.repeat(2_000_000) }",
        "throw Object.assign(new Error('x'), { stack: 'long '.repeat(2_000_000) })",
        "throw Object.assign(new Error('x'), { code: 'long '.repeat(2_000_000), key: 'long '.repeat(2_000_000) })",
        "eval('long '.repeat(200_000))",
    ] {
        let ran = step(source).run(&sandbox).await;
        let failure = ran.failure();
        assert_eq!(failure.code, "script_error", "{source}: {failure:.200?}");
        assert!(!failure.message.contains("rules"), "{source}: {}", failure.message);
        assert!(failure.message.len() < 10_000, "{source}: {} bytes", failure.message.len());
    }
}
