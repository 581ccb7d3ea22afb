//! Code that wants to harm: it ends, in time, and its neighbours do not notice.

use crate::helper::{Step, sandbox, step};
use keyward_sandbox::{Level, Limits};
use serde_json::json;
use std::time::{Duration, Instant};

fn limits() -> Limits {
    Limits { wall_time: Duration::from_millis(800), memory_bytes: 32 << 20, ..Limits::default() }
}

/// For code that must meet another bound than time, also on a slow machine.
fn patient() -> Limits {
    Limits { wall_time: Duration::from_secs(20), ..limits() }
}

/// Runs each source; all must end with one of these codes, soon after the deadline at the latest.
async fn check_ends(limits: Limits, cases: &[(&str, &[&str])]) {
    let sandbox = sandbox().await;
    for (source, codes) in cases {
        let begun = Instant::now();
        let ran = Step { limits: limits.clone(), ..step(source) }.run(&sandbox).await;
        let failure = ran.failure();
        assert!(codes.contains(&failure.code), "{source}: {failure:?}");
        assert!(
            begun.elapsed() < limits.wall_time + Duration::from_secs(4),
            "{source}: {:?}",
            begun.elapsed()
        );
        let neighbour = step("return 'unharmed'").run(&sandbox).await;
        assert_eq!(neighbour.output(), json!("unharmed"), "after {source}");
    }
}

#[tokio::test]
async fn endless_code_is_killed_at_the_deadline() {
    let timeout: &[&str] = &["timeout"];
    let either: &[&str] = &["timeout", "memory_limit"];
    check_ends(limits(), &[
        ("while (true) {}", timeout),
        ("for (;;) { try { while (true) {} } catch {} finally { continue } }", timeout),
        ("await (async () => { while (true) await null })()", timeout),
        ("const again = () => Promise.resolve().then(again); await again()", either),
        ("return /^(a+)+$/.test('a'.repeat(40) + '!')", timeout),
        ("const a = []; for (let i = 0; i < 1e5; i++) a.push({ i, s: 'x'.repeat(20) }); while (true) JSON.parse(JSON.stringify(a))", either),
        ("const a = new Float64Array(1e6); while (true) a.fill(Math.random()).sort()", timeout),
        ("const s = 'ab'.repeat(4e6); while (true) s.indexOf('b'.repeat(1e5))", timeout),
        ("const a = new Uint8Array(1e7); while (true) a.fill(1)", timeout),
        ("2n ** 100_000_000n", &["timeout", "memory_limit", "script_error"]),
        ("setInterval(() => {}, 1); await new Promise(() => {})", timeout),
        ("await new Promise((done) => setTimeout(done, 1e9))", timeout),
        ("Object.prototype.toJSON = function () { while (true) {} }; return {}", timeout),
        ("return { toJSON() { while (true) {} } }", timeout),
        ("throw { get message() { while (true) {} } }", timeout),
        ("Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)", &["timeout", "script_error"]),
    ])
    .await;
}

#[tokio::test]
async fn memory_is_bounded() {
    let memory: &[&str] = &["memory_limit"];
    check_ends(patient(), &[
        ("const a = []; while (true) a.push(new Array(1000).fill(1))", memory),
        ("let s = 'x'; while (true) s += s", &["memory_limit", "script_error"]),
        ("return new ArrayBuffer(1e9)", memory),
        ("return new Array(1e8).fill(0)", memory),
        ("const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })", memory),
        ("const keep = []; while (true) keep.push(new Uint8Array(1e6))", memory),
        ("return 'x'.repeat(2 ** 29)", &["memory_limit", "script_error"]),
        ("const keep = []; while (true) keep.push(new TextEncoder().encode('x'.repeat(1e5)))", memory),
        ("const a = []; const grow = () => { a.push(new Array(1e4).fill(0)); return Promise.resolve().then(grow) }; await grow()", memory),
        ("const s = JSON.stringify('x'.repeat(9e6)); const keep = []; while (true) keep.push(JSON.parse(s) + keep.length)", memory),
    ])
    .await;
    let sandbox = sandbox().await;
    let caught = "try { new ArrayBuffer(1e9) } catch { return 'went on' }";
    let ran = Step { limits: limits(), ..step(caught) }.run(&sandbox).await;
    assert_eq!(ran.output(), json!("went on"));
}

#[tokio::test]
async fn depth_and_size_are_errors() {
    let script: &[&str] = &["script_error"];
    check_ends(patient(), &[
        ("const deep = () => deep(); deep()", script),
        ("const deep = async () => { await deep() }; await deep()", &["script_error", "memory_limit", "timeout"]),
        ("return JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))", script),
        ("let a = []; for (let i = 0; i < 100_000; i++) a = [a]; return a", script),
        ("let a = []; for (let i = 0; i < 101; i++) a = [a]; return a", script),
        ("let a = []; for (let i = 0; i < 100_000; i++) a = [a]; console.log(a); structuredClone(a)", script),
        ("new RegExp('('.repeat(100_000) + ')'.repeat(100_000))", script),
        ("eval('('.repeat(100_000) + ')'.repeat(100_000))", script),
        ("return 'x'.repeat(6_000_000)", &["output_too_large"]),
        ("return Array.from({ length: 200_000 }, () => 'x'.repeat(30))", &["output_too_large", "memory_limit"]),
        ("await new Promise(() => {})", script),
        ("await { then() {} }", script),
    ])
    .await;
}

#[tokio::test]
async fn floods_are_cut() {
    let sandbox = sandbox().await;
    let ran = step("for (let i = 0; i < 30_000; i++) console.log('x'.repeat(100)); return 1")
        .run(&sandbox)
        .await;
    assert_eq!(ran.output(), json!(1));
    let bytes: usize = ran.logs.iter().map(|(_, text)| text.len()).sum();
    assert!(bytes <= (1 << 20) + 1_000, "{bytes}");
    assert_eq!(ran.logs.last().map(|(level, _)| *level), Some(Level::Warn));
    let ran =
        step("for (let i = 0; i < 300_000; i++) console.log(''); return 1").run(&sandbox).await;
    assert!(ran.logs.len() <= (1 << 20) / 8 + 1, "{}", ran.logs.len());
    let source = "for (let i = 0; i < 20_000; i++) fetch('https://a.b').catch(() => {}); return 1";
    let ran = step(source).run(&sandbox).await;
    assert_eq!(ran.output(), json!(1));
    assert!(ran.requests.len() <= 32, "{}", ran.requests.len());
}

#[tokio::test]
async fn polluted_builtins_harm_only_the_script() {
    let sandbox = sandbox().await;
    let pollutions = [
        "Promise.prototype.then = () => { throw 1 }",
        "JSON.stringify = () => 'not json'; JSON.parse = null",
        "Object.defineProperty(Object.prototype, 'code', { value: 'timeout' })",
        "String.prototype.toWellFormed = () => 5",
        "Array.prototype[Symbol.iterator] = function* () { yield 'x' }",
        "Array.prototype.map = Array.prototype.filter = Array.prototype.push = () => []",
        "Map.prototype.get = Map.prototype.set = () => { throw 1 }",
        "globalThis.Error = globalThis.TypeError = globalThis.InternalError = null",
        "Object.keys = Object.defineProperty = null",
        "Function.prototype.call = Function.prototype.apply = null",
        "for (const name of Object.getOwnPropertyNames(globalThis)) { try { delete globalThis[name] } catch {} }",
        "Object.prototype.get = () => 1; Object.prototype.set = () => 1; Object.prototype.value = 1",
        "Object.freeze(Object.prototype); Object.freeze(Array.prototype)",
    ];
    for pollution in pollutions {
        let source = format!(
            "{pollution};\ntry {{ await fetch('https://a.b', {{ method: 'POST', body: 'x' }}) }} catch {{}}\ntry {{ console.log({{ a: 1 }}) }} catch {{}}\nreturn 1"
        );
        let ran = Step { limits: limits(), ..step(&source) }.run(&sandbox).await;
        // It may fail in any way it likes, but as the script's own failure.
        if let keyward_sandbox::Outcome::Failed(failure) = &ran.outcome {
            assert_eq!(failure.code, "script_error", "{pollution}: {failure:?}");
        }
        let next = step("return [1].map((n) => n + 1)").run(&sandbox).await;
        assert_eq!(next.output(), json!([2]), "the next step is untouched by {pollution}");
    }
}

#[tokio::test]
async fn codes_of_the_scripts_own_making_do_not_count() {
    let sandbox = sandbox().await;
    let caught = "try { credential('NO') } catch (error) { Object.assign(error, { code: 'timeout', key: 'K' }); throw error }";
    let cases = [
        (
            "throw Object.assign(new Error('x'), { code: 'audit_unavailable', key: 'K' })",
            "script_error",
            None,
        ),
        ("throw { message: 'x', code: 'interrupted' }", "script_error", None),
        (
            "WeakMap.prototype.get = () => ({ code: 'timeout' }); throw new Error('x')",
            "script_error",
            None,
        ),
        (
            "await Promise.reject(Object.assign(new TypeError('x'), { code: 'memory_limit' }))",
            "script_error",
            None,
        ),
        (caught, "missing_credential", Some("NO")),
    ];
    for (source, code, key) in cases {
        let ran = step(source).run(&sandbox).await;
        let failure = ran.failure();
        assert_eq!((failure.code, failure.key.as_deref()), (code, key), "{source}");
    }
}

#[tokio::test]
async fn evaluated_code_is_as_confined_as_the_rest() {
    let sandbox = sandbox().await;
    let source = "const names = ['require', 'process', 'std', 'os', 'host', 'shared', 'Deno'];
        const seen = new Function('names', 'return names.filter((name) => name in globalThis)')(names);
        const scope = (0, eval)('typeof host + typeof shared + typeof this.std');
        let imported; try { await eval('import(\"fs\")') } catch (error) { imported = error.name }
        return [seen, scope, imported, (async () => {}).constructor('return 1') instanceof Function]";
    let ran = step(source).run(&sandbox).await;
    assert_eq!(ran.output(), json!([[], "undefinedundefinedundefined", "ReferenceError", true]));
}
