//! `keyward key`: what the root key is called, and whether it is the database's.

use crate::config::Config;
use crate::{home, logging};
use keyward_vault::{RootKey, read_identity};

/// Prints both fingerprints; fails where they differ. Opens nothing.
pub(crate) async fn status(config: &Config) -> anyhow::Result<()> {
    let directory = home::database_directory(config);
    let found = RootKey::read(&config.root_key_file, &directory)?.map(|key| key.fingerprint());
    let expected = match super::has_database(config) {
        true => {
            read_identity(&home::open_store(config)?).await?.map(|(_, fingerprint)| fingerprint)
        }
        false => None,
    };
    let shown = |name: Option<&String>| name.cloned().unwrap_or_else(|| "none".into());
    let verdict = match (&found, &expected) {
        (Some(found), Some(expected)) if found == expected => Some("the key opens this database"),
        (_, None) => Some("the database is new: the first start adopts the key, or makes one"),
        _ => None,
    };
    if config.json {
        logging::print(&format!(
            "{:#}",
            serde_json::json!({
                "ok": verdict.is_some(), "key_file": config.root_key_file.display().to_string(),
                "key": found, "database_by": expected,
            })
        ));
    } else {
        logging::print(&format!("key file      {}", config.root_key_file.display()));
        logging::print(&format!("key           {}", shown(found.as_ref())));
        logging::print(&format!("database by   {}", shown(expected.as_ref())));
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
