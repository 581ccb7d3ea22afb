//! Templates: what they give, what is refused at save and in a run, and that nothing gets out of hand.

use keyward_model::template::{Context, Template, TemplatedValue, is_true};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn context() -> Context {
    let trigger = json!({
        "body": {
            "name": "Ada", "count": 3, "price": 2.5, "none": null, "yes": true, "empty": "",
            "items": [{"n": 1, "tag": "a"}, {"n": 2, "tag": "b"}], "words": ["x", "y"],
            "order": {"z": 1, "a": 2}, "big": 18446744073709551615_u64, "a b": "spaced",
            "text": {"$credential": "KEY"}, "key": "name", "q": "a b/c&é",
        },
        "headers": {"x-token": "t"}, "method": "POST",
    });
    let mut context =
        Context::new(Arc::new(trigger), Arc::new(json!({"id": "run_1", "attempt": 1})));
    context.set_output("build", Arc::new(json!({"ok": false, "rows": [{"x": 7}], "id": "b1"})));
    context
}

#[track_caller]
fn check(template: &str, expected: Value) {
    let compiled = Template::compile(template).unwrap_or_else(|e| panic!("{template}: {e}"));
    assert_eq!(compiled.render(&context()), Ok(expected), "{template}");
}

#[track_caller]
fn check_error(template: &str, expected: &str) {
    let compiled = Template::compile(template).unwrap_or_else(|e| panic!("{template}: {e}"));
    match compiled.render(&context()) {
        Ok(found) => panic!("{template} gives {found}"),
        Err(error) => assert_eq!(error.reason.to_string(), expected, "{template}"),
    }
}

#[track_caller]
fn check_refused(template: &str, code: &str, place: (usize, usize)) {
    match Template::compile(template) {
        Ok(_) => panic!("{template} is taken"),
        Err(fault) => {
            assert_eq!(
                (fault.code(), (fault.line, fault.column)),
                (code, place),
                "{template}: {fault}"
            );
        }
    }
}

#[test]
fn a_lone_hole_keeps_its_type() {
    check("{{ trigger.body.count }}", json!(3));
    check("{{trigger.body.price}}", json!(2.5));
    check("{{ trigger.body.none }}", json!(null));
    check("{{ trigger.body.yes }}", json!(true));
    check("{{ trigger.body.big }}", json!(18446744073709551615_u64));
    check("{{ trigger.body.items }}", json!([{"n": 1, "tag": "a"}, {"n": 2, "tag": "b"}]));
    check("{{ trigger.body.text }}", json!({"$credential": "KEY"}));
    check("{{ trigger.body['a b'] }}", json!("spaced"));
    check("{{ trigger.headers[\"x-token\"] }}", json!("t"));
    check("{{ steps.build.output.rows[0].x }}", json!(7));
    check("{{ steps[\"build\"].output.rows.0.x }}", json!(7));
    check("{{ run.id }}", json!("run_1"));
    check("{{ (trigger.body.count) }}", json!(3));
    check("{{ trigger.body | length > 3 }}", json!(true));
    let order =
        Template::compile("{{ [trigger.body.order] }}").unwrap().render(&context()).unwrap();
    assert_eq!(order.to_string(), r#"[{"z":1,"a":2}]"#);
}

#[test]
fn mixed_text_gives_text() {
    check("Hi {{ trigger.body.name }}!", json!("Hi Ada!"));
    check(" {{ trigger.body.count }}", json!(" 3"));
    check("{{ trigger.body.count }}{{ trigger.body.none }}", json!("3null"));
    check("x{{ trigger.body.order }}", json!(r#"x{"z":1,"a":2}"#));
    check("{{ trigger.body.words }}\n", json!("[\"x\",\"y\"]\n"));
    check("<{{ '<b>' }}>", json!("<<b>>"));
    check("no holes }} here", json!("no holes }} here"));
    check("{{ '{{' }} {{ \"{%\" }} {{ '}}' }}", json!("{{ {% }}"));
    check("{{ {'a': {'b': 1}} }}", json!({"a": {"b": 1}}));
    check("é{{ 'ü' }}", json!("éü"));
    check("credential(\"KEY\") is text here", json!("credential(\"KEY\") is text here"));
}

#[test]
fn expressions_are_minijinja_s() {
    check("{{ trigger.body.count * 2 + 1 }}", json!(7));
    check("{{ trigger.body.price * trigger.body.count }}", json!(7.5));
    check("{{ 7 // 2 ~ '-' ~ 7 % 2 ~ trigger.body.order }}", json!("3-1{\"z\":1,\"a\":2}"));
    check("{{ 2 * 3 ~ 4 * 5 ~ 'x' }}", json!("620x"));
    check("{{ 2 ** 3 }}", json!(8));
    check("{{ -trigger.body.count }}", json!(-3));
    check("{{ 'a' if steps.build.output.ok else 'b' }}", json!("b"));
    check("{{ not steps.build.output.ok and trigger.body.yes }}", json!(true));
    check("{{ 'x' in trigger.body.words and 3 not in [1, 2] }}", json!(true));
    check("{{ 1 < trigger.body.count <= 3 }}", json!(true));
    check("{{ trigger.body[trigger.body.key] }}", json!("Ada"));
    check("{{ trigger.body.items[-1].n }}", json!(2));
    check("{{ trigger.body.name[1:] ~ trigger.body.name[:1] }}", json!("daA"));
    check("{{ range(3) }}", json!([0, 1, 2]));
    check("{{ range(5, 0, -2) | list }}", json!([5, 3, 1]));
    check("{{ (1, 'b') }}", json!([1, "b"]));
    check("{{ 'a' 'b' }}", json!("ab"));
}

#[test]
fn filters_and_tests_work() {
    check("{{ trigger.body.name | upper }}", json!("ADA"));
    check("{{ trigger.body.items | map(attribute='n') | sum }}", json!(3));
    check("{{ trigger.body.items | map(attribute='tag') | join('-') }}", json!("a-b"));
    check("{{ trigger.body.words | map('upper') | list }}", json!(["X", "Y"]));
    check(
        "{{ trigger.body.items | selectattr('n', 'gt', 1) | map(attribute='tag') | first }}",
        json!("b"),
    );
    check("{{ trigger.body.order | tojson }}", json!("{\"z\":1,\"a\":2}"));
    check("{{ trigger.body.order | dictsort }}", json!([["a", 2], ["z", 1]]));
    check("{{ trigger.body.order | items | list }}", json!([["z", 1], ["a", 2]]));
    check("{{ trigger.body.q | urlencode }}", json!("a%20b%2Fc%26%C3%A9"));
    check("{{ trigger.body.name | replace('a', 'bb') }}", json!("Adbb"));
    check("{{ trigger.body.price | round | int }}", json!(2));
    check("{{ '42' | int + 1 }}", json!(43));
    check("{{ 'a,b' | split(',') }}", json!(["a", "b"]));
    check("{{ [3, 1, 2] | sort(reverse=true) }}", json!([3, 2, 1]));
    check("{{ [1.5, 1] | sum }}", json!(2.5));
    check("{{ trigger.body.none | string ~ 1 | string }}", json!("null1"));
    check("{{ trigger.body.items | groupby('tag') | length }}", json!(2));
    check("{{ trigger.body.count is number and trigger.body.name is not number }}", json!(true));
    check("{{ trigger.body.count is divisibleby 3 }}", json!(true));
    check("{{ trigger.body.name is startingwith('A') }}", json!(true));
    check("{{ '<' | e }}", json!("&lt;"));
}

#[test]
fn what_is_undefined_fails_unless_a_default_follows() {
    let missing = |path: &str| {
        format!("reads `{path}`, which is undefined; add `| default(...)` where it may be absent")
    };
    let nothing = "comes to an undefined value; add `else` or `| default(...)`";
    check_error("{{ trigger.body.nope }}", &missing("trigger.body.nope"));
    check_error("a {{ trigger.body.nope.deep[0] }}", &missing("trigger.body.nope.deep[0]"));
    check_error("{{ trigger.body.nope ~ 'x' }}", &missing("trigger.body.nope"));
    check_error("{{ trigger.body.nope | upper }}", &missing("trigger.body.nope"));
    check_error("{{ trigger.body.nope == 1 }}", &missing("trigger.body.nope"));
    check_error("{{ 1 if trigger.body.nope else 2 }}", &missing("trigger.body.nope"));
    check_error("{{ [trigger.body.nope] }}", &missing("trigger.body.nope"));
    check_error("{{ trigger.body.nope | tojson }}", &missing("trigger.body.nope"));
    check_error("{{ trigger.body.nope * 2 }}", &missing("trigger.body.nope"));
    check_error("{{ steps.skipped.output.x }}", &missing("steps.skipped.output.x"));
    check_error("{{ item.x }}", &missing("item.x"));
    check_error("{{ trigger.body['no pe'] }}", &missing("trigger.body[\"no pe\"]"));
    check_error("{{ trigger.body.items[9] }}", &missing("trigger.body.items[9]"));
    check_error("{{ trigger.body[trigger.body.name] }}", nothing);
    check_error("{{ 1 if trigger.body.none }}", nothing);
    check("{{ trigger.body.nope | default('d') }}", json!("d"));
    check("{{ trigger.body.nope.deep.er | default(0) }}", json!(0));
    check("{{ steps.skipped.output.x | d([]) }}", json!([]));
    check("{{ trigger.body.none | default('d') }}", json!(null));
    check("{{ trigger.body.empty | default('d', true) }}", json!("d"));
    check("{{ trigger.body.nope is defined }}", json!(false));
    check("{{ trigger.body.nope.deep is undefined }}", json!(true));
}

#[test]
fn what_is_no_template_is_refused_with_its_place() {
    check_refused("{{ credential(\"KEY\") }}", "credential_in_template", (1, 4));
    check_refused(
        "a\n b {{ 'x' ~ credential('K', 'f') | upper }}",
        "credential_in_template",
        (2, 13),
    );
    check_refused("{{ credential.basic('K') }}", "credential_in_template", (1, 4));
    check_refused("{{ [1, credential] }}", "credential_in_template", (1, 8));
    check_refused("{{ fetch('x') }}", "unknown_name", (1, 4));
    check_refused("{{ triger.body }}", "unknown_name", (1, 4));
    check_refused("{{ _r0 }}", "unknown_name", (1, 4));
    check_refused("{{ debug() }}", "unknown_name", (1, 4));
    check_refused("{{ loop.index }}", "unknown_name", (1, 4));
    check_refused("{{ trigger.body | nope }}", "unknown_name", (1, 19));
    check_refused("{{ trigger.body is nope }}", "unknown_name", (1, 20));
    check_refused("{{ trigger.body | format('%s') }}", "unknown_name", (1, 19));
    check_refused("{{ steps }}", "invalid_path", (1, 4));
    check_refused("{{ steps[trigger.body.s].output }}", "invalid_path", (1, 9));
    check_refused("{{ steps[\"a\\x62\"].output }}", "invalid_path", (1, 9));
    check_refused("{{ steps.a.status }}", "invalid_path", (1, 12));
    check_refused("{{ steps.a }}", "invalid_path", (1, 10));
    check_refused("{{ }}", "template_syntax", (1, 3));
    check_refused("{{", "template_syntax", (1, 3));
    check_refused("x {{ trigger.body", "template_syntax", (1, 5));
    check_refused("{{ 'open }}", "template_syntax", (1, 4));
    check_refused("{{ (1 }}", "template_syntax", (1, 3));
    check_refused("{{ 1 + }}", "template_syntax", (1, 6));
    check_refused("{{ 1 2 }}", "template_syntax", (1, 6));
    check_refused("{{ a = 1 }}", "unknown_name", (1, 4));
    check_refused("{{ trigger.body.get('x') }}", "template_syntax", (1, 20));
    check_refused("{{ § }}", "template_syntax", (1, 4));
    check_refused("{{- trigger.body }}", "template_syntax", (1, 1));
    check_refused("{{ trigger.body -}}", "template_syntax", (1, 1));
    check_refused("ab\n{% if true %}x{% endif %}", "template_syntax", (2, 1));
    check_refused("é {# note #}", "template_syntax", (1, 3));
    check_refused("{{ trigger.body[::2] }}", "template_syntax", (1, 18));
}

#[test]
fn what_is_too_much_is_refused_at_save() {
    for template in [
        format!("{{{{ {}1{} }}}}", "(".repeat(500), ")".repeat(500)),
        format!("{{{{ {}1 }}}}", "- ".repeat(500)),
        format!("{{{{ {}1 }}}}", "not ".repeat(500)),
        format!("{{{{ {}1 }}}}", "1 if 1 else ".repeat(100)),
        format!("{{{{ 1{} }}}}", " + 1".repeat(65)),
        format!("{{{{ 'x'{} }}}}", " | upper".repeat(65)),
        format!("{{{{ '{}' }}}}", "x".repeat(5000)),
        "{{ 1 }}".repeat(1001),
    ] {
        let fault = Template::compile(&template).err().map(|fault| fault.code());
        assert_eq!(fault, Some("template_syntax"), "{template}");
    }
}

/// Each of these would take gigabytes or minutes if it were left to itself.
#[test]
fn hostile_expressions_end_soon_with_an_error() {
    let (unfit, large) =
        ("applies an operation to values that it does not fit", "reads or gives more than 16 MiB");
    for (template, expected) in [
        ("{{ 'a' * 1000000000 }}", unfit),
        ("{{ 1000000000 * 'a' }}", unfit),
        ("{{ [0] * 100000000 == [0] * 100000000 }}", unfit),
        ("{{ range(1000000000) }}", large),
        (
            "{{ range(-9223372036854775808, 9223372036854775807, 9223372036854775807) | length }}",
            "",
        ),
        ("{{ range(0, 9, 0) }}", unfit),
        ("{{ range(9999) | map('string') | join(trigger.body.big) }}", large),
        ("{{ trigger.body.big | replace('', trigger.body.big) }}", large),
        (
            "{{ trigger.body.big | replace('x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') }}",
            large,
        ),
        ("{{ trigger.body.list | map('replace', 'a', trigger.body.big) | list }}", unfit),
        ("{{ trigger.body.list | map(attribute='n', default=trigger.body.big) | list }}", unfit),
        ("{{ trigger.body.list | map('list') | list }}", unfit),
        ("{{ trigger.body.list | sum(start='') }}", unfit),
        (
            "{{ trigger.body.big }}{{ trigger.body.big }}{{ trigger.body.big }}{{ trigger.body.big }}",
            large,
        ),
        ("{{ trigger.body.big ~ trigger.body.big ~ trigger.body.big ~ trigger.body.big }}", large),
        ("{{ [trigger.body.big, trigger.body.big, trigger.body.big, trigger.body.big] }}", large),
        ("{{ zip(trigger.body.list) }}", ""),
        ("{{ 9 ** 999999999 }}", unfit),
        ("{{ 2 ** 100 }}", "gives a value that JSON cannot hold"),
        ("{{ 1e308 * 10 }}", "gives a value that JSON cannot hold"),
        ("{{ 170141183460469231731687303715884105727 + 1 }}", unfit),
        ("{{ 1 // 0 }}", unfit),
        ("{{ 5 | round(-400) }}", ""),
        ("{{ 'x' | int(base=99) }}", unfit),
        ("{{ trigger.body.list | select('in', trigger.body.list) | list }}", unfit),
    ] {
        let began = Instant::now();
        let Ok(compiled) = Template::compile(template) else { continue };
        let trigger = json!({"body": {"big": "x".repeat(5_000_000), "list": vec!["a"; 200_000]}});
        let context = Context::new(Arc::new(trigger), Arc::new(Value::Null));
        let result = compiled.render(&context);
        assert!(began.elapsed() < Duration::from_secs(5), "{template}: {:?}", began.elapsed());
        if !expected.is_empty() {
            let found = result.map(|_| ()).map_err(|error| error.reason.to_string());
            assert_eq!(found, Err(expected.to_owned()), "{template}");
        }
    }
}

#[test]
fn errors_say_where_and_hold_no_value() {
    let document = json!({"a": {"b": ["x\n {{ trigger.body.c + 1 }}"]}});
    let document = TemplatedValue::compile(&document, "").unwrap();
    let trigger = Arc::new(json!({"body": {"c": "canary"}}));
    let error = document.render(&Context::new(trigger, Arc::default())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/a/b/0: the expression at line 2, column 2 applies an operation to values that it does not fit"
    );
}

#[test]
fn references_are_what_the_text_names() {
    for (template, expected) in [
        ("{{ trigger.body.a ~ trigger.body.a }}", "trigger.body.a"),
        ("{{ steps.x.output.rows[0].id }} {{ run.id }}", "steps.x.output.rows[0].id, run.id"),
        (
            "{{ trigger.body[steps.k.output] | default(item[\"a b\"]) }}",
            "trigger.body, steps.k.output, item[\"a b\"]",
        ),
        (
            "{{ {'k': trigger.query.q}['k'] is eq(trigger.method) }}",
            "trigger.query.q, trigger.method",
        ),
        ("{{ trigger.body[-1] }}", "trigger.body"),
        ("{{ trigger.body['a\\n'] }}", "trigger.body"),
        ("{{ 'trigger.body.text' }}", ""),
        ("{{ [1] | map(attribute='x') | select('eq', trigger.body.x) }}", "trigger.body.x"),
    ] {
        let template = Template::compile(template).unwrap();
        let found: Vec<_> = template.references().map(ToString::to_string).collect();
        assert_eq!(found.join(", "), expected, "{}", template.source());
    }
    let lone = |text: &str| Template::compile(text).unwrap().lone_path().map(ToString::to_string);
    assert_eq!(lone("{{ trigger.body.token }}").as_deref(), Some("trigger.body.token"));
    assert_eq!(lone("{{ trigger.body.token | trim }}"), None);
    assert_eq!(lone("{{ trigger.body[run.id] }}"), None);
    assert_eq!(lone("x{{ trigger.body.token }}"), None);
}

#[test]
fn documents_are_filled_in_place() {
    let document =
        json!({"n": "{{ trigger.body.count }}", "{{ x }}": ["a", "{{ run.id }}"], "k": [1, null]});
    let compiled = TemplatedValue::compile(&document, "/x").unwrap();
    let expected = json!({"n": 3, "{{ x }}": ["a", "run_1"], "k": [1, null]});
    assert_eq!(compiled.render(&context()), Ok(expected));
    let faults = TemplatedValue::compile(&json!({"a": ["{{"], "b": "{{ y }}"}), "/x").unwrap_err();
    let faults: Vec<_> = faults.iter().map(|fault| (fault.pointer.as_str(), fault.code)).collect();
    assert_eq!(faults, [("/x/a/0", "template_syntax"), ("/x/b", "unknown_name")]);
}

#[test]
fn truth_is_minijinja_s() {
    for value in [json!(null), json!(false), json!(0), json!(0.0), json!(""), json!([]), json!({})]
    {
        assert!(!is_true(&value), "{value}");
    }
    for value in [json!(true), json!(-1), json!("false"), json!("0"), json!([0]), json!({"a": 0})] {
        assert!(is_true(&value), "{value}");
    }
}

/// Expressions over small numbers, as text.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0..20_u32).prop_map(|n| n.to_string()),
        Just("trigger.a".to_owned()),
        Just("trigger.list[1]".to_owned()),
        Just("trigger.list.0".to_owned()),
        Just("trigger['a']".to_owned()),
        Just("true".to_owned()),
        Just("1.5".to_owned()),
    ];
    leaf.prop_recursive(6, 24, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "//", "%", "==", "!=", "<", ">=", "and", "or", "in [1, 2] ==",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.clone().prop_map(|a| format!("[{a}] | length")),
            inner.clone().prop_map(|a| format!("{a} is number")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("{a} if {b} else {c}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}][0]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{{'k': {a}}}.k ** ({b} % 3)")),
        ]
    })
}

proptest! {
    /// The rewriting changes no result: compared with MiniJinja on the text as it was written.
    #[test]
    fn rewritten_expressions_mean_the_same(text in expressions()) {
        let data = json!({"a": 4, "list": [7, 9]});
        let Ok(template) = Template::compile(&format!("{{{{ {text} }}}}")) else {
            // Too many operations, or a sign at the edge.
            return Ok(());
        };
        let mut plain = minijinja::Environment::new();
        plain.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        let expected = plain.compile_expression(&text).unwrap()
            .eval(minijinja::context!(trigger => minijinja::value::Serde(&data)));
        let context = Context::new(Arc::new(data), Arc::default());
        match (template.render(&context), expected) {
            (Ok(found), Ok(expected)) => {
                let expected = serde_json::to_value(&expected).unwrap();
                prop_assert_eq!(found, expected, "{}", text);
            }
            (Err(_), Err(_)) => {}
            // MiniJinja takes booleans for numbers in `*`, and gives infinities; neither is JSON's.
            (Err(_), Ok(_)) => prop_assert!(text.contains('*') || text.contains('/'), "{text}"),
            (Ok(found), Err(error)) => prop_assert!(false, "{text} gives {found}, not {error}"),
        }
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in "(\\{\\{|\\}\\}|[a-z.|()\\[\\]{}'\"\\\\ 0-9*~%#+-]|é|trigger|steps| in | is ){0,40}") {
        if let Ok(template) = Template::compile(&text) {
            let _ = template.render(&context());
        }
    }
}
