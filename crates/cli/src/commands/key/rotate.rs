//! `keyward key rotate`: a new root key, and new keys for the workspaces, while servers go on. What was
//! cut off is taken up where it stood.

use super::workspaces;
use crate::commands::open_existing;
use crate::config::{Config, Rotate};
use crate::logging;
use anyhow::Context as _;
use keyward_model::actor::Actor;
use keyward_model::tenant::Workspace;
use keyward_store::{KeyRotation, RotationPhase};
use keyward_vault::{RootRotated, Vault};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long servers may take to load new keys before the command gives up, to be taken up again.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(200);
/// How long servers have to finish what they began under an old key before it is destroyed.
const GRACE: Duration = Duration::from_secs(10);
/// How often progress is told.
const TELL: Duration = Duration::from_secs(1);

/// Replaces what was asked for.
pub(crate) async fn run(config: &Config, options: Rotate) -> anyhow::Result<()> {
    let vault = open_existing(config).await?;
    let rotation = Rotation { vault: &vault, json: config.json, actor: Actor::system() };
    let done = rotation.run(&options).await;
    vault.store().close().await;
    let done = done?;
    if config.json {
        logging::print(&format!("{done:#}"));
    }
    Ok(())
}

struct Rotation<'a> {
    vault: &'a Vault,
    json: bool,
    actor: Actor,
}

/// One workspace's part.
struct Part {
    workspace: Workspace,
    rotation: KeyRotation,
    destroyed: usize,
    /// How long rewrapping took.
    took: Duration,
}

impl Rotation<'_> {
    async fn run(&self, options: &Rotate) -> anyhow::Result<Value> {
        let one = options.workspace.is_some();
        let both = !options.root && !options.workspaces && !one;
        let (root, keys) = (options.root || both, options.workspaces || one || both);
        let elsewhere = options.new_root_key_file.as_deref();
        anyhow::ensure!(elsewhere.is_none() || root, "--new-root-key-file goes with --root");
        let mut chosen = workspaces(self.vault.store()).await?;
        if let Some(slug) = &options.workspace {
            chosen.retain(|workspace| workspace.slug == *slug);
            anyhow::ensure!(!chosen.is_empty(), "there is no workspace {slug}");
        }
        if options.destroy_old {
            return self.destroy_only(chosen).await;
        }
        let rotated = match root {
            true => Some(self.vault.rotate_root(elsewhere, &self.actor).await?),
            false => None,
        };
        if let Some(rotated) = &rotated {
            self.tell_root(rotated, elsewhere.is_some());
        }
        let parts = match keys {
            true => self.generations(chosen, options.keep_old).await?,
            false => Vec::new(),
        };
        Ok(json!({
            "root": rotated.map(|r| json!({
                "before": r.before, "after": r.after, "file": r.path.display().to_string(),
                "workspace_keys": r.keys,
            })),
            "workspaces": parts.iter().map(Part::json).collect::<Vec<_>>(),
        }))
    }

    fn tell(&self, line: &str) {
        if !self.json {
            logging::print(line);
        }
    }

    fn tell_root(&self, rotated: &RootRotated, elsewhere: bool) {
        let RootRotated { before, after, path, keys } = rotated;
        self.tell(&format!("root key      {before} -> {after} ({keys} workspace keys)"));
        let path = path.display();
        self.tell(&match elsewhere {
            true => format!("the new key is in {path}: put it where servers read theirs, now"),
            false => format!("{path} holds the new key; the old one is gone from there"),
        });
        self.tell(&format!("backups and exports made before still need the key {before}"));
    }

    async fn generations(
        &self,
        chosen: Vec<Workspace>,
        keep_old: bool,
    ) -> anyhow::Result<Vec<Part>> {
        let mut parts = Vec::with_capacity(chosen.len());
        for workspace in chosen {
            let rotation = self.vault.prepare_generation(workspace.id, &self.actor).await?;
            let (slug, state) = (&workspace.slug, progress(&rotation));
            self.tell(&format!("workspace {slug}: generation {}, {state}", rotation.generation));
            parts.push(Part { workspace, rotation, destroyed: 0, took: Duration::ZERO });
        }
        self.wait_for_servers().await?;
        for part in &mut parts {
            let prepared = part.rotation.clone();
            part.rotation = self.vault.activate_generation(prepared, &self.actor).await?;
        }
        self.wait_for_servers().await?;
        for part in &mut parts {
            self.rewrap(part).await?;
        }
        if keep_old {
            self.tell("the old generations are kept: `keyward key rotate --destroy-old` ends them");
            return Ok(parts);
        }
        if self.vault.live_servers().await? > 0 {
            tokio::time::sleep(GRACE).await;
        }
        for part in &mut parts {
            // What was under way on a server meanwhile.
            self.rewrap(part).await?;
            self.destroy(part).await?;
        }
        Ok(parts)
    }

    async fn rewrap(&self, part: &mut Part) -> anyhow::Result<()> {
        let slug = &part.workspace.slug;
        let begun = Instant::now();
        let mut told = begun;
        let mut report = |rotation: &KeyRotation| {
            if told.elapsed() >= TELL {
                told = Instant::now();
                self.tell(&format!("workspace {slug}: {}", progress(rotation)));
            }
        };
        let done = self.vault.rewrap(part.rotation.clone(), &mut report).await;
        part.rotation = done.with_context(|| format!("workspace {slug}"))?;
        part.took += begun.elapsed();
        Ok(())
    }

    /// Where something opens under no key the old ones are kept: perhaps somebody can repair it.
    async fn destroy(&self, part: &mut Part) -> anyhow::Result<()> {
        let Part { workspace, rotation, .. } = part;
        let (slug, unreadable) = (&workspace.slug, rotation.unreadable);
        if unreadable > 0 {
            self.tell(&format!(
                "workspace {slug}: {unreadable} records open under no generation; the old ones are kept. Repair those records, or destroy the old keys all the same with --destroy-old"
            ));
            return Ok(());
        }
        part.destroyed = self.vault.destroy_older_generations(workspace.id, &self.actor).await?;
        let count = rotation.rewrapped;
        self.tell(&format!(
            "workspace {slug}: generation {} alone opens now; {count} version keys were wrapped anew",
            rotation.generation
        ));
        Ok(())
    }

    async fn destroy_only(&self, chosen: Vec<Workspace>) -> anyhow::Result<Value> {
        let mut destroyed = Vec::with_capacity(chosen.len());
        for workspace in chosen {
            let count = self.vault.destroy_older_generations(workspace.id, &self.actor).await;
            let count = count.with_context(|| format!("workspace {}", workspace.slug))?;
            self.tell(&format!("workspace {}: {count} old generations destroyed", workspace.slug));
            destroyed.push(json!({ "workspace": workspace.slug, "destroyed": count }));
        }
        Ok(json!({ "root": null, "workspaces": destroyed }))
    }

    /// No key is used before every live server can open what lies under it.
    async fn wait_for_servers(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut told = false;
        loop {
            let behind = self.vault.servers_behind().await?;
            let Some(first) = behind.first() else { return Ok(()) };
            anyhow::ensure!(
                begun.elapsed() < PATIENCE,
                "{} servers have not loaded the new keys, {first} among them: does it have the new root key? `keyward key rotate --workspaces` goes on from here",
                behind.len()
            );
            if !told && begun.elapsed() > TELL * 3 {
                self.tell(&format!("waiting for {} servers to load the new keys", behind.len()));
                told = true;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Part {
    fn json(&self) -> Value {
        let Self { workspace, rotation, destroyed, took } = self;
        json!({
            "workspace": workspace.slug, "generation": rotation.generation,
            "rewrapped": rotation.rewrapped, "unreadable": rotation.unreadable,
            "destroyed": destroyed, "seconds": took.as_secs_f64(),
        })
    }
}

/// How far a replacement has come, in words.
pub(super) fn progress(rotation: &KeyRotation) -> String {
    let KeyRotation { generation, rewrapped, total, .. } = rotation;
    match rotation.phase {
        RotationPhase::Prepared => format!("generation {generation} is prepared"),
        RotationPhase::Rewrapping => {
            format!("generation {generation} seals; {rewrapped} of {total} version keys done")
        }
        RotationPhase::Rewrapped => {
            format!("generation {generation} seals; all is done but destroying the old ones")
        }
    }
}
