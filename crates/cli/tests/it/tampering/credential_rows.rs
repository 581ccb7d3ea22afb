//! One credential's rows are edited: it does not open any more, and all the others do.

use super::{Scene, edit};
use crate::server::{Backend, Server};
use serde_json::{Value, json};
use std::time::Instant;

/// What is done to a credential's rows. `?1` is its id, `?2` another's, `?3` a host of the attacker's.
struct Edit {
    what: &'static str,
    sql: &'static [&'static str],
    /// Whether the key itself still leads to the row.
    named: bool,
}

const fn sealed(what: &'static str, sql: &'static [&'static str]) -> Edit {
    Edit { what, sql, named: true }
}

const EDITS: &[Edit] = &[
    sealed(
        "another's ciphertext and key",
        &[
            "UPDATE credential_versions SET (fields, wrapped_key) = (SELECT fields, wrapped_key FROM credential_versions WHERE credential_id = ?2) WHERE credential_id = ?1 AND ?3 != ''",
        ],
    ),
    sealed(
        "another's ciphertext",
        &[
            "UPDATE credential_versions SET fields = (SELECT fields FROM credential_versions WHERE credential_id = ?2) WHERE credential_id = ?1 AND ?3 != ''",
        ],
    ),
    sealed(
        "another's wrapped key",
        &[
            "UPDATE credential_versions SET wrapped_key = (SELECT wrapped_key FROM credential_versions WHERE credential_id = ?2) WHERE credential_id = ?1 AND ?3 != ''",
        ],
    ),
    sealed(
        "a cut ciphertext",
        &[
            "UPDATE credential_versions SET fields = substr(fields, 1, length(fields) - 1) WHERE credential_id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "an empty ciphertext",
        &[
            "UPDATE credential_versions SET fields = x'' WHERE credential_id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "an empty key",
        &[
            "UPDATE credential_versions SET wrapped_key = x'' WHERE credential_id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "no version",
        &["DELETE FROM credential_versions WHERE credential_id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "the versions swapped",
        &[
            "UPDATE credential_versions SET version = -version WHERE credential_id = ?1 AND ?2 || ?3 != ''",
            "UPDATE credential_versions SET version = CASE version WHEN -1 THEN 2 ELSE 1 END WHERE credential_id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "the earlier version",
        &["UPDATE credentials SET version = 1 WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "a version that is not there",
        &["UPDATE credentials SET version = 9 WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "a host added",
        &[
            "UPDATE credentials SET policy = replace(policy, '\"hosts\":[', '\"hosts\":[\"' || ?3 || '\",') WHERE id = ?1 AND ?2 != ''",
        ],
    ),
    sealed(
        "no hosts at all",
        &[
            "UPDATE credentials SET policy = json_set(policy, '$.hosts', json('[]')) WHERE id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "every method",
        &[
            "UPDATE credentials SET policy = json_set(policy, '$.methods', json('[]')) WHERE id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "every path",
        &[
            "UPDATE credentials SET policy = json_set(policy, '$.paths', json('[]')) WHERE id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "every place",
        &[
            "UPDATE credentials SET policy = json_set(policy, '$.places', json('[\"header\",\"query\",\"body\",\"path\",\"cookie\"]')) WHERE id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "a policy that is no JSON",
        &["UPDATE credentials SET policy = 'anywhere' WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "an unknown member of the policy",
        &["UPDATE credentials SET policy = '{}' WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "readable by code",
        &["UPDATE credentials SET code_access = 'readable' WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "an unknown access",
        &["UPDATE credentials SET code_access = 'free' WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "another type",
        &["UPDATE credentials SET type = 'custom' WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "another prefix",
        &[
            "UPDATE credentials SET details = replace(details, 'KeyHolder', 'Other') WHERE id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "details that are no JSON",
        &["UPDATE credentials SET details = '' WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "an owner who is not",
        &[
            "UPDATE credentials SET owner_id = 'mem_00000000000000000000000000' WHERE id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    sealed(
        "another status",
        &["UPDATE credentials SET status = 'expired' WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "a later end",
        &["UPDATE credentials SET expires_at = 9999999999999 WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "another revision",
        &["UPDATE credentials SET revision = revision + 1 WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "another's tag",
        &[
            "UPDATE credentials SET tag = (SELECT tag FROM credentials WHERE id = ?2) WHERE id = ?1 AND ?3 != ''",
        ],
    ),
    sealed("no tag", &["UPDATE credentials SET tag = x'' WHERE id = ?1 AND ?2 || ?3 != ''"]),
    sealed(
        "a tag of zeros",
        &["UPDATE credentials SET tag = zeroblob(32) WHERE id = ?1 AND ?2 || ?3 != ''"],
    ),
    sealed(
        "a time that cannot be",
        &[
            "UPDATE credentials SET created_at = -9223372036854775808 WHERE id = ?1 AND ?2 || ?3 != ''",
        ],
    ),
    Edit {
        what: "another scope",
        named: false,
        sql: &[
            "UPDATE credentials SET scope_kind = 'workflow', scope_id = 'wf_00000000000000000000000000' WHERE id = ?1 AND ?2 || ?3 != ''",
        ],
    },
    Edit {
        what: "another key",
        named: false,
        sql: &["UPDATE credentials SET key = key || '_MOVED' WHERE id = ?1 AND ?2 || ?3 != ''"],
    },
];

#[test]
fn an_edited_credential_opens_no_more_and_the_others_do() {
    let mut scene = Scene::of(Server::start("tampering-credentials", Backend::Sqlite));
    let attacker = "http://127.0.0.1:9".to_owned();
    let (other, other_secret) = scene.credential("OTHER", &json!({}));
    let (other_workflow, _) = scene.caller("OTHER", &scene.echo.url("ok/other"));
    let mut faults = Vec::new();
    let mut keys = Vec::new();
    for (number, case) in EDITS.iter().enumerate() {
        let key = format!("TARGET_{number}");
        let tried = Tried::new(&scene, &key);
        for sql in case.sql {
            assert!(
                edit(&scene.server.data, sql, &[&tried.id, &other, &attacker]) > 0,
                "{}",
                case.what
            );
        }
        faults.extend(
            tried.check(&scene, case).into_iter().map(|fault| format!("{}: {fault}", case.what)),
        );
        assert_eq!(scene.code_of(&other_workflow), "", "the other one, after {}", case.what);
        keys.push((key, tried));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert_eq!(scene.carried(&other_secret).len(), EDITS.len());

    assert!(scene.server.stop());
    scene.server.spawn();
    assert_eq!(scene.code_of(&other_workflow), "", "after a start with all that");
    for (key, tried) in &keys {
        assert_ne!(scene.code_of(&tried.workflow), "", "{key} after a start");
        assert_eq!(scene.carried(&tried.secret).len(), 1, "{key}: once, before it was edited");
    }
    let (holds, _, errors) = scene.server.run(&["audit", "verify"]);
    assert!(holds, "{errors}");
}

/// A credential of two versions that worked before it is edited.
struct Tried {
    id: String,
    key: String,
    secret: String,
    workflow: String,
    reading: String,
}

impl Tried {
    #[track_caller]
    fn new(scene: &Scene, key: &str) -> Self {
        let plain = json!({ "fields": { "value": scene.server.evidence.canary(&format!("{key}-1")), "name": "x-key", "prefix": "KeyHolder " } });
        let (id, _) = scene.credential(key, &plain);
        let secret = scene.server.evidence.canary(&format!("{key}-2"));
        let value = json!({ "fields": { "value": secret } });
        scene.server.api("PUT", &format!("/credentials/{id}/value"), &value).expect(200);
        let (workflow, _) = scene.caller(key, &scene.echo.url(&format!("ok/{key}")));
        let source = format!(
            "const value = credential('{key}'); return [value.startsWith('kws1_'), value.length]"
        );
        let (reading, _) = scene.server.workflow(&json!({
            "name": "Reads", "trigger": { "kind": "manual" },
            "steps": [{ "id": "read", "kind": "code", "source": source }],
        }));
        assert_eq!(scene.code_of(&workflow), "", "{key} works before it is edited");
        Self { id, key: key.to_owned(), secret, workflow, reading }
    }

    fn check(&self, scene: &Scene, case: &Edit) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        let wanted = if case.named { "credential_unusable" } else { "missing_credential" };
        let begun = Instant::now();
        let code = scene.code_of(&self.workflow);
        let either = ["credential_unusable", "missing_credential"].contains(&code.as_str());
        expect(
            if case.named { code == wanted } else { either },
            format!("the step ended with `{code}`, not {wanted}"),
        );
        expect(begun.elapsed().as_secs() < 10, "the run took long".into());
        expect(scene.carried(&self.secret).len() == 1, "the value went out again".into());
        let path = format!("/workflows/{}/runs", self.reading);
        let read = scene.server.post(&path, &json!({ "wait": true })).expect(200);
        let output = &read["steps"][0]["output"];
        expect(output.is_null() || *output == json!([true, 45]), format!("code read {output}"));

        let listed = scene.server.get("/credentials?limit=200").expect(200);
        let mut items = listed["items"].as_array().unwrap().iter();
        match items.find(|item| item["id"] == self.id.as_str()) {
            None => expect(false, "it is not in the list".into()),
            Some(item) => {
                expect(item["status"] == "error", format!("its status is {}", item["status"]));
            }
        }
        let shown = scene.server.get(&format!("/credentials/{}", self.id));
        let status = serde_json::from_str::<Value>(&shown.body).unwrap_or_default();
        expect(
            shown.status == 200 && status["status"] == "error",
            format!("shown as {} {status}", shown.status),
        );
        if case.named {
            let path = format!("/audit?key={}&action=credential.used&outcome=refused", self.key);
            let records = scene.server.get(&path).expect(200);
            let reason = records["items"][0]["reason"].as_str().unwrap_or_default().to_owned();
            expect(
                ["tampered", "unreadable"].contains(&reason.as_str()),
                format!("audited as `{reason}`"),
            );
        }
        faults
    }
}

#[test]
fn an_old_head_with_its_own_tag_does_not_bring_back_wider_hosts() {
    let scene = Scene::of(Server::start("tampering-replay", Backend::Sqlite));
    let (id, secret) = scene.credential("NARROWED", &json!({ "paths": [] }));
    let (workflow, _) = scene.caller("NARROWED", &scene.echo.url("wide"));
    assert_eq!(scene.code_of(&workflow), "");
    edit(
        &scene.server.data,
        "CREATE TABLE kept AS SELECT * FROM credentials WHERE id = ?1",
        &[&id],
    );
    let narrower = json!({ "paths": ["/narrow"] });
    scene.server.api("PATCH", &format!("/credentials/{id}"), &narrower).expect(200);
    assert_eq!(scene.code_of(&workflow), "credential_not_allowed_here");

    edit(&scene.server.data, "DELETE FROM credentials WHERE id = ?1", &[&id]);
    edit(&scene.server.data, "INSERT INTO credentials SELECT * FROM kept WHERE id = ?1", &[&id]);
    assert_eq!(scene.code_of(&workflow), "credential_unusable");
    assert_eq!(scene.carried(&secret).len(), 1);
    let status = scene.server.get(&format!("/credentials/{id}")).expect(200)["status"].clone();
    assert_eq!(status, "error");
    edit(&scene.server.data, "DROP TABLE kept", &[]);
}
