//! YAML as another spelling of JSON: what is the same, what is refused, and that neither takes long.

use keyward_model::workflow::{MAX_BYTES, yaml};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[track_caller]
fn check(text: &str, expected: Value) {
    assert_eq!(yaml::parse(text.as_bytes()), Ok(expected), "{text}");
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    match yaml::parse(text.as_bytes()) {
        Ok(found) => panic!("{text} is taken as {found}"),
        Err(fault) => {
            assert_eq!(fault.reason.to_string(), expected, "{text}");
            assert!(!fault.to_string().contains("canary"), "{fault}");
        }
    }
}

#[test]
fn plain_yaml_is_json() {
    check("a: 1\nb: [x, 'y', \"z\\n\"]\n", json!({"a": 1, "b": ["x", "y", "z\n"]}));
    check("{\"a\": [true, null, -1.5e3]}", json!({"a": [true, null, -1500.0]}));
    check("a:\nb: ~\nc: ''\n", json!({"a": null, "b": null, "c": ""}));
    check(
        "s: |\n  const a = b && c * d; // !x\n  [ {\n",
        json!({"s": "const a = b && c * d; // !x\n[ {\n"}),
    );
    check("# a & b *c !d\na: x & y * z ! w", json!({"a": "x & y * z ! w"}));
    check(
        "a: \"& * !\"\nb: '&x *y !z'\nc: a&b*c!d",
        json!({"a": "& * !", "b": "&x *y !z", "c": "a&b*c!d"}),
    );
    check("a: x\n  *y &z !w\n", json!({"a": "x *y &z !w"}));
    check("yes: no\non: off", json!({"yes": "no", "on": "off"}));
    check("---\na: 1\n...\n", json!({"a": 1}));
    check_refused("", "not valid YAML");
    check_refused("# only a comment", "not valid YAML");
    check("v: 18446744073709551615", json!({"v": 18446744073709551615_u64}));
    check("k: {$credential: KEY}", json!({"k": {"$credential": "KEY"}}));
}

#[test]
fn what_json_has_no_counterpart_for_is_refused() {
    let extension = "anchors, aliases and tags are not taken in YAML";
    check_refused("a: &x canary\nb: *x\n", extension);
    check_refused("a: &x canary", extension);
    check_refused("&x a: canary", extension);
    check_refused("[&x canary, *x]", extension);
    check_refused("a: *canary", extension);
    check_refused("? &x a\n: canary", extension);
    check_refused("a: !!str canary", extension);
    check_refused("a: !canary x", extension);
    check_refused("a: !<tag:yaml.org,2002:str> canary", extension);
    check_refused("- !!binary canary", extension);
    check_refused("--- &x\na: 1", extension);
    check_refused("--- !x\na: 1", extension);
    check_refused("a: {b: &x [canary]}", extension);
    check_refused("a:\n  <<: {b: canary}", "merge keys are not taken in YAML");
    check_refused("a: 1\n---\nb: canary", "more than one YAML document");
    check_refused("a: 1\n---\n[", "not valid YAML");
    check_refused("a: 1\na: canary", "the same key stands twice in one object");
    check_refused("{a: 1, \"a\": canary}", "the same key stands twice in one object");
    check_refused("a: .nan", "a number that JSON cannot hold");
    check_refused("a: -.inf", "a number that JSON cannot hold");
    check_refused("[canary", "not valid YAML");
    check_refused("a: b: canary", "not valid YAML");
    check_refused("\tcanary: 1\n- 2", "not valid YAML");
    check_refused("? [canary]\n: 1", "not valid YAML");
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(yaml::parse(nested(64).as_bytes()).is_ok());
    check_refused(&nested(65), "nested more than 64 levels deep");
    let fault = yaml::parse(b"a: \xff").unwrap_err();
    assert_eq!(fault.to_string(), "line 1, column 4: not valid UTF-8");
    let fault = yaml::parse(b"a: 1\nb: &x canary").unwrap_err();
    assert_eq!((fault.line, fault.column), (2, 4));
}

#[test]
fn hostile_documents_end_soon() {
    let laughs = (1..=9).fold(String::from("a0: &a0 [lol]\n"), |text, n| {
        let before = format!("*a{}, ", n - 1).repeat(10);
        format!("{text}a{n}: &a{n} [{before}]\n")
    });
    let many = |piece: &str| piece.repeat(MAX_BYTES / 4 / piece.len());
    let texts = [
        laughs,
        many("["),
        many("{"),
        many("{a: "),
        many("- "),
        many("? "),
        many("a: "),
        many("[]"),
        many("[a, b]: "),
        many("- a\n"),
        format!("[{}]", many("a,")),
        format!("[{}]", many("{a: 1},")),
        format!("{}x", many("'")),
        format!("\"{}\"", many("\\n")),
        many("# c\n"),
        many("\n"),
        many(" "),
        many("---\n"),
        format!("{}{}", "[".repeat(1999), many("a, ")),
        format!("{}{}", "{".repeat(1999), many("a: b, ")),
        many("|\n"),
        many("%YAML 1.2\n"),
        many("a:\n "),
        (0..700).fold(String::new(), |text, n| format!("{text}{}a:\n", " ".repeat(n))),
    ];
    for text in texts {
        let began = Instant::now();
        let _ = yaml::parse(text.as_bytes());
        let begins: String = text.chars().take(20).collect();
        assert!(began.elapsed() < Duration::from_secs(5), "{begins:?}: {:?}", began.elapsed());
    }
}
