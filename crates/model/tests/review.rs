//! The access review: each rule over plain facts.
#![expect(clippy::expect_used, reason = "a test helper that fails is a failed test")]

use keyward_model::clock::Timestamp;
use keyward_model::credential::{CodeAccess, Credential, CredentialType, Details, Scope, Status};
use keyward_model::destination::EgressPolicy;
use keyward_model::id::{CredentialId, Identifier as _, MemberId, WorkflowId, WorkspaceId};
use keyward_model::review::{Facts, Fix, Kind, NamedBy, findings};
use keyward_model::settings::Settings;
use keyward_model::share::{Level, Share, Sharee};
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000;
/// Noon of day 1,000.
const NOW: i64 = 1_000 * DAY + DAY / 2;

fn ago(days: i64) -> Timestamp {
    Timestamp::from_millis(NOW - days * DAY)
}

fn member(byte: u8) -> MemberId {
    MemberId::from_bytes([byte; 16])
}

fn workflow(byte: u8) -> WorkflowId {
    WorkflowId::from_bytes([byte; 16])
}

/// A credential and its surroundings that nothing can be said against.
struct Case {
    settings: Settings,
    credential: Credential,
    manageable: bool,
    owner_is_member: bool,
    last_used_at: Option<Timestamp>,
    shares: Vec<Share>,
    users: BTreeMap<MemberId, Timestamp>,
    origins: Vec<String>,
    named_by: Vec<NamedBy>,
}

fn case() -> Case {
    let credential = Credential {
        workspace: WorkspaceId::from_bytes([1; 16]),
        id: CredentialId::from_bytes([2; 16]),
        key: "KEY".into(),
        kind: CredentialType::Basic,
        scope: Scope::Workspace,
        policy: bound(&["api.example.com"]),
        code_access: CodeAccess::Sealed,
        details: Details {
            name: String::new(),
            description: String::new(),
            environment: String::new(),
            tags: Vec::new(),
            plain: BTreeMap::new(),
            secret: vec!["password".into()],
            template: None,
            test: None,
            ..Details::default()
        },
        version: 1,
        status: Status::Active,
        status_reason: None,
        owner: member(1),
        created_at: ago(10),
        updated_at: ago(10),
        rotated_at: ago(10),
        expires_at: None,
        revision: 1,
        lifecycle: Default::default(),
    };
    Case {
        settings: Settings::default(),
        credential,
        manageable: true,
        owner_is_member: true,
        last_used_at: Some(ago(1)),
        shares: Vec::new(),
        users: BTreeMap::new(),
        origins: vec!["https://api.example.com".into()],
        named_by: Vec::new(),
    }
}

fn bound(hosts: &[&str]) -> EgressPolicy {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    EgressPolicy::parse(&hosts, &[], &[], &[]).expect("a policy")
}

fn share(sharee: Sharee, at: Timestamp) -> Share {
    let Credential { workspace, id, owner, .. } = case().credential;
    Share { workspace, credential: id, sharee, level: Level::Use, by: owner, at }
}

fn named_by(byte: u8, allowlisted: bool) -> NamedBy {
    let keys = vec!["KEY".to_owned(), "OTHER".to_owned()];
    NamedBy { workflow: workflow(byte), name: format!("Flow {byte}"), allowlisted, keys }
}

#[track_caller]
fn check(what: &str, set: impl FnOnce(&mut Case), expected: &[(Kind, Fix)]) -> Vec<String> {
    let mut case = case();
    set(&mut case);
    let facts = Facts {
        now: ago(0),
        settings: &case.settings,
        credential: &case.credential,
        manageable: case.manageable,
        reviewer: member(9),
        owner_is_member: case.owner_is_member,
        last_used_at: case.last_used_at,
        shares: &case.shares,
        users: &case.users,
        origins: &case.origins,
        named_by: &case.named_by,
    };
    let found = findings(&facts);
    let short: Vec<_> = found.iter().map(|found| (found.kind, found.fix.clone())).collect();
    assert_eq!(short, expected, "{what}");
    found.into_iter().map(|found| found.detail).collect()
}

fn bind(hosts: &[&str], fields: &[&str]) -> Fix {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    Fix::Bind { hosts: owned(hosts), fields: owned(fields) }
}

fn replace() -> Fix {
    Fix::Replace(vec!["password".into()])
}

#[test]
fn nothing_is_said_against_what_is_right() {
    check("as it should be", |_| (), &[]);
}

#[test]
fn unused_for_longer_than_the_workspace_says() {
    let unused = |fix| [(Kind::Unused, fix)];
    check("used 89 days ago", |c| c.last_used_at = Some(ago(89)), &[]);
    let details = check("90", |c| c.last_used_at = Some(ago(90)), &unused(Fix::Delete));
    assert_eq!(details, ["last used on 1972-06-29"]);
    check(
        "by the workspace's own days",
        |c| {
            c.last_used_at = Some(ago(8));
            c.settings.unused_days = 7;
        },
        &unused(Fix::Delete),
    );
    check("new and never used", |c| c.last_used_at = None, &[]);
    let old = |c: &mut Case| {
        c.last_used_at = None;
        c.credential.created_at = ago(90);
    };
    check("old and never used", old, &unused(Fix::Delete));
    let named = |c: &mut Case| {
        old(c);
        c.named_by = vec![named_by(1, true)];
    };
    let details = check("named by a workflow", named, &unused(Fix::Suspend));
    assert!(details[0].ends_with("still named by 1 workflow"), "{details:?}");
    let suspended = |c: &mut Case| {
        named(c);
        c.credential.status = Status::Suspended;
    };
    check("suspended already", suspended, &[]);
}

#[test]
fn due_for_rotation_by_age_or_by_date() {
    let due = [(Kind::RotationDue, replace())];
    check("89 days old", |c| c.credential.rotated_at = ago(89), &[]);
    check("90 days old", |c| c.credential.rotated_at = ago(90), &due);
    check("expires in 15 days", |c| c.credential.expires_at = Some(ago(-15)), &[]);
    let details = check("in 14", |c| c.credential.expires_at = Some(ago(-14)), &due);
    assert_eq!(details, ["its value expires on 1972-10-11"]);
    check("expired", |c| c.credential.expires_at = Some(ago(1)), &due);
}

#[test]
fn shared_with_whoever_does_not_use_it() {
    let (one, all) = (Sharee::Member(member(5)), Sharee::All);
    let over = |sharee| (Kind::OverShared, Fix::Unshare(sharee));
    check("shared lately", |c| c.shares = vec![share(one, ago(89))], &[]);
    check("never used", |c| c.shares = vec![share(one, ago(90))], &[over(one)]);
    let used = |days: i64| {
        move |c: &mut Case| {
            c.shares = vec![share(one, ago(200))];
            c.users = BTreeMap::from([(member(5), ago(days)), (member(6), ago(0))]);
        }
    };
    check("used", used(89), &[]);
    check("used long ago", used(90), &[over(one)]);
    let team = |c: &mut Case| {
        c.shares = vec![share(all, ago(0)), share(one, ago(90))];
        c.users = BTreeMap::from([(member(6), ago(3)), (member(7), ago(300))]);
    };
    let details = check("with the team", team, &[over(all), over(one)]);
    assert!(details[0].contains("; 1 of it"), "{details:?}");
}

#[test]
fn bound_more_widely_than_it_goes() {
    let set = |hosts: &'static [&str], origins: &'static [&str]| {
        move |c: &mut Case| {
            c.credential.policy = bound(hosts);
            c.origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        }
    };
    let narrow = |hosts| [(Kind::BroaderThanUsed, bind(hosts, &[]))];
    check("never seen", set(&["a.org", "b.org"], &[]), &[]);
    check("all seen", set(&["b.org", "a.org"], &["https://a.org", "https://b.org"]), &[]);
    check("one of two", set(&["a.org", "b.org"], &["https://b.org"]), &narrow(&["b.org"]));
    let wildcard = set(&["*.a.org"], &["https://x.a.org", "https://y.a.org"]);
    check("a wildcard", wildcard, &narrow(&["x.a.org", "y.a.org"]));
    let six = &["1", "2", "3", "4", "5", "6"].map(|n| format!("https://{n}.a.org"));
    let many = |c: &mut Case| {
        c.credential.policy = bound(&["*.a.org"]);
        c.origins = six.to_vec();
    };
    check("a wildcard for many", many, &[]);
    let port = set(&["http://127.0.0.1:9000", "a.org:8443"], &["https://a.org:8443"]);
    check("with ports", port, &narrow(&["a.org:8443"]));
    check("gone elsewhere before it was bound", set(&["a.org"], &["https://old.org"]), &[]);
}

#[test]
fn bound_to_nothing() {
    let set = |origins: &'static [&str]| {
        move |c: &mut Case| {
            c.credential.policy = EgressPolicy::default();
            c.origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        }
    };
    let unbound = |fix| [(Kind::Unbound, fix)];
    check("nowhere", set(&[]), &unbound(bind(&[], &[])));
    let seen = set(&["https://b.org:8443", "https://a.org"]);
    check("seen", seen, &unbound(bind(&["a.org", "b.org:8443"], &[])));
    let plain = set(&["http://127.0.0.1:9000"]);
    let expected = bind(&["http://127.0.0.1:9000"], &["password"]);
    check("plain http widens", plain, &unbound(expected));
}

#[test]
fn readable_by_code() {
    let readable = |c: &mut Case| c.credential.code_access = CodeAccess::Readable;
    check("readable", readable, &[(Kind::Readable, Fix::Seal)]);
}

#[test]
fn used_by_workflows_without_an_allowlist() {
    let named = |c: &mut Case| c.named_by = vec![named_by(1, false), named_by(2, true)];
    let keys = vec!["KEY".to_owned(), "OTHER".to_owned()];
    let allow = (Kind::NoAllowlist, Fix::Allow { workflow: workflow(1), keys });
    let details = check("one of two", named, &[allow]);
    assert!(details[0].contains("\"Flow 1\""), "{details:?}");
    let own = |c: &mut Case| {
        named(c);
        c.credential.scope = Scope::Workflow(workflow(1));
    };
    check("the workflow's own", own, &[]);
}

#[test]
fn left_by_its_owner() {
    let left = |c: &mut Case| c.owner_is_member = false;
    let transfer = [(Kind::OwnerLeft, Fix::Transfer(member(9)))];
    check("left", left, &transfer);
    let others = |c: &mut Case| {
        left(c);
        c.manageable = false;
        c.credential.code_access = CodeAccess::Readable;
        c.credential.rotated_at = ago(500);
    };
    check("of another member's own nothing else is told", others, &transfer);
}

#[test]
fn what_was_accepted_is_asked_again_when_its_time_is_over() {
    let kept = |until: Timestamp| {
        move |c: &mut Case| {
            c.credential.code_access = CodeAccess::Readable;
            c.credential.rotated_at = ago(100);
            c.credential.lifecycle.kept.insert("readable".into(), until);
        }
    };
    let due = (Kind::RotationDue, replace());
    check("kept", kept(ago(-1)), std::slice::from_ref(&due));
    check("no longer", kept(ago(0)), &[due, (Kind::Readable, Fix::Seal)]);
}

#[test]
fn kinds_have_one_word_each() {
    let words: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let expected = "unused rotation_due over_shared broader_than_used unbound readable \
        no_allowlist owner_left";
    assert_eq!(words.join(" "), expected);
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
        assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.as_str());
    }
    assert_eq!(Kind::parse("unknown"), None);
}
