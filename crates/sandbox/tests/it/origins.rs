//! What is told of an output holds against what scripts really return.

use crate::helper::{sandbox, step};
use keyward_sandbox::{Language, Outcome, Segment, Shape};
use serde_json::Value;

/// Every text is found nowhere else.
const TRIGGER: &str = r#"{
    "t1": "canary-aaa", "t2": "canary-bbb", "t3": "canary-ccc",
    "user": {"id": "canary-ddd", "in": {"token": "canary-eee"}},
    "rows": [{"k": "canary-fff", "t": "canary-ggg"}, {"k": "canary-hhh", "t": "canary-iii"}],
    "list": ["canary-jjj", "canary-kkk"]
}"#;

/// Pieces of sources over the variables `a`, `b`, `o` and `l`; `N` is a number.
const PIECES: [&str; 60] = [
    "a = trigger.t1;",
    "b = trigger.user;",
    "a = b;",
    "b = a;",
    "a = o;",
    "b = l[0];",
    "b = o.x;",
    "a = o?.y?.x;",
    "o.x = trigger.t2;",
    "o.x = a;",
    "o.y = o.x;",
    "o['y'] = 1;",
    "o[trigger.t3] = b;",
    "o.x = 1;",
    "o = { x: a, y: b };",
    "o = { ...o, z: b };",
    "o = { y: 1, ...trigger.user };",
    "o = Object.assign({ x: 1 }, o, { y: a });",
    "Object.assign(o, { x: trigger.t3 });",
    "const pN = o; pN.x = trigger.user.in.token;",
    "const pN = { o }; pN.o.y = b; a = pN;",
    "l.push(a);",
    "l.push(trigger.t1, b);",
    "l.push(...trigger.list);",
    "l.unshift(b);",
    "l.reverse();",
    "a = l.pop();",
    "a = l.splice(0, 1, b);",
    "l[0] = b;",
    "l = [...l, a];",
    "l = l.slice(0, 3);",
    "l = l.filter((x) => x !== 1);",
    "l = l.map((x) => ({ x, o }));",
    "l = trigger.rows.map((r) => ({ t: r.t, a }));",
    "l = trigger.rows.map(({ k, ...r }) => [k, r]);",
    "l = await Promise.all(trigger.rows.map(async (r) => { const q = {}; q.x = r.k; await 1; return q; }));",
    "for (const r of trigger.rows) l.push({ k: r.k, b });",
    "for (const r of trigger.rows) { a = o; o = { x: r.t, y: a }; }",
    "for (let i = 0; i < 2; i++) { l.push(trigger.list[i]); }",
    "for (const [k, v] of Object.entries(trigger.user)) o[k] = v;",
    "for (const k in trigger.user) { a = k + trigger.user[k]; }",
    "let nN = 0; while (nN++ < 2) { a = b; b = o.x; o.x = trigger.t1; }",
    "if (run.id) o.x = b; else o.y = a;",
    "if (!run.id) { o = {}; a = 1; }",
    "if (run.id) { l = []; b = trigger.list[1]; }",
    "switch (run.attempt) { case 1: a = trigger.t3; case 2: o.z = a; }",
    "try { o.x = a; throw 1; } catch { b = o.x; } finally { o.y = trigger.t1; }",
    "const fN = () => { o.x = trigger.t2; }; fN();",
    "const fN = () => { a = trigger.t2; }; fN();",
    "const sN = { x: 1 }; const fN = () => { sN.x = trigger.t2; }; fN(); a = sN;",
    "const sN = { x: 1 }; [1].forEach(() => { sN.x = a; }); b = sN;",
    "function gN(x) { return { x, o }; } b = gN(a);",
    "a = `${a}:${trigger.t1}`;",
    "b = String(b) + JSON.stringify(l);",
    "a = trigger.rows.reduce((s, r) => { s[r.k] = r.t; return s; }, {});",
    "({ x: a, y: b = a } = o);",
    "[a, b] = [b, a];",
    "[a, ...l] = [b, ...l];",
    "o.x ??= b; a ||= o.x;",
    "delete o.x; a = o.x ?? trigger.list.join();",
];

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    fn source(&mut self) -> String {
        let mut source = "let a = 1, b = 2, o = {}, l = [];\n".to_owned();
        for number in 0..2 + self.below(7) {
            let piece = PIECES[self.below(PIECES.len())];
            source += &piece.replace('N', &number.to_string());
            source.push('\n');
        }
        let early = [
            "",
            "if (run.id) return { a, o };\n",
            "try { return { l, b }; } finally { o.x = a; }\n",
        ];
        source + early[self.below(12).min(2) % 3] + "return { a, b, o, l };"
    }
}

/// Every text of a document with its path.
fn texts(value: &Value, path: &mut Vec<Segment>, found: &mut Vec<(Vec<Segment>, String)>) {
    match value {
        Value::String(text) => found.push((path.clone(), text.clone())),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                path.push(Segment::Index(at as u32));
                texts(item, path, found);
                path.pop();
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                path.push(Segment::named(name));
                texts(member, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn all_texts(value: &Value, root: &[&str]) -> Vec<(Vec<Segment>, String)> {
    let mut path: Vec<Segment> = root.iter().map(|name| Segment::named(name)).collect();
    let mut found = Vec::new();
    texts(value, &mut path, &mut found);
    found
}

fn covers(place: &[Segment], path: &[Segment]) -> bool {
    let fits = |(a, b): (&Segment, &Segment)| a == b || *a == Segment::Each;
    place.len() <= path.len() && place.iter().zip(path).all(fits)
}

/// Inputs whose text stands in the output at a place that does not name them as an origin, and how
/// many places name theirs.
fn missed(shape: &Shape, output: &Value) -> (Vec<String>, usize) {
    let trigger: Value = serde_json::from_str(TRIGGER).expect("JSON");
    let inputs = all_texts(&trigger, &["trigger"]);
    let (mut missed, mut named) = (Vec::new(), 0);
    for (place, text) in all_texts(output, &[]) {
        let Some(origins) = shape.origins(&place) else { continue };
        for (path, input) in &inputs {
            let told = origins.inputs.iter().any(|origin| covers(origin.place(), path));
            let stands = text.contains(input.as_str());
            named += usize::from(stands && told);
            if stands && !told {
                missed.push(format!("{input} at {place:?}, told {origins:?}"));
            }
        }
    }
    (missed, named)
}

#[test]
fn a_missed_origin_is_found() {
    let output = serde_json::json!({ "a": ["x canary-aaa"] });
    let (missed, named) = missed(&Shape::Reads(Vec::new()), &output);
    assert_eq!((missed.len(), named), (1, 0), "{missed:?}");
}

#[tokio::test]
async fn no_origin_is_missed() {
    let sandbox = sandbox().await;
    // More of them are tried where somebody asks for it.
    let rounds = std::env::var("KEYWARD_ROUNDS").ok().and_then(|text| text.parse().ok());
    let (mut chance, mut told) = (Chance(1), 0);
    for _ in 0..rounds.unwrap_or(300) {
        let source = chance.source();
        let compiled = sandbox.compile(&source, Language::Javascript).await.expect(&source);
        let mut step = step(&source);
        step.trigger = TRIGGER.to_owned();
        let Outcome::Output(text) = step.run(&sandbox).await.outcome else { continue };
        let output: Value = serde_json::from_str(&text).expect("JSON");
        let (missed, named) = missed(&compiled.returns, &output);
        assert!(missed.is_empty(), "{source}\n{output}\n{:#?}\n{missed:#?}", compiled.returns);
        told += named;
    }

    assert!(told > 300, "only {told} origins are told");
}
