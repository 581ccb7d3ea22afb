//! Credentials of the built-in apps: what of them is changed with their secrets alone.

use crate::scene::Scene;
use keyward_testkit::authority::Authority;
use serde_json::{Value, json};

/// A credential of an app, and changes of it that need its secrets.
fn check(scene: &Scene, app: &str, scheme: &str, fields: &Value, changes: &[Value]) {
    let body = json!({ "key": "K", "app": app, "scheme": scheme, "fields": fields });
    let id = scene.credential(&body);
    let path = format!("/credentials/{id}");
    for change in changes {
        let case = format!("{app} {change}");
        let before = scene.server.get(&path).expect(200);
        let refused = scene.patch(&id, &json!({ "fields": change }));
        let problem = refused.json();
        assert_eq!(refused.status, 422, "{case}: {problem}");
        let fault = &problem["errors"][0];
        assert_eq!((&fault["pointer"], &fault["code"]), (&json!("/fields"), &json!("missing")));
        assert_eq!(scene.server.get(&path).expect(200), before, "{case}");
        let mut all = fields.clone();
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let changed = scene.patch(&id, &json!({ "fields": all })).expect(200);
        assert_eq!(changed["version"], before["version"].as_i64().unwrap() + 1, "{case}");
        let versions = scene.server.get(&format!("{path}/versions")).expect(200);
        assert_eq!(versions["items"].as_array().unwrap().len(), 1, "{case}: {versions}");
    }
    scene.server.api("DELETE", &format!("{path}?confirm=true"), &Value::Null).expect(204);
}

#[test]
fn how_safely_a_stored_secret_travels_is_changed_with_it_alone() {
    let scene = Scene::start("apps-credentials");
    let secret = scene.canary("stored");
    let ca = json!({ "ca_pem": Authority::new("nobody").pem() });
    let host = |more: Value| {
        let mut fields = json!({ "host": "db.example.com", "username": "u", "password": secret });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let sql = host(json!({ "database": "d" }));
    let off = json!({ "tls": "off" });
    check(&scene, "postgres", "password", &sql, &[off.clone(), ca.clone()]);
    check(&scene, "mysql", "password", &sql, &[off, ca.clone()]);
    let none = json!({ "security": "none" });
    check(&scene, "smtp", "password", &host(json!({})), &[none, ca.clone()]);
    let vault = json!({ "address": "https://vault.example.com", "token": secret });
    check(&scene, "vault", "token", &vault, std::slice::from_ref(&ca));
    let nango = json!({ "secret_key": secret });
    check(&scene, "nango", "secret_key", &nango, std::slice::from_ref(&ca));
    let aws =
        json!({ "access_key_id": secret, "secret_access_key": secret, "region": "eu-west-1" });
    check(&scene, "s3", "access_key", &aws, std::slice::from_ref(&ca));
    check(&scene, "aws_secrets_manager", "access_key", &aws, &[ca]);
}

#[test]
fn a_file_without_secrets_has_new_values_too() {
    let scene = Scene::start("apps-credentials-file");
    let body =
        json!({ "key": "K", "app": "sqlite", "scheme": "file", "fields": { "path": "a.db" } });
    let id = scene.credential(&body);
    let put = |path: &str| {
        let body = json!({ "fields": { "path": path } });
        scene.server.api("PUT", &format!("/credentials/{id}/value"), &body)
    };
    let changed = put("b.db").expect(200);
    assert_eq!(
        (&changed["version"], &changed["fields"]["path"]["value"]),
        (&json!(2), &json!("b.db"))
    );
    let problem = put("b.db").json();
    let fault = &problem["errors"][0];
    assert_eq!((&fault["pointer"], &fault["code"]), (&json!("/fields"), &json!("missing")));
}
