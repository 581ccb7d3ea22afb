//! A large trail: verified whole, in the database and as a file, without being held in memory.

use crate::server::{Backend, Server};
use keyward_egress::{Client, Options};
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::id::CredentialId;
use keyward_store::{Audited, Page, Store, Target};
use keyward_vault::{Vault, fresh_id};
use std::fs;
use std::process::Stdio;

const RECORDS: usize = 100_000;
/// Events in one commit.
const GROUP: usize = 1000;
/// What a check of many records may need beyond one of few: far less than they are.
const MORE_KIB: u64 = 24 * 1024;

#[test]
fn a_hundred_thousand_records_are_verified_in_little_memory() {
    let mut server = Server::start("audit-large", Backend::Sqlite);
    assert!(server.stop());
    let few = peak(&server, &["audit", "verify"]);
    fill(&server);
    let many = peak(&server, &["audit", "verify"]);
    assert!(many.1.contains(&format!("{}", RECORDS / 1000)), "{}", many.1);
    let file = server.private().join("large.jsonl");
    let path = file.to_str().unwrap();
    let exported = peak(&server, &["audit", "export", path]);
    let of_file = peak(&server, &["audit", "verify", path]);
    let size = fs::metadata(&file).unwrap().len() / 1024;
    assert!(size > 2 * MORE_KIB, "the trail is larger than what may be needed: {size} KiB");
    for (name, (peak, said)) in [("database", many), ("export", exported), ("file", of_file)] {
        assert!(peak < few.0 + MORE_KIB, "{name}: {peak} KiB, few need {}: {said}", few.0);
    }
}

/// Runs a command to its end; gives the most memory that it had, in KiB, and what it printed.
fn peak(server: &Server, arguments: &[&str]) -> (u64, String) {
    let mut command = server.command(arguments);
    command.env("KEYWARD_LOG", "info").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let found = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        most = most.max(found.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    (most, String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::main]
async fn fill(server: &Server) {
    let target = Target::Sqlite(server.data.join("db/keyward.sqlite"));
    let store = Store::open(&target).unwrap();
    let clock = Clock::new(|| Timestamp::parse("2026-11-01T00:00:00Z").unwrap());
    let egress = Client::new(Options::default()).unwrap();
    let (key, database) = (server.data.join("keys/root.key"), server.data.join("db"));
    let vault = Vault::unlock(store.clone(), egress, clock, &key, &database).await.unwrap();
    let workspaces = store.read(|tx| tx.workspaces(&Page::first(1))).await.unwrap();
    let workspace = workspaces.items[0].id;
    vault.load(workspace).await.unwrap();
    let credentials: Vec<CredentialId> = (0..100).map(|_| vault.fresh()).collect();
    for group in 0..RECORDS / GROUP {
        let events: Vec<Event> = (0..GROUP)
            .map(|place| {
                let (id, now) = (fresh_id(vault.now()), vault.now());
                let action = Action::CredentialUsed;
                let mut event = Event::new(id, workspace, now, Actor::system(), action);
                event.credential = Some(credentials[place % credentials.len()]);
                event.key = Some("SOME_KEY_OF_USUAL_LENGTH".into());
                event.destination = Some(format!("https://api-{group}.example.com:443"));
                event
            })
            .collect();
        let write = move |_: &mut keyward_store::Tx<'_>| Ok(Audited::new((), events.clone()));
        store.write(write).await.unwrap();
    }
    store.close().await;
}
