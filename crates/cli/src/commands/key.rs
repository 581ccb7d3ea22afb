//! `keyward key`: what the root key is called, and whether it is the database's.

use crate::config::Config;
use crate::{home, logging};
use keyward_vault::{RootKey, read_identity};

/// Prints both fingerprints; fails where they differ. Opens nothing.
pub(crate) async fn status(config: &Config) -> anyhow::Result<()> {
    let directory = home::database_directory(config);
    let found = RootKey::read(&config.root_key_file, &directory)?.map(|key| key.fingerprint());
    let expected = match config.database_url.is_some() || directory.join("keyward.sqlite").exists() {
        true => read_identity(&home::open_store(config)?).await?.map(|(_, fingerprint)| fingerprint),
        false => None,
    };
    let shown = |name: Option<&String>| name.cloned().unwrap_or_else(|| "none".into());
    logging::print(&format!("key file      {}", config.root_key_file.display()));
    logging::print(&format!("key           {}", shown(found.as_ref())));
    logging::print(&format!("database by   {}", shown(expected.as_ref())));
    match (&found, &expected) {
        (Some(found), Some(expected)) if found == expected => {
            logging::print("the key opens this database");
            Ok(())
        }
        (_, None) => {
            logging::print("the database is new: the first start adopts the key, or makes one");
            Ok(())
        }
        _ => anyhow::bail!(
            "the key does not open this database: expected {}, found {}",
            shown(expected.as_ref()),
            shown(found.as_ref())
        ),
    }
}
