//! Options of signing in: passwords, and single sign-on at one OpenID provider.

use anyhow::{Context as _, ensure};
use clap::Args;
use keyward_api::{CALLBACK, SignIn, SingleSignOn};
use keyward_model::single_sign_on::Mapping;
use keyward_vault::{Incoming, Provider, ProviderSettings};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Options of every command that starts a server.
#[derive(Args, Default)]
#[command(next_help_heading = "Signing in")]
pub(super) struct SignInOptions {
    /// Whether people sign in with passwords [default: true].
    #[arg(long, global = true, env = "KEYWARD_PASSWORD_SIGN_IN")]
    password_sign_in: Option<bool>,
    /// The OpenID provider's issuer, exactly as its metadata says it; with it there is single sign-on.
    #[arg(long, global = true, env = "KEYWARD_OIDC_ISSUER")]
    oidc_issuer: Option<String>,
    /// Our client id there.
    #[arg(long, global = true, env = "KEYWARD_OIDC_CLIENT_ID")]
    oidc_client_id: Option<String>,
    /// A file that holds our client secret; without it we are a public client.
    #[arg(long, global = true, env = "KEYWARD_OIDC_CLIENT_SECRET_FILE")]
    oidc_client_secret_file: Option<PathBuf>,
    /// What is asked for [default: openid email profile].
    #[arg(long, global = true, env = "KEYWARD_OIDC_SCOPES")]
    oidc_scopes: Option<String>,
    /// The claim that gives roles, or the dotted path to it [default: groups].
    #[arg(long, global = true, env = "KEYWARD_OIDC_ROLE_CLAIM")]
    oidc_role_claim: Option<String>,
    /// `value=workspace:role`, comma-separated; a workspace's slug, or `*` for all.
    #[arg(long, global = true, env = "KEYWARD_OIDC_ROLES")]
    oidc_roles: Option<String>,
    /// The role of whoever no entry matches: `role` or `workspace:role`; without it they are refused.
    #[arg(long, global = true, env = "KEYWARD_OIDC_DEFAULT_ROLE")]
    oidc_default_role: Option<String>,
    /// What people call the provider [default: single sign-on].
    #[arg(long, global = true, env = "KEYWARD_OIDC_NAME")]
    oidc_name: Option<String>,
}

/// The `[sign_in]` table of the configuration file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    password: Option<bool>,
    oidc_issuer: Option<String>,
    oidc_client_id: Option<String>,
    oidc_client_secret_file: Option<PathBuf>,
    oidc_scopes: Option<String>,
    oidc_role_claim: Option<String>,
    oidc_roles: Option<String>,
    oidc_default_role: Option<String>,
    oidc_name: Option<String>,
}

/// How people sign in, merged and not yet checked.
pub(crate) struct SignInConfig {
    passwords: bool,
    issuer: Option<String>,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    scopes: String,
    role_claim: String,
    roles: String,
    default_role: String,
    name: String,
}

impl SignInOptions {
    /// Merges options, file and defaults; an empty text is none.
    pub(super) fn resolve(self, file: Table) -> SignInConfig {
        let given = |option: Option<String>, file: Option<String>| {
            option.or(file).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let or = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
        SignInConfig {
            passwords: self.password_sign_in.or(file.password).unwrap_or(true),
            issuer: given(self.oidc_issuer, file.oidc_issuer),
            client_id: given(self.oidc_client_id, file.oidc_client_id),
            client_secret_file: self.oidc_client_secret_file.or(file.oidc_client_secret_file),
            scopes: or(given(self.oidc_scopes, file.oidc_scopes), "openid email profile"),
            role_claim: or(given(self.oidc_role_claim, file.oidc_role_claim), "groups"),
            roles: or(given(self.oidc_roles, file.oidc_roles), ""),
            default_role: or(given(self.oidc_default_role, file.oidc_default_role), ""),
            name: or(given(self.oidc_name, file.oidc_name), "single sign-on"),
        }
    }
}

impl SignInConfig {
    /// Reads the client secret and checks everything that can be told without the provider.
    /// `public_url` has no slash at its end.
    pub(crate) fn open(&self, public_url: &str) -> anyhow::Result<SignIn> {
        let passwords = self.passwords;
        let Some(issuer) = self.issuer.clone() else {
            let set = self.client_id.is_some() || !self.roles.is_empty();
            ensure!(!set, "KEYWARD_OIDC_ISSUER is missing, though other settings of it are there");
            ensure!(
                passwords,
                "KEYWARD_PASSWORD_SIGN_IN is false, but there is no KEYWARD_OIDC_ISSUER"
            );
            return Ok(SignIn { provider: None, passwords });
        };
        let client_id = self.client_id.clone().context("KEYWARD_OIDC_CLIENT_ID is missing")?;
        let client_secret = self.client_secret_file.as_deref().map(read_secret).transpose()?;
        let mapping = Mapping::parse(&self.role_claim, &self.roles, &self.default_role)
            .context("KEYWARD_OIDC_ROLE_CLAIM, KEYWARD_OIDC_ROLES and KEYWARD_OIDC_DEFAULT_ROLE")?;
        let redirect_uri = format!("{public_url}{CALLBACK}");
        let scopes = self.scopes.clone();
        let settings = ProviderSettings { issuer, client_id, client_secret, scopes, redirect_uri };
        let provider = Provider::new(settings).context("KEYWARD_OIDC_ISSUER and its settings")?;
        let provider = SingleSignOn { provider, mapping, name: self.name.clone() };
        Ok(SignIn { provider: Some(provider), passwords })
    }
}

fn read_secret(path: &Path) -> anyhow::Result<Incoming> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text =
        text.with_context(|| format!("KEYWARD_OIDC_CLIENT_SECRET_FILE {}", path.display()))?;
    let secret = text.trim();
    ensure!(!secret.is_empty(), "KEYWARD_OIDC_CLIENT_SECRET_FILE {} is empty", path.display());
    Ok(Incoming::new(secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(toml: &str) -> SignInConfig {
        SignInOptions::default().resolve(toml::from_str(toml).expect("a table"))
    }

    #[test]
    fn settings_that_cannot_work_are_refused_at_start() {
        let check = |toml: &str, expected: Result<(bool, bool), &str>| {
            let opened = table(toml).open("https://keyward.example.com");
            let found = opened.map(|s| (s.passwords, s.provider.is_some()));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{toml}"),
                (Err(error), Err(text)) => {
                    let said = format!("{error:#}");
                    assert!(said.contains(text), "{toml}: {said}");
                }
                (found, _) => panic!("{toml}: {:?}", found.is_ok()),
            }
        };
        let whole = "oidc_issuer = 'https://id.example'\noidc_client_id = 'keyward'\n\
                     oidc_roles = 'admins=default:admin'\n";
        let with = |more: &str| format!("{whole}{more}");
        check("", Ok((true, false)));
        check(whole, Ok((true, true)));
        check(&with("password = false"), Ok((false, true)));
        check("password = false", Err("KEYWARD_PASSWORD_SIGN_IN"));
        check("oidc_client_id = 'keyward'", Err("KEYWARD_OIDC_ISSUER is missing"));
        check("oidc_roles = 'a=b:viewer'", Err("KEYWARD_OIDC_ISSUER is missing"));
        check("oidc_issuer = 'https://id.example'", Err("KEYWARD_OIDC_CLIENT_ID is missing"));
        check(&whole.replace("admin'", "boss'"), Err("entry 1 is not"));
        check(&whole.replace("admins=default:admin", ""), Err("nobody could sign in"));
        check(&whole.replace("https://id.example", "id.example"), Err("the issuer is not"));
        check(&whole.replace("https://id.example", "https://id.example?a=b"), Err("the issuer"));
        check(&with("oidc_scopes = 'email'"), Err("must hold `openid`"));
        check(&with("oidc_client_secret_file = 'no-such-file'"), Err("no-such-file"));
    }

    #[test]
    fn the_secret_s_file_may_end_in_a_line_break_but_not_be_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let check = |text: &str, length: Option<usize>| {
            std::fs::write(&path, text).expect("a file");
            assert_eq!(read_secret(&path).ok().map(|secret| secret.len()), length, "{text:?}");
        };
        check("secret\n", Some(6));
        check("secret", Some(6));
        check("\n", None);
        check("", None);
    }
}
