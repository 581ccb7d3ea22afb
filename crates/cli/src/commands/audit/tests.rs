//! An installation whose database and exports are tampered with.

use super::*;
use crate::config::Cli;
use clap::Parser as _;
use keyward_api::{NewOwner, create_owner};
use keyward_vault::Anchor;
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
        let owner =
            NewOwner { email: "a@example.com".into(), workspace: "default".into(), password: None };
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
        let done = run(&self.config, Audit::Verify { file, credential: None }).await;
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
    assert!(sound.len() >= 5, "{sound:#?}");
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
    check("a field", &|all| replace(all, 2, "allowed", "refused"), Some("record 2 of")).await;
    check("a word", &|all| replace(all, 2, "allowed", "granted"), Some("was altered")).await;
    check("a line gone", &|all| drop(all.remove(2)), Some("is missing")).await;
    check("two lines", &|all| all.swap(1, 2), Some("was reordered")).await;
    check("the last record", &|all| drop(all.remove(last - 1)), Some("was cut off")).await;
    check("the end", &|all| drop(all.pop()), Some("the file was cut off")).await;
    check("after the end", &|all| all.push(all[1].clone()), Some("follows the end")).await;
    check("no record", &|all| all.insert(1, "{}".into()), Some("line 2 is not")).await;
    check("no header", &|all| drop(all.remove(0)), Some("line 1 is not the header")).await;
    check("two headers", &|all| all.insert(1, all[0].clone()), Some("line 2 is not")).await;
    let number = |all: &mut Vec<String>| replace(all, last, "\"number\":", "\"number\":1");
    check("the end's heads", &number, Some("last line was altered")).await;
    let count = |all: &mut Vec<String>| replace(all, last, "\"records\":", "\"records\":1");
    check("the end's count", &count, Some("last line was altered")).await;
    let wrapped = |all: &mut Vec<String>| replace(all, 0, "\"wrapped\":\"", "\"wrapped\":\"AAAA");
    check("a key", &wrapped, Some("keys do not open")).await;
    let other = Installation::new().await.export("other").await;
    check("another installation's", &|all| *all = other.clone(), Some("need the root key")).await;
    let first = |all: &mut Vec<String>| all.insert(1, other[1].clone());
    check("another installation's record", &first, Some("was altered")).await;

    // Beside the root key nothing of the installation is needed.
    let path = installation.path("sound");
    fs::remove_dir_all(home::database_directory(&installation.config)).unwrap();
    fs::remove_file(home::anchor_file(&installation.config)).unwrap();
    assert_eq!(installation.verify(Some(path.clone())).await, Ok(()));
    fs::remove_file(&installation.config.root_key_file).unwrap();
    let error = installation.verify(Some(path)).await.unwrap_err();
    assert!(error.contains("root key is missing"), "{error}");
}

#[tokio::test]
async fn an_export_holds_no_key_that_opens_without_the_root_key() {
    let installation = Installation::new().await;
    let sound = installation.export("sound").await;
    let header: serde_json::Value = serde_json::from_str(&sound[0]).unwrap();
    let key = &header["keys"][0];
    // 1 for the form, 16 of a key's name, 12 of nonce, 32 of key, 16 of tag: a sealed record.
    let wrapped = key["wrapped"].as_str().unwrap();
    assert_eq!(data_encoding::BASE64.decode(wrapped.as_bytes()).unwrap().len(), 77);
    assert!(sound.iter().all(|line| line.is_ascii()), "{sound:#?}");
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
