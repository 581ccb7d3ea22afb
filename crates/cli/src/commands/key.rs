//! `keyward key`: what the root key is called, whether it is the database's, how the workspaces' keys
//! stand, and replacing them.

mod rotate;

pub(crate) use rotate::run as rotate;

use crate::config::Config;
use crate::{home, logging};
use keyward_model::tenant::{KeyState, Workspace, WorkspaceKey};
use keyward_store::{KeyRotation, Page, Store};
use keyward_vault::{RootKey, read_identity, root_key_waits};
use serde_json::{Value, json};

const WORKSPACES: u32 = 200;

/// How one workspace's keys stand.
struct Standing {
    workspace: Workspace,
    keys: Vec<WorkspaceKey>,
    /// How many records lie under older generations, by what they are.
    left: Vec<(&'static str, i64)>,
    rotation: Option<KeyRotation>,
}

/// Prints both fingerprints and the workspaces' keys; fails where the fingerprints differ. Opens
/// nothing.
pub(crate) async fn status(config: &Config) -> anyhow::Result<()> {
    let directory = home::database_directory(config);
    let found = RootKey::read(&config.root_key_file, &directory)?.map(|key| key.fingerprint());
    let (mut expected, mut standings) = (None, Vec::new());
    if super::has_database(config) {
        let store = home::open_store(config)?;
        expected = read_identity(&store).await?.map(|(_, fingerprint)| fingerprint);
        standings = read_standings(&store).await?;
        store.close().await;
    }
    let shown = |name: Option<&String>| name.cloned().unwrap_or_else(|| "none".into());
    let waits = |expected: &String| root_key_waits(&config.root_key_file, &directory, expected);
    let verdict = match (&found, &expected) {
        (Some(found), Some(expected)) if found == expected => Some("the key opens this database"),
        (_, None) => Some("the database is new: the first start adopts the key, or makes one"),
        (_, Some(expected)) if waits(expected) => {
            Some("a change of the root key was cut off: the next start finishes it")
        }
        _ => None,
    };
    if config.json {
        let workspaces: Vec<Value> = standings.iter().map(Standing::json).collect();
        let status = json!({
            "ok": verdict.is_some(), "key_file": config.root_key_file.display().to_string(),
            "key": found, "database_by": expected, "workspaces": workspaces,
        });
        logging::print(&format!("{status:#}"));
    } else {
        logging::print(&format!("key file      {}", config.root_key_file.display()));
        logging::print(&format!("key           {}", shown(found.as_ref())));
        logging::print(&format!("database by   {}", shown(expected.as_ref())));
        standings.iter().for_each(|standing| logging::print(&standing.line()));
        verdict.into_iter().for_each(logging::print);
    }
    match verdict {
        Some(_) => Ok(()),
        None => anyhow::bail!(
            "the key does not open this database: expected {}, found {}",
            shown(expected.as_ref()),
            shown(found.as_ref())
        ),
    }
}

async fn read_standings(store: &Store) -> anyhow::Result<Vec<Standing>> {
    let mut standings = Vec::new();
    for workspace in workspaces(store).await? {
        let id = workspace.id;
        let read = store.read(move |tx| {
            let keys = tx.workspace_keys(id)?;
            let active = keys.iter().rev().find(|key| key.state == KeyState::Active);
            let left = match active.map(|key| key.id) {
                Some(active) => tx.count_under_others(id, active)?,
                None => Vec::new(),
            };
            Ok((keys, left, tx.key_rotation(id)?))
        });
        let (keys, left, rotation) = read.await?;
        standings.push(Standing { workspace, keys, left, rotation });
    }
    Ok(standings)
}

/// Every workspace, oldest first.
async fn workspaces(store: &Store) -> anyhow::Result<Vec<Workspace>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit: WORKSPACES, after };
        let found = store.read(move |tx| tx.workspaces(&page)).await?;
        all.extend(found.items);
        after = found.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

impl Standing {
    fn json(&self) -> Value {
        let key = |key: &WorkspaceKey| {
            json!({
                "generation": key.generation, "state": key.state.as_str(),
                "created_at": key.created_at.to_string(),
            })
        };
        let left: serde_json::Map<String, Value> =
            self.left.iter().map(|(what, count)| ((*what).to_owned(), json!(count))).collect();
        let rotation = self.rotation.as_ref().map(|rotation| {
            json!({
                "generation": rotation.generation, "phase": rotation.phase.as_str(),
                "rewrapped": rotation.rewrapped, "total": rotation.total,
                "unreadable": rotation.unreadable,
                "begun_at": rotation.begun_at.to_string(),
                "updated_at": rotation.updated_at.to_string(),
            })
        });
        json!({
            "id": self.workspace.id, "slug": self.workspace.slug,
            "generations": self.keys.iter().map(key).collect::<Vec<_>>(),
            "under_older_generations": left, "rotation": rotation,
        })
    }

    fn line(&self) -> String {
        let key = |key: &WorkspaceKey| format!("{} {}", key.generation, key.state.as_str());
        let keys: Vec<_> = self.keys.iter().map(key).collect();
        let left: i64 = self.left.iter().map(|(_, count)| count).sum();
        let slug = &self.workspace.slug;
        let mut line = format!("workspace     {slug}: generations {}", keys.join(", "));
        if left > 0 {
            line += &format!("; {left} records under older generations");
        }
        if let Some(rotation) = &self.rotation {
            line += &format!("; {}", rotate::progress(rotation));
        }
        line
    }
}
