//! The access review: what about a credential somebody should look at, and the call that mends it.
//! One pure rule for each kind, over facts that are gathered elsewhere.

use crate::clock::Timestamp;
use crate::credential::{CodeAccess, Credential, Scope, Status};
use crate::destination::EgressPolicy;
use crate::id::{MemberId, WorkflowId};
use crate::settings::Settings;
use crate::share::{Share, Sharee};
use std::collections::BTreeMap;

/// For how many days a finding that was accepted is not shown again.
pub const KEPT_DAYS: i64 = 90;
/// For how many days back it is asked where a credential went.
pub const OBSERVED_DAYS: i64 = 90;
/// So many hosts under one wildcard justify it.
const MANY_HOSTS: usize = 5;
/// Of more hosts than these a person has to say to which it belongs.
const MOST_HOSTS: usize = 50;
const DAY_MILLIS: i64 = 86_400_000;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $word:literal;)*) => {
        /// What a finding is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind, in the order of the report.
            pub const ALL: &[Self] = &[$(Self::$name),*];
            /// The word shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
            /// Reads the word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
            }
        }
    };
}

kinds! {
    /// Nobody uses it.
    Unused "unused";
    /// Its value is old, or stops working soon.
    RotationDue "rotation_due";
    /// Somebody has a share that they do not use, or everybody has one.
    OverShared "over_shared";
    /// It may go to hosts that it never went to.
    BroaderThanUsed "broader_than_used";
    /// It may go anywhere.
    Unbound "unbound";
    /// Code may read the value.
    Readable "readable";
    /// A workflow that names it may resolve every other credential of the workspace as well.
    NoAllowlist "no_allowlist";
    /// Its owner has left.
    OwnerLeft "owner_left";
}

/// A workflow whose definition names the credential and would get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBy {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its name.
    pub name: String,
    /// Whether its allowlist is on.
    pub allowlisted: bool,
    /// All the keys that its definition names.
    pub keys: Vec<String>,
}

/// What the rules ask about one credential.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The time.
    pub now: Timestamp,
    /// The workspace's settings.
    pub settings: &'a Settings,
    /// The credential.
    pub credential: &'a Credential,
    /// Whether the reviewer may bind it; of others' own they only learn that its owner has left.
    pub manageable: bool,
    /// Who reviews.
    pub reviewer: MemberId,
    /// Whether its owner is a member.
    pub owner_is_member: bool,
    /// When any step last used it.
    pub last_used_at: Option<Timestamp>,
    /// The shares in it.
    pub shares: &'a [Share],
    /// When workflows last used it, by their owner.
    pub users: &'a BTreeMap<MemberId, Timestamp>,
    /// Where it went in the last `OBSERVED_DAYS` days: origins such as `https://api.example.com`.
    pub origins: &'a [String],
    /// The workflows that name it.
    pub named_by: &'a [NamedBy],
}

/// One row of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// In words, for people.
    pub detail: String,
    /// What mends it.
    pub fix: Fix,
}

/// The call that mends a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Delete it.
    Delete,
    /// Stop every use.
    Suspend,
    /// Enter these secret fields anew.
    Replace(Vec<String>),
    /// Take a share back.
    Unshare(Sharee),
    /// Bind it to these hosts; where that allows plain http, with these fields entered anew. No
    /// host: a person has to say which.
    Bind {
        /// The hosts.
        hosts: Vec<String>,
        /// The fields to be entered anew.
        fields: Vec<String>,
    },
    /// Let code have placeholders only.
    Seal,
    /// Let a workflow resolve these keys only.
    Allow {
        /// The workflow.
        workflow: WorkflowId,
        /// The keys.
        keys: Vec<String>,
    },
    /// Give it to another member.
    Transfer(MemberId),
}

/// Everything that is to be said about a credential, by kind; what was accepted is left out.
pub fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let kept = &facts.credential.lifecycle.kept;
    let open = |kind: &&Kind| kept.get(kind.as_str()).is_none_or(|until| *until <= facts.now);
    let told = |kind: &&Kind| facts.manageable || **kind == Kind::OwnerLeft;
    Kind::ALL.iter().filter(open).filter(told).flat_map(|kind| facts.look(*kind)).collect()
}

impl Facts<'_> {
    fn look(&self, kind: Kind) -> Vec<Finding> {
        let found: Vec<(String, Fix)> = match kind {
            Kind::Unused => self.unused().into_iter().collect(),
            Kind::RotationDue => self.rotation_due().into_iter().collect(),
            Kind::OverShared => self.over_shared(),
            Kind::BroaderThanUsed => self.broader_than_used().into_iter().collect(),
            Kind::Unbound => self.unbound().into_iter().collect(),
            Kind::Readable => self.readable().into_iter().collect(),
            Kind::NoAllowlist => self.no_allowlist(),
            Kind::OwnerLeft => self.owner_left().into_iter().collect(),
        };
        found.into_iter().map(|(detail, fix)| Finding { kind, detail, fix }).collect()
    }

    fn days_ago(&self, days: impl Into<i64>) -> Timestamp {
        self.now.plus_millis(days.into().saturating_mul(-DAY_MILLIS))
    }

    fn unused(&self) -> Option<(String, Fix)> {
        let since = self.days_ago(self.settings.unused_days);
        let detail = match self.last_used_at {
            _ if self.credential.status == Status::Suspended => return None,
            Some(at) if at <= since => format!("last used on {}", date(at)),
            None if self.credential.created_at <= since => {
                format!("never used since it was made on {}", date(self.credential.created_at))
            }
            _ => return None,
        };
        match self.named_by.len() {
            0 => Some((detail, Fix::Delete)),
            count => Some((format!("{detail}; still named by {}", workflows(count)), Fix::Suspend)),
        }
    }

    fn rotation_due(&self) -> Option<(String, Fix)> {
        let credential = self.credential;
        let old = credential.rotated_at <= self.days_ago(self.settings.rotation_due_days);
        let soon = self.days_ago(-i64::from(self.settings.expiry_warning_days));
        let detail = match credential.expires_at {
            Some(at) if at <= self.now => format!("its value expired on {}", date(at)),
            Some(at) if at <= soon => format!("its value expires on {}", date(at)),
            _ if old => format!("its value is of {}", date(credential.rotated_at)),
            _ => return None,
        };
        Some((detail, Fix::Replace(credential.details.secret.clone())))
    }

    fn over_shared(&self) -> Vec<(String, Fix)> {
        let since = self.days_ago(self.settings.unused_days);
        let used = |member: &MemberId| self.users.get(member).is_some_and(|at| *at > since);
        let finding = |share: &Share| match share.sharee {
            Sharee::All => {
                let users = self.users.values().filter(|at| **at > since).count();
                let detail = format!(
                    "shared with the whole team; {users} of it had workflows that used it in the \
                     last {} days",
                    self.settings.unused_days
                );
                Some((detail, Fix::Unshare(share.sharee)))
            }
            Sharee::Member(id) if share.at <= since && !used(&id) => {
                let detail = format!(
                    "shared with {id} on {}, whose workflows have not used it for {} days",
                    date(share.at),
                    self.settings.unused_days
                );
                Some((detail, Fix::Unshare(share.sharee)))
            }
            Sharee::Member(_) => None,
        };
        self.shares.iter().filter_map(finding).collect()
    }

    fn broader_than_used(&self) -> Option<(String, Fix)> {
        let (bound, ..) = self.credential.policy.lists();
        let mut narrow: Vec<String> = Vec::new();
        for entry in &bound {
            let seen: Vec<_> =
                self.hosts().into_iter().filter(|seen| covers(entry, seen)).collect();
            match seen.len() > MANY_HOSTS {
                true => narrow.push(entry.clone()),
                false => narrow.extend(seen),
            }
        }
        narrow.sort();
        narrow.dedup();
        let unchanged = bound.len() == narrow.len() && bound.iter().all(|b| narrow.contains(b));
        if narrow.is_empty() || unchanged {
            return None;
        }
        let detail = format!(
            "may go to {}; went to {} in the last {OBSERVED_DAYS} days",
            bound.join(", "),
            narrow.join(", ")
        );
        Some((detail, Fix::Bind { hosts: narrow, fields: Vec::new() }))
    }

    fn unbound(&self) -> Option<(String, Fix)> {
        if self.credential.policy.is_bound() {
            return None;
        }
        let mut hosts = self.hosts();
        let detail = match hosts.len() {
            0 => "may go to any public host, and went nowhere yet".to_owned(),
            1..=MANY_HOSTS => format!("may go to any public host; went to {}", hosts.join(", ")),
            count => format!("may go to any public host; went to {count} of them"),
        };
        if hosts.len() > MOST_HOSTS {
            hosts.clear();
        }
        // An unbound credential goes over https, so that plain http is more than it had.
        let widens = hosts.iter().any(|host| host.starts_with("http://"));
        let fields = if widens { self.credential.details.secret.clone() } else { Vec::new() };
        Some((detail, Fix::Bind { hosts, fields }))
    }

    fn readable(&self) -> Option<(String, Fix)> {
        let readable = self.credential.code_access == CodeAccess::Readable;
        readable.then(|| ("code may read its value".to_owned(), Fix::Seal))
    }

    fn no_allowlist(&self) -> Vec<(String, Fix)> {
        if self.credential.scope != Scope::Workspace {
            return Vec::new();
        }
        let open = self.named_by.iter().filter(|by| !by.allowlisted);
        let finding = |by: &NamedBy| {
            let detail = format!(
                "the workflow \"{}\" ({}) uses it and has no allowlist, so that its steps may name \
                 every credential of the workspace",
                by.name, by.workflow
            );
            (detail, Fix::Allow { workflow: by.workflow, keys: by.keys.clone() })
        };
        open.map(finding).collect()
    }

    fn owner_left(&self) -> Option<(String, Fix)> {
        let detail = "its owner is no member of the workspace any more".to_owned();
        (!self.owner_is_member).then_some((detail, Fix::Transfer(self.reviewer)))
    }

    /// Where it went, as a binding writes it.
    fn hosts(&self) -> Vec<String> {
        let entry =
            |origin: &String| EgressPolicy::parse(std::slice::from_ref(origin), &[], &[], &[]).ok();
        let mut hosts: Vec<String> =
            self.origins.iter().filter_map(entry).flat_map(|policy| policy.lists().0).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

fn covers(entry: &str, host: &str) -> bool {
    let read = |text: &str| EgressPolicy::parse(&[text.to_owned()], &[], &[], &[]);
    matches!((read(entry), read(host)), (Ok(entry), Ok(host)) if entry.covers(&host))
}

fn workflows(count: usize) -> String {
    if count == 1 { "1 workflow".into() } else { format!("{count} workflows") }
}

fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
