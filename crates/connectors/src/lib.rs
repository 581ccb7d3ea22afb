//! The apps that come with Keyward: one manifest a file in `apps/`, no behaviour.

use keyward_model::catalogue::{App, Catalogue, ManifestFault};
use std::sync::Arc;

macro_rules! apps {
    ($($name:literal,)*) => {
        /// Each app's id and the text of its manifest, by id.
        pub const MANIFESTS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../apps/", $name, ".yaml"))),)*];
    };
}

apps! {
    "airtable",
    "anthropic",
    "aws_secrets_manager",
    "discord",
    "discord_webhook",
    "github",
    "gitlab",
    "gmail",
    "google_sheets",
    "hubspot",
    "jira",
    "mysql",
    "nango",
    "notion",
    "openai",
    "pipedrive",
    "postgres",
    "s3",
    "salesforce",
    "sendgrid",
    "slack",
    "smtp",
    "sqlite",
    "stripe",
    "telegram",
    "twilio",
    "vault",
}

/// All of them, checked.
///
/// # Errors
/// The first manifest that breaks a rule, by its id: a mistake of ours, which a test finds.
pub fn built_in() -> Result<Catalogue, (&'static str, Vec<ManifestFault>)> {
    let read = |(id, text): &(&'static str, &'static str)| {
        App::parse(text).map(Arc::new).map_err(|faults| (*id, faults))
    };
    Ok(Catalogue::new(MANIFESTS.iter().map(read).collect::<Result<Vec<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_keeps_the_rules() {
        let read = built_in();
        let faults = read.as_ref().err().map(|(id, faults)| {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("{id}: {}", told.join("; "))
        });
        assert_eq!(faults, None);
        for (id, _) in MANIFESTS {
            let app = read.as_ref().expect("checked").get(id);
            assert!(app.is_some_and(|app| app.id() == *id), "{id} is named otherwise inside");
        }
    }

    #[test]
    fn every_file_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/apps");
        let files = std::fs::read_dir(folder).expect("the folder").map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.to_string_lossy().trim_end_matches(".yaml").to_owned()
        });
        let mut files: Vec<String> = files.collect();
        files.sort();
        let listed: Vec<&str> = MANIFESTS.iter().map(|(id, _)| *id).collect();
        assert_eq!(files, listed);
    }
}
