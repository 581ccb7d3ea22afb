//! The table: source, its time, the codes it may end with, and what the message must say.

/// Code, and how it must end.
pub(super) struct Case {
    pub(super) source: &'static str,
    pub(super) seconds: u64,
    /// Step error codes; `refused` where the definition may be refused as well.
    pub(super) codes: &'static [&'static str],
    pub(super) says: &'static str,
}

/// The time for what must run into it.
pub(super) const SECONDS: u64 = 1;
/// The time for what must meet another bound, also on a busy machine.
pub(super) const PATIENT: u64 = 40;

const fn endless(source: &'static str) -> Case {
    Case { source, seconds: SECONDS, codes: &["timeout"], says: "" }
}

const fn endless_or_large(source: &'static str) -> Case {
    Case { source, seconds: SECONDS, codes: &["timeout", "memory_limit", "script_error"], says: "" }
}

const fn memory(source: &'static str) -> Case {
    Case { source, seconds: PATIENT, codes: &["memory_limit"], says: "memory" }
}

/// For what is over a bound of the language before it is over the memory's.
const fn large(source: &'static str) -> Case {
    Case { source, seconds: PATIENT, codes: &["memory_limit", "script_error"], says: "" }
}

const fn output(source: &'static str) -> Case {
    Case { source, seconds: PATIENT, codes: &["output_too_large"], says: "" }
}

const fn script(source: &'static str, says: &'static str) -> Case {
    Case { source, seconds: PATIENT, codes: &["script_error"], says }
}

const fn refused(source: &'static str) -> Case {
    Case { source, seconds: PATIENT, codes: &["script_error", "refused"], says: "" }
}

pub(super) const ALL: &[Case] = &[
    endless("while (true) {}"),
    endless("for (;;) { try { while (true) {} } catch {} finally { continue } }"),
    endless("label: for (;;) { for (;;) continue label }"),
    endless("await (async () => { while (true) await null })()"),
    endless("for (const x of (function* () { while (true) yield 1 })()) ;"),
    endless("for await (const x of (async function* () { while (true) yield 1 })()) ;"),
    endless("const again = () => { setTimeout(again, 0) }; again(); await new Promise(() => {})"),
    endless("setInterval(() => {}, 1); await new Promise(() => {})"),
    endless(
        "for (let i = 0; i < 500; i++) setInterval(() => { for (let n = 0; n < 1e5; n++) ; }, 1); await new Promise(() => {})",
    ),
    endless("await new Promise((done) => setTimeout(done, 1e9))"),
    endless("return await new Promise(() => { setTimeout(() => {}, 2 ** 31 - 1) })"),
    endless("return /^(a+)+$/.test('a'.repeat(40) + '!')"),
    endless("return /^(\\w+\\s?)*$/.test('word '.repeat(20) + '!')"),
    endless("return /(x+x+)+y/.exec('x'.repeat(60))"),
    endless("return 'a'.repeat(40).replace(/((a*)*)*b/g, '')"),
    endless("const a = new Uint8Array(1e7); while (true) a.fill(1)"),
    endless("const a = new Float64Array(1e6); while (true) a.fill(Math.random()).sort()"),
    endless("const s = 'ab'.repeat(4e6); while (true) s.indexOf('b'.repeat(1e5))"),
    endless("Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)"),
    endless("Array.prototype.every.call({ length: 2 ** 53 - 1 }, () => true)"),
    endless("const a = []; a.length = 2 ** 32 - 1; a.reverse(); a.includes(1)"),
    endless("[3, 2, 1].sort(() => { while (true) {} })"),
    endless("new Proxy({}, { get() { while (true) {} } }).x"),
    endless("return { toJSON() { while (true) {} } }"),
    endless("Object.prototype.toJSON = function () { while (true) {} }; return {}"),
    endless("throw { get message() { while (true) {} } }"),
    endless(
        "console.log({ toString() { while (true) {} }, toJSON() { while (true) {} } }); while (true) {}",
    ),
    endless("return `${{ [Symbol.toPrimitive]() { while (true) {} } }}`"),
    endless(
        "Promise.prototype.then = function () { while (true) {} }; await (async () => 1)(); while (true) {}",
    ),
    endless("eval('while (true) {}')"),
    endless("new Function('while (true) {}')()"),
    endless_or_large("const again = () => Promise.resolve().then(again); await again()"),
    endless_or_large("2n ** 100_000_000n"),
    endless_or_large("let n = 3n; while (true) n *= n"),
    endless_or_large(
        "Array.from({ [Symbol.iterator]() { return { next: () => ({ done: false, value: 1 }) } } })",
    ),
    endless_or_large("Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)"),
    endless_or_large(
        "const a = []; for (let i = 0; i < 1e5; i++) a.push({ i, s: 'x'.repeat(20) }); while (true) JSON.parse(JSON.stringify(a))",
    ),
    endless_or_large("while (true) structuredClone(new Array(1e5).fill({ a: [1, 2, 3] }))"),
    memory("const a = []; while (true) a.push(new Array(1000).fill(1))"),
    memory("return new ArrayBuffer(1e9)"),
    memory("return new Array(1e8).fill(0)"),
    memory("const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })"),
    memory("const s = new Set(); for (let i = 0; ; i++) s.add('k' + i)"),
    memory("const o = {}; for (let i = 0; ; i++) o['k' + i] = [i]"),
    memory("const keep = []; while (true) keep.push(new Uint8Array(1e6))"),
    memory("const keep = []; while (true) keep.push(new TextEncoder().encode('x'.repeat(1e5)))"),
    memory(
        "let f = () => 1; while (true) { const g = f; const held = new Array(100).fill(g); f = () => held }",
    ),
    memory(
        "const keep = []; while (true) try { while (true) keep.push(new Array(1e4).fill(0)) } finally { throw keep.pop() ?? 1, new Array(2e7).fill(1) }",
    ),
    large("let s = 'x'; while (true) s += s"),
    large("return 'x'.repeat(2 ** 29)"),
    large("return 'x'.padEnd(2 ** 30, 'yz').length"),
    large("return 'x'.repeat(2 ** 25).split('').length + 'y'.repeat(2 ** 25).split('').length"),
    large("const s = '\"'.repeat(2e7); return JSON.stringify(JSON.stringify(s))"),
    output("return 'x'.repeat(6_000_000)"),
    output("return Array.from({ length: 60_000 }, () => 'x'.repeat(100))"),
    output(
        "return Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => ['key' + i, 'x'.repeat(90)]))",
    ),
    output("return '\\u0001'.repeat(1_000_000)"),
    script("const deep = () => deep();\n\ndeep()", "line 1"),
    script("return JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))", "line 1"),
    script("let a = []; for (let i = 0; i < 100_000; i++) a = [a]; return a", ""),
    script("const a = {}; a.self = a; return a", ""),
    script("return 1n", ""),
    script("new RegExp('('.repeat(100_000) + ')'.repeat(100_000))", "line 1"),
    script("await new Promise(() => {})", "never"),
    script("await { then() {} }", "never"),
    script("throw null", "null"),
    script("throw undefined", "undefined"),
    script("throw 42", "42"),
    script("throw ''", ""),
    script("throw Symbol('odd')", ""),
    script("throw () => 1", ""),
    script("throw { message: 'of an object' }", "of an object"),
    script("throw { get message() { throw new Error('inner') } }", ""),
    script(
        "throw { get code() { throw 1 }, get message() { throw 2 }, get stack() { throw 3 } }",
        "",
    ),
    script("throw new Proxy({}, { get() { throw new Error('trap') } })", ""),
    script("const e = new Error('round'); e.cause = e; e.self = e; throw e", "round"),
    script("throw new Error('long '.repeat(2_000_000))", "long"),
    script(
        "throw Object.defineProperty(new Error('no stack'), 'stack', { value: null })",
        "no stack",
    ),
    script(
        "throw Object.defineProperty(new Error('bent'), 'stack', { value: { toString() { throw 1 } } })",
        "",
    ),
    script("throw { toString() { while (true) {} } }", ""),
    script("const e = new Error('frozen'); throw Object.freeze(e)", "frozen"),
    script("throw Object.assign(new Error('forged'), { code: 'audit_unavailable' })", "forged"),
    script("throw Object.assign(new Error('forged'), { code: 'timeout' })", "forged"),
    script("Error.prepareStackTrace = () => { throw 1 }; throw new Error('prepared')", "prepared"),
    script("await Promise.reject(undefined)", "undefined"),
    script("await Promise.reject(new Error('rejected'))", "rejected"),
    script("await Promise.any([])", ""),
    script("const first = 1;\n\nthrow new Error('on the third line')", "line 3"),
    script("\n\n\n\nreturn missing.name", "line 5"),
    script("const f = () => {\n  null.x\n};\nf()", "line 2"),
    script(
        "await Promise.resolve();\nawait (async () => {\n  throw new TypeError('later')\n})()",
        "line 3",
    ),
    script("eval('throw new Error(\"evaluated\")')", "evaluated"),
    Case {
        source: "await fetch('file:///etc/passwd')",
        seconds: PATIENT,
        codes: &["validation_failed"],
        says: "scheme",
    },
    Case {
        source: "await fetch('http://169.254.169.254/latest')",
        seconds: PATIENT,
        codes: &["destination_blocked"],
        says: "",
    },
    script("process.exit(0)", "process"),
    script("return process.env", "process"),
    script("require('fs')", "require"),
    script("return __proto__.constructor.constructor('return process')()", "process"),
    script("return (() => {}).constructor('return require(\"child_process\")')()", "require"),
    script("credential.constructor.constructor('return host')().read('/etc/passwd')", "host"),
    script("console.log.constructor('return std')().open('/etc/passwd')", "std"),
    refused("import fs from 'fs'; return fs"),
    refused("return await import('fs')"),
    refused("return await eval('import(\"std\")')"),
    refused("return import.meta.url"),
    refused("}); while (true) {} (async () => {"),
    refused("return eval('('.repeat(100_000) + ')'.repeat(100_000))"),
    refused("with (Math) { return nothing }"),
];
