//! The event stream of a run: from the start or from where it broke off, to the run's end.

use super::{code_workflow, text};
use crate::server::{Server, on_both};
use serde_json::{Value, json};

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

/// Follows a run to the end of its stream.
fn follow(server: &Server, run: &str, last: Option<&str>) -> Vec<Event> {
    let path = format!("/api/v1/workspaces/default/runs/{run}/events");
    let authorization = format!("Bearer {}", server.token);
    let mut headers = vec![("Authorization", authorization.as_str())];
    headers.extend(last.map(|id| ("Last-Event-ID", id)));
    let answer = server.send("GET", &path, &headers, &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    answer.body.split("\n\n").filter_map(read).collect()
}

fn read(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let values: Vec<_> = lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect();
        (!values.is_empty()).then(|| values.join("\n"))
    };
    let data = serde_json::from_str(&field("data")?).expect("JSON");
    Some(Event { id: field("id")?, kind: field("event")?, data })
}

#[test]
fn a_run_can_be_followed_from_any_point_while_it_runs_and_afterwards() {
    on_both("contract-events", |server| {
        let mut definition = code_workflow(
            "for (let n = 0; n < 5; n++) { console.log('line', n); \
             await new Promise((done) => setTimeout(done, 100)); } return 1;",
        );
        definition["steps"].as_array_mut().unwrap().push(json!(
            { "id": "skip", "kind": "code", "source": "return 1;", "when": "{{ false }}" }
        ));
        definition["steps"].as_array_mut().unwrap().push(json!(
            { "id": "two", "kind": "code", "source": "console.error('second'); return 2;" }
        ));
        let (workflow, _) = server.workflow(&definition);
        let started = server.post(&format!("/workflows/{workflow}/runs"), &json!({})).expect(202);
        let run = text(&started["run_id"]);
        let live = follow(&server, &run, None);
        let last = live.last().expect("events");
        assert_eq!((last.kind.as_str(), &last.data["status"]), ("run", &json!("succeeded")));
        assert_eq!(server.get(&format!("/runs/{run}")).expect(200)["status"], "succeeded");
        assert!(live.iter().all(|event| ["log", "step", "run"].contains(&event.kind.as_str())));
        let logs: Vec<_> = live.iter().filter(|event| event.kind == "log").collect();
        assert_eq!(logs.len(), 6, "{live:?}");
        assert_eq!(logs[0].data["message"], "line 0");
        let mut known: Vec<_> = live.iter().map(|event| &event.id).collect();
        known.dedup();
        assert_eq!(known.len(), live.len(), "every event has an id of its own");

        let stored = follow(&server, &run, None);
        let shape = |events: &[Event]| -> Vec<(String, String, Value, Value)> {
            let shape = |e: &Event| {
                (e.id.clone(), e.kind.clone(), e.data["status"].clone(), e.data["message"].clone())
            };
            events.iter().map(shape).collect()
        };
        assert_eq!(shape(&stored), shape(&live), "the same afterwards as while it ran");
        for (at, event) in stored.iter().enumerate() {
            assert_eq!(
                follow(&server, &run, Some(&event.id)),
                stored[at + 1..],
                "after {}",
                event.id
            );
        }
        let followed = server.post(&format!("/workflows/{workflow}/runs"), &json!({})).expect(202);
        let run = text(&followed["run_id"]);
        let rest = follow(&server, &run, Some(&stored[2].id));
        assert_eq!(shape(&rest), shape(&live)[3..], "a live stream goes on, too");
    });
}
