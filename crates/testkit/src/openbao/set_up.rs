//! What every server has: engines, ways to sign in, a policy, and all of it in a namespace again.

use serde_json::{Value, json};

use super::{NAMESPACE, OpenBao, Options, POLICY, ROLE, within};

/// What the policy grants, in the namespace that it lies in.
const READ: &str = r#"
path "secret/data/*" { capabilities = ["read"] }
path "secret/metadata/*" { capabilities = ["read", "list"] }
path "kv1/*" { capabilities = ["read", "list"] }
"#;

pub(super) fn set_up(bao: &OpenBao, options: Options) {
    bao.root("POST", &format!("sys/namespaces/{NAMESPACE}"), &json!({}));
    for namespace in ["", NAMESPACE] {
        let post = |path: &str, body: Value| bao.root("POST", &within(namespace, path), &body);
        post("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
        post("sys/mounts/kv1", json!({ "type": "kv", "options": { "version": "1" } }));
        post("sys/auth/approle", json!({ "type": "approle" }));
        post("sys/auth/userpass", json!({ "type": "userpass" }));
        post(&format!("sys/policies/acl/{POLICY}"), json!({ "policy": READ }));
        post(
            &format!("auth/approle/role/{ROLE}"),
            json!({
                "token_policies": [POLICY], "secret_id_ttl": "1h",
                "token_ttl": format!("{}s", options.token_ttl),
                "token_max_ttl": format!("{}s", options.token_max_ttl),
            }),
        );
        // A new engine of version 2 refuses secrets for a moment.
        bao.until_found(&within(namespace, "secret/config"));
    }
}
