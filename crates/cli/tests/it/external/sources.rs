//! Each source feeds each of three apps: what they are sent, by how many requests, and what is shown.

use super::relay::Relay;
use super::{at, clean, external, fetch, mail, message, vendors};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::aws::{Aws, REGION};
use keyward_testkit::mariadb::{self, MariaDb};
use keyward_testkit::nango::{Credentials, Nango};
use keyward_testkit::openbao::{NAMESPACE, OpenBao, Options};
use keyward_testkit::postgres::Postgres;
use keyward_testkit::smtp::{MailServer, Way};
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};
use std::time::Duration;

/// How many requests a source has had: sign-ins, and reads of secrets.
type Counts<'a> = Box<dyn Fn() -> (usize, usize) + 'a>;

/// What is fetched of a source: `token` or `password`.
type Inputs<'a> = Box<dyn Fn(&str) -> Value + 'a>;

struct Source<'a> {
    name: &'a str,
    credential: Value,
    action: (&'a str, &'a str),
    inputs: Inputs<'a>,
    /// Where the output has it; `FIELD` stands for its name.
    path: &'a str,
    counts: Option<Counts<'a>>,
    /// How many sign-ins it takes, and reads more than there are runs.
    expected: (usize, usize),
}

struct World {
    scene: Scene,
    vendors: Vendors,
    mail: MailServer,
    token: String,
}

const USER: &str = "ada@example.com";

/// A database of the cluster of the tests, as a credential's fields, and the way to it.
pub(super) fn postgres_fields(scene: &Scene) -> (Value, Relay) {
    let url = Postgres::shared().fresh_database();
    let rest = url.strip_prefix("postgres://").unwrap();
    let (sign_in, place) = rest.split_once('@').unwrap();
    let (username, password) = sign_in.split_once(':').unwrap();
    let (address, database) = place.split_once('/').unwrap();
    let relay = Relay::to_url(address);
    scene.server.evidence.watch("postgres", password);
    let fields = json!({
        "host": "127.0.0.1", "port": relay.port().to_string(), "database": database,
        "username": username, "password": password, "tls": "verify",
        "ca_pem": Postgres::shared().ca_pem(),
    });
    (fields, relay)
}

/// Makes a table with the two values by the app itself. They are written backwards there, so that no
/// definition holds them.
fn fill(world: &World, app: &str, fields: &Value, values: (&str, &str)) {
    let id = world.scene.credential(&json!({ "key": "STORE", "app": app, "fields": fields }));
    let backwards = |text: &str| text.chars().rev().collect::<String>();
    let (token, password) = (backwards(values.0), backwards(values.1));
    let insert = format!("insert into tokens values (reverse('{token}'), reverse('{password}'))");
    for sql in ["create table tokens (token text, password text)", &insert] {
        let step = fetch(app, "query", &json!({ "sql": sql, "write": true }));
        let run = world.scene.run(&json!([step]), &json!({}));
        assert_eq!(run["status"], "succeeded", "{run}");
    }
    remove(&world.scene, &id);
}

fn remove(scene: &Scene, id: &str) {
    scene
        .server
        .api("DELETE", &format!("/credentials/{id}?confirm=true"), &Value::Null)
        .expect(204);
}

fn select(field: &str) -> Value {
    json!({ "sql": format!("select {field} from tokens") })
}

/// The step that posts with what was fetched, and how many posts there were so far.
fn posting(world: &World, app: &str, path: &str) -> Value {
    let path = format!("steps.fetch.output.{path}");
    match app {
        "slack" => message(&super::bot_token(&path)),
        "sendgrid" => mail(&external("api_key", "api_key", &path)),
        _ => {
            let mut step = mail(&external("password", "password", &path));
            step["app"] = json!("smtp");
            let fields = &mut step["credential"]["$external"]["fields"];
            fields["host"] = json!("127.0.0.1");
            fields["port"] = json!(world.mail.port(Way::StartTls).to_string());
            fields["username"] = json!(USER);
            fields["ca_pem"] = json!(world.mail.ca_pem());
            step
        }
    }
}

/// What one run has posted.
#[track_caller]
fn check_posted(world: &World, app: &str, case: &str) {
    let (posted, mails) = (world.vendors.take(), world.mail.inbox());
    world.mail.clear();
    if app == "smtp" {
        assert_eq!((posted.len(), mails.len()), (0, 1), "{case}");
        // Without its password it takes no mail.
        assert_eq!((&mails[0]["user"], &mails[0]["tls"]), (&json!(USER), &json!(true)), "{case}");
        return;
    }
    assert_eq!((posted.len(), mails.len()), (1, 0), "{case}");
    assert_eq!(
        posted[0].header("authorization"),
        Some(&*format!("Bearer {}", world.token)),
        "{case}"
    );
    let host = if app == "slack" { super::SLACK } else { super::SENDGRID };
    assert_eq!(posted[0].host(), host, "{case}");
}

/// Feeds the three apps, each twice.
fn check(world: &World, source: &Source<'_>) {
    let (app, action) = source.action;
    let mut credential = source.credential.clone();
    credential["key"] = json!("STORE");
    let id = world.scene.credential(&credential);
    let begun = source.counts.as_ref().map_or((0, 0), |counts| counts());
    for (posts_by, field) in [("slack", "token"), ("sendgrid", "token"), ("smtp", "password")] {
        let path = source.path.replace("FIELD", field);
        let steps =
            json!([fetch(app, action, &(source.inputs)(field)), posting(world, posts_by, &path)]);
        let workflow = world.scene.manual(&steps);
        for turn in [1, 2] {
            let case = format!("{} feeds {posts_by}, {turn}", source.name);
            let run = world.scene.run_again(&workflow, &json!({}));
            assert_eq!(run["status"], "succeeded", "{case}: {run}");
            let sealed = format!("[sealed:steps.fetch.output.{path}]");
            assert_eq!(at(&run["steps"][0]["output"], &path), &json!(sealed), "{case}: {run}");
            let used = &run["steps"][1]["credentials"][0];
            assert_eq!(used["key"], format!("steps.fetch.output.{path}"), "{case}: {run}");
            check_posted(world, posts_by, &case);
        }
    }
    if let Some(counts) = &source.counts {
        let ((signed_in, read), (more_sign_ins, more_reads)) = (counts(), source.expected);
        let expected = (begun.0 + more_sign_ins, begun.1 + 6 + more_reads);
        assert_eq!((signed_in, read), expected, "{}", source.name);
    }
    clean(&world.scene.server, source.name);
    remove(&world.scene, &id);
}

fn world(folder: &std::path::Path) -> World {
    let vendors = vendors();
    let environment = [("KEYWARD_SQLITE_DIR", folder.to_str().unwrap())];
    let server = Server::start_facing("external-sources", Backend::Sqlite, &vendors, &environment);
    let scene = Scene::with(server);
    let mail = MailServer::start(USER, &scene.canary("password"));
    World { token: scene.canary("token"), scene, vendors, mail }
}

#[test]
fn each_source_feeds_each_app() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(folder.path());
    let password = world.scene.canary("password");
    let both = json!({ "token": world.token, "password": password });
    of_vault(&world, &both);
    of_aws(&world, &both);
    of_nango(&world, &password);
    of_databases(&world, folder.path(), &password);
}

fn of_vault(world: &World, both: &Value) {
    let evidence = &world.scene.server.evidence;
    let bao = OpenBao::start_with(Options { tls: true, token_ttl: 600, token_max_ttl: 600 });
    for path in ["secret/app", "kv1/app", "team-a/secret/app"] {
        bao.put(path, both);
    }
    let (token, role) = (bao.token("", 3600), bao.app_role(NAMESPACE));
    evidence.watch("vault-token", &token);
    evidence.watch("vault-role", &role.role_id);
    evidence.watch("vault-secret", &role.secret_id);
    let (address, ca_pem) = (bao.url(), bao.ca_pem());
    let by_token = json!({
        "app": "vault", "scheme": "token",
        "fields": { "address": address, "token": token, "ca_pem": ca_pem },
    });
    let by_role = json!({
        "app": "vault", "scheme": "approle",
        "fields": {
            "address": address, "role_id": role.role_id, "secret_id": role.secret_id,
            "namespace": NAMESPACE, "ca_pem": ca_pem,
        },
    });
    let counts = |read: &'static str| -> Option<Counts<'_>> {
        let bao = &bao;
        Some(Box::new(move || {
            let of_engine =
                |path: &str| path.strip_prefix("team-a/").unwrap_or(path).starts_with(read);
            let requests = bao.requests();
            let reads = requests.iter().filter(|request| of_engine(&request.path)).count();
            (bao.count("team-a/auth/approle/login"), reads)
        }))
    };
    let inputs = |mount: &'static str| -> Inputs<'_> {
        Box::new(move |_| json!({ "mount": mount, "path": "app" }))
    };
    let read = |name, credential: &Value, mount: &'static str, expected| Source {
        name,
        credential: credential.clone(),
        action: ("vault", "read_secret"),
        inputs: inputs(mount),
        path: "data.FIELD",
        counts: counts(mount),
        expected,
    };
    check(world, &read("Vault, version 2", &by_token, "secret", (0, 0)));
    // Which version an engine is of is found out once.
    check(world, &read("Vault, version 1", &by_token, "kv1", (0, 1)));
    check(world, &read("Vault, AppRole in a namespace", &by_role, "secret", (1, 0)));
}

fn of_aws(world: &World, both: &Value) {
    let evidence = &world.scene.server.evidence;
    let aws = Aws::start();
    aws.create_secret("app", &both.to_string());
    evidence.watch("aws-user", &aws.user.secret);
    evidence.watch("aws-caller", &aws.caller.secret);
    let count = |action: &str| aws.requests().iter().filter(|r| r.action == action).count();
    let source = |name, credential, expected| Source {
        name,
        credential,
        action: ("aws_secrets_manager", "get_secret_value"),
        inputs: Box::new(|_| json!({ "secret_id": "app" })),
        path: "json.FIELD",
        counts: Some(Box::new(|| (count("AssumeRole"), count("GetSecretValue")))),
        expected,
    };
    let keys = json!({
        "app": "aws_secrets_manager", "scheme": "access_key",
        "fields": {
            "access_key_id": aws.user.id, "secret_access_key": aws.user.secret,
            "region": REGION, "endpoint": aws.url(),
        },
    });
    let role = json!({
        "app": "aws_secrets_manager", "scheme": "assumed_role",
        "fields": {
            "access_key_id": aws.caller.id, "secret_access_key": aws.caller.secret,
            "role_arn": aws.role, "region": REGION, "endpoint": aws.url(),
        },
    });
    check(world, &source("AWS, access key", keys, (0, 0)));
    check(world, &source("AWS, assumed role", role, (1, 0)));
}

fn of_nango(world: &World, password: &str) {
    let nango = Nango::start();
    world.scene.server.evidence.watch("nango", nango.secret_key());
    let life = Duration::from_secs(3600);
    for (id, value) in [("token", &*world.token), ("password", password)] {
        let tokens = vec![value.to_owned()];
        nango.connect("oauth", id, Credentials::OAuth2 { tokens, life }, json!({}));
        nango.connect("keys", id, Credentials::ApiKey(value.to_owned()), json!({}));
    }
    let source = |name, integration: &'static str, path| Source {
        name,
        credential: json!({
            "app": "nango",
            "fields": { "secret_key": nango.secret_key(), "base_url": nango.url() },
        }),
        action: ("nango", "get_connection"),
        inputs: Box::new(
            move |field| json!({ "connection_id": field, "provider_config_key": integration }),
        ),
        path,
        counts: Some(Box::new(|| (0, nango.received().len()))),
        expected: (0, 0),
    };
    check(world, &source("Nango, OAuth", "oauth", "access_token"));
    check(world, &source("Nango, API key", "keys", "credentials.apiKey"));
}

fn of_databases(world: &World, folder: &std::path::Path, password: &str) {
    let token = world.token.as_str();
    let own = world.scene.canary("mariadb");
    let server = MariaDb::start(&own);
    let maria_relay = Relay::to(server.port());
    let maria = json!({
        "host": "127.0.0.1", "port": maria_relay.port().to_string(), "database": mariadb::DATABASE,
        "username": mariadb::USER, "password": own, "tls": "verify", "ca_pem": server.ca_pem(),
    });
    let (postgres, postgres_relay) = postgres_fields(&world.scene);
    for (app, fields) in [("postgres", &postgres), ("mysql", &maria)] {
        fill(world, app, fields, (token, password));
    }
    let file = rusqlite::Connection::open(folder.join("tokens.sqlite")).unwrap();
    file.execute("create table tokens (token, password)", []).unwrap();
    file.execute("insert into tokens values (?1, ?2)", [token, password]).unwrap();
    for (app, name, fields) in [
        ("postgres", "PostgreSQL", postgres),
        ("mysql", "MariaDB", maria),
        ("sqlite", "SQLite", json!({ "path": "tokens.sqlite" })),
    ] {
        let counts = || (maria_relay.count(), postgres_relay.count());
        let before = counts();
        check(
            world,
            &Source {
                name,
                credential: json!({ "app": app, "fields": fields }),
                action: (app, "query"),
                inputs: Box::new(select),
                path: "rows[0].FIELD",
                counts: None,
                expected: (0, 0),
            },
        );
        let expected =
            (before.0 + usize::from(app == "mysql"), before.1 + usize::from(app == "postgres"));
        assert_eq!(counts(), expected, "one connection for all runs of {name}");
    }
}

/// Tokens of one issuer have a beginning in common; what is known of one must not cut the other.
#[test]
fn secrets_that_begin_alike_stay_whole() {
    let (scene, vendors) = super::facing("external-alike");
    let bao = OpenBao::start();
    let header = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEyMzQ1Njc4OTAifQ";
    let vault = bao.token("", 3600);
    scene.server.evidence.watch("vault-token", &vault);
    scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token",
        "fields": { "address": bao.url(), "token": vault },
    }));
    let mut steps = Vec::new();
    let names = ["one", "two", "three"];
    let token = |name: &str| format!("{header}.{}", scene.canary(name));
    for name in names {
        bao.put(&format!("secret/{name}"), &json!({ "token": token(name) }));
        let mut read = fetch("vault", "read_secret", &json!({ "mount": "secret", "path": name }));
        read["id"] = json!(name);
        let mut post = message(&super::bot_token(&format!("steps.{name}.output.data.token")));
        post["id"] = json!(format!("post_{name}"));
        steps.extend([read, post]);
    }
    let run = scene.run(&json!(steps), &json!({}));
    assert_eq!(run["status"], "succeeded", "{run}");
    let posted = vendors.take();
    for (request, name) in posted.iter().zip(names) {
        let expected = format!("Bearer {}", token(name));
        assert_eq!(request.header("authorization"), Some(&*expected), "{name}");
    }
    for (at, name) in names.iter().enumerate() {
        let shown = &run["steps"][2 * at]["output"]["data"]["token"];
        assert_eq!(shown, &json!(format!("[sealed:steps.{name}.output.data.token]")), "{run}");
    }
    clean(&scene.server, "in the end");
}
