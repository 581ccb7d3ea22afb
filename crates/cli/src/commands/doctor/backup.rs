//! What `keyward doctor` says of backups.

use super::Finding;
use crate::commands::backup::{self, LastBackup};
use keyward_model::clock::Timestamp;
use keyward_store::Store;

/// Older than this is worth a word.
const OLD_DAYS: i64 = 7;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The newest backup that the database knows of, and how old it is.
pub(super) async fn newest(store: &Store, now: Timestamp) -> Finding {
    match backup::last(store).await {
        Ok(last) => judge(last, now),
        Err(error) => Finding::fix("backup", format!("{error:#}")),
    }
}

fn judge(last: Option<LastBackup>, now: Timestamp) -> Finding {
    const CHECK: &str = "backup";
    let Some(LastBackup { at, file, bytes }) = last else {
        return Finding::note(CHECK, "there is none yet: `keyward backup FILE` makes one");
    };
    let days = now.millis().saturating_sub(at.millis()).max(0) / DAY_MILLIS;
    let detail = format!("the newest is of {at}, {bytes} bytes in {file}");
    match days {
        ..=OLD_DAYS => Finding::fine(CHECK, detail),
        days => Finding::note(CHECK, format!("{detail}; that is {days} days ago")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn an_old_backup_is_worth_a_word() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let check = |taken: Option<&str>, level: Level, says: &str| {
            let last = taken.map(|text| LastBackup { at: at(text), file: "/b/x".into(), bytes: 5 });
            let found = judge(last, at("2026-06-20T12:00:00Z"));
            assert_eq!(found.level, level, "{found:?}");
            assert!(found.detail.contains(says), "{found:?}");
        };
        check(None, Level::Note, "none yet");
        check(Some("2026-06-20T11:00:00Z"), Level::Fine, "5 bytes in /b/x");
        check(Some("2026-06-12T13:00:00Z"), Level::Fine, "2026-06-12");
        check(Some("2026-06-12T11:00:00Z"), Level::Note, "8 days ago");
        check(Some("2026-06-21T11:00:00Z"), Level::Fine, "2026-06-21");
    }
}
