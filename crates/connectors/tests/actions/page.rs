//! `docs/apps.md`: which action was tested against what.

use crate::{described::Description, expected, requests};
use keyward_model::catalogue::{App, Catalogue};
use serde_json::Value;
use std::fmt::Write as _;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/apps.md");

const HEAD: &str = "\
# Apps

The apps that come with Keyward, how each is authenticated to, and what each action was tested against. This page is
written by a test from the manifests in `crates/connectors/apps`; `KEYWARD_WRITE_DOCS=1 cargo test -p keyward-connectors`
writes it anew.

Nobody has called the vendors' own servers for this page. What the last column says:

- **a real server**: tests start that server and the action does its work there.
- **description**: a test holds the request (method, path, parameters, body and their types) against the description
  of its interface that the vendor publishes; nothing answered it.
- **description, not kept here**: the same, done by hand, since the description states no licence or is not ours to copy.
  `KEYWARD_DESCRIPTIONS=<folder>` names a folder in which the tests look for `<app>.json` too.
- **reference**: the request was written after the vendor's reference and is held against a table of what we read
  there. A mistake of ours in reading it would not show.

Besides, a running server does each action of each HTTP app but the three secret stores, which have tests of their own, at
a stand-in that answers as the vendor's reference shows (`crates/cli/tests/it/every_action.rs`). What arrives must be the request that was tested as the column says, and the output what the reference promises. So each action is
done with a stored credential of the first scheme that it takes, one action with each other scheme, and one with each
scheme's secrets taken from the trigger; lists are read over two pages. Each app is refused (401) and throttled (429), each
action answered with a page of HTML, and each scheme's connection test passes and fails.

Each scheme of an app works with each of its actions, unless the action names its own: message actions of Discord take its bot, writing to Google Sheets an
OAuth token, and the two searches of Jira the cloud or the data centre.
";

/// Compares the page with what the manifests and tests say.
pub(crate) fn compare(catalogue: &Catalogue) {
    let page = page(catalogue);
    if expected::writes() {
        std::fs::write(PATH, &page).expect("the page");
    }
    let found = std::fs::read_to_string(PATH).unwrap_or_default();
    assert_eq!(found, page, "set KEYWARD_WRITE_DOCS=1 to write the page anew, and read it");
}

fn page(catalogue: &Catalogue) -> String {
    let mut page = HEAD.to_owned();
    let tested = expected::read("", "tested").expect("tests/tested.json");
    for app in catalogue.iter() {
        let manifest = &app.manifest;
        let _ = write!(page, "\n## {}\n\n{}", manifest.name, manifest.description);
        if let Some(docs) = &manifest.docs {
            let _ = write!(page, " [Reference]({docs})");
        }
        page.push_str("\n\n| scheme | fields | tested against |\n|---|---|---|\n");
        for scheme in &manifest.schemes {
            let fields: Vec<_> = scheme.fields.iter().map(|f| format!("`{}`", f.name)).collect();
            let against = against(app, &format!("{} test", scheme.id), &tested);
            let _ = writeln!(page, "| `{}` | {} | {against} |", scheme.id, fields.join(", "));
        }
        page.push_str("\n| action | | tested against |\n|---|---|---|\n");
        for action in &manifest.actions {
            let id = format!("{}.{}", app.id(), action.id);
            let against = against(app, &action.id, &tested);
            let _ = writeln!(page, "| `{id}` | {} | {against} |", action.name);
        }
    }
    page
}

/// What a request was tested against, best first. `tested.json` says what no test here can know.
fn against(app: &App, name: &str, tested: &Value) -> String {
    let names = [format!("{}.{name}", app.id()), app.id().to_owned()];
    let told = |how: &str| names.iter().find_map(|name| tested[how][name].as_str());
    if let Some(server) = told("real_server") {
        return format!("a real server: {server}");
    }
    let requests = requests(app);
    let Some(sent) = requests.iter().find(|sent| sent.name == name) else {
        return "nothing".into();
    };
    let description = Description::kept(app.id());
    if description.is_some_and(|found| found.faults(&sent.request).is_some()) {
        return format!("description: {}", source(app.id()));
    }
    match told("description_not_kept") {
        Some(source) => format!("description, not kept here: {source}"),
        None => "reference".into(),
    }
}

/// Where a description was taken from: its line among the licences, without which it may not be here.
fn source(app: &str) -> String {
    let licences = expected::path("openapi", "LICENSES").with_extension("md");
    let licences = std::fs::read_to_string(licences).expect("the licences");
    let line = licences.lines().find(|line| line.starts_with(&format!("| {app}.json |")));
    let line = line.unwrap_or_else(|| panic!("openapi/LICENSES.md says nothing of {app}.json"));
    line.split(" | ").nth(1).expect("a second column").to_owned()
}
