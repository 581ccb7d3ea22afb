//! Thousands of random edits of a database's rows, each held against what was there before: nothing
//! that somebody else wrote is ever believed.

use super::{Scene, copy_folder, database};
use crate::server::{Backend, Server};
use keyward_egress::{Client, Options};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::id::{AccountId, CredentialId, MemberId, RunId, WorkflowId, WorkspaceId};
use keyward_model::policy::StepContext;
use keyward_model::tag::{Granting, Tagged};
use keyward_store::{Store, StoreError, Target};
use keyward_vault::{Standing, Vault, fresh_id};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params_from_iter};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

const EDITS: usize = 3000;
/// Shown when the test fails; the same edits come with the same seed.
const SEED: u64 = 0x6b65_7977_6172_6421;
/// The tables whose rows grant, and those that lead to them.
const TABLES: [&str; 13] = [
    "credentials", "credential_versions", "tokens", "members", "workflows", "workflow_versions",
    "allowlists", "routes", "shares", "settings", "accounts", "sessions", "invitations",
];
const KEYS: [&str; 4] = ["ALPHA", "BETA", "GAMMA", "DELTA"];

#[tokio::test]
async fn no_tampered_credential_grant_or_token_is_ever_accepted() {
    let folder = in_memory();
    let (data, secrets) = tokio::task::spawn_blocking({
        let data = folder.path().join("data");
        move || (data.clone(), furnish(&data))
    })
    .await
    .unwrap();
    let vault = unlock(&data).await;
    let hand = Hand::new(&data);
    let watcher = Watcher::new(&vault, &hand, secrets);
    let before = watcher.look().await;
    assert!(before.len() >= 25, "{before:#?}");
    let (mut tried, mut refused) = (0, 0);
    let mut random = Random(SEED);
    while tried < EDITS {
        let Some(what) = hand.edit(&mut random) else { continue };
        tried += 1;
        let now = watcher.look().await;
        for (name, row) in &now {
            assert_eq!(Some(row), before.get(name), "edit {tried}, {what}: {name} was accepted");
        }
        refused += usize::from(now.len() < before.len());
        hand.put_back();
    }
    assert_eq!(watcher.look().await, before, "put back, all is accepted again");
    assert!(refused > EDITS / 2, "only {refused} of {tried} edits were noticed at all");
    vault.store().close().await;
}

/// A folder that no disk is asked for, where the system has one.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Fills a data directory through a server; gives the secrets of the readable credentials.
fn furnish(data: &Path) -> Vec<String> {
    let mut scene = Scene::of(Server::start("tampering-sweep", Backend::Sqlite));
    let mut secrets = Vec::new();
    for key in KEYS {
        let (id, _) = scene.credential(key, &json!({ "code_access": "readable" }));
        let secret = scene.server.evidence.canary(&format!("{key}-2"));
        let value = json!({ "fields": { "value": secret } });
        scene.server.api("PUT", &format!("/credentials/{id}/value"), &value).expect(200);
        secrets.push(secret);
        let (workflow, _) = scene.caller(key, &scene.echo.url("ok/x"));
        let list = json!({ "enabled": key == "ALPHA", "keys": KEYS });
        scene.server.api("PUT", &format!("/workflows/{workflow}/allowlist"), &list).expect(200);
        let body = json!({ "name": key, "scopes": ["read"], "expires_at": "2099-01-01T00:00:00Z" });
        unkept(&scene, "/api/v1/workspaces/default/tokens", &body);
    }
    invite_and_share(&scene);
    assert!(scene.server.stop());
    copy_folder(&scene.server.data, data);
    secrets
}

/// A session, an invitation, a machine, and shares with it and with all.
fn invite_and_share(scene: &Scene) {
    let invited = json!({ "email": "mallory@example.com", "role": "viewer" });
    unkept(scene, "/api/v1/workspaces/default/invitations", &invited);
    let password = std::fs::read_to_string(scene.server.private().join("password")).unwrap();
    let signing_in = json!({ "email": "alice@example.com", "password": password.trim() });
    unkept(scene, "/api/v1/sessions", &signing_in);
    let machine = json!({ "kind": "service", "name": "Machine", "role": "editor" });
    let machine = scene.server.post("/members", &machine).expect(201)["id"].clone();
    let list = scene.server.get("/credentials").expect(200);
    for (credential, sharee) in
        list["items"].as_array().unwrap().iter().zip(["all", machine.as_str().unwrap()])
    {
        let path = format!("/credentials/{}/shares/{sharee}", credential["id"].as_str().unwrap());
        scene.server.api("PUT", &path, &json!({ "level": "use" })).expect(200);
    }
}

/// A POST as the owner whose answer holds a token, and so is no evidence.
fn unkept(scene: &Scene, path: &str, body: &serde_json::Value) {
    let authorization = format!("Bearer {}", scene.server.token);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let body = body.to_string();
    scene.server.send_unkept("POST", path, &headers, body.as_bytes()).expect(201);
}

async fn unlock(data: &Path) -> Vault {
    let store = Store::open(&Target::Sqlite(database(data))).unwrap();
    let clock = Clock::new(|| Timestamp::from_millis(1_800_000_000_000));
    let egress = Client::new(Options::default()).unwrap();
    let key = data.join("keys/root.key");
    Vault::unlock(store, egress, clock, &key, &data.join("db")).await.unwrap()
}

/// Looks at every granting row by what leads to it, and opens every credential.
struct Watcher<'a> {
    vault: &'a Vault,
    workspace: WorkspaceId,
    credentials: Vec<CredentialId>,
    members: Vec<MemberId>,
    workflows: Vec<WorkflowId>,
    accounts: Vec<AccountId>,
    tokens: Vec<[u8; 32]>,
    hooks: Vec<[u8; 32]>,
    sessions: Vec<[u8; 32]>,
    invitations: Vec<[u8; 32]>,
    secrets: Vec<String>,
}

impl<'a> Watcher<'a> {
    fn new(vault: &'a Vault, hand: &Hand, secrets: Vec<String>) -> Self {
        Self {
            vault,
            workspace: hand.texts("SELECT id FROM workspaces").remove(0).parse().unwrap(),
            credentials: parsed(&hand.texts("SELECT id FROM credentials")),
            members: parsed(&hand.texts("SELECT id FROM members")),
            workflows: parsed(&hand.texts("SELECT id FROM workflows")),
            accounts: parsed(&hand.texts("SELECT id FROM accounts")),
            tokens: hand.hashes("SELECT hash FROM tokens"),
            hooks: hand.hashes("SELECT trigger_hash FROM workflows"),
            sessions: hand.hashes("SELECT hash FROM sessions"),
            invitations: hand.hashes("SELECT hash FROM invitations"),
            secrets,
        }
    }

    /// What is accepted, by name. What is refused is not in it.
    async fn look(&self) -> BTreeMap<String, String> {
        let mut seen = BTreeMap::new();
        let workspace = self.workspace;
        let store = self.vault.store();
        for &id in &self.credentials {
            let row = store.read(move |tx| tx.credential(workspace, id)).await;
            self.note(&mut seen, format!("credential {id}"), row).await;
        }
        for &id in &self.members {
            let row = store.read(move |tx| tx.member(workspace, id)).await;
            self.note(&mut seen, format!("member {id}"), row).await;
        }
        for &id in &self.workflows {
            let row = store.read(move |tx| tx.workflow(workspace, id)).await;
            self.note(&mut seen, format!("workflow {id}"), row).await;
            let row = store.read(move |tx| tx.workflow_version(workspace, id, 1)).await;
            self.note(&mut seen, format!("version 1 of {id}"), row).await;
            let row = store.read(move |tx| tx.allowlist(workspace, id)).await;
            self.note(&mut seen, format!("allowlist of {id}"), row).await;
        }
        for (number, &hash) in self.tokens.iter().enumerate() {
            let row = store.read(move |tx| tx.token_by_hash(&hash)).await;
            let row = row.map(|row| row.filter(|row| row.parts().0.hash == hash));
            self.note(&mut seen, format!("token {number}"), row).await;
        }
        for (number, &hash) in self.hooks.iter().enumerate() {
            let row = store.read(move |tx| tx.workflow_by_hook(&hash)).await;
            let row = row.map(|row| row.filter(|row| row.parts().0.trigger_hash == hash));
            self.note(&mut seen, format!("hook {number}"), row).await;
        }
        self.look_at_people(&mut seen).await;
        self.open_all(&mut seen).await;
        seen
    }

    /// Settings, shares, accounts, sessions and invitations.
    async fn look_at_people(&self, seen: &mut BTreeMap<String, String>) {
        let (workspace, store) = (self.workspace, self.vault.store());
        let settings = store.read(move |tx| tx.settings(workspace)).await;
        self.note(seen, "settings".into(), settings).await;
        let credentials = self.credentials.clone();
        let shares = store.read(move |tx| tx.shares(workspace, &credentials)).await;
        for share in shares.unwrap_or_default() {
            let name = format!("share of {}", share.parts().0.credential);
            self.note(seen, name, Ok(Some(share))).await;
        }
        for (number, &hash) in self.invitations.iter().enumerate() {
            let row = store.read(move |tx| tx.invitation_by_hash(&hash)).await;
            let row = row.map(|row| row.filter(|row| row.parts().0.hash == hash));
            self.note(seen, format!("invitation {number}"), row).await;
        }
        for &id in &self.accounts {
            let row = store.read(move |tx| tx.account(id)).await;
            self.note_server(seen, format!("account {id}"), row);
        }
        for (number, &hash) in self.sessions.iter().enumerate() {
            let row = store.read(move |tx| tx.session_by_hash(&hash)).await;
            let row = row.map(|row| row.filter(|row| row.parts().0.hash == hash));
            self.note_server(seen, format!("session {number}"), row);
        }
    }

    fn note_server<T: Granting + Debug>(
        &self,
        seen: &mut BTreeMap<String, String>,
        name: String,
        row: Result<Option<Tagged<T>>, StoreError>,
    ) {
        let Ok(Some(row)) = row else { return };
        if let Ok(row) = self.vault.verify_server(row) {
            seen.insert(name, format!("{row:?}"));
        }
    }

    async fn note<T: Granting + Debug>(
        &self,
        seen: &mut BTreeMap<String, String>,
        name: String,
        row: Result<Option<Tagged<T>>, StoreError>,
    ) {
        let Ok(Some(row)) = row else { return };
        if let Ok(row) = self.vault.verify(self.workspace, row).await {
            seen.insert(name, format!("{row:?}"));
        }
    }

    /// Asks for every value as a code step of the last workflow would.
    async fn open_all(&self, seen: &mut BTreeMap<String, String>) {
        let context = StepContext {
            workspace: self.workspace,
            workflow: *self.workflows.last().unwrap(),
            run: fresh_id::<RunId>(Timestamp::from_millis(1_800_000_000_000)),
            step: "s".to_owned(),
            starter: Actor { kind: ActorKind::Trigger, id: String::new(), name: String::new() },
        };
        let standing = Standing {
            starter_may_run: true,
            owner: None,
            author: Some(fresh_id(Timestamp::default())),
        };
        let Ok(run) = self.vault.run(&context, standing).await else { return };
        let Ok(step) = run.step(context, &KEYS.map(str::to_owned)).await else { return };
        for key in KEYS {
            let Ok(value) = step.expose(key, None).await else { continue };
            let value = value.into_frame();
            let which = self.secrets.iter().position(|secret| *secret == *value);
            seen.insert(format!("value of {key}"), format!("{which:?}"));
        }
    }
}

fn parsed<T: std::str::FromStr>(texts: &[String]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap_or_else(|_| panic!("{text}"))).collect()
}

/// The foreign hand: a connection of its own, and a copy of every table to put back.
struct Hand(Connection);

impl Hand {
    fn new(data: &Path) -> Self {
        let connection = Connection::open(database(data)).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        for table in TABLES {
            let sql = format!("CREATE TEMP TABLE kept_{table} AS SELECT * FROM main.{table}");
            connection.execute(&sql, []).unwrap();
        }
        Self(connection)
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        let mut statement = self.0.prepare(&format!("{sql} ORDER BY id")).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn hashes(&self, sql: &str) -> Vec<[u8; 32]> {
        let mut statement = self.0.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Makes one random edit and says which; `None` where the database itself refused it.
    fn edit(&self, random: &mut Random) -> Option<String> {
        let table = *random.pick(&TABLES);
        let rows: Vec<i64> = self.column(&format!("SELECT rowid FROM {table}"));
        let (row, other) = (*random.pick(&rows), *random.pick(&rows));
        if random.below(25) == 0 {
            self.0.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [row]).unwrap();
            return Some(format!("{table} {row} deleted"));
        }
        let columns: Vec<String> =
            self.column(&format!("SELECT name FROM pragma_table_info('{table}')"));
        let column = random.pick(&columns);
        let read = |row: i64| {
            let sql = format!("SELECT {column} FROM {table} WHERE rowid = ?1");
            self.0.query_row(&sql, [row], |row| row.get::<_, Cell>(0)).unwrap()
        };
        let (cell, foreign) = (read(row), read(other));
        let changed = if random.below(4) == 0 { foreign } else { bend(cell.clone(), random) };
        if changed == cell {
            return None;
        }
        let sql = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2");
        let written = self.0.execute(&sql, params_from_iter([changed.clone(), Cell::Integer(row)]));
        written.is_ok().then(|| format!("{table}.{column} of {row}: {cell:?} to {changed:?}"))
    }

    fn column<T: rusqlite::types::FromSql>(&self, sql: &str) -> Vec<T> {
        let mut statement = self.0.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn put_back(&self) {
        let statements = TABLES.map(|table| {
            format!(
                "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM kept_{table};"
            )
        });
        self.0.execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", statements.concat())).unwrap();
    }
}

/// A cell of the same type with something changed.
fn bend(cell: Cell, random: &mut Random) -> Cell {
    match cell {
        Cell::Text(text) => {
            let bytes = bend_bytes(text.into_bytes(), random, |byte| (byte ^ 1) & 0x7f);
            Cell::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        Cell::Blob(bytes) => {
            let bit = 1 << random.below(8);
            Cell::Blob(bend_bytes(bytes, random, |byte| byte ^ bit))
        }
        Cell::Integer(number) => Cell::Integer(match random.below(5) {
            0 => 0,
            1 => number.wrapping_sub(1),
            2 => i64::from_ne_bytes(random.next().to_ne_bytes()),
            3 => return Cell::Null,
            _ => number.wrapping_add(1),
        }),
        Cell::Null => Cell::Integer(i64::from(random.below(2) == 0)),
        Cell::Real(number) => Cell::Real(number + 1.0),
    }
}

fn bend_bytes(mut bytes: Vec<u8>, random: &mut Random, flip: impl Fn(u8) -> u8) -> Vec<u8> {
    match random.below(6) {
        0 => drop(bytes.pop()),
        1 => bytes.push(b'1'),
        2 => bytes.clear(),
        _ if bytes.is_empty() => bytes.push(b'x'),
        _ => {
            let at = random.below(bytes.len());
            bytes[at] = flip(bytes[at]);
        }
    }
    bytes
}

/// Xorshift: enough to spread edits.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
