//! `keyward credential test|versions|rollback|discard`: the versions of one value.

use super::super::client::{Body, Client};
use super::super::table;
use super::show;
use crate::logging;

/// Tests a version, or the current one; an outcome that is not good is a failure of the command.
pub(super) async fn test(id: &str, version: Option<i64>, client: &Client) -> anyhow::Result<()> {
    let version = version.map(|version| format!("/versions/{version}")).unwrap_or_default();
    let path = format!("/credentials/{id}{version}/test");
    let outcome = client.send("POST", &path, Body::default()).await?;
    match client.json {
        true => table::print_json(&outcome),
        false => logging::print(&table::cell(&outcome, "/detail")),
    }
    anyhow::ensure!(is_good(&outcome), "the test did not pass");
    Ok(())
}

/// Whether the service took the value.
pub(super) fn is_good(outcome: &serde_json::Value) -> bool {
    outcome.get("ok").and_then(serde_json::Value::as_bool) == Some(true)
}

/// Lists the versions that are kept.
pub(super) async fn list(id: &str, client: &Client) -> anyhow::Result<()> {
    let items = client.all(&format!("/credentials/{id}/versions"), &[]).await?;
    let columns = [
        ("VERSION", "/version"),
        ("STATE", "/state"),
        ("CREATED", "/created_at"),
        ("UNTIL", "/until"),
        ("TEST", "/test/detail"),
        ("USES", "/uses"),
        ("FAILURES", "/failures"),
    ];
    client.print_list(&items, &columns);
    Ok(())
}

/// Returns to an earlier version.
pub(super) async fn roll_back(id: &str, version: i64, client: &Client) -> anyhow::Result<()> {
    let path = format!("/credentials/{id}/versions/{version}/rollback");
    show(&client.send("POST", &path, Body::default()).await?, client.json);
    Ok(())
}

/// Destroys a staged or an earlier version.
pub(super) async fn discard(id: &str, version: i64, client: &Client) -> anyhow::Result<()> {
    let path = format!("/credentials/{id}/versions/{version}");
    client.send("DELETE", &path, Body::default()).await?;
    if !client.json {
        logging::print(&format!("destroyed version {version} of {id}"));
    }
    Ok(())
}
