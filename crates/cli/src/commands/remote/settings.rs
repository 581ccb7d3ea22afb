//! Which server, which token, which workspace: the environment, then what `keyward login` has kept.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The workspace that a new server has.
const DEFAULT_WORKSPACE: &str = "default";

/// What a client works with.
pub(crate) struct Settings {
    /// Scheme, host and port, and a path where the server stands behind one; no slash at its end.
    pub(crate) url: String,
    pub(crate) token: Zeroizing<String>,
    /// Id or slug.
    pub(crate) workspace: String,
}

/// `client.toml`, as `keyward login` writes it.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: Option<String>,
    token: Option<String>,
    workspace: Option<String>,
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            drop(Zeroizing::new(token));
        }
    }
}

/// The environment's values; empty ones count as absent.
#[derive(Default)]
struct Environment {
    url: Option<String>,
    token: Option<Zeroizing<String>>,
    workspace: Option<String>,
}

/// Reads environment and file.
pub(crate) fn read() -> anyhow::Result<Settings> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let environment = Environment {
        url: variable("KEYWARD_URL"),
        token: variable("KEYWARD_TOKEN").map(Zeroizing::new),
        workspace: variable("KEYWARD_WORKSPACE"),
    };
    let file = match path() {
        Ok(path) => read_file(&path)?,
        Err(_) => File::default(),
    };
    merge(environment, file)
}

/// The workspace that the environment names, or the first one's name.
pub(crate) fn workspace() -> String {
    let named = std::env::var("KEYWARD_WORKSPACE").ok().filter(|name| !name.is_empty());
    named.unwrap_or_else(|| DEFAULT_WORKSPACE.into())
}

fn merge(environment: Environment, mut file: File) -> anyhow::Result<Settings> {
    let kept_url = file.url.take().map(|url| trim(&url));
    let url = environment.url.map(|url| trim(&url)).or_else(|| kept_url.clone());
    let url =
        url.context("no server: run `keyward login`, or set KEYWARD_URL and KEYWARD_TOKEN")?;
    // A kept token is for the server that it was kept with, and goes to no other.
    let kept_token =
        file.token.take().map(Zeroizing::new).filter(|_| kept_url.as_ref() == Some(&url));
    let token = environment.token.or(kept_token);
    let token = token.context(
        "no token for the server of KEYWARD_URL: set KEYWARD_TOKEN, or run `keyward login`",
    )?;
    let workspace = environment.workspace.or_else(|| file.workspace.take());
    let workspace = workspace.unwrap_or_else(|| DEFAULT_WORKSPACE.into());
    Ok(Settings { url, token: Zeroizing::new(token.trim().to_owned()), workspace })
}

fn trim(url: &str) -> String {
    url.trim().trim_end_matches('/').to_owned()
}

/// `$XDG_CONFIG_HOME/keyward/client.toml`, or the same below `~/.config`.
pub(crate) fn path() -> anyhow::Result<PathBuf> {
    let directory =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = directory("XDG_CONFIG_HOME")
        .or_else(|| directory("HOME").map(|home| home.join(".config")))
        .context("neither XDG_CONFIG_HOME nor HOME names a directory")?;
    Ok(config.join("keyward/client.toml"))
}

fn read_file(path: &Path) -> anyhow::Result<File> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(error).with_context(|| format!("the file {}", path.display())),
    };
    // The parser's text quotes lines of the file, which hold the token.
    toml::from_str(&text).map_err(|_| {
        anyhow::anyhow!("the file {} cannot be read; run `keyward login` again", path.display())
    })
}

/// Keeps the settings, for this user alone.
pub(crate) fn write(path: &Path, settings: &Settings) -> anyhow::Result<()> {
    let shown = || format!("the file {}", path.display());
    if let Some(directory) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory).with_context(shown)?;
    }
    let file = File {
        url: Some(settings.url.clone()),
        token: Some(settings.token.to_string()),
        workspace: Some(settings.workspace.clone()),
    };
    let text = Zeroizing::new(toml::to_string(&file)?);
    let next = path.with_extension("next");
    // Made anew, so that it never has an older file's mode.
    let _ = fs::remove_file(&next);
    let mut options = fs::OpenOptions::new();
    let mut file =
        options.create_new(true).write(true).mode(0o600).open(&next).with_context(shown)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(shown)?;
    fs::rename(&next, path).with_context(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn check(
        environment: [Option<&str>; 3],
        file: [Option<&str>; 3],
        expected: Result<[&str; 3], &str>,
    ) {
        let [url, token, workspace] = environment.map(|value| value.map(str::to_owned));
        let environment = Environment { url, token: token.map(Zeroizing::new), workspace };
        let [url, token, workspace] = file.map(|value| value.map(str::to_owned));
        match (merge(environment, File { url, token, workspace }), expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!([found.url.as_str(), &found.token, &found.workspace], expected);
            }
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (found, expected) => {
                panic!("{:?}, expected {expected:?}", found.map(|found| found.url))
            }
        }
    }

    #[test]
    fn the_environment_goes_before_what_is_kept() {
        let kept = [Some("http://a:1"), Some("kept"), Some("team")];
        check([None; 3], kept, Ok(["http://a:1", "kept", "team"]));
        check([None; 3], [None; 3], Err("keyward login"));
        check([Some("http://b/"), Some("t\n"), None], [None; 3], Ok(["http://b", "t", "default"]));
        check([None, Some("other"), Some("w")], kept, Ok(["http://a:1", "other", "w"]));
    }

    #[test]
    fn a_kept_token_goes_to_its_own_server_alone() {
        let kept = [Some("http://a:1/"), Some("kept"), None];
        check([Some("http://a:1"), None, None], kept, Ok(["http://a:1", "kept", "default"]));
        check([Some("http://evil"), None, None], kept, Err("no token for the server"));
    }

    #[test]
    fn the_file_is_private_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keyward/client.toml");
        let token = Zeroizing::new("kwa_x".to_owned());
        let settings = Settings { url: "http://a".into(), token, workspace: "w".into() };
        write(&path, &settings).unwrap();
        write(&path, &settings).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = merge(Environment::default(), read_file(&path).unwrap()).unwrap();
        assert_eq!([read.url.as_str(), &read.token, &read.workspace], ["http://a", "kwa_x", "w"]);
        fs::write(&path, "token = kwa_secret").unwrap();
        let error = read_file(&path).err().unwrap().to_string();
        assert!(!error.contains("kwa_secret"), "{error}");
    }
}
