//! The table of who may do what with credentials is the table of the documentation, and the
//! decision of a real caller on a real credential follows it.

use keyward_model::actor::Role;
use keyward_model::permission::{Act, Question, Whose};
use keyward_model::settings::Settings;
use keyward_model::share::Level;
use std::fmt::Write as _;

const ROLES: [Role; 5] = [Role::Owner, Role::Admin, Role::Editor, Role::Operator, Role::Viewer];

fn allowed(act: Act, role: Role, whose: Whose, share: Option<Level>, settings: &Settings) -> bool {
    Question { act, role, whose, share, settings }.allowed()
}

fn title(whose: Whose) -> &'static str {
    match whose {
        Whose::Common => "The workspace's, and one workflow's",
        Whose::Own => "One's own personal ones",
        Whose::Others => "Another member's personal ones",
    }
}

/// The least share that gives the act to somebody whose role does not.
fn by_share(act: Act, whose: Whose, settings: &Settings) -> &'static str {
    let given = |level: &&Level| allowed(act, Role::Viewer, whose, Some(**level), settings);
    Level::ALL.iter().find(given).map_or("-", |level| level.as_str())
}

fn table() -> String {
    let settings = Settings::default();
    let mut out = String::from(
        "# Who may do what with credentials\n\n\
        One function decides (`crates/model/src/permission.rs`); a test holds this page against it.\n\
        No role and no share ever shows a value. *By share* is the least share that gives it to\n\
        whoever's role does not. Where a workspace forbids sharing, editors share nothing.\n",
    );
    for whose in Whose::ALL {
        let _ = write!(out, "\n## {}\n\n", title(whose));
        out.push_str("| act | owner | admin | editor | operator | viewer | by share |\n");
        out.push_str("|---|---|---|---|---|---|---|\n");
        for act in Act::ALL {
            let _ = write!(out, "| {} |", act.as_str());
            for role in ROLES {
                let yes = allowed(*act, role, whose, None, &settings);
                let _ = write!(out, " {} |", if yes { "yes" } else { "-" });
            }
            let share = if whose == Whose::Own { "" } else { by_share(*act, whose, &settings) };
            let _ = writeln!(out, " {share} |");
        }
    }
    out
}

#[test]
fn the_table_is_the_documentations() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.md");
    if std::env::var_os("KEYWARD_WRITE_DOCS").is_some() {
        std::fs::write(path, table()).expect("the page can be written");
    }
    let page = std::fs::read_to_string(path).expect("docs/permissions.md");
    assert_eq!(page, table(), "set KEYWARD_WRITE_DOCS=1 to write the page anew, and read it");
}

#[test]
fn a_share_only_adds_and_a_higher_role_only_adds() {
    for settings in [Settings::default(), Settings::strictest()] {
        for act in Act::ALL {
            for whose in Whose::ALL {
                for role in ROLES {
                    let mut before = allowed(*act, role, whose, None, &settings);
                    for level in Level::ALL {
                        let now = allowed(*act, role, whose, Some(level), &settings);
                        assert!(now >= before, "{act:?} {whose:?} {role:?} {level:?}");
                        before = now;
                    }
                }
                for pair in ROLES.windows(2) {
                    let [higher, lower] = pair else { continue };
                    for share in [None, Some(Level::Use), Some(Level::View), Some(Level::Manage)] {
                        let higher = allowed(*act, *higher, whose, share, &settings);
                        assert!(higher >= allowed(*act, *lower, whose, share, &settings));
                    }
                }
            }
        }
    }
}

#[test]
fn where_sharing_is_off_editors_share_nothing() {
    let off = Settings { sharing: false, ..Settings::default() };
    let check = |role: Role, whose: Whose, share: Option<Level>, expected: bool| {
        assert_eq!(allowed(Act::Share, role, whose, share, &off), expected, "{role:?} {whose:?}");
    };
    check(Role::Editor, Whose::Own, None, false);
    check(Role::Editor, Whose::Others, Some(Level::Manage), false);
    check(Role::Admin, Whose::Own, None, true);
    check(Role::Admin, Whose::Common, None, true);
}
