//! Single sign-on at a real OpenID provider: who gets a session with which role, and who none.

use crate::server::{Answer, Backend, Server};
use keyward_testkit::oidc::{Client, Provider};
use serde_json::{Value, json};

const ROLES: &str = "staff=default:viewer,admins=default:admin";
/// The owner that `init` makes.
const OWNER: &str = "alice@example.com";

/// A server whose people sign in at a provider.
struct Scene {
    provider: Provider,
    server: Server,
}

/// A browser that was sent to the provider.
struct Begun {
    /// Its cookie, `name=value`.
    cookie: String,
    location: String,
}

impl Scene {
    fn start(test: &str, backend: Backend, method: &str, more: &[(&str, &str)]) -> Self {
        let private = tempfile::tempdir().expect("a private folder");
        let secret_file = private.path().join("secret");
        let secret = keyward_testkit::canary::canary(&format!("{test}/client-secret"));
        std::fs::write(&secret_file, format!("{secret}\n")).expect("a secret");
        let with_secret = method != "none";
        let algorithm = if with_secret { "RS256" } else { "ES256" };
        let secret = with_secret.then_some(secret.as_str());
        let provider = Provider::start(Client { id: "keyward", secret, method, algorithm });
        let issuer = provider.issuer();
        let secret_file = secret_file.to_str().expect("a path");
        let mut environment = vec![
            ("KEYWARD_EGRESS_ALLOW", "127.0.0.0/8"),
            ("KEYWARD_OIDC_ISSUER", issuer.as_str()),
            ("KEYWARD_OIDC_CLIENT_ID", "keyward"),
            ("KEYWARD_OIDC_ROLES", ROLES),
        ];
        if with_secret {
            environment.push(("KEYWARD_OIDC_CLIENT_SECRET_FILE", secret_file));
        }
        environment.extend_from_slice(more);
        let server = Server::start_with(test, backend, &environment);
        if let Some(secret) = secret {
            server.evidence.watch("client-secret", secret);
        }
        Self { provider, server }
    }

    /// What a browser gets.
    fn browse(&self, path: &str, cookie: &str) -> Answer {
        let headers = [("Accept", "text/html"), ("Cookie", cookie)];
        self.server.send_unkept("GET", path, &headers, b"")
    }

    fn begin(&self, return_to: &str) -> Begun {
        let answer = self.browse(&format!("/sign-in/oidc?return={return_to}"), "");
        assert_eq!(answer.status, 303, "{}", answer.body);
        let location = answer.header("location").expect("where to go").to_owned();
        let cookie = cookie(&answer, "keyward-sign-in").expect("a cookie");
        let state = parameter(&location, "state");
        self.server.evidence.watch("state", &state);
        // Every sealed record begins alike; what follows is this one's own.
        self.server.evidence.watch("sign-in-cookie", cookie.get(24..).expect("a sealed record"));
        Begun { cookie: format!("keyward-sign-in={cookie}"), location }
    }

    /// The path that the provider sends a browser back to, after that user has signed in there.
    fn back(&self, begun: &Begun, user: &str) -> String {
        let address = self.provider.sign_in(&begun.location, user);
        if address.contains("code=") {
            self.server.evidence.watch("code", &parameter(&address, "code"));
        }
        address.strip_prefix(&self.server.url).expect("our own address").to_owned()
    }

    fn sign_in(&self, user: &str) -> Answer {
        let begun = self.begin("/");
        let path = self.back(&begun, user);
        self.browse(&path, &begun.cookie)
    }

    /// Signs in and gives the session's cookie, `name=value`.
    #[track_caller]
    fn session(&self, user: &str) -> String {
        let answer = self.sign_in(user);
        assert_eq!(answer.status, 303, "{}", answer.body);
        let session = cookie(&answer, "keyward").expect("a session");
        self.server.evidence.watch("session", &session);
        format!("keyward={session}")
    }

    /// Fails unless the answer is a page of that status, without a session.
    #[track_caller]
    fn refused(&self, answer: &Answer, status: u16) {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(cookie(answer, "keyward"), None, "no session");
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
        assert!(answer.body.contains("not signed in"), "{}", answer.body);
        self.server.evidence.keep("answers", &answer.body);
    }

    fn members(&self) -> Vec<Value> {
        let members = self.server.get("/members").expect(200);
        members["items"].as_array().expect("items").clone()
    }

    /// The token of an account that no sign-in touches.
    fn machine(&self) -> String {
        let new = json!({ "kind": "service", "name": "watch", "role": "admin" });
        let member = self.server.post("/members", &new).expect(201);
        let new = json!({ "name": "watch", "member": member["id"] });
        let headers = [
            ("Authorization", &*format!("Bearer {}", self.server.token)),
            ("Content-Type", "application/json"),
        ];
        let path = "/api/v1/workspaces/default/tokens";
        let made = self.server.send_unkept("POST", path, &headers, new.to_string().as_bytes());
        let token = made.expect(201)["token"].as_str().expect("a token").to_owned();
        self.server.evidence.watch("machine", &token);
        token
    }

    fn role(&self, email: &str) -> Option<String> {
        let members = self.members();
        let member = members.iter().find(|member| member["email"] == email)?;
        member["role"].as_str().map(str::to_owned)
    }

    fn audited(&self, action: &str, reason: &str) -> usize {
        let page = self.server.get(&format!("/audit?limit=200&action={action}")).expect(200);
        let items = page["items"].as_array().expect("items");
        items.iter().filter(|event| event["reason"] == reason).count()
    }

    fn calls(&self) -> usize {
        self.provider.token_calls().len()
    }
}

/// The value of a cookie that the answer sets; none where it takes it away.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.iter().filter(|(header, _)| header == "set-cookie");
    let mut pairs = set.filter_map(|(_, text)| text.split(';').next()?.split_once('='));
    let found = pairs.find(|(found, _)| *found == name);
    found.map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
}

fn parameter(address: &str, name: &str) -> String {
    let url = url::Url::parse(address).expect("a URL");
    let found = url.query_pairs().find(|(found, _)| found == name);
    found.unwrap_or_else(|| panic!("no {name} in {address}")).1.into_owned()
}

fn bob(groups: &[&str]) -> Value {
    json!({ "bob": {
        "email": "bob@example.com", "email_verified": true, "name": "Bob", "groups": groups,
    } })
}

/// First a viewer, then an admin, then nobody.
fn roles_follow_the_provider(test: &str, backend: Backend, method: &str) {
    let scene = Scene::start(test, backend, method, &[]);
    scene.provider.set(&bob(&["staff"]), &json!({}));
    let begun = scene.begin("/w/default/runs?status=failed");
    let path = scene.back(&begun, "bob");
    let answer = scene.browse(&path, &begun.cookie);
    assert_eq!(answer.header("location"), Some("/w/default/runs?status=failed"), "{answer:?}");
    let first = cookie(&answer, "keyward").expect("a session");
    let first = format!("keyward={first}");
    let account = |session: &str| {
        let headers = [("Cookie", session)];
        scene.server.send("GET", "/api/v1/account", &headers, b"")
    };
    assert_eq!(account(&first).expect(200)["email"], "bob@example.com");
    assert_eq!(scene.role("bob@example.com").as_deref(), Some("viewer"));
    assert_eq!(scene.audited("member.joined", "oidc"), 1);
    assert_eq!(scene.audited("session.created", ""), 1);
    let calls = scene.provider.token_calls();
    let shown = if method == "client_secret_basic" { "Basic" } else { "" };
    assert_eq!(calls, [json!({ "status": 200, "authorization": shown })]);

    let before = scene.members();
    scene.provider.set(&bob(&["staff", "admins"]), &json!({}));
    let second = scene.session("bob");
    assert_eq!(scene.role("bob@example.com").as_deref(), Some("admin"));
    assert_eq!(scene.members().len(), before.len());
    assert_eq!(scene.audited("member.changed", "oidc"), 1);
    // What was opened for another role is over.
    account(&first).expect_problem(401, "unauthenticated");
    account(&second).expect(200);

    let third = scene.session("bob");
    assert_eq!(scene.audited("member.changed", "oidc"), 1, "nothing changed");
    scene.provider.set(&bob(&["guests"]), &json!({}));
    scene.refused(&scene.sign_in("bob"), 403);
    assert_eq!(scene.role("bob@example.com"), None);
    assert_eq!(scene.audited("member.removed", "oidc"), 1);
    assert_eq!(scene.audited("session.failed", "oidc_no_role"), 1);
    account(&third).expect_problem(401, "unauthenticated");

    scene.provider.set(&bob(&["staff"]), &json!({}));
    scene.session("bob");
    assert_eq!(scene.role("bob@example.com").as_deref(), Some("viewer"));
    assert_eq!(scene.members().len(), before.len());
}

#[test]
fn roles_follow_the_provider_on_sqlite() {
    roles_follow_the_provider("sso-roles-sqlite", Backend::Sqlite, "client_secret_basic");
}

#[test]
fn roles_follow_the_provider_on_postgres() {
    roles_follow_the_provider("sso-roles-postgres", Backend::Postgres, "client_secret_post");
}

#[test]
fn an_account_is_taken_over_by_a_verified_address_alone() {
    let mut scene = Scene::start("sso-addresses", Backend::Sqlite, "none", &[]);
    let user = |verified: Value| json!({ "email": OWNER, "email_verified": verified, "groups": ["staff"], "name": "A" });
    let users = json!({
        "mallory": user(json!(false)), "trudy": user(json!("true")), "alice": user(json!(true)),
        "eve": user(json!(true)), "new": { "groups": ["guests"], "email": OWNER },
    });
    scene.provider.set(&users, &json!({}));
    let machine = scene.machine();
    let owner = scene.members();
    for stranger in ["mallory", "trudy"] {
        scene.session(stranger);
        let members = scene.members();
        let addresses: Vec<_> = members.iter().filter_map(|m| m["email"].as_str()).collect();
        assert_eq!(addresses.iter().filter(|email| **email == OWNER).count(), 1);
        assert_eq!(members[0], owner[0]);
        assert!(addresses.last().is_some_and(|email| email.ends_with("@sign-in.invalid")));
        assert_eq!(members.last().expect("a member")["role"], "viewer");
    }
    assert_eq!(scene.members().len(), 4);

    // The last owner stays one, whatever the mapping says.
    let session = scene.session("alice");
    scene.server.token = machine;
    let headers = [("Cookie", session.as_str())];
    let account = scene.server.send("GET", "/api/v1/account", &headers, b"").expect(200);
    assert_eq!(account["email"], OWNER);
    assert_eq!(scene.role(OWNER).as_deref(), Some("owner"));
    assert_eq!(scene.members().len(), 4);
    // Whoever runs the server made this account, so its password and tokens still open it.
    assert_eq!(account["password"], true);
    assert_eq!(scene.audited("token.revoked", "oidc linked"), 0);

    // The address has got its person at the provider; another one there does not get the account.
    scene.refused(&scene.sign_in("eve"), 403);
    assert_eq!(scene.audited("session.failed", "oidc_address_taken"), 1);
    scene.refused(&scene.sign_in("new"), 403);
    assert_eq!(scene.members().len(), 4);
}

/// Makes an account for an address that is not theirs, as every admin can, and waits in it.
#[test]
fn whoever_waits_in_an_account_has_nothing_left_once_its_person_comes() {
    let scene = Scene::start("sso-waiting", Backend::Sqlite, "none", &[]);
    let server = &scene.server;
    let json = [("Content-Type", "application/json")];
    let send = |path: &str, body: Value| {
        server.send_unkept("POST", path, &json, body.to_string().as_bytes())
    };
    let invited = json!({ "email": "bob@example.com", "role": "viewer" });
    let bearer = format!("Bearer {}", server.token);
    let headers = [json[0], ("Authorization", bearer.as_str())];
    let path = "/api/v1/workspaces/default/invitations";
    let link = server.send_unkept("POST", path, &headers, invited.to_string().as_bytes());
    let link = link.expect(201);
    let password = server.evidence.canary("waiting");
    let path = format!("/api/v1/invitations/{}/accept", link["token"].as_str().expect("a token"));
    send(&path, json!({ "name": "Bob", "password": password })).expect(201);
    let sign_in = json!({ "email": "bob@example.com", "password": password });
    let opened = send("/api/v1/sessions", sign_in.clone());
    let waiting = format!("keyward={}", cookie(&opened, "keyward").expect("a session"));
    let csrf = opened.expect(201)["csrf_token"].as_str().expect("a token").to_owned();
    let headers = [json[0], ("Cookie", waiting.as_str()), ("X-CSRF-Token", csrf.as_str())];
    let path = "/api/v1/workspaces/default/tokens";
    let made = server.send_unkept("POST", path, &headers, br#"{"name":"kept"}"#).expect(201);
    let token = made["token"].as_str().expect("a token").to_owned();

    scene.provider.set(&bob(&["admins"]), &json!({}));
    let session = scene.session("bob");
    assert_eq!(scene.role("bob@example.com").as_deref(), Some("admin"));
    let account = |cookie: &str| server.send("GET", "/api/v1/account", &[("Cookie", cookie)], b"");
    assert_eq!(account(&session).expect(200)["password"], false);
    account(&waiting).expect_problem(401, "unauthenticated");
    send("/api/v1/sessions", sign_in).expect_problem(401, "unauthenticated");
    let by_token = server.call_as(&token, "GET", "/api/v1/workspaces", &Value::Null);
    by_token.expect_problem(401, "unauthenticated");
    assert_eq!(scene.audited("session.ended", "oidc linked"), 1);
    assert_eq!(scene.audited("token.revoked", "oidc linked"), 1);
}

#[test]
fn an_answer_counts_once_and_in_its_own_browser_alone() {
    let scene = Scene::start("sso-states", Backend::Sqlite, "client_secret_basic", &[]);
    scene.provider.set(&bob(&["staff"]), &json!({}));
    let (victim, attacker) = (scene.begin("/"), scene.begin("/"));
    let path = scene.back(&attacker, "bob");
    let without_state = path.replace(&parameter(&attacker.location, "state"), "x");
    let bare = format!("/sign-in/oidc/callback?code={}", "c".repeat(43));
    for (path, cookie) in [
        (path.as_str(), victim.cookie.as_str()),
        (path.as_str(), ""),
        (path.as_str(), "keyward-sign-in=x"),
        (without_state.as_str(), attacker.cookie.as_str()),
        (bare.as_str(), attacker.cookie.as_str()),
        ("/sign-in/oidc/callback", attacker.cookie.as_str()),
    ] {
        scene.refused(&scene.browse(path, cookie), 400);
    }
    assert_eq!(scene.calls(), 0, "no code was exchanged");
    assert_eq!(scene.role("bob@example.com"), None);

    assert_eq!(scene.browse(&path, &attacker.cookie).status, 303);
    assert_eq!(scene.calls(), 1);
    scene.refused(&scene.browse(&path, &attacker.cookie), 400);
    assert_eq!(scene.calls(), 1, "the code was not sent again");
}

#[test]
fn a_token_that_does_not_fit_signs_nobody_in() {
    let scene = Scene::start("sso-faults", Backend::Sqlite, "client_secret_basic", &[]);
    let faulty = |faults: Value, calls: usize| {
        scene.provider.set(&bob(&["staff"]), &faults);
        let before = scene.calls();
        scene.refused(&scene.sign_in("bob"), 403);
        assert_eq!(scene.calls() - before, calls, "{faults}");
        assert_eq!(scene.role("bob@example.com"), None, "{faults}");
    };
    for claims in [
        json!({ "nonce": "other" }),
        json!({ "iss": "http://127.0.0.1:1" }),
        json!({ "aud": "other" }),
        json!({ "aud": ["keyward", "other"] }),
        json!({ "azp": "other" }),
        json!({ "exp": 1 }),
        json!({ "iat": 1 }),
        json!({ "sub": "" }),
    ] {
        faulty(json!({ "claims": claims }), 1);
    }
    faulty(json!({ "alg": "none" }), 1);
    faulty(json!({ "alg": "HS256" }), 1);
    // Before any code is exchanged: another issuer's answer, or none's.
    faulty(json!({ "iss": "http://127.0.0.1:1" }), 0);
    faulty(json!({ "iss": "" }), 0);

    scene.provider.set(&bob(&["staff"]), &json!({ "thin": true }));
    scene.session("bob");
    assert_eq!(scene.role("bob@example.com").as_deref(), Some("viewer"), "by the user information");
}

#[test]
fn nothing_that_the_provider_says_is_shown() {
    let scene = Scene::start("sso-errors", Backend::Sqlite, "none", &[]);
    scene.provider.set(&json!({}), &json!({}));
    let begun = scene.begin("/");
    let path = scene.back(&begun, "nobody");
    assert!(path.contains("error=access_denied") && path.contains("nobody+of+that+name"), "{path}");
    let page = scene.browse(&path, &begun.cookie);
    scene.refused(&page, 403);
    assert!(!page.body.contains("nobody") && !page.body.contains("access_denied"), "{page:?}");

    let begun = scene.begin("/");
    let path = scene.back(&begun, "nobody");
    let answer = scene.server.send("GET", &path, &[("Cookie", &begun.cookie)], b"");
    let problem = answer.expect_problem(403, "forbidden");
    assert!(!problem.to_string().contains("nobody"), "{problem}");
}

#[test]
fn a_browser_is_sent_back_to_this_server_alone() {
    let scene = Scene::start("sso-returns", Backend::Sqlite, "none", &[]);
    scene.provider.set(&bob(&["staff"]), &json!({}));
    for outside in
        ["//evil.example", "https://evil.example/", "/%5Cevil.example", "%2F%2Fevil.example", ""]
    {
        let begun = scene.begin(outside);
        let path = scene.back(&begun, "bob");
        let answer = scene.browse(&path, &begun.cookie);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{outside}");
    }
}

#[test]
fn passwords_can_be_switched_off() {
    let off = [("KEYWARD_PASSWORD_SIGN_IN", "false"), ("KEYWARD_OIDC_NAME", "Example & Co")];
    let scene = Scene::start("sso-passwords", Backend::Sqlite, "none", &off);
    let ways = scene.server.send("GET", "/api/v1/sign-in", &[], b"").expect(200);
    let way = json!({ "name": "Example & Co", "path": "/sign-in/oidc" });
    assert_eq!(ways, json!({ "password": false, "single_sign_on": way }));
    let password = scene.server.evidence.canary("owner-password");
    let body = json!({ "email": OWNER, "password": password }).to_string();
    let headers = [("Content-Type", "application/json")];
    let answer = scene.server.send("POST", "/api/v1/sessions", &headers, body.as_bytes());
    answer.expect_problem(403, "forbidden");
    // Tokens are no passwords.
    scene.server.get("/members").expect(200);
}

#[test]
fn metadata_of_another_issuer_is_not_believed() {
    let scene = Scene::start("sso-metadata", Backend::Sqlite, "none", &[]);
    let other = json!({ "metadata": { "issuer": "http://127.0.0.1:1" } });
    scene.provider.set(&bob(&["staff"]), &other);
    scene.refused(&scene.browse("/sign-in/oidc", ""), 403);
    scene.provider.set(&bob(&["staff"]), &json!({}));
    scene.session("bob");
}

#[test]
fn a_provider_on_loopback_needs_the_operator_s_word() {
    let closed = [("KEYWARD_EGRESS_ALLOW", "")];
    let scene = Scene::start("sso-closed", Backend::Sqlite, "none", &closed);
    scene.refused(&scene.browse("/sign-in/oidc", ""), 503);
}
