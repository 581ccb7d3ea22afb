//! Compilation: keys found, one function, positions of the author's source.

use crate::helper::sandbox;
use keyward_sandbox::{CompileError, CompileFailure, How, InputPath, Language, Segment, Shape};

async fn fault(
    sandbox: &keyward_sandbox::Sandbox,
    source: &str,
    language: Language,
) -> CompileError {
    match sandbox.compile(source, language).await {
        Err(CompileFailure::Source(error)) => error,
        other => panic!("{}: {other:?}", source.chars().take(80).collect::<String>()),
    }
}

#[tokio::test]
async fn finds_the_keys_that_stand_as_literals() {
    let sandbox = sandbox().await;
    let cases: [(&str, &[&str]); 10] = [
        ("credential('A'); credential(\"B\", 'field'); credential(`C`)", &["A", "B", "C"]),
        (
            "credential.basic('A'); credential.hmac('B', 'm'); credential.verifyHmac('C', 'm', 's')",
            &["A", "B", "C"],
        ),
        ("await fetch('https://x.y', { method: 'POST', credential: 'A' })", &["A"]),
        (
            "await fetch(new Request(u, { 'credential': 'A' }), { \"credential\": 'B' })",
            &["A", "B"],
        ),
        ("credential(trigger.body.k); credential('A' + 'B'); credential(`A${1}`)", &[]),
        ("const s = \"credential('A')\"; // credential('B')", &[]),
        ("other.credential('A'); credentials('B'); ({ credential: 'C' })", &[]),
        ("if (x) { (() => [{ k: credential('A') }])() } credential('A')", &["A"]),
        ("return `Bearer ${credential('A')}`", &["A"]),
        ("credential('\\u0041')", &["A"]),
    ];
    for (source, keys) in cases {
        for language in [Language::Javascript, Language::Typescript] {
            let compiled = sandbox.compile(source, language).await.expect(source);
            assert_eq!(compiled.keys, keys, "{source}");
            for literal in &compiled.literals {
                let text = &source[literal.start..literal.end];
                let quoted = ['\'', '"', '`'].map(|quote| format!("{quote}{}{quote}", literal.key));
                let written = quoted.iter().any(|quoted| quoted == text) || text == "'\\u0041'";
                assert!(written, "{source}: {literal:?} is {text}");
            }
        }
    }
    let typed = "const k = credential('A' as string); credential(('B')!); await fetch(u, { credential: 'C' } satisfies X)";
    let compiled = sandbox.compile(typed, Language::Typescript).await.expect("it compiles");
    assert_eq!(compiled.keys, ["A", "B", "C"]);
}

#[tokio::test]
async fn says_what_the_output_is_made_of() {
    let sandbox = sandbox().await;
    let source = "const { token } = trigger.body;\nreturn { auth: `Bearer ${token}`, n: 1 }";
    let path = ["trigger", "body", "token"].map(Segment::named).to_vec();
    for language in [Language::Javascript, Language::Typescript] {
        let compiled = sandbox.compile(source, language).await.expect(source);
        let origins = compiled.returns.origins(&[Segment::named("auth")]).expect("it is told");
        assert_eq!(origins.inputs, [InputPath { path: path.clone(), how: How::Within }]);
        assert!(!origins.fetched);
        let unknown = sandbox.compile("return eval('trigger')", language).await.expect("it runs");
        assert_eq!(unknown.returns, Shape::Unknown);
    }
}

#[tokio::test]
async fn keeps_the_source_one_function() {
    let sandbox = sandbox().await;
    let breakouts = [
        "}); globalThis.x = 1; (async function () {",
        "}, async function () {",
        "})(), (async function () {",
        "}) + (async function () {",
        "})\n(async function () {",
        "}).call?.(async function () {",
        "}\n)\n/*",
        "}) || (function () {",
        "}",
        "*/ }) /*",
    ];
    for source in breakouts {
        for language in [Language::Javascript, Language::Typescript] {
            fault(&sandbox, source, language).await;
        }
    }
}

#[tokio::test]
async fn says_where_the_source_is_wrong() {
    let sandbox = sandbox().await;
    use Language::{Javascript, Typescript};
    let cases = [
        (Javascript, "return 1 +", 1, "Expression expected"),
        (Javascript, "const ä = 1; let = = 2", 1, "Expression expected"),
        (Javascript, "const a = 1;\n\n  const a 5", 3, ""),
        (Javascript, "let a = 1;\nlet a = 2;", 2, ""),
        (Javascript, "const x: number = 1", 1, ""),
        (Javascript, "import fs from 'fs'", 1, ""),
        (Javascript, "const x = 1;\nawait import('fs')", 2, "import() is not available"),
        (Javascript, "const s = 'open", 1, ""),
        (Javascript, "return `open", 1, ""),
        (Javascript, "/* open", 1, ""),
        (Typescript, "const a = 1;\nenum E { A }", 2, "enum"),
        (Typescript, "namespace N { export const x = 1 }", 1, "namespace"),
        (Typescript, "class A { constructor(private x: number) {} }", 1, "parameter property"),
        (Typescript, "const x: = 1", 1, ""),
    ];
    for (language, source, line, message) in cases {
        let error = fault(&sandbox, source, language).await;
        assert_eq!(error.line, line, "{source}: {error:?}");
        assert!(
            error.message.contains(message) && !error.message.is_empty(),
            "{source}: {error:?}"
        );
        let width = source.lines().nth(line as usize - 1).map_or(0, |line| line.chars().count());
        assert!(error.column >= 1 && error.column as usize <= width + 1, "{source}: {error:?}");
    }
    let error = fault(&sandbox, "  enum E {}", Typescript).await;
    assert_eq!((error.line, error.column), (1, 3), "{error:?}");
}

#[tokio::test]
async fn survives_sources_that_overflow_the_parser() {
    let sandbox = sandbox().await;
    let deep = [
        "(".repeat(200_000),
        "[".repeat(200_000),
        format!("return {}1{}", "(".repeat(50_000), ")".repeat(50_000)),
        format!("let x: {}1{}", "A<".repeat(50_000), ">".repeat(50_000)),
        "`${".repeat(50_000),
        "{".repeat(100_000),
        format!("return {}1", "-".repeat(100_000)),
        format!("return 1{}", "+1".repeat(100_000)),
    ];
    for source in deep {
        for language in [Language::Javascript, Language::Typescript] {
            match sandbox.compile(&source, language).await {
                // Long chains without depth may well compile.
                Ok(_) | Err(CompileFailure::Source(_)) => {}
                Err(CompileFailure::Sandbox(error)) => panic!("{error}"),
            }
        }
    }
    let fine = sandbox.compile("return 1", Language::Javascript).await;
    assert!(fine.is_ok(), "the next source compiles: {fine:?}");
}
