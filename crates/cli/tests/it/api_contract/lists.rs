//! Paging: every list gives each item once, also while others come and go.

use super::{code_workflow, run, text};
use crate::server::{Server, on_both};
use serde_json::{Value, json};

const COUNT: usize = 60;

/// Follows a list to its end; `between` is called after each page.
fn walk(server: &Server, path: &str, limit: usize, between: impl Fn(usize)) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    for page in 0.. {
        let cursor_part = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let path = format!("{path}?limit={limit}{cursor_part}");
        let list = server.call_as(&server.token, "GET", &path, &Value::Null).expect(200);
        let items = list["items"].as_array().expect("items");
        assert!(items.len() <= limit, "{path}");
        found.extend(items.iter().map(|item| text(&item["id"])));
        cursor = list["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            assert!(list["next_cursor"].is_null() && list.get("next_cursor").is_some());
            return found;
        }
        assert_eq!(items.len(), limit, "a page before the last is full");
        between(page);
    }
    found
}

fn credential(server: &Server, key: &str) -> Value {
    json!({ "key": key, "type": "api_key", "fields": { "value": server.evidence.canary(key) } })
}

fn fill(server: &Server) -> Vec<String> {
    let (workflow, _) = server.workflow(&code_workflow("return 1;"));
    for n in 0..COUNT {
        run(server, &workflow, &json!(n));
        server.post("/credentials", &credential(server, &format!("KEY_{n}"))).expect(201);
        server.workflow(&code_workflow("return 2;"));
        let path = "/api/v1/workspaces";
        server.call_as(&server.token, "POST", path, &json!({ "name": "Room" })).expect(201);
        let authorization = format!("Bearer {}", server.token);
        let headers =
            [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let path = "/api/v1/workspaces/default/tokens";
        assert_eq!(server.send_unkept("POST", path, &headers, br#"{"name":"Spare"}"#).status, 201);
        server
            .api("PUT", &format!("/workflows/{workflow}"), &code_workflow("return 3;"))
            .expect(200);
    }
    let tenant = "/api/v1/workspaces/default";
    let mut lists: Vec<_> = ["workflows", "runs", "credentials", "tokens", "audit"]
        .map(|list| format!("{tenant}/{list}"))
        .into();
    lists.push("/api/v1/workspaces".into());
    lists
}

#[test]
fn lists_give_every_item_once() {
    on_both("contract-lists", |server| {
        for path in fill(&server) {
            let whole = walk(&server, &path, 200, |_| ());
            assert!(whole.len() >= COUNT, "{path}: {}", whole.len());
            let mut once = whole.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), whole.len(), "{path}: every item once");
            for limit in [1, 7, 20, 59, 61] {
                assert_eq!(walk(&server, &path, limit, |_| ()), whole, "{path} by {limit}");
            }
            let first = server.call_as(&server.token, "GET", &path, &Value::Null).expect(200);
            assert_eq!(first["items"].as_array().unwrap().len(), 50, "{path}: the default is 50");
        }
        // Things that come and go between two pages neither repeat nor hide the others.
        let tenant = "/api/v1/workspaces/default";
        for (path, doomed) in [
            (format!("{tenant}/workflows"), "workflows"),
            (format!("{tenant}/runs"), "runs"),
            (format!("{tenant}/credentials"), "credentials"),
        ] {
            let before = walk(&server, &path, 200, |_| ());
            let gone = &before[4];
            let walked = walk(&server, &path, 5, |page| {
                if page == 0 {
                    assert_eq!(
                        server.api("DELETE", &format!("/{doomed}/{gone}"), &Value::Null).status,
                        204
                    );
                }
                if page == 2 {
                    let body = credential(&server, "A_FIRST");
                    match doomed {
                        "credentials" => drop(server.post("/credentials", &body).expect(201)),
                        "workflows" => drop(server.workflow(&code_workflow("return 4;"))),
                        _ => drop(run(
                            &server,
                            &server.workflow(&code_workflow("return 5;")).0,
                            &json!(1),
                        )),
                    }
                }
            });
            let known: Vec<_> = walked.iter().filter(|id| before.contains(id)).collect();
            assert_eq!(known, before.iter().collect::<Vec<_>>(), "{path}");
            let mut once = walked.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), walked.len(), "{path}");
        }
    });
}
