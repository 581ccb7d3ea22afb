//! One server among all vendors, and what becomes of a run.

use super::held::Held;
use super::subject::{Expected, Subject, reply};
use crate::server::{Answer, Backend, Server};
use keyward_model::catalogue::Scheme;
use keyward_testkit::canary::PREFIX;
use keyward_testkit::echo::Received;
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub struct Stage {
    pub server: Server,
    vendors: Vendors,
    /// What arrived, and nobody has asked for yet.
    arrived: Mutex<Vec<Received>>,
}

/// A saved credential.
pub struct Saved<'s> {
    pub id: String,
    pub key: String,
    pub held: Held,
    pub scheme: &'s Scheme,
    signed_in: bool,
}

impl Stage {
    pub fn start(test: &str, subjects: &[Subject]) -> Self {
        let hosts: BTreeSet<String> = subjects.iter().flat_map(Subject::hosts).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let vendors = Vendors::start(&hosts);
        let server = Server::start_facing(test, Backend::Sqlite, &vendors, &[]);
        Self { server, vendors, arrived: Mutex::default() }
    }

    /// Does something with each app: side by side, except for those that share a host.
    pub fn for_each(&self, subjects: &[Subject], act: impl Fn(&Subject) + Sync) {
        let mut groups: Vec<(BTreeSet<String>, Vec<&Subject>)> = Vec::new();
        for subject in subjects {
            let hosts = subject.hosts();
            match groups.iter_mut().find(|(others, _)| !others.is_disjoint(&hosts)) {
                Some((others, group)) => {
                    others.extend(hosts);
                    group.push(subject);
                }
                None => groups.push((hosts, vec![subject])),
            }
        }
        let act = &act;
        std::thread::scope(|scope| {
            let begin = |(_, group): (_, Vec<_>)| scope.spawn(|| group.into_iter().for_each(act));
            let all: Vec<_> = groups.into_iter().map(begin).collect();
            // All of them, so that one fault does not hide the others.
            let failed = all.into_iter().filter_map(|one| one.join().err()).count();
            assert_eq!(failed, 0, "apps of so many hosts failed");
        });
    }

    /// Saves a credential of a scheme as somebody.
    pub fn save<'s>(
        &self,
        by: &str,
        subject: &Subject,
        scheme: &'s Scheme,
        purpose: &str,
    ) -> Saved<'s> {
        let held = Held::of(&self.server.evidence, subject.id(), scheme, purpose);
        let key = format!("{}_{}_{purpose}", subject.id(), scheme.id).to_uppercase();
        let body = json!({
            "key": key, "app": subject.id(), "scheme": scheme.id, "fields": held.fields(),
        });
        let saved = self.call(by, "POST", "/credentials", &body).expect(201);
        assert!(!saved.to_string().contains(PREFIX), "{key}: {saved}");
        let id = saved["id"].as_str().expect("an id").to_owned();
        Saved { id, key, held, scheme, signed_in: false }
    }

    pub fn call(&self, by: &str, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/workspaces/default{path}");
        self.server.call_as(by, method, &path, body)
    }

    /// Has the vendor answer the next request to that host with this.
    pub fn answer(&self, host: &str, answer: &Value) {
        self.vendors.queue(host, reply(answer));
    }

    /// Has the vendor sign a credential in, where its scheme asks for that; gives the request.
    pub fn sign_in(&self, subject: &Subject, scheme: &Scheme, held: &Held) -> Option<Expected> {
        scheme.sign_in.as_ref()?;
        let name = format!("{} sign_in", scheme.id);
        let expected = subject.expected(&name, &held.names);
        let host = expected.url.host_str().expect("a host");
        self.answer(host, &subject.reply(&name, &held.names));
        Some(expected)
    }

    /// The same for a saved one, which is signed in once.
    pub fn sign_in_once(&self, subject: &Subject, saved: &mut Saved<'_>) -> Option<Expected> {
        let expected = (!saved.signed_in).then(|| self.sign_in(subject, saved.scheme, &saved.held));
        saved.signed_in = true;
        expected.flatten()
    }

    /// What came to an app's hosts since the last time.
    pub fn arrived(&self, subject: &Subject) -> Vec<Received> {
        let hosts = subject.hosts();
        let mut all = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(self.vendors.take());
        let (own, others) = all.drain(..).partition(|received| hosts.contains(received.host()));
        *all = others;
        own
    }

    /// Runs one action with its example's inputs; gives the run.
    pub fn run(&self, subject: &Subject, action: &str, credential: &Value) -> Value {
        let steps = json!([step(subject, action, credential)]);
        let workflow = json!({ "name": "Test", "trigger": { "kind": "manual" }, "steps": steps });
        let (id, _) = self.server.workflow(&workflow);
        let body = json!({ "payload": {}, "wait": true });
        let run = self.server.post(&format!("/workflows/{id}/runs"), &body).expect(200);
        assert!(!run.to_string().contains(PREFIX), "{}.{action}: {run}", subject.id());
        run
    }

    /// Fails where a canary can be read in anything that the server has written.
    pub fn sweep(&self) {
        let swept = self.server.evidence.sweep().expect("files that can be read");
        assert!(swept.files > 3 && swept.canaries > 30, "too little to look at: {swept:?}");
        let found: Vec<String> = swept.findings.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

/// A step that does an action with its example's inputs.
pub fn step(subject: &Subject, action: &str, credential: &Value) -> Value {
    let known = subject.actions().iter().find(|known| known.id == action).expect("an action");
    json!({
        "id": "act", "kind": "app", "app": subject.id(), "action": action,
        "credential": credential, "inputs": known.example,
    })
}
