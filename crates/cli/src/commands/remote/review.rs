//! `keyward review`: what about the credentials somebody should look at.

use super::client::Client;
use super::table;
use crate::logging;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct Review {
    /// Only this kind: unused, rotation_due, over_shared, broader_than_used, unbound, readable,
    /// no_allowlist or owner_left.
    #[arg(long)]
    kind: Option<String>,
    /// csv, as spreadsheets read it, or json; a table without.
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Rows for a spreadsheet.
    Csv,
    /// As the API lists them, with the call that mends each.
    Json,
}

/// Prints the review.
pub(crate) async fn run(review: Review, client: &Client) -> anyhow::Result<()> {
    let mut query: Vec<_> = review.kind.iter().map(|kind| ("kind", kind.as_str())).collect();
    if review.format == Some(Format::Csv) {
        query.push(("format", "csv"));
        let text = client.text("/review", &query).await?;
        text.lines().for_each(logging::print);
        return Ok(());
    }
    let items = client.all("/review", &query).await?;
    if review.format == Some(Format::Json) {
        table::print_json(&serde_json::json!({ "items": items, "next_cursor": null }));
        return Ok(());
    }
    let columns = [
        ("KEY", "/key"),
        ("KIND", "/kind"),
        ("DETAIL", "/detail"),
        ("FIX", "/fix/method"),
        ("", "/fix/path"),
    ];
    client.print_list(&items, &columns);
    Ok(())
}
