//! `keyward doctor`: what is wrong with this installation, and what to do about it. Changes nothing
//! but that a database of an older release is brought up to date.

mod backup;
mod files;
mod sinks;

use crate::config::Config;
use crate::{home, logging};
use keyward_model::clock::Timestamp;
use keyward_sandbox::{Sandbox, WallName};
use keyward_store::{AuditFilter, Page, Store, StoreError};
use serde_json::json;
use std::net::IpAddr;

/// Before this release was made, so a clock that shows less is wrong.
const EARLIEST: &str = "2026-01-01T00:00:00Z";
/// How far the newest record may lie ahead: clocks of several machines differ a little.
const TOLERANCE_MILLIS: i64 = 60_000;

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    check: &'static str,
    level: Level,
    detail: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Fine,
    /// Good to know; nothing has to be done.
    Note,
    /// Must be fixed.
    Fix,
}

impl Finding {
    fn fine(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, level: Level::Fine, detail: detail.into() }
    }

    fn note(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, level: Level::Note, detail: detail.into() }
    }

    fn fix(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, level: Level::Fix, detail: detail.into() }
    }
}

/// Looks at everything; fails where something must be fixed.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    let mut findings = vec![files::data_directory(&config.data_dir)];
    let database = home::database_directory(config);
    findings.push(files::root_key(&config.root_key_file, &database, super::has_database(config)));
    findings.extend(files::same_disk(
        &config.root_key_file,
        &database,
        config.database_url.is_some(),
    ));
    findings.extend(database_findings(config).await);
    findings.extend(sinks::findings(config).await);
    findings.extend(sandbox(config).await);
    findings.push(listen(config.listen.ip(), config.public_url.as_deref()));
    findings.push(match home::egress(config, None) {
        Ok(_) if config.egress_allow.is_empty() => {
            Finding::fine("egress", "public https hosts can be reached, nothing else")
        }
        Ok(_) => {
            Finding::fine("egress", "KEYWARD_EGRESS_ALLOW and the trusted issuers can be read")
        }
        Err(error) => Finding::fix("egress", format!("{error:#}")),
    });
    print(config.json, &findings);
    match findings.iter().filter(|finding| finding.level == Level::Fix).count() {
        0 => Ok(()),
        1 => anyhow::bail!("one thing must be fixed"),
        many => anyhow::bail!("{many} things must be fixed"),
    }
}

fn print(json: bool, findings: &[Finding]) {
    if json {
        let findings: Vec<_> = findings
            .iter()
            .map(|f| json!({ "check": f.check, "ok": f.level != Level::Fix, "detail": f.detail }))
            .collect();
        return logging::print(&format!("{:#}", json!(findings)));
    }
    for Finding { check, level, detail } in findings {
        let word = match level {
            Level::Fine => "ok",
            Level::Note => "note",
            Level::Fix => "FIX",
        };
        logging::print(&format!("{word:<4}  {check:<15}  {detail}"));
    }
}

/// Database, fingerprint, and the clock, which is held against the newest record.
async fn database_findings(config: &Config) -> Vec<Finding> {
    let now = home::system_clock().now();
    if !super::has_database(config) {
        let detail = "there is none yet: the first start makes it";
        return vec![Finding::fine("database", detail), clock(now, None)];
    }
    let store = match home::open_store(config) {
        Ok(store) => store,
        Err(error) => {
            let what = match error.downcast_ref::<StoreError>() {
                Some(StoreError::NewerSchema { .. }) => {
                    "use the release that wrote it, or a newer one"
                }
                _ => "check that it runs, and that --data-dir or KEYWARD_DATABASE_URL is right",
            };
            let detail = format!("{error:#}; {what}");
            return vec![Finding::fix("database", detail), clock(now, None)];
        }
    };
    let findings = match store.healthy().await {
        Ok(()) => vec![
            Finding::fine("database", "it answers, and its schema is this release's"),
            fingerprint(config, &store).await,
            backup::newest(&store, now).await,
            clock(now, newest_record(&store).await),
        ],
        Err(error) => {
            let detail = format!("it does not answer: {:#}", anyhow::Error::from(error));
            vec![Finding::fix("database", detail), clock(now, None)]
        }
    };
    store.close().await;
    findings
}

async fn fingerprint(config: &Config, store: &Store) -> Finding {
    const CHECK: &str = "fingerprint";
    let key = &config.root_key_file;
    let database = home::database_directory(config);
    // What is wrong with the key's file is told by the check of the file.
    let found = keyward_vault::RootKey::read(key, &database).ok().flatten();
    let found = found.map(|key| key.fingerprint());
    match (keyward_vault::read_identity(store).await, found) {
        (Ok(Some((_, expected))), Some(found)) if expected == found => {
            Finding::fine(CHECK, format!("{found}, the key that sealed this database"))
        }
        (Ok(Some((_, expected))), _)
            if keyward_vault::root_key_waits(key, &database, &expected) =>
        {
            Finding::note(CHECK, "a change of the root key was cut off: the next start finishes it")
        }
        (Ok(Some((_, expected))), found) => Finding::fix(
            CHECK,
            format!(
                "this database was sealed by the key {expected}, and {} holds {}: put the right key there",
                key.display(),
                found.as_deref().unwrap_or("none that can be used"),
            ),
        ),
        (Ok(None), _) => Finding::fine(CHECK, "the database is new: the first start adopts a key"),
        (Err(error), _) => Finding::fix(CHECK, format!("{:#}", anyhow::Error::from(error))),
    }
}

/// The time of the newest audit record; `None` where there is none, or it cannot be read.
async fn newest_record(store: &Store) -> Option<Timestamp> {
    let page = |limit| Page { limit, after: None };
    let workspaces = store.read(move |tx| tx.workspaces(&page(200))).await.ok()?;
    let mut newest = None;
    for workspace in workspaces.items {
        let read = move |tx: &mut keyward_store::Reader<'_>| {
            tx.audit(workspace.id, &AuditFilter::default(), &page(1))
        };
        let found = store.read(read).await.ok().and_then(|found| found.items.into_iter().next());
        newest = newest.max(found.map(|record| record.event.at));
    }
    newest
}

fn clock(now: Timestamp, newest: Option<Timestamp>) -> Finding {
    const CHECK: &str = "clock";
    let advice = "set the system's clock, and keep it by NTP";
    if Timestamp::parse(EARLIEST).is_some_and(|earliest| now < earliest) {
        return Finding::fix(CHECK, format!("it shows {now}, which is past; {advice}"));
    }
    match newest.filter(|newest| now.plus_millis(TOLERANCE_MILLIS) < *newest) {
        Some(newest) => Finding::fix(
            CHECK,
            format!("it shows {now}, and the newest audit record is of {newest}; {advice}"),
        ),
        None => Finding::fine(CHECK, format!("it shows {now}")),
    }
}

/// Starts a sandbox and lists what this machine does not give it.
async fn sandbox(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "sandbox";
    let options = keyward_sandbox::Options { waiting: 1, ..keyward_sandbox::Options::default() };
    let sandbox = match Sandbox::start(options).await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let detail = format!("it does not start, so code steps will fail: {error}");
            return vec![Finding::fix(CHECK, detail)];
        }
    };
    let walls = sandbox.walls();
    sandbox.shutdown().await;
    let missing: Vec<Finding> = walls
        .missing()
        .map(|wall| missing_wall(config, wall.name, wall.missing.as_deref().unwrap_or_default()))
        .collect();
    match missing.is_empty() {
        true => vec![Finding::fine(CHECK, "every wall stands")],
        false => missing,
    }
}

fn missing_wall(config: &Config, wall: WallName, reason: &str) -> Finding {
    let advice = match wall {
        WallName::Seccomp => {
            "use a kernel with seccomp filters, and a container that does not forbid them"
        }
        WallName::Landlock => "use a kernel from 5.13 on with Landlock enabled (lsm=landlock,...)",
        WallName::Rlimits => "raise the hard limits of this process",
        _ => {
            "allow unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns=0, or the container's seccomp profile)"
        }
    };
    let is_needed =
        config.require_all_walls || (wall == WallName::Seccomp && !config.unsafe_sandbox);
    let detail = format!("the wall {wall} is missing ({reason}); {advice}");
    match is_needed {
        true => Finding::fix("sandbox", format!("{detail}; without it code steps are refused")),
        false => Finding::note("sandbox", format!("{detail}; the other walls stand in for it")),
    }
}

/// Whoever is on the way reads passwords and tokens where neither loopback nor TLS keeps them away.
fn listen(address: IpAddr, public_url: Option<&str>) -> Finding {
    const CHECK: &str = "listen";
    let public = public_url.map(|text| url::Url::parse(text).ok());
    let scheme = public.as_ref().map(|url| url.as_ref().map_or("", |url| url.scheme()));
    match (address.is_loopback(), scheme) {
        (_, Some(scheme)) if scheme != "http" && scheme != "https" => Finding::fix(
            CHECK,
            "KEYWARD_PUBLIC_URL is not a URL such as https://keyward.example.com",
        ),
        (true, _) => Finding::fine(CHECK, format!("{address} is reached from this machine alone")),
        (false, Some("https")) => {
            let detail = format!("{address}, for a proxy that adds TLS; let nobody past the proxy");
            Finding::fine(CHECK, detail)
        }
        (false, _) => Finding::fix(
            CHECK,
            format!(
                "{address} is reached from other machines without TLS: put a proxy that adds TLS before it and set KEYWARD_PUBLIC_URL to its https URL, or listen on 127.0.0.1"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_address_needs_tls() {
        let check = |address: &str, public_url: Option<&str>, level: Level| {
            let found = listen(address.parse().unwrap(), public_url);
            assert_eq!(found.level, level, "{address} {public_url:?}: {}", found.detail);
        };
        check("127.0.0.1", None, Level::Fine);
        check("::1", Some("http://localhost:7411"), Level::Fine);
        check("0.0.0.0", None, Level::Fix);
        check("10.1.2.3", Some("http://keyward.example.com"), Level::Fix);
        check("::", Some("https://keyward.example.com"), Level::Fine);
        check("127.0.0.1", Some("keyward.example.com"), Level::Fix);
        check("127.0.0.1", Some("ftp://keyward.example.com"), Level::Fix);
    }

    #[test]
    fn a_clock_in_the_past_is_wrong() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let check = |now: &str, newest: Option<&str>, level: Level| {
            let found = clock(at(now), newest.map(at));
            assert_eq!(found.level, level, "{now} {newest:?}: {}", found.detail);
        };
        check("1970-01-01T00:00:10Z", None, Level::Fix);
        check("2026-06-01T00:00:00Z", None, Level::Fine);
        check("2026-06-01T00:00:00Z", Some("2026-06-01T00:00:30Z"), Level::Fine);
        check("2026-06-01T00:00:00Z", Some("2026-06-01T00:02:00Z"), Level::Fix);
    }
}
