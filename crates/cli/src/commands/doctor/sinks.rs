//! Audit sinks: whether they are set up as they should be, and how far behind they are.

use super::Finding;
use crate::config::Config;
use crate::sinks::{Configured, Pending, Sinks};
use keyward_vault::Vault;

const CHECK: &str = "audit sinks";

/// One finding for each sink; none where no sink is configured.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    if config.audit_sink.is_empty() || !super::super::has_database(config) {
        return Vec::new();
    }
    // What keeps the vault shut is told by the checks of key and database.
    let Ok(vault) = super::super::open_existing(config).await else { return Vec::new() };
    let found = match Sinks::configure(config, &vault) {
        Ok(sinks) => {
            let mut found = Vec::new();
            for sink in sinks.all() {
                found.push(finding(sink, &vault).await);
            }
            found
        }
        Err(error) => vec![Finding::fix(CHECK, format!("{error:#}"))],
    };
    vault.store().close().await;
    found
}

async fn finding(sink: &Configured, vault: &Vault) -> Finding {
    let name = format!("sink {} ({})", sink.place, sink.kind());
    let key = sink.name.clone();
    let failing = vault.store().read(move |tx| tx.audit_sink_failing(&key)).await;
    let looked = (Pending::look(vault, &sink.name).await, failing);
    let (Ok(pending), Ok(failing)) = looked else {
        return Finding::fix(CHECK, format!("{name}: how far it is cannot be read"));
    };
    let waiting = pending.waiting;
    let Some(oldest) = pending.oldest.filter(|_| waiting > 0) else {
        return Finding::fine(CHECK, format!("{name} has taken every record"));
    };
    let mut detail = format!("{name} has yet to take {waiting} records, the oldest of {oldest}");
    match failing {
        Some(since) => detail.push_str(&format!(
            "; attempts fail since {since}: check that it runs and that its URL is right{}",
            if sink.required { ". It is required, so no value is released" } else { "" },
        )),
        None => return Finding::note(CHECK, detail),
    }
    match sink.required {
        true => Finding::fix(CHECK, detail),
        false => Finding::note(CHECK, detail),
    }
}
