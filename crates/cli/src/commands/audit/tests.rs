//! An installation whose database and exports are tampered with.

use super::*;
use crate::config::Cli;
use clap::Parser as _;
use keyward_api::{NewOwner, create_owner};
use std::path::PathBuf;

struct Installation {
    directory: tempfile::TempDir,
    config: Config,
}

impl Installation {
    /// With an owner, and so with a few records.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let arguments = ["keyward", "--data-dir", data.to_str().unwrap(), "version"];
        let config = Cli::parse_from(arguments).options.resolve().unwrap();
        let made = Self { directory, config };
        let vault = super::super::open(&made.config).await.unwrap();
        let owner = NewOwner {
            email: "a@example.com".into(),
            workspace: "default".into(),
            password_hash: String::new(),
        };
        create_owner(&vault, owner).await.unwrap();
        made.anchor(&vault).await;
        vault.store().close().await;
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn anchor(&self, vault: &Vault) {
        let path = home::anchor_file(&self.config);
        let anchor = Anchor::check(&path, vault.clone()).await.unwrap();
        anchor.write(vault.store().heads()).unwrap();
    }

    async fn verify(&self, file: Option<PathBuf>) -> Result<(), String> {
        let done = run(&self.config, Audit::Verify { file }).await;
        done.map_err(|error| format!("{error:#}"))
    }

    async fn export(&self, name: &str) -> Vec<String> {
        let file = self.path(name);
        run(&self.config, Audit::Export { file: Some(file.clone()) }).await.unwrap();
        fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn an_export_holds_until_it_is_changed() {
    let installation = Installation::new().await;
    assert_eq!(installation.verify(None).await, Ok(()));
    let sound = installation.export("sound").await;
    assert!(sound.len() >= 4, "{sound:#?}");
    let check = async |name: &str, tamper: &dyn Fn(&mut Vec<String>), expected: Option<&str>| {
        let mut lines = sound.clone();
        tamper(&mut lines);
        let path = installation.path("changed");
        fs::write(&path, lines.join("\n")).unwrap();
        match (installation.verify(Some(path)).await, expected) {
            (Ok(()), None) => {}
            (Err(error), Some(expected)) => assert!(error.contains(expected), "{name}: {error}"),
            (found, expected) => panic!("{name}: {found:?}, expected {expected:?}"),
        }
    };
    let replace = |lines: &mut Vec<String>, at: usize, from: &str, to: &str| {
        assert!(lines[at].contains(from), "{}", lines[at]);
        lines[at] = lines[at].replacen(from, to, 1);
    };
    let last = sound.len() - 1;
    check("nothing", &|_| {}, None).await;
    check("an empty line", &|all| all.insert(1, String::new()), None).await;
    check("a field", &|all| replace(all, 1, "allowed", "refused"), Some("record 2 of")).await;
    check("a word", &|all| replace(all, 1, "allowed", "granted"), Some("was altered")).await;
    check("a line gone", &|all| drop(all.remove(1)), Some("is missing")).await;
    check("two lines", &|all| all.swap(0, 1), Some("was reordered")).await;
    check("the last record", &|all| drop(all.remove(last - 1)), Some("was cut off")).await;
    check("the end", &|all| drop(all.pop()), Some("the file was cut off")).await;
    check("after the end", &|all| all.push(all[0].clone()), Some("follows the end")).await;
    check("no record", &|all| all.insert(0, "{}".into()), Some("line 1 is not")).await;
    let number = |all: &mut Vec<String>| replace(all, last, "\"number\":", "\"number\":1");
    check("the end's heads", &number, Some("last line was altered")).await;
    let other = Installation::new().await.export("other").await;
    check("another installation's", &|all| *all = other.clone(), Some("another installation"))
        .await;
    let first = |all: &mut Vec<String>| all.insert(0, other[0].clone());
    check("another installation's record", &first, Some("was altered")).await;
}

#[tokio::test]
async fn an_older_database_lacks_what_the_anchor_names() {
    let installation = Installation::new().await;
    let database = home::database_directory(&installation.config).join("keyward.sqlite");
    let kept = installation.path("kept");
    fs::copy(&database, &kept).unwrap();
    let vault = super::super::open(&installation.config).await.unwrap();
    let workspace = Trail::open(&vault).await.unwrap().streams()[0].0;
    vault.load(workspace).await.unwrap();
    let event = keyward_model::audit::Event::new(
        vault.fresh(),
        workspace,
        vault.now(),
        keyward_model::actor::Actor::system(),
        keyward_model::audit::Action::RunStarted,
    );
    let write = move |_: &mut keyward_store::Tx<'_>| {
        Ok(keyward_store::Audited::new((), vec![event.clone()]))
    };
    vault.store().write(write).await.unwrap();
    installation.anchor(&vault).await;
    vault.store().close().await;
    assert_eq!(installation.verify(None).await, Ok(()));

    fs::copy(&kept, &database).unwrap();
    let error = installation.verify(None).await.unwrap_err();
    assert!(error.contains("record 1 of") && error.contains("was cut off"), "{error}");

    let anchor = home::anchor_file(&installation.config);
    let text = fs::read_to_string(&anchor).unwrap();
    fs::write(&anchor, text.replacen("\"number\": 1", "\"number\": 2", 1)).unwrap();
    let error = installation.verify(None).await.unwrap_err();
    assert!(error.contains("was altered"), "{error}");
}
