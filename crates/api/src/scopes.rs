//! The scopes of API tokens: they narrow what a token's maker may do, and never widen it.

use keyward_model::policy::Ability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One scope.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenScope {
    /// See workflows, runs, credentials (never values) and the audit trail.
    Read,
    /// Start, retry and cancel runs, and see them.
    Run,
    /// Save and switch workflows; see them, their runs and the credentials' keys.
    Edit,
    /// All that the token's maker may do.
    Admin,
}

impl TokenScope {
    const ALL: [Self; 4] = [Self::Read, Self::Run, Self::Edit, Self::Admin];

    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Edit => "edit",
            Self::Admin => "admin",
        }
    }

    fn includes(self, ability: Ability) -> bool {
        use Ability::{EditWorkflows, ListCredentials, ReadAudit, ReadRuns, RunWorkflows};
        match self {
            Self::Read => {
                matches!(ability, ReadRuns | ListCredentials | ReadAudit | Ability::ViewCredential)
            }
            Self::Run => matches!(ability, ReadRuns | RunWorkflows),
            Self::Edit => matches!(ability, ReadRuns | ListCredentials | EditWorkflows),
            Self::Admin => true,
        }
    }
}

/// What a token may do at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scopes {
    /// All that its maker may.
    All,
    /// What one of these includes, as far as its maker may.
    Only(Vec<TokenScope>),
}

impl Scopes {
    /// Reads the stored words. A word of another release grants nothing.
    pub(crate) fn parse(stored: &str) -> Self {
        if stored.is_empty() {
            return Self::All;
        }
        let known = |word| TokenScope::ALL.into_iter().find(|scope| scope.as_str() == word);
        Self::Only(stored.split(' ').filter_map(known).collect())
    }

    /// From a request: absent means all.
    pub(crate) fn asked(scopes: Option<Vec<TokenScope>>) -> Self {
        let Some(mut scopes) = scopes else { return Self::All };
        scopes.sort();
        scopes.dedup();
        Self::Only(scopes)
    }

    /// The words as they are stored; empty for all.
    pub(crate) fn stored(&self) -> String {
        let words =
            |scopes: &Vec<TokenScope>| scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>();
        self.list().map(words).unwrap_or_default().join(" ")
    }

    /// The list, or nothing where there is no limit.
    pub(crate) fn list(&self) -> Option<&Vec<TokenScope>> {
        match self {
            Self::All => None,
            Self::Only(scopes) => Some(scopes),
        }
    }

    /// Whether the token may use an ability that its maker has.
    pub(crate) fn include(&self, ability: Ability) -> bool {
        self.list().is_none_or(|scopes| scopes.iter().any(|scope| scope.includes(ability)))
    }

    /// Whether nothing that the maker may do is withheld.
    pub(crate) fn whole(&self) -> bool {
        self.list().is_none_or(|scopes| scopes.contains(&TokenScope::Admin))
    }

    /// Whether a token of these scopes may make one of those: no more than it has itself.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            _ if self.whole() => true,
            (Self::Only(own), Self::Only(asked)) => asked.iter().all(|scope| own.contains(scope)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ability::*;

    const ABILITIES: [Ability; 9] = [
        ReadRuns, RunWorkflows, EditWorkflows, ListCredentials, ViewCredential, ReadAudit,
        ManageCredentials, SetAllowlist, Administer,
    ];

    #[test]
    fn scopes_narrow_as_the_table_says() {
        let check = |stored: &str, expected: &str| {
            let scopes = Scopes::parse(stored);
            let found: String =
                ABILITIES.iter().map(|a| if scopes.include(*a) { 'x' } else { '-' }).collect();
            assert_eq!(found, expected, "{stored:?}");
        };
        //              runs run edit list view audit manage allow admin
        check("", "xxxxxxxxx");
        check("admin", "xxxxxxxxx");
        check("read", "x--xxx---");
        check("run", "xx-------");
        check("edit", "x-xx-----");
        check("run edit", "xxxx-----");
        check("read run edit", "xxxxxx---");
        check("later_word", "---------");
        check("later_word run", "xx-------");
    }

    #[test]
    fn a_narrowed_token_makes_none_that_is_wider() {
        let check = |own: &str, asked: &str, expected: bool| {
            let covers = Scopes::parse(own).cover(&Scopes::parse(asked));
            assert_eq!(covers, expected, "{own:?} makes {asked:?}");
        };
        check("", "", true);
        check("", "read", true);
        check("admin", "", true);
        check("admin", "read run", true);
        check("read", "read", true);
        check("read run", "run", true);
        check("read", "", false);
        check("read", "admin", false);
        check("read", "read run", false);
        check("later_word", "", false);
    }

    #[test]
    fn words_are_stored_sorted_and_once() {
        let asked = Scopes::asked(Some(vec![TokenScope::Run, TokenScope::Read, TokenScope::Run]));
        assert_eq!(asked.stored(), "read run");
        assert_eq!(Scopes::parse("read run"), asked);
        assert_eq!(Scopes::asked(None).stored(), "");
        assert_eq!(Scopes::parse(""), Scopes::All);
    }
}
