//! The operator's mapping from the values of a claim to roles in workspaces.

use super::claims::{Claims, strings};
use crate::actor::Role;
use serde_json::Value;

/// Which roles the claims of a person give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    claim: String,
    rules: Vec<Rule>,
    otherwise: Option<Granted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    value: String,
    granted: Granted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Granted {
    /// The slug of a workspace; `None` for every workspace.
    workspace: Option<String>,
    role: Role,
}

/// A mapping that cannot be read. It names the entry by its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// An entry of the list.
    #[error("entry {0} is not `claim-value=workspace:role`, with a workspace's slug or `*`")]
    Entry(usize),
    /// The role of whoever matches nothing.
    #[error("the default is neither `role` nor `workspace:role`")]
    Default,
    /// Nobody could ever sign in.
    #[error("neither a rule nor a default role is given, so nobody could sign in")]
    Empty,
    /// No claim is named.
    #[error("the name of the claim is empty")]
    Claim,
}

/// What the mapping says of one person and one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No rule names the workspace: membership there is the workspace's own matter.
    Silent,
    /// A member of that role.
    Member(Role),
    /// Not a member.
    Stranger,
}

impl Mapping {
    /// Reads a mapping: the claim's name (a dotted path leads into objects), a comma-separated list
    /// of `value=workspace:role`, and the role of whoever matches no rule (`role`, everywhere, or
    /// `workspace:role`).
    ///
    /// # Errors
    /// Names the first entry that cannot be read; `Empty` where nobody would get a role.
    pub fn parse(claim: &str, rules: &str, otherwise: &str) -> Result<Self, MappingError> {
        let written = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty());
        let rules = written
            .enumerate()
            .map(|(at, rule)| Rule::parse(rule).ok_or(MappingError::Entry(at + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        let otherwise = match otherwise.trim() {
            "" => None,
            role => Some(Granted::parse(role).ok_or(MappingError::Default)?),
        };
        if claim.trim().is_empty() {
            return Err(MappingError::Claim);
        }
        if rules.is_empty() && otherwise.is_none() {
            return Err(MappingError::Empty);
        }
        Ok(Self { claim: claim.trim().to_owned(), rules, otherwise })
    }

    /// What the mapping says of the person with these claims in the workspace of that slug. Where
    /// several rules match, the highest role counts.
    pub fn verdict(&self, claims: &Claims, workspace: &str) -> Verdict {
        let values = self.values(claims);
        let matching = self.rules.iter().filter(|rule| values.contains(&rule.value.as_str()));
        let granted: Vec<_> = match matching.map(|rule| &rule.granted).collect::<Vec<_>>() {
            none if none.is_empty() => self.otherwise.iter().collect(),
            some => some,
        };
        let here = granted.into_iter().filter(|granted| granted.covers(workspace));
        match here.map(|granted| granted.role).max() {
            Some(role) => Verdict::Member(role),
            None if self.names(workspace) => Verdict::Stranger,
            None => Verdict::Silent,
        }
    }

    /// Whether the claim that the rules read is among these claims.
    pub fn has_claim(&self, claims: &Claims) -> bool {
        find(claims, &self.claim).is_some()
    }

    fn names(&self, workspace: &str) -> bool {
        let all = self.rules.iter().map(|rule| &rule.granted).chain(&self.otherwise);
        all.into_iter().any(|granted| granted.covers(workspace))
    }

    fn values<'a>(&self, claims: &'a Claims) -> Vec<&'a str> {
        strings(find(claims, &self.claim))
    }
}

/// A claim by its whole name, which may hold dots, or by a path of members.
fn find<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let whole = claims.get(name);
    whole.or_else(|| {
        let (first, rest) = name.split_once('.')?;
        find(claims.get(first)?.as_object()?, rest)
    })
}

impl Rule {
    /// A value may hold `=`, so the last one counts.
    fn parse(rule: &str) -> Option<Self> {
        let (value, granted) = rule.rsplit_once('=')?;
        let value = value.trim().to_owned();
        let granted = Granted::parse(granted.trim()).filter(|_| granted.contains(':'))?;
        (!value.is_empty()).then_some(Self { value, granted })
    }
}

impl Granted {
    fn parse(text: &str) -> Option<Self> {
        let (workspace, role) = text.rsplit_once(':').unwrap_or(("*", text));
        let role = Role::parse(role.trim())?;
        let is_slug = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        match workspace.trim() {
            "*" => Some(Self { workspace: None, role }),
            slug if !slug.is_empty() && slug.bytes().all(is_slug) => {
                Some(Self { workspace: Some(slug.to_owned()), role })
            }
            _ => None,
        }
    }

    fn covers(&self, workspace: &str) -> bool {
        self.workspace.as_deref().is_none_or(|slug| slug == workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Member, Silent, Stranger};
    use serde_json::json;

    #[test]
    fn claims_give_the_roles_that_the_table_says() {
        let check = |rules: &str, otherwise: &str, groups: Value, expected: [Verdict; 2]| {
            let mapping = Mapping::parse("groups", rules, otherwise).expect(rules);
            let claims = json!({ "groups": groups });
            let claims = claims.as_object().expect("an object");
            let found = ["default", "lab"].map(|slug| mapping.verdict(claims, slug));
            assert_eq!(found, expected, "{rules:?} {otherwise:?} {groups}");
        };
        let admins = "admins=default:admin";
        check(admins, "", json!(["admins"]), [Member(Role::Admin), Silent]);
        check(admins, "", json!("admins"), [Member(Role::Admin), Silent]);
        check(admins, "", json!(["staff"]), [Stranger, Silent]);
        check(admins, "", json!([]), [Stranger, Silent]);
        check(admins, "", json!(null), [Stranger, Silent]);
        check(admins, "", json!("admins staff"), [Stranger, Silent]);
        check(admins, "", json!("Admins"), [Stranger, Silent]);
        check(admins, "", json!({ "admins": true }), [Stranger, Silent]);
        check(admins, "", json!([["admins"]]), [Stranger, Silent]);
        check(admins, "viewer", json!([]), [Member(Role::Viewer), Member(Role::Viewer)]);
        check(admins, "lab:viewer", json!([]), [Stranger, Member(Role::Viewer)]);
        check(admins, "viewer", json!(["admins"]), [Member(Role::Admin), Stranger]);
        check("", "editor", json!(["x"]), [Member(Role::Editor), Member(Role::Editor)]);
        check("all=*:viewer", "", json!(["all"]), [Member(Role::Viewer), Member(Role::Viewer)]);
        check("all=*:viewer", "", json!(["x"]), [Stranger, Stranger]);
        let several = "a=*:viewer, b=lab:owner, b=lab:editor, a = default:operator,";
        check(several, "", json!(["a"]), [Member(Role::Operator), Member(Role::Viewer)]);
        check(several, "", json!(["a", "b"]), [Member(Role::Operator), Member(Role::Owner)]);
        check(several, "", json!(["b"]), [Stranger, Member(Role::Owner)]);
        let named = "cn=ops:eu=lab:operator";
        check(named, "", json!(["cn=ops:eu"]), [Silent, Member(Role::Operator)]);
    }

    #[test]
    fn a_claim_is_found_by_its_name_or_its_path() {
        let check = |name: &str, claims: Value, found: bool| {
            let mapping = Mapping::parse(name, "a=default:viewer", "").expect(name);
            let claims = claims.as_object().expect("an object");
            assert_eq!(mapping.verdict(claims, "default") == Member(Role::Viewer), found, "{name}");
            assert_eq!(mapping.has_claim(claims), found, "{name}");
        };
        check("realm.roles", json!({ "realm": { "roles": ["a"] } }), true);
        check("a.b.c", json!({ "a": { "b": { "c": "a" } } }), true);
        check("https://x.example/roles", json!({ "https://x.example/roles": ["a"] }), true);
        check("a.b.c", json!({ "a": { "b.c": "a" } }), true);
        check("realm.roles", json!({ "roles": ["a"] }), false);
        check("realm.roles", json!({ "realm": "a" }), false);
        check("realm.", json!({ "realm": "a" }), false);
    }

    #[test]
    fn a_mapping_that_cannot_be_read_is_refused() {
        let check = |claim: &str, rules: &str, otherwise: &str, expected: MappingError| {
            assert_eq!(Mapping::parse(claim, rules, otherwise), Err(expected), "{rules:?}");
        };
        check("groups", "", "", MappingError::Empty);
        check("groups", " , ", "", MappingError::Empty);
        check(" ", "a=b:viewer", "", MappingError::Claim);
        check("groups", "a", "", MappingError::Entry(1));
        check("groups", "a=viewer", "", MappingError::Entry(1));
        check("groups", "=b:viewer", "", MappingError::Entry(1));
        check("groups", "a=:viewer", "", MappingError::Entry(1));
        check("groups", "a=b:viewer,a=b:boss", "", MappingError::Entry(2));
        check("groups", "a=My Team:viewer", "", MappingError::Entry(1));
        check("groups", "a=b:viewer", "boss", MappingError::Default);
        check("groups", "a=b:viewer", "b:", MappingError::Default);
    }
}
