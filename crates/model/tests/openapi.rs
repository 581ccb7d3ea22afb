//! A whole OpenAPI description, and the same one broken at each of its places: what the import makes
//! is always a manifest that the loader takes.
#![expect(clippy::expect_used, reason = "a test helper that fails is a failed test")]

use keyward_model::catalogue::App;
use keyward_model::catalogue::openapi::{Choice, operations, to_manifest};
use keyward_model::json_schema::Schema;
use keyward_model::template::Context;
use keyward_model::workflow::yaml;
use serde_json::{Value, json};
use std::sync::Arc;

fn library() -> Value {
    yaml::parse(include_bytes!("openapi/library.yaml")).expect("YAML")
}

fn choice() -> Choice {
    Choice { app_id: "library".to_owned(), ..Choice::default() }
}

/// The loader takes it, its inputs are schemas, and each example fits and can be sent.
fn check_manifest(manifest: &Value, of: &str) -> App {
    let app = App::read(manifest).unwrap_or_else(|faults| panic!("{of}: {faults:?}"));
    let fields = ["api_key", "username", "password", "oauth_access_token"];
    let credential: serde_json::Map<_, _> =
        fields.into_iter().map(|name| (name.to_owned(), json!("sealed"))).collect();
    for action in manifest["actions"].as_array().expect("actions") {
        let schema = Schema::parse(&action["inputs"]).unwrap_or_else(|f| panic!("{of}: {f:?}"));
        assert_eq!(schema.validate(&action["example"], ""), [], "{of}: {action}");
        let (inputs, fields) = (action["example"].clone(), Value::Object(credential.clone()));
        let context = Context::of_action(Arc::new(inputs), Arc::new(fields));
        let request = app.action(action["id"].as_str().expect("an id"));
        let request = request.and_then(|action| action.request.as_ref()).expect("a request");
        // No example is base64, which is for the author to know.
        if action["request"].get("base64").is_none() {
            request.render(&context).unwrap_or_else(|error| panic!("{of}: {error} {action}"));
        }
    }
    app
}

#[test]
fn a_whole_description_becomes_an_app() {
    let manifest = to_manifest(&library(), &choice()).expect("a manifest");
    check_manifest(&manifest, "the library");
    assert_eq!(manifest["name"], "Lending library");
    assert_eq!(manifest["description"], "Books, readers and loans.");
    assert_eq!(manifest["docs"], "https://docs.library.example/api");
    let shown = |action: &Value| {
        let inputs = action["inputs"]["properties"].as_object().expect("inputs");
        let needed = action["inputs"]["required"].as_array().into_iter().flatten();
        let needed: Vec<_> = needed.filter_map(Value::as_str).collect();
        let mark =
            |name: &String| format!("{name}{}", if needed.contains(&&**name) { "!" } else { "" });
        let inputs: Vec<_> = inputs.keys().map(mark).collect();
        let request = &action["request"];
        format!("{} {} {} {}", action["id"], request["method"], request["url"], inputs.join(" "))
            .replace('"', "")
    };
    let found: Vec<_> =
        manifest["actions"].as_array().expect("actions").iter().map(shown).collect();
    let base = "https://eu.library.example/v2";
    assert_eq!(
        found,
        [
            format!("list_books GET {base}/books X-Tenant! q limit filter sort"),
            format!(
                "create_book POST {base}/books X-Tenant! note title! year! isbn shelf editions"
            ),
            format!("get_book GET {base}/books/{{{{ inputs.bookId }}}} bookId!"),
            format!(
                "update_book PATCH {base}/books/{{{{ inputs.bookId }}}} bookId! note title! year! isbn shelf editions"
            ),
            format!("delete_books_book_id DELETE {base}/books/{{{{ inputs.bookId }}}} bookId!"),
            format!("put_cover PUT {base}/books/{{{{ inputs.bookId }}}}/cover bookId! body!"),
            format!("make_token POST {base}/token grant_type! code! scopes"),
            "search POST https://search.library.example/search body!".to_owned(),
        ]
    );
    let schemes = manifest["schemes"].as_array().expect("schemes");
    let schemes: Vec<_> =
        schemes.iter().map(|scheme| scheme["id"].as_str().expect("an id")).collect();
    assert_eq!(schemes, ["api_key", "oauth", "api_key_admin"]);
    let headers = |at: usize| manifest["actions"][at]["request"]["headers"].clone();
    assert_eq!(headers(3), json!({"Content-Type": "application/merge-patch+json"}));
    assert_eq!(headers(7), json!({"Accept": "application/vnd.library.hits+json"}));
}

#[test]
fn each_operation_is_listed_with_what_can_be_done() {
    let listed = operations(&library()).expect("operations");
    assert_eq!(listed.len(), 9);
    let refused: Vec<_> = listed.iter().filter(|one| one.supported.is_err()).collect();
    let [refused] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!((refused.id.as_str(), refused.method.as_str()), ("upload_cover", "POST"));
    let fault = refused.supported.as_ref().expect_err("multipart");
    let place = "/paths/~1books~1{bookId}~1cover/post/requestBody/content/multipart~1form-data";
    assert_eq!((fault.pointer.as_str(), fault.code), (place, "unsupported_body"));
    assert!(library().pointer(place).is_some());
}

/// Every place of a document, the deepest first.
fn places(value: &Value, pointer: &str, out: &mut Vec<String>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| places(value, &format!("{pointer}/{}", escaped(name)), out)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, value)| places(value, &format!("{pointer}/{at}"), out)),
        _ => {}
    }
    out.push(pointer.to_owned());
}

#[test]
fn whatever_is_broken_the_result_is_a_manifest_or_faults_with_places() {
    let library = library();
    let mut all = Vec::new();
    places(&library, "", &mut all);
    let odd = [
        json!(null),
        json!(7),
        json!([]),
        json!({}),
        json!("{{ x }} {% \" \\ \u{0} ~"),
        json!({"$ref": "#/components/schemas/Book"}),
        json!({"$ref": "#/paths"}),
        json!([{"$ref": "#"}, "x", null]),
        json!(true),
    ];
    let mut refused = 0;
    for (at, place) in all.iter().enumerate() {
        // All values at all places would take minutes; each value has its turn at every ninth place.
        for odd in odd.iter().cycle().skip(at).take(2) {
            let mut broken = library.clone();
            *broken.pointer_mut(place).expect("a place") = odd.clone();
            let of = format!("{odd} at {place}");
            match to_manifest(&broken, &choice()) {
                Ok(manifest) => drop(check_manifest(&manifest, &of)),
                Err(faults) => {
                    refused += 1;
                    assert!(!faults.is_empty(), "{of}");
                }
            }
            if let Ok(listed) = operations(&broken) {
                let faults = listed.iter().filter_map(|one| one.supported.as_ref().err());
                for fault in faults {
                    assert!(broken.pointer(&fault.pointer).is_some(), "{of}: {fault:?}");
                }
            }
        }
    }
    assert!(refused > 0 && refused < all.len(), "{refused} of {}", all.len() * 2);
}
