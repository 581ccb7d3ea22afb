//! Sources and what they return.

use crate::compile;
use crate::shape::{How, InputPath, Segment, Shape};
use crate::step::Language;

/// What a source returns, as text: `~` before what stands within, `%` before what was cut.
fn shape(source: &str) -> Shape {
    let wrapped = format!("{}{source}{}", compile::BEFORE, compile::AFTER);
    let (script, _) = compile::parse(&wrapped, Language::Typescript).expect(source);
    super::returns(compile::body(&script).expect("one function"))
}

fn show(shape: &Shape) -> String {
    let list = |shapes: &[Shape]| shapes.iter().map(show).collect::<Vec<_>>();
    match shape {
        Shape::Unknown => "?".to_owned(),
        Shape::Fetched => "fetched".to_owned(),
        Shape::Reads(inputs) if inputs.is_empty() => "-".to_owned(),
        Shape::Reads(inputs) => inputs.iter().map(show_input).collect::<Vec<_>>().join("+"),
        Shape::Any(shapes) => list(shapes).join(" | "),
        Shape::Array { items, others } => {
            let others = list(others).into_iter().map(|other| format!("*: {other}"));
            format!("[{}]", list(items).into_iter().chain(others).collect::<Vec<_>>().join(", "))
        }
        Shape::Object { members, others, spread, names } => {
            let members = members.iter().map(|(name, shape)| format!("{name}: {}", show(shape)));
            let others = list(others).into_iter().map(|other| format!("*: {other}"));
            let spread = list(spread).into_iter().map(|spread| format!("...{spread}"));
            let names = list(names).into_iter().map(|name| format!("names: {name}"));
            let all = members.chain(others).chain(spread).chain(names);
            format!("{{{}}}", all.collect::<Vec<_>>().join(", "))
        }
    }
}

fn show_input(input: &InputPath) -> String {
    let mark = match input.how {
        How::Whole => "",
        How::Within => "~",
        How::Cut => "%",
    };
    format!("{mark}{input}")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(show(&shape(source)), *expected, "{source}");
    }
}

#[test]
fn reads_members() {
    check(&[
        ("return trigger", "trigger"),
        ("return trigger.body.token", "trigger.body.token"),
        ("return trigger.headers['x-api-key']", "trigger.headers[\"x-api-key\"]"),
        ("return trigger.headers[`x-api-key`]", "trigger.headers[\"x-api-key\"]"),
        ("return trigger?.body?.token", "trigger.body.token"),
        ("return trigger?.['body'].a?.[0]", "trigger.body.a[0]"),
        ("return steps.lookup.output.rows[0].token", "steps.lookup.output.rows[0].token"),
        ("return steps['lookup'].output['rows']['0']", "steps.lookup.output.rows[0]"),
        ("return (trigger.body as Body)!.token satisfies string", "trigger.body.token"),
        ("return <string>trigger.body.token", "trigger.body.token"),
        ("return trigger.body[key]", "trigger.body.*"),
        ("return await trigger.body.token", "trigger.body.token"),
        ("return run.id", "-"),
        ("return 'a' + 1 + `b`", "-"),
        ("return", "-"),
        ("", "-"),
        ("console.log(trigger)", "-"),
        ("return item", "?"),
        ("return somewhere", "?"),
        ("return trigger.body.constructor", "?"),
    ]);
}

#[test]
fn makes_objects_and_arrays() {
    check(&[
        ("return { token: trigger.body.token, n: 1 }", "{n: -, token: trigger.body.token}"),
        ("return { a: { b: [trigger.body.x, 2] } }", "{a: {b: [trigger.body.x, -]}}"),
        (
            "return { 'x-y': trigger.a, 5: trigger.b, ['z']: 1 }",
            "{5: trigger.b, x-y: trigger.a, z: -}",
        ),
        ("return { ...steps.lookup.output, x: 1 }", "{x: -, ...steps.lookup.output}"),
        ("return { x: 1, ...trigger.body }", "{x: trigger.body.x, ...trigger.body}"),
        ("const a = { x: trigger.x }; return { ...a, y: 1 }", "{x: trigger.x, y: -}"),
        ("return { ...trigger.body, ...{ t: 1 } }", "{t: trigger.body.t, ...trigger.body}"),
        ("return { [k]: trigger.body.x }", "{*: trigger.body.x, names: ?}"),
        ("return { [trigger.k]: 1 }", "{names: %trigger.k}"),
        ("return [...trigger.body.rows, 1]", "[*: trigger.body.rows[*]]"),
        ("return [1, ...trigger.body.rows]", "[-, *: trigger.body.rows[*]]"),
        (
            "return Object.assign({}, trigger.a, { b: trigger.c })",
            "{b: trigger.a.b+trigger.c, ...trigger.a}",
        ),
        ("return Object.freeze({ a: trigger.a })", "{a: trigger.a}"),
        ("return Object.keys(trigger.body)", "%trigger.body"),
        ("return Object.values(trigger.body)", "[*: trigger.body.*]"),
        ("return Object.entries(trigger.body)", "[*: [%trigger.body, trigger.body.*]]"),
        (
            "return Object.fromEntries(Object.entries(trigger.b))",
            "{*: trigger.b.*, names: %trigger.b}",
        ),
        ("return { a: 1, f() { return trigger.x } }", "{a: -, f: ?}"),
        ("return { a: 1, toJSON() { return trigger.x } }", "?"),
        ("return { a: 1, toJSON: helper() }", "?"),
        ("return { toString: trigger.x }", "{toString: trigger.x}"),
        ("return { a: trigger.x, ...helper }", "?"),
        ("return { __proto__: trigger.body }", "?"),
        ("return { get a() { return trigger.x } }", "?"),
    ]);
}

#[test]
fn follows_variables() {
    check(&[
        ("const t = trigger.body.token; return { t }", "{t: trigger.body.token}"),
        ("let t; t = trigger.body.token; return t", "trigger.body.token"),
        ("var t = trigger.body.a; t = trigger.body.b; return t", "trigger.body.b"),
        ("let t = trigger.a; if (t.x) t = trigger.b; return t", "trigger.a+trigger.b"),
        ("let t; if (x) { t = trigger.a } else { t = trigger.b } return t", "trigger.a+trigger.b"),
        ("const a = trigger; const b = a.body; const c = b.x; return c.y", "trigger.body.x.y"),
        (
            "const { token, user: { id } } = trigger.body; return { token, id }",
            "{id: trigger.body.user.id, token: trigger.body.token}",
        ),
        (
            "const { token: t = 'none', ...rest } = trigger.body; return { t, rest }",
            "{rest: {...trigger.body}, t: trigger.body.token}",
        ),
        ("const { a = trigger.z } = trigger.body; return a", "trigger.body.a+trigger.z"),
        ("const { [k]: v } = trigger.body; return v", "trigger.body.*"),
        (
            "const [a, , b = 1, ...c] = trigger.body.rows; return { a, b, c }",
            "{a: trigger.body.rows[0], b: trigger.body.rows[2], c: [*: trigger.body.rows[*]]}",
        ),
        ("const { lookup } = steps; return lookup.output.token", "steps.lookup.output.token"),
        (
            "let a, b; ({ a, x: b } = trigger.body); return [a, b]",
            "[trigger.body.a, trigger.body.x]",
        ),
        (
            "let a = trigger.a, b = trigger.b; [a, b] = [b, a]; return { a, b }",
            "{a: trigger.b, b: trigger.a}",
        ),
        ("let s = trigger.a; s += trigger.b; return s", "~trigger.a+~trigger.b"),
        ("let s = trigger.a; s ??= trigger.b; return s", "trigger.a+trigger.b"),
        ("const trigger = { body: 1 }; return trigger.body", "-"),
        ("const x = trigger.a; { const x = trigger.b; } return x", "trigger.a"),
        ("declare const trigger: { body: string }; return trigger.body", "trigger.body"),
        ("interface A { x: 1 } type B = A; return trigger.x", "trigger.x"),
        ("unheard = trigger.a; return 1", "?"),
        ("trigger = { body: 1 }; return trigger.body", "?"),
        ("return eval('trigger')", "?"),
        ("const g = globalThis; return 1", "?"),
    ]);
}

#[test]
fn follows_operators_and_methods() {
    check(&[
        ("return `Bearer ${trigger.body.token}`", "~trigger.body.token"),
        ("return 'Bearer ' + trigger.body.token", "~trigger.body.token"),
        ("return trigger.a + ':' + steps.s.output.b", "~steps.s.output.b+~trigger.a"),
        ("return trigger.a || trigger.b || 'c'", "trigger.a+trigger.b"),
        ("return trigger.a ?? 'none'", "trigger.a"),
        ("return trigger.user && trigger.user.token", "trigger.user.token"),
        ("return ok ? trigger.a : { b: trigger.b }", "trigger.a | {b: trigger.b}"),
        ("return (trigger.a, trigger.b)", "trigger.b"),
        ("return trigger.n * 2", "%trigger.n"),
        ("return trigger.a === 'x'", "%trigger.a"),
        ("return !trigger.a", "%trigger.a"),
        ("return typeof trigger.a", "-"),
        ("return String(trigger.a)", "~trigger.a"),
        ("return Number(trigger.a)", "%trigger.a"),
        ("return btoa(trigger.user + ':' + trigger.pass)", "~trigger.pass+~trigger.user"),
        ("return btoa(`${trigger.user}:${trigger.pass}`)", "~trigger.pass+~trigger.user"),
        ("return encodeURIComponent(trigger.a)", "~trigger.a"),
        ("return JSON.stringify({ a: trigger.a, b: [trigger.b] })", "~trigger.a+~trigger.b"),
        ("return JSON.stringify(trigger.a, null, trigger.b)", "~trigger.a+~trigger.b"),
        ("return JSON.stringify(trigger.a, (k, v) => v)", "?"),
        ("return JSON.parse(trigger.body.blob)", "?"),
        ("return { x: JSON.parse(trigger.body.blob).x, y: trigger.y }", "{x: ?, y: trigger.y}"),
        ("return atob(trigger.a)", "?"),
        ("return trigger.a.toString()", "~trigger.a"),
        ("return trigger.a.trim()", "~trigger.a"),
        ("return trigger.a.toUpperCase()", "%trigger.a"),
        ("return trigger.a?.trim?.()?.toLowerCase()", "%trigger.a"),
        (
            "return trigger.headers.authorization.slice(7).trim()",
            "~trigger.headers.authorization[*]",
        ),
        ("return trigger.headers.authorization.split(' ')[1]", "%trigger.headers.authorization"),
        ("return trigger.a.replace(/^Bearer /, '')", "%trigger.a"),
        ("return trigger.a.replace(/x/, (m) => trigger.b)", "?"),
        ("return trigger.a.padEnd(3, trigger.b)", "~trigger.a+~trigger.b"),
        ("return [trigger.a, trigger.b].join(':')", "~trigger.a+~trigger.b"),
        ("return Math.max(trigger.a, 1)", "%trigger.a"),
        ("return new Date(trigger.a).toISOString()", "%trigger.a"),
        ("return Date.now()", "-"),
        ("return trigger.a.unheardOf()", "?"),
        ("return trigger.a[method]()", "?"),
        ("return String.raw`${trigger.a}`", "?"),
        ("return String({ toString() { return trigger.a } })", "?"),
        ("const s = { toString: () => trigger.a }; return `${s}`", "?"),
        ("return JSON.stringify({ [trigger.k]: 1 })", "%trigger.k"),
        ("return Object.keys({ [trigger.k]: 1 })", "%trigger.k"),
    ]);
}

#[test]
fn follows_what_is_fetched() {
    check(&[
        ("const r = await fetch(trigger.url); return await r.json()", "fetched"),
        (
            "const r = await fetch(u); const d = await r.json(); return { t: d.auth.token }",
            "{t: fetched}",
        ),
        ("const { token } = await (await fetch(u)).json(); return { token }", "{token: fetched}"),
        ("return (await fetch(u)).headers.get('x')", "fetched"),
        (
            "return fetch(u).then(r => r.json()).then(d => ({ t: d.t, u: trigger.u }))",
            "{t: fetched, u: trigger.u}",
        ),
        (
            "const d = await (await fetch(u)).json(); return d.items.map(i => ({ id: i.id, k: trigger.k }))",
            "[*: {id: fetched, k: trigger.k}]",
        ),
        (
            "const [a, b] = await Promise.all([fetch(u), trigger.b]); return { a, b }",
            "{a: fetched, b: trigger.b}",
        ),
        (
            "const d = await (await fetch(u)).json(); return `${d.a}:${trigger.b}`",
            "~trigger.b | fetched",
        ),
        ("return credential('K')", "-"),
        ("return { h: `Bearer ${credential('K')}`, s: credential.basic('K') }", "{h: -, s: -}"),
        ("const d = await (await fetch(u)).json(); d.x = trigger.x; return d", "?"),
    ]);
}

#[test]
fn follows_callbacks() {
    check(&[
        (
            "return trigger.body.rows.map(row => ({ id: row.id, token: row.token }))",
            "[*: {id: trigger.body.rows[*].id, token: trigger.body.rows[*].token}]",
        ),
        (
            "return { rows: steps.s.output.rows.map(({ a, b: [c] }) => { const x = a; return { x, c } }) }",
            "{rows: [*: {c: steps.s.output.rows[*].b[0], x: steps.s.output.rows[*].a}]}",
        ),
        ("return trigger.rows.filter(r => r.ok).map(r => r.token)", "[*: trigger.rows[*].token]"),
        ("return trigger.rows.find(r => r.id === 1).token", "trigger.rows[*].token"),
        (
            "return trigger.rows.slice(0, 5).map(function (r) { return r.t })",
            "[*: trigger.rows[*].t]",
        ),
        ("return trigger.rows.map((r, i) => i)", "[]"),
        ("return trigger.rows.map((r, i, all) => all[0].x)", "[*: trigger.rows[0].x]"),
        (
            "return trigger.rows.flatMap(r => [r.a, r.b])",
            "[*: trigger.rows[*].a+trigger.rows[*].b | [trigger.rows[*].a, trigger.rows[*].b]]",
        ),
        ("return trigger.rows.map(String)", "[*: ~trigger.rows[*]]"),
        ("return trigger.rows.map(helper)", "?"),
        ("function helper(r) { return r.x } return { a: trigger.rows.map(helper) }", "{a: [*: ?]}"),
        (
            "return await Promise.all(trigger.rows.map(async (r) => { await fetch(r.u); return { t: r.t } }))",
            "[*: {t: trigger.rows[*].t}]",
        ),
        (
            "return trigger.rows.reduce((sum, r) => { sum[r.k] = r.v; return sum }, {})",
            "{*: trigger.rows[*].v, names: %trigger.rows[*].k}",
        ),
        ("return trigger.rows.reduce((sum, r, i, all) => all[0].x, '')", "trigger.rows[0].x"),
        ("return trigger.rows.reduce((sum, r) => sum + r.n, 0)", "~trigger.rows[*].n"),
        (
            "const out = []; trigger.rows.forEach(r => { out.push(r.t) }); return out",
            "[*: trigger.rows[*].t]",
        ),
        ("return Array.from(trigger.rows, r => r.t)", "[*: trigger.rows.*.t]"),
        ("return (() => ({ t: trigger.t }))()", "{t: trigger.t}"),
        ("return await (async (x) => x.t)(trigger)", "trigger.t"),
        ("const f = (x) => x; return f(trigger.a)", "?"),
        ("const f = (x) => x; return { a: f(trigger.a), b: trigger.b }", "{a: ?, b: trigger.b}"),
        ("const o = { f: (x) => x }; return o.f(trigger.a)", "?"),
        ("const o = { map: (f) => trigger.b }; return o.map(x => 1)", "?"),
        ("return (function* () { yield trigger.a })()", "?"),
    ]);
}

#[test]
fn follows_changes_to_its_own_objects() {
    check(&[
        ("const out = {}; out.token = trigger.t; return out", "{token: trigger.t}"),
        ("const out = { a: trigger.a }; out.a = 1; return out", "{a: -}"),
        ("const out = { a: trigger.a }; if (x) out.a = 1; return out", "{a: trigger.a}"),
        ("const out = {}; const same = out; same.t = trigger.t; return out", "{t: trigger.t}"),
        ("const out = { in: {} }; out.in.t = trigger.t; return out", "{in: {t: trigger.t}}"),
        ("const o = {}; const p = { o }; o.t = trigger.t; return p", "{o: {t: trigger.t}}"),
        (
            "const out = {}; out[trigger.k] = trigger.v; return out",
            "{*: trigger.v, names: %trigger.k}",
        ),
        (
            "const out = { a: 1 }; out[k] = trigger.v; return out",
            "{a: trigger.v, *: trigger.v, names: ?}",
        ),
        ("const list = [1]; list.push(trigger.t); return list", "[-, trigger.t]"),
        ("const list = [1]; if (x) list.push(trigger.t); return list", "[-, *: trigger.t]"),
        ("const l = [trigger.a, trigger.b]; l.reverse(); return l[0]", "trigger.a+trigger.b"),
        ("const l = [1]; l.unshift(trigger.a); return l[0]", "trigger.a"),
        (
            "const l = [trigger.a]; l.length = 0; l.push(trigger.b); return l[0]",
            "trigger.a+trigger.b",
        ),
        ("const l = []; if (x) l[0] = 1; l.push(trigger.t); return l[0]", "trigger.t"),
        ("const l = []; l[3] = 1; l.push(trigger.t); return l[4]", "trigger.t"),
        (
            "const a = [1]; const b = await Promise.all(a); b[0] = trigger.t; a[0] = 1; return b",
            "[trigger.t]",
        ),
        ("const o = { a: trigger.a }; delete o.a; return o", "{a: trigger.a}"),
        ("Object.assign(trigger.body, { a: trigger.b }); return trigger.body.a", "?"),
        ("trigger.body.a = trigger.b; return trigger.body.a", "?"),
        ("const b = trigger.body; b.a = trigger.b; return 1", "?"),
        ("const o = { b: trigger.body }; o.b.a = trigger.b; return 1", "?"),
        ("trigger.rows.sort(); return trigger.rows[0]", "?"),
        (
            "const l = [...trigger.rows].sort((a, b) => a.n - b.n); return l[0].t",
            "trigger.rows[*].t",
        ),
        ("String.prototype.trim = () => trigger.b; return 'a'.trim()", "?"),
        ("const f = o => { o.t = trigger.t }; const out = {}; f(out); return out", "?"),
        ("const out = {}; const f = () => { out.t = trigger.t }; f(); return out", "?"),
        (
            "const out = {}; const f = () => { out.t = trigger.t }; f(); return { a: out.t, b: trigger.b }",
            "{a: ?, b: trigger.b}",
        ),
        (
            "const out = { c: {} }; const f = () => { out.c.t = trigger.t }; out.c = trigger.body; f(); return 1",
            "?",
        ),
        (
            "let o = {}; const f = () => { o.t = trigger.t }; const p = {}; o = p; f(); return p",
            "?",
        ),
        ("let t = 1; const f = () => { t = trigger.t }; f(); return t", "?"),
        (
            "f(); const out = { t: 1 }; function f() { setTimeout(() => { out.t = trigger.t }) } return out",
            "?",
        ),
        ("const l = []; const p = l.push; [trigger.t].forEach(p, l); return l", "?"),
        ("const { assign } = Object; const o = {}; assign(o, trigger); return o", "?"),
        ("{ function toJSON() { return trigger.t } } return { a: 1, toJSON }", "?"),
        ("const l = []; if (x) Object.assign(l, [1]); l.push(trigger.t); return l[0]", "trigger.t"),
        ("const l = [trigger.t]; return `${l}${l[0] = ''}`", "~trigger.t"),
        ("const l = []; (l.push(1), l).x += 1; l.push(trigger.t); return l[1]", "trigger.t"),
        ("const o = {}; [o].forEach(x => { x.t = trigger.t }); return o", "{t: trigger.t}"),
        ("class A { x = trigger.x } return new A()", "?"),
        ("const m = new Map(); m.set('a', trigger.a); return { a: m.get('a') }", "{a: ?}"),
        ("const u = new URL('http://a'); u.search = trigger.a; return u.href", "?"),
    ]);
}

#[test]
fn follows_every_way() {
    check(&[
        (
            "if (x) return { a: trigger.a }; return { b: trigger.b }",
            "{a: trigger.a} | {b: trigger.b}",
        ),
        (
            "if (x) { return 1 } else if (y) { return trigger.b } else return trigger.c",
            "- | trigger.b | trigger.c",
        ),
        ("if (x) return JSON.parse(trigger.a); return trigger.b", "trigger.b | ?"),
        (
            "switch (trigger.k) { case 1: return trigger.a; default: return trigger.b }",
            "trigger.a | trigger.b",
        ),
        (
            "try { return trigger.a } catch (e) { return { error: e.message } }",
            "trigger.a | {error: ?}",
        ),
        (
            "let d; try { d = await (await fetch(u)).json() } catch { d = null } return { t: d.t }",
            "{t: fetched}",
        ),
        (
            "const o = { a: 1 }; try { return o } finally { o.a = trigger.a }",
            "{a: -} | {a: trigger.a}",
        ),
        (
            "const out = []; for (const r of trigger.rows) out.push({ t: r.t }); return { out }",
            "{out: [*: {t: trigger.rows[*].t}]}",
        ),
        ("let s = ''; for (const r of trigger.rows) { s += r.t } return s", "~trigger.rows[*].t"),
        (
            "const out = {}; for (const [k, v] of Object.entries(trigger.b)) out[k] = v; return out",
            "{*: trigger.b.*, names: %trigger.b}",
        ),
        (
            "const out = {}; for (const k in trigger.b) { out[k] = trigger.b[k] } return out",
            "{*: trigger.b.*, names: %trigger.b}",
        ),
        (
            "const l = []; for (let i = 0; i < trigger.rows.length; i++) l.push(trigger.rows[i].t); return l",
            "[*: trigger.rows.*.t]",
        ),
        ("let a = 1, b = 2; while (x) { a = b; b = trigger.b } return a", "trigger.b"),
        ("let n = trigger.n; while (n.next) n = n.next; return n", "?"),
        (
            "const o = {}; let p = {}; for (;;) { p.t = trigger.t; p = o; if (x) break } return o",
            "{t: trigger.t}",
        ),
        (
            "const l = []; let o; for (const r of trigger.rows) { o = {}; o.t = r.t; l.push(o) } o.t = 1; return l",
            "[*: {t: trigger.rows[*].t}]",
        ),
        ("a: { if (x) break a; return trigger.a } return trigger.b", "trigger.a | trigger.b"),
        ("do { var t = trigger.t } while (x); return t", "trigger.t"),
        ("throw new Error(trigger.a)", "-"),
    ]);
}

#[test]
fn ends_with_any_source() {
    let deep = 150;
    let inputs: Vec<_> = (0..30).map(|at| format!("trigger.b.c{at}")).collect();
    let members: String = (0..1_900).map(|at| format!("a{at}: v,")).collect();
    let wide = format!("const v = {}; const o = {{ {members} }};", inputs.join("+"));
    let sources = [
        format!("const a0 = trigger; {} return a60", doubling(60)),
        format!("return {}1{}", "{a:".repeat(deep), "}".repeat(deep)),
        format!("return {}1{}", "[".repeat(500), "]".repeat(500)),
        format!("return {}1{}", "for(;;){".repeat(deep).replace("for", ";for"), "}".repeat(deep))
            .replacen("return ;", "", 1),
        format!("{} return 1", "if (x) { var a = b; b = a; ".repeat(60) + &"}".repeat(60)),
        format!("let o = {{}}; {}o = {{ o }}; {} return o", "for(;;){".repeat(40), "}".repeat(40)),
        format!("return {}", vec!["trigger.a"; 20_000].join("+")),
        format!("return [{}]", "trigger.a,".repeat(20_000)),
        format!("const o = {{}}; {} return o", "o.a = { o };".repeat(5_000)),
        format!(
            "{} return 1",
            (0..5_000).map(|i| format!("let a{i} = trigger.a{i};")).collect::<String>()
        ),
        format!("return {}x{}", "(() => ".repeat(60), ")()".repeat(60)),
        format!("return trigger.r{}", ".map(r => r)".repeat(100)),
        format!("return {}0{}", "trigger.r.map(r => ".repeat(60), ")".repeat(60)),
        format!("return trigger{}", ".a".repeat(150)),
        format!("{}{}", wide, "for (;;) { o[k] = v; } ({ ...o });".repeat(5_000)),
        format!("{}({{ {} }})", wide, "...o, [k]: v,".repeat(5_000)),
        format!("{}{}", wide, "o[k] = v;".repeat(5_000)),
        "const o = {}; o.o = o; return o".to_owned(),
        "const o = {}; o.o = o; return JSON.stringify(o)".to_owned(),
    ];
    // As much stack as a step's process has.
    let analysed = std::thread::Builder::new()
        .stack_size(8 << 20)
        .spawn(move || sources.iter().map(|source| shape(source)).collect::<Vec<_>>());
    for shape in analysed.expect("a thread").join().expect("every source is analysed") {
        let json = serde_json::to_string(&shape).expect("JSON");
        assert!(json.len() <= super::MAX_BYTES);
        assert_eq!(serde_json::from_str::<Shape>(&json).expect("a shape"), shape);
    }
}

/// Objects that grow twofold with each line where nothing is shared.
fn doubling(times: usize) -> String {
    (0..times).map(|at| format!("const a{} = {{ x: a{at}, y: a{at} }};", at + 1)).collect()
}

#[test]
fn tells_the_origins_of_a_path() {
    let named = |path: &str| -> Vec<Segment> {
        let names = path.split('.').filter(|name| !name.is_empty());
        names.map(|name| if name == "*" { Segment::Each } else { Segment::named(name) }).collect()
    };
    let cases = [
        ("return trigger.body", "token", "trigger.body.token"),
        ("return trigger.body", "", "trigger.body"),
        ("return { t: trigger.a }", "t", "trigger.a"),
        ("return { t: trigger.a }", "t.x", "trigger.a.x"),
        ("return { t: trigger.a }", "other", ""),
        ("return { t: trigger.a, u: trigger.b }", "", "%trigger.a+%trigger.b"),
        ("return { t: 1, u: JSON.parse(x) }", "t", ""),
        ("return { t: 1, u: JSON.parse(x) }", "u.x", "?"),
        ("return { t: 1, u: JSON.parse(x) }", "", "?"),
        ("return { ...steps.s.output, x: 1 }", "x", ""),
        ("return { ...steps.s.output, x: 1 }", "y.z", "steps.s.output.y.z"),
        ("return { rows: trigger.r.map(r => ({ t: r.t })) }", "rows.0.t", "trigger.r[*].t"),
        ("return { rows: trigger.r.map(r => ({ t: r.t })) }", "rows.*.t", "trigger.r[*].t"),
        ("return { rows: [trigger.a, trigger.b] }", "rows.1", "trigger.b"),
        ("return { rows: [trigger.a, trigger.b] }", "rows.*", "trigger.a+trigger.b"),
        ("return { rows: [trigger.a, trigger.b] }", "rows.length", ""),
        ("return { t: `a${trigger.a}` }", "t", "~trigger.a"),
        ("return { t: `a${trigger.a}` }", "t.x", "%trigger.a"),
        ("return { t: trigger.a.slice(7) }", "t", "%trigger.a[*]"),
        ("if (x) return { t: trigger.a }; return { t: fetch(u) }", "t", "trigger.a+fetched"),
        ("if (x) return { t: trigger.a }; return helper", "t", "?"),
        ("return { [trigger.k]: trigger.v }", "t", "trigger.v"),
        ("return { [trigger.k]: trigger.v }", "", "%trigger.k+%trigger.v"),
        ("return { 0: trigger.a }", "0", "trigger.a"),
    ];
    for (source, path, expected) in cases {
        let told = match shape(source).origins(&named(path)) {
            None => "?".to_owned(),
            Some(origins) => {
                let fetched = origins.fetched.then(|| "fetched".to_owned());
                let inputs = origins.inputs.iter().map(show_input);
                inputs.chain(fetched).collect::<Vec<_>>().join("+")
            }
        };
        assert_eq!(told, expected, "{source} at {path:?}");
    }
}

#[test]
fn tells_the_place_of_an_input() {
    for (source, expected) in [
        ("return trigger.body.token", "trigger.body.token"),
        ("return trigger.rows[0].token", "trigger.rows[0].token"),
        ("return trigger.rows[0]", "trigger.rows"),
        ("return trigger.token.slice(7)", "trigger.token"),
        ("return trigger.rows.map(r => r.token)", "trigger.rows[*].token"),
        ("return [...trigger.token]", "trigger.token"),
        ("return trigger.body[key]", "trigger.body"),
        ("return trigger.body[key].token", "trigger.body"),
        ("return Object.values(trigger.body)[0].token", "trigger.body"),
        ("return steps[name].output", "steps"),
    ] {
        let origins = shape(source).origins(&[]).expect(source);
        let [input] = origins.inputs.as_slice() else { panic!("{source}: {origins:?}") };
        let place = InputPath { path: input.place().to_vec(), how: How::Whole };
        assert_eq!(place.to_string(), expected, "{source}");
    }
}
