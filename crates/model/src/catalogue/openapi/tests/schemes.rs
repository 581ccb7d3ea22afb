//! Where a service is, and how one authenticates to it.

use super::*;

/// A description whose one operation asks for this, with these security schemes.
fn secured(security: Value, schemes: Value) -> Value {
    let mut description = described("get", "/b", json!({ "security": security }));
    description["components"] = json!({ "securitySchemes": schemes });
    description
}

fn check_schemes(description: &Value, expected: &[&str]) {
    let (manifest, _) = imported(description, &all("library"));
    let scheme = |scheme: &Value| {
        let fields = scheme["fields"].as_array().unwrap().iter();
        let fields = fields.map(|field| {
            let mark = if field["secret"] == true { "!" } else { "" };
            format!("{}{mark}", field["name"].as_str().unwrap())
        });
        let (id, kind) = (scheme["id"].as_str().unwrap(), scheme["type"].as_str().unwrap());
        let fields = fields.collect::<Vec<_>>().join(",");
        format!("{id} {kind} {fields} {} {}", scheme["attach"], scheme["hosts"])
    };
    let found: Vec<_> = manifest["schemes"].as_array().unwrap().iter().map(scheme).collect();
    assert_eq!(found, expected, "{description}");
}

#[test]
fn security_schemes_become_schemes() {
    let schemes = json!({
        "headerKey": {"type": "apiKey", "in": "header", "name": "X-Key", "description": "From\nthe page."},
        "queryKey": {"type": "apiKey", "in": "query", "name": "key"},
        "bearer": {"type": "http", "scheme": "Bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "oauth": {"type": "oauth2", "flows": {}},
        "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://id.example/"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
        "digest": {"type": "http", "scheme": "digest"},
        "tls": {"type": "mutualTLS"},
    });
    let host = "[\"api.library.example\"]";
    let header = format!(
        "header_key api_key api_key! {{\"headers\":{{\"X-Key\":\"{{{{ api_key }}}}\"}}}} {host}"
    );
    let query = format!(
        "query_key api_key api_key! {{\"query\":{{\"key\":\"{{{{ api_key }}}}\"}}}} {host}"
    );
    let bearer = format!(
        "bearer api_key token! {{\"headers\":{{\"Authorization\":\"Bearer {{{{ token }}}}\"}}}} {host}"
    );
    let basic = format!(
        "basic basic username,password! {{\"basic\":{{\"username\":\"{{{{ username }}}}\",\"password\":\"{{{{ password }}}}\"}}}} {host}"
    );
    let oauth = |id: &str| {
        format!(
            "{id} api_key oauth_access_token! {{\"headers\":{{\"Authorization\":\"Bearer {{{{ oauth_access_token }}}}\"}}}} {host}"
        )
    };
    let both = format!(
        "header_key_query_key custom api_key!,query_key_api_key! {{\"headers\":{{\"X-Key\":\"{{{{ api_key }}}}\"}},\"query\":{{\"key\":\"{{{{ query_key_api_key }}}}\"}}}} {host}"
    );
    let none = format!("none custom  null {host}");
    let check = |security: Value, expected: &[&str]| {
        check_schemes(&secured(security, schemes.clone()), expected);
    };
    check(json!([{"headerKey": []}]), &[&header]);
    check(json!([{"queryKey": []}, {"headerKey": []}]), &[&query, &header]);
    check(json!([{"bearer": []}, {"basic": []}]), &[&bearer, &basic]);
    check(json!([{"oauth": ["read"]}, {"oidc": []}]), &[&oauth("oauth"), &oauth("oidc")]);
    check(json!([{"headerKey": [], "queryKey": []}]), &[&both]);
    check(json!([{}, {"bearer": []}]), &[&bearer]);
    check(json!([]), &[&none]);
    check(json!([{}]), &[&none]);
    // What cannot be done is passed over where there is another way.
    check(json!([{"cookie": []}, {"bearer": []}, {"digest": []}, {"tls": []}]), &[&bearer]);
    // The root's counts where the operation says nothing, and all where nobody does.
    let mut description = secured(json!([]), schemes.clone());
    description["paths"]["/b"]["get"] = json!({});
    check_schemes(
        &description,
        &[&header, &query, &bearer, &basic, &oauth("oauth"), &oauth("oidc")],
    );
    description["security"] = json!([{"basic": []}]);
    check_schemes(&description, &[&basic]);
    // What a credential fills is no input.
    let mut description = secured(json!([{"queryKey": []}]), schemes);
    description["paths"]["/b"]["get"]["parameters"] =
        json!([{"name": "key", "in": "query", "required": true, "schema": {"type": "string"}}]);
    let (manifest, _) = imported(&description, &all("library"));
    assert_eq!(manifest["actions"][0]["inputs"]["properties"], json!({}));
    let help = imported(&description, &all("library")).0["schemes"][0]["fields"][0]["help"].clone();
    assert_eq!(help, Value::Null);
}

#[test]
fn servers_are_filled_in() {
    let check = |servers: Value, server_url: Option<&str>, expected: Result<&str, &str>| {
        let mut description = described("get", "/b", json!({}));
        description["servers"] = servers.clone();
        let choice = Choice { server_url: server_url.map(str::to_owned), ..all("library") };
        let found = match to_manifest(&description, &choice) {
            Err(faults) => Err(format!("{} {}", faults[0].pointer, faults[0].code)),
            Ok(_) => {
                let (manifest, app) = imported(&description, &choice);
                let url = render(&app, "get_b", &json!({})).url;
                Ok(format!("{url} {}", manifest["schemes"][0]["hosts"]))
            }
        };
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{servers} {server_url:?}");
    };
    let one = |url: &str| json!([{ "url": url }]);
    let at_a = Ok("https://a.example/b [\"a.example\"]");
    check(one("https://a.example"), None, at_a);
    check(one("https://A.example:443/"), None, at_a);
    check(
        one("https://a.example:8443/x/y/"),
        None,
        Ok("https://a.example:8443/x/y/b [\"a.example:8443\"]"),
    );
    check(json!([{"url": "http://a.example"}, {"url": "https://a.example"}]), None, at_a);
    check(
        json!([{"url": "https://{region}.a.example/{v}", "variables": {
            "region": {"default": "eu"}, "v": {"enum": ["v2", "v1"]},
        }}]),
        None,
        Ok("https://eu.a.example/v2/b [\"eu.a.example\"]"),
    );
    check(
        one("https://a.example"),
        Some("https://b.example/v9"),
        Ok("https://b.example/v9/b [\"b.example\"]"),
    );
    check(one("/v1"), Some("https://b.example"), Ok("https://b.example/v1/b [\"b.example\"]"));
    check(one("/v1"), Some("https://b.example/v9"), Ok("https://b.example/v9/b [\"b.example\"]"));
    check(json!(null), Some("https://b.example"), Ok("https://b.example/b [\"b.example\"]"));
    let plain = Ok("http://127.0.0.1:4010/v1/b [\"{{ base_url }}\"]");
    check(one("https://a.example"), Some("http://127.0.0.1:4010/v1"), plain);

    check(json!(null), None, Err("/servers server_url_needed"));
    check(one("/v1"), None, Err("/servers/0 server_url_needed"));
    check(one("http://a.example"), None, Err("/servers/0 plain_http"));
    check(one("ftp://a.example"), None, Err("/servers/0 invalid_url"));
    check(one("https://user:canary@a.example"), None, Err("/servers/0 invalid_url"));
    check(one("https://a.example/?x=1"), None, Err("/servers/0 invalid_url"));
    check(one("https://{region}.a.example"), None, Err("/servers/0 missing"));
    check(
        json!([{"url": "https://{r}.a.example", "variables": {"r": {}}}]),
        None,
        Err("/servers/0/variables/r missing"),
    );
    check(one("https://a.example"), Some("canary"), Err(" invalid_server_url"));
    check(one("https://a.example"), Some("https://u:canary@b.example"), Err(" invalid_server_url"));
}

#[test]
fn an_operation_may_have_its_own_server() {
    let description = json!({
        "openapi": "3.0.3", "info": {"title": "T"},
        "servers": [{"url": "https://a.example"}],
        "paths": {
            "/a": {"get": {}},
            "/b": {"servers": [{"url": "https://b.example"}], "get": {}},
            "/c": {"get": {"servers": [{"url": "https://c.example/up"}]}},
        },
    });
    let (manifest, app) = imported(&description, &all("t"));
    assert_eq!(manifest["schemes"][0]["hosts"], json!(["a.example", "b.example", "c.example"]));
    assert_eq!(render(&app, "get_c", &json!({})).url, "https://c.example/up/c");
}
