//! What a sign-in does with a membership: the mapping decides in every workspace that it names.

use super::mapping::Verdict;
use crate::actor::Role;

/// What becomes of a person's membership of one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is.
    None,
    /// They become a member.
    Join(Role),
    /// They get another role.
    Become(Role),
    /// They are a member no more.
    Leave,
}

/// The change that a verdict asks for, where the person has that role now and the workspace so many
/// owners. A workspace keeps its last owner.
pub fn change(verdict: Verdict, now: Option<Role>, owners: i64) -> Change {
    match (verdict, now) {
        (Verdict::Silent, _) | (Verdict::Stranger, None) => Change::None,
        (Verdict::Member(role), None) => Change::Join(role),
        (Verdict::Member(role), Some(now)) if role == now => Change::None,
        (_, Some(Role::Owner)) if owners <= 1 => Change::None,
        (Verdict::Member(role), Some(_)) => Change::Become(role),
        (Verdict::Stranger, Some(_)) => Change::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Admin, Owner, Viewer};
    use Verdict::{Member, Silent, Stranger};

    #[test]
    fn memberships_follow_the_mapping() {
        let check = |verdict: Verdict, now: Option<Role>, owners: i64, expected: Change| {
            assert_eq!(change(verdict, now, owners), expected, "{verdict:?} {now:?} {owners}");
        };
        check(Silent, None, 1, Change::None);
        check(Silent, Some(Admin), 1, Change::None);
        check(Silent, Some(Owner), 2, Change::None);
        check(Member(Viewer), None, 1, Change::Join(Viewer));
        check(Member(Owner), None, 0, Change::Join(Owner));
        check(Member(Viewer), Some(Viewer), 1, Change::None);
        check(Member(Admin), Some(Viewer), 1, Change::Become(Admin));
        check(Member(Viewer), Some(Admin), 1, Change::Become(Viewer));
        check(Member(Owner), Some(Viewer), 1, Change::Become(Owner));
        check(Member(Owner), Some(Owner), 1, Change::None);
        check(Member(Viewer), Some(Owner), 2, Change::Become(Viewer));
        check(Member(Viewer), Some(Owner), 1, Change::None);
        check(Stranger, None, 1, Change::None);
        check(Stranger, Some(Viewer), 1, Change::Leave);
        check(Stranger, Some(Owner), 2, Change::Leave);
        check(Stranger, Some(Owner), 1, Change::None);
    }
}
